"""Questions below the studies, by the hierarchy: the series of one study, the images of one of them.

What they give is taken for the truth, against which relational queries are judged.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from qrkit.profile.inquiry import SMALL, Inquiry
from qrkit.profile.judging import Judged, Trial, judge
from qrkit.profile.known import CONTRAST, Sample
from qrkit.profile.questions import Asking, Heard, Question
from qrkit.profile.study_keys import both
from qrkit.profile.subjects import Subject, Verdict
from qrkit.tables import Level

SERIES_KEYS = ("SeriesNumber", "Modality", "SeriesDescription", "StationName", "NumberOfSeriesRelatedInstances")
IMAGE_KEYS = ("SOPClassUID", "InstanceNumber")
_UNKNOWN_COUNT = 10


def ask_series(inquiry: Inquiry, study: str) -> Generator[Question, Heard, bool]:
    """Ask for the series of one study; return whether they are known now."""
    heard = yield from inquiry.ask(
        Level.SERIES, inquiry.above(Level.SERIES, study), SERIES_KEYS, "series of one study"
    )
    if not heard.is_whole:
        return False
    inquiry.known.learn_series(study, heard.rows)
    return bool(inquiry.known.series[study])


def ask_modality(inquiry: Inquiry, study: str) -> Asking:
    """Ask for the series of one modality in one study, unless a relational query has told."""
    if inquiry.verdict(Subject.MODALITY) is not Verdict.UNKNOWN:
        return
    series = inquiry.known.series[study]
    codes = sorted({str(row["Modality"]) for row in series.values() if row.get("Modality")})
    if not codes:
        return
    code = codes[0] if len(codes) > 1 else next(code for code in CONTRAST if code not in codes)
    keys = (*inquiry.above(Level.SERIES, study), ("Modality", code))
    heard = yield from inquiry.ask(Level.SERIES, keys, SERIES_KEYS, f"series of one study by Modality {code}")
    trial = Trial(
        what=f"Modality {code} within a study",
        things="series",
        heard=heard,
        fits={uid for uid, row in series.items() if row.get("Modality") == code},
        others={uid for uid, row in series.items() if row.get("Modality") not in (None, code)},
        present=inquiry.present(heard, Level.SERIES),
    )
    inquiry.say(Subject.MODALITY, judge(trial) if trial.fits else both(trial, _without_key(trial, frozenset(series))))


def ask_series_of_studies(inquiry: Inquiry, sample: Sample, study: str) -> Asking:
    """Ask for the series of two studies at once."""
    other = inquiry.known.companion(sample.studies, study)
    if not other:
        return
    patients = {inquiry.above(Level.STUDY, uid) for uid in (study, other)}
    same_patient = patients.pop() if len(patients) == 1 else ()
    keys = (*same_patient, ("StudyInstanceUID", f"{study}\\{other}"))
    heard = yield from inquiry.ask(Level.SERIES, keys, SERIES_KEYS, "series of 2 studies")
    inquiry.say(Subject.SERIES_OF_STUDIES, _judge_two(inquiry, heard, study, other))


def choose_series(series: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the series to look into: a small one, of SR if there is one."""
    return min(series, key=lambda uid: (_size(series[uid]) > SMALL, series[uid].get("Modality") != "SR", uid))


def ask_images(inquiry: Inquiry, study: str, series: str) -> Generator[Question, Heard, dict[str, Mapping[str, Any]]]:
    """Ask for the images of one series; return them by SOPInstanceUID, none if they are not known."""
    keys = inquiry.above(Level.IMAGE, study, series)
    heard = yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series")
    if not heard.is_whole:
        return {}
    return {str(row["SOPInstanceUID"]): row for row in heard.rows if row.get("SOPInstanceUID")}


def ask_instance_number(inquiry: Inquiry, study: str, series: str, images: Mapping[str, Mapping[str, Any]]) -> Asking:
    """Ask for one InstanceNumber in the series that was looked into, or in one of several images."""
    others = inquiry.known.series[study]
    larger = [uid for uid, row in others.items() if uid != series and _size(row, unknown=1) > 1]
    numbers = {uid: row["InstanceNumber"] for uid, row in images.items() if row.get("InstanceNumber") is not None}
    if len(set(numbers.values())) < 2 and larger:
        yield from _ask_first(inquiry, study, min(larger, key=lambda uid: (_size(others[uid]), uid)))
        return
    if not numbers:
        return
    several = len(set(numbers.values())) > 1
    number = min(numbers.values()) if several else max(numbers.values()) + 1_000
    keys = (*inquiry.above(Level.IMAGE, study, series), ("InstanceNumber", str(number)))
    heard = yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series by InstanceNumber")
    trial = Trial(
        what=f"InstanceNumber {number} within a series",
        things="images",
        heard=heard,
        fits={uid for uid, one in numbers.items() if one == number},
        others={uid for uid, one in numbers.items() if one != number},
        present=inquiry.present(heard, Level.IMAGE),
    )
    inquiry.say(
        Subject.INSTANCE_NUMBER, judge(trial) if several else both(trial, _without_key(trial, frozenset(numbers)))
    )


def _ask_first(inquiry: Inquiry, study: str, series: str) -> Asking:
    """Ask for the image of InstanceNumber 1 in a series of several images that were not looked at."""
    expected = _size(inquiry.known.series[study][series])
    keys = (*inquiry.above(Level.IMAGE, study, series), ("InstanceNumber", "1"))
    heard = yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series by InstanceNumber")
    evidence = f"InstanceNumber 1 within a series of {expected} images: {heard.count} came"
    wrong = [row for row in heard.rows if row.get("InstanceNumber") not in (None, 1)]
    verdict = Verdict.UNKNOWN
    if heard.is_refusal:
        verdict, evidence = Verdict.REFUSED, f"InstanceNumber 1: {heard.failure}"
    elif wrong or heard.count >= expected:
        verdict = Verdict.IGNORED
    elif heard.is_whole and heard.count:
        verdict = Verdict.HONOURED
    inquiry.say(Subject.INSTANCE_NUMBER, Judged(verdict=verdict, evidence=evidence))


def _judge_two(inquiry: Inquiry, heard: Heard, study: str, other: str) -> Judged:
    what = "a list of 2 StudyInstanceUIDs at SERIES level"
    if heard.is_refusal:
        return Judged(verdict=Verdict.REFUSED, evidence=f"{what}: {heard.failure}")
    present = inquiry.present(heard, Level.SERIES)
    first = set(inquiry.known.series[study])
    strangers = {row.get("StudyInstanceUID") for row in heard.rows} - {study, other, None}
    second = len(present - first)
    evidence = f"{what}: {len(first & present)} of {len(first)} series of the one came, {second} of the other"
    if strangers:
        evidence = f"{what}: series of {len(strangers)} other studies came"
        return Judged(verdict=Verdict.IGNORED, evidence=evidence)
    expected = inquiry.known.studies[other].get("NumberOfStudyRelatedSeries")
    if not heard.is_whole:
        return Judged(evidence=evidence)
    is_all = first <= present and (second == expected if isinstance(expected, int) and expected else second > 0)
    return Judged(verdict=Verdict.HONOURED if is_all else Verdict.REFUSED, evidence=evidence)


def _without_key(trial: Trial, everything: frozenset[str]) -> Trial:
    """Return the question before, which asked for all of it and got it."""
    return Trial(
        what="without it",
        things=trial.things,
        heard=Heard(count=len(everything), rows=({},) * len(everything)),
        fits=everything,
        others=frozenset(),
        present=everything,
    )


def _size(series: Mapping[str, Any], *, unknown: int = _UNKNOWN_COUNT) -> int:
    count = series.get("NumberOfSeriesRelatedInstances")
    return count if isinstance(count, int) and count > 0 else unknown
