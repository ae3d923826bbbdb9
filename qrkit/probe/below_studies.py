"""Questions below the studies, by the hierarchy: the series of one study, the images of one of them.

What they give is taken for the truth, against which relational queries are judged.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from qrkit.probe.inquiry import SMALL, Inquiry
from qrkit.probe.judgement import Judged, Trial, judge
from qrkit.probe.known import CONTRAST, Sample
from qrkit.probe.questions import Asking, Heard, Question
from qrkit.probe.study_keys import Trying, both
from qrkit.profile.subjects import Subject, Verdict
from qrkit.tables import Level

SERIES_KEYS = ("SeriesNumber", "Modality", "SeriesDescription", "StationName", "NumberOfSeriesRelatedInstances")
IMAGE_KEYS = ("SOPClassUID", "InstanceNumber")
_UNKNOWN_COUNT = 10

Images = Mapping[str, Mapping[str, Any]]
"""Images by their SOPInstanceUID."""


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
    codes = sorted({str(row["Modality"]) for row in inquiry.known.series[study].values() if row.get("Modality")})
    if not codes:
        return
    if len(codes) > 1:
        trial = yield from _try_modality(inquiry, study, codes[0])
        inquiry.say(Subject.MODALITY, judge(trial))
        return
    away = yield from _try_modality(inquiry, study, next(code for code in CONTRAST if code not in codes))
    inquiry.say(Subject.MODALITY, judge(away))
    if inquiry.verdict(Subject.MODALITY) is Verdict.UNKNOWN:
        there = yield from _try_modality(inquiry, study, codes[0])
        inquiry.say(Subject.MODALITY, both(away, there))


def _try_modality(inquiry: Inquiry, study: str, code: str) -> Trying:
    keys = (*inquiry.above(Level.SERIES, study), ("Modality", code))
    heard = yield from inquiry.ask(Level.SERIES, keys, SERIES_KEYS, f"series of one study by Modality {code}")
    codes = {uid: row.get("Modality") for uid, row in inquiry.known.series[study].items()}
    return Trial(
        what=f"Modality {code} within a study",
        things="series",
        heard=heard,
        fits={uid for uid, one in codes.items() if one == code},
        others={uid for uid, one in codes.items() if one not in (None, code)},
        present=inquiry.present(heard, Level.SERIES),
    )


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


def ask_images(inquiry: Inquiry, study: str, series: str) -> Generator[Question, Heard, Images]:
    """Ask for the images of one series; return them by SOPInstanceUID, none if they are not known.

    Of a series with one image it is asked for by the InstanceNumber 1 that it should have: one question less.
    """
    if inquiry.known.series[study][series].get("NumberOfSeriesRelatedInstances") == 1:
        heard = yield from _ask_number(inquiry, study, series, 1)
        if heard.count == 1:
            return _by_uid(heard)
    keys = inquiry.above(Level.IMAGE, study, series)
    heard = yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series")
    return _by_uid(heard) if heard.is_whole else {}


def ask_instance_number(inquiry: Inquiry, study: str, series: str, images: Images) -> Asking:
    """Ask for one InstanceNumber in the series that was looked into, or in one of several images."""
    others = inquiry.known.series[study]
    larger = [uid for uid, row in others.items() if uid != series and _size(row, unknown=1) > 1]
    numbers = {uid: row["InstanceNumber"] for uid, row in images.items() if row.get("InstanceNumber") is not None}
    if len(set(numbers.values())) > 1:
        trial = yield from _try_number(inquiry, study, series, numbers, min(numbers.values()))
        inquiry.say(Subject.INSTANCE_NUMBER, judge(trial))
    elif larger:
        yield from _ask_first(inquiry, study, min(larger, key=lambda uid: (_size(others[uid]), uid)))
    elif numbers:
        yield from _ask_other_number(inquiry, study, series, numbers)


def _ask_other_number(inquiry: Inquiry, study: str, series: str, numbers: Mapping[str, int]) -> Asking:
    """Ask for a number that none of the images has, and unless that was done already, for the one that they have."""
    number = max(numbers.values())
    away = yield from _try_number(inquiry, study, series, numbers, number + 1_000)
    inquiry.say(Subject.INSTANCE_NUMBER, judge(away))
    if inquiry.verdict(Subject.INSTANCE_NUMBER) is not Verdict.UNKNOWN:
        return
    earlier = [heard for question, heard in inquiry.asked if question.request.value("InstanceNumber") == str(number)]
    there = _trial_of_number(inquiry, earlier[0], numbers, number) if earlier else None
    if there is None:
        there = yield from _try_number(inquiry, study, series, numbers, number)
    inquiry.say(Subject.INSTANCE_NUMBER, both(away, there))


def _try_number(inquiry: Inquiry, study: str, series: str, numbers: Mapping[str, int], number: int) -> Trying:
    heard = yield from _ask_number(inquiry, study, series, number)
    return _trial_of_number(inquiry, heard, numbers, number)


def _trial_of_number(inquiry: Inquiry, heard: Heard, numbers: Mapping[str, int], number: int) -> Trial:
    return Trial(
        what=f"InstanceNumber {number} within a series",
        things="images",
        heard=heard,
        fits={uid for uid, one in numbers.items() if one == number},
        others={uid for uid, one in numbers.items() if one != number},
        present=inquiry.present(heard, Level.IMAGE),
    )


def _ask_number(inquiry: Inquiry, study: str, series: str, number: int) -> Generator[Question, Heard, Heard]:
    keys = (*inquiry.above(Level.IMAGE, study, series), ("InstanceNumber", str(number)))
    return (yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series by InstanceNumber"))


def _by_uid(heard: Heard) -> Images:
    return {str(uid): row for row in heard.rows if (uid := row.get("SOPInstanceUID"))}


def _ask_first(inquiry: Inquiry, study: str, series: str) -> Asking:
    """Ask for the image of InstanceNumber 1 in a series of several images that were not looked at."""
    expected = _size(inquiry.known.series[study][series])
    heard = yield from _ask_number(inquiry, study, series, 1)
    evidence = f"InstanceNumber 1 within a series of {expected} images: {heard.count} came"
    wrong = [row for row in heard.rows if row.get("InstanceNumber") not in (None, 1)]
    verdict = Verdict.UNKNOWN
    if heard.is_refusal:
        verdict, evidence = Verdict.REFUSED, f"InstanceNumber 1: {heard.failure}"
    elif wrong or heard.count >= expected:
        verdict = Verdict.IGNORED
    elif heard.is_whole and heard.count:
        verdict = Verdict.HONOURED
    inquiry.say(Subject.INSTANCE_NUMBER, Judged(verdict=verdict, evidence=evidence, answers=heard.count))


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
    verdict = Verdict.HONOURED if is_all else Verdict.REFUSED
    return Judged(verdict=verdict, evidence=evidence, answers=None if is_all else heard.count)


def _size(series: Mapping[str, Any], *, unknown: int = _UNKNOWN_COUNT) -> int:
    count = series.get("NumberOfSeriesRelatedInstances")
    return count if isinstance(count, int) and count > 0 else unknown
