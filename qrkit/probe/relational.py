"""Relational queries (PS3.4 C.4.1.2.2): whether they are answered, and whether the answers are true.

They ask for the series or images of one day, without the Unique Keys above. What came of the study that was looked
into must be what the hierarchical way gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Any

from qrkit.probe.below_studies import IMAGE_KEYS, SERIES_KEYS, Images
from qrkit.probe.inquiry import SMALL, Inquiry
from qrkit.probe.judgement import Judged
from qrkit.probe.known import Known
from qrkit.probe.questions import Asking, Heard
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.dates import Dates
from qrkit.tables import Level, unique_key
from qrkit.words import counted

_LIMIT = 5 * SMALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a relational question about one day asks for, and what is known of the answer.

    Attributes
    ----------
    level
        SERIES or IMAGE.
    key
        The matching key besides StudyDate, and its value.
    home
        The keyword and UID of the study or series that was looked into.
    everything, truth
        Unique Keys that the hierarchical way gave for it: all, and those that match.
    having, lacking
        Known studies of any day that hold what is asked for, and that do not.
    likely
        Those that probably hold it, by their modalities, where the node does not return their SOP Classes.
    """

    level: Level
    day: date
    key: tuple[str, str]
    home: tuple[str, str]
    everything: AbstractSet[str]
    truth: AbstractSet[str]
    having: AbstractSet[str]
    lacking: AbstractSet[str]
    likely: AbstractSet[str] = frozenset()

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """The matching keys."""
        return (("StudyDate", Dates(first=self.day, last=self.day).matching), self.key)

    @property
    def things(self) -> str:
        """What is asked for, in the plural."""
        return "series" if self.level is Level.SERIES else "images"

    @property
    def what(self) -> str:
        """What was asked, for the evidence."""
        return f"{self.things} by StudyDate and {self.key[0]} {self.key[1]}"


def ask_relational_series(inquiry: Inquiry, study: str) -> Asking:
    """Ask for the series of one day and one modality."""
    known, day = inquiry.known, inquiry.known.studies[study].get("StudyDate")
    series = known.series[study]
    codes = {str(row["Modality"]) for row in series.values() if row.get("Modality")}
    if not codes or day is None:
        return
    code = min(codes, key=lambda code: (not _is_elsewhere(known, code, day), code != "SR", code))
    having, lacking = known.with_code(known.studies, code)
    aim = Aim(
        level=Level.SERIES,
        day=day,
        key=("Modality", code),
        home=("StudyInstanceUID", study),
        everything=frozenset(series),
        truth={uid for uid, row in series.items() if row.get("Modality") == code},
        having=having,
        lacking=lacking,
    )
    heard = yield from inquiry.ask(Level.SERIES, aim.keys, SERIES_KEYS, f"{code} series of one day", _LIMIT)
    inquiry.say(Subject.SERIES_WITHOUT_STUDY, judge_truth(aim, heard))
    by_keys = judge_keys(aim, heard, known)
    inquiry.say(Subject.SERIES_BY_DATE_AND_MODALITY, by_keys)
    if by_keys.verdict is Verdict.HONOURED:
        inquiry.say(Subject.MODALITY, by_keys)


def ask_relational_images(inquiry: Inquiry, study: str, series: str, images: Images) -> Asking:
    """Ask for the images of one day and one SOP Class."""
    known, day = inquiry.known, inquiry.known.studies[study].get("StudyDate")
    classes = {str(row["SOPClassUID"]) for row in images.values() if row.get("SOPClassUID")}
    if not classes or day is None:
        return
    sop_class = min(classes)
    told = {uid: row["SOPClassesInStudy"] for uid, row in known.studies.items() if row.get("SOPClassesInStudy")}
    having = {uid for uid, text in told.items() if sop_class in str(text).split("\\")}
    aim = Aim(
        level=Level.IMAGE,
        day=day,
        key=("SOPClassUID", sop_class),
        home=("SeriesInstanceUID", series),
        everything=frozenset(images),
        truth={uid for uid, row in images.items() if row.get("SOPClassUID") == sop_class},
        having=having | {study},
        lacking=set(told) - having - {study},
        likely=frozenset() if told else known.with_code(known.studies, _modality(known, study, series))[0],
    )
    heard = yield from inquiry.ask(Level.IMAGE, aim.keys, IMAGE_KEYS, "images of one day and one SOP Class", _LIMIT)
    inquiry.say(Subject.IMAGES_WITHOUT_SERIES, judge_truth(aim, heard))
    inquiry.say(Subject.IMAGES_BY_DATE_AND_CLASS, judge_keys(aim, heard, known))


def judge_truth(aim: Aim, heard: Heard) -> Judged:
    """Return whether the answers tell of one study or series what the hierarchical way told."""
    if heard.is_refusal:
        return Judged(verdict=Verdict.REFUSED, evidence=f"{aim.what}: {heard.failure}")
    keyword, uid = aim.home
    unique = unique_key(aim.level)
    present = {str(row[unique]) for row in heard.rows if row.get(unique)}
    own = {str(row[unique]) for row in heard.rows if row.get(unique) and row.get(keyword) == uid}
    came, strange = len(aim.truth & present), len(own - aim.everything)
    evidence = (
        f"{aim.what}: {heard.count} came, among them {came} of the {len(aim.truth)} {aim.things} that the "
        f"hierarchical way gives for one {'study' if aim.level is Level.SERIES else 'series'}"
    )
    if strange:
        return Judged(verdict=Verdict.IGNORED, evidence=f"{evidence}, and {strange} that it does not give")
    if came == len(aim.truth):
        return Judged(verdict=Verdict.HONOURED, evidence=evidence)
    verdict = Verdict.REFUSED if heard.is_whole else Verdict.UNKNOWN
    return Judged(verdict=verdict, evidence=evidence, answers=heard.count)


def judge_keys(aim: Aim, heard: Heard, known: Known) -> Judged:
    """Return whether StudyDate and the other key are matched in a relational query, over all known studies."""
    if heard.is_refusal:
        return Judged(verdict=Verdict.REFUSED, evidence=f"{aim.what}: {heard.failure}")
    studies = {str(row["StudyInstanceUID"]) for row in heard.rows if row.get("StudyInstanceUID")}
    if not studies:
        return Judged(evidence=f"{aim.what}: {heard.count} came, none of which says of which study it is")
    same_day, other_days = known.on(known.studies, aim.day, aim.day)
    wrong = sum(_is_wrong(row, aim, other_days) for row in heard.rows)
    if wrong:
        return Judged(
            verdict=Verdict.IGNORED, evidence=f"{aim.what}: {wrong} of the {len(heard.rows)} that came do not match"
        )
    expected = aim.having & same_day
    if heard.is_whole and not expected <= studies:
        return Judged(
            verdict=Verdict.REFUSED,
            evidence=f"{aim.what}: those of {len(expected - studies)} of {len(expected)} studies were left out",
            answers=heard.count,
        )
    return _by_what_stayed_away(aim, heard, known, studies)


def _by_what_stayed_away(aim: Aim, heard: Heard, known: Known, studies: AbstractSet[str]) -> Judged:
    """Return the verdict where nothing is wrong: both keys must have kept something away."""
    same_day, other_days = known.on(known.studies, aim.day, aim.day)
    unique = unique_key(aim.level)
    beside = aim.everything - aim.truth - {str(row.get(unique)) for row in heard.rows}
    by_key = len((aim.lacking & same_day) - studies) + len(beside) + _counted_away(aim, heard, known, studies)
    by_day = len(((aim.having | aim.likely) & other_days) - studies)
    evidence = (
        f"{aim.what}: {heard.count} came, of {counted(len(studies), 'study')}; {by_key} of that day were kept away "
        f"by {aim.key[0]}, {counted(by_day, 'study')} of other days by StudyDate"
    )
    verdict = Verdict.HONOURED if heard.is_whole and by_key and by_day else Verdict.UNKNOWN
    return Judged(verdict=verdict, evidence=evidence, answers=heard.count)


def _counted_away(aim: Aim, heard: Heard, known: Known, studies: AbstractSet[str]) -> int:
    """Return how many images of the studies that came did not, by the counts of those studies."""
    if aim.level is not Level.IMAGE or not heard.is_whole:
        return 0
    rows = (known.studies[uid] for uid in studies if uid in known.studies)
    counts = [row.get("NumberOfStudyRelatedInstances") or 0 for row in rows]
    return max(0, sum(counts) - heard.count)


def _modality(known: Known, study: str, series: str) -> str:
    """Return the modality of a series that was looked into."""
    return str(known.series.get(study, {}).get(series, {}).get("Modality") or "")


def _is_elsewhere(known: Known, code: str, day: date) -> bool:
    """Whether studies of other days are known to have a modality, which a matched StudyDate has to keep away."""
    having, _ = known.with_code(known.studies, code)
    return bool(having & known.on(known.studies, day, day)[1])


def _is_wrong(row: Mapping[str, Any], aim: Aim, other_days: AbstractSet[str]) -> bool:
    keyword, value = aim.key
    return row.get(keyword) not in (None, value) or row.get("StudyInstanceUID") in other_days
