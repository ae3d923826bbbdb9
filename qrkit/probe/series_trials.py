"""Trials below the studies: the hierarchy gives the reference, and other ways to ask are compared with it.

The series of one study and the images of one of its series are the reference. Lists of studies and relational queries
(PS3.4 C.4.1.2.2), which omit the Unique Keys above, must return the same.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Any

from qrkit.probe.inquiry import CONTRAST, SMALL, THINGS, Comparison, Finding, Inquiry, KnownStudies, judge, judge_pair
from qrkit.probe.questions import ProbeSteps, QueryAnswers, Question
from qrkit.probe.study_trials import ComparisonSteps
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.dates import Dates
from qrkit.tables import Level, unique_key
from qrkit.words import counted

SERIES_KEYS = ("SeriesNumber", "Modality", "SeriesDescription", "StationName", "NumberOfSeriesRelatedInstances")
IMAGE_KEYS = ("SOPClassUID", "InstanceNumber")
_UNKNOWN_COUNT = 10
_LIMIT = 5 * SMALL

AnswerSteps = Generator[Question, QueryAnswers, QueryAnswers]


def ask_series(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the series of one study, the reference of all trials below."""
    study = inquiry.known.subject_study(inquiry.sample.studies)
    if not study or not inquiry.has_series:
        return
    keys = inquiry.above(Level.SERIES, study)
    answers = yield from inquiry.ask(Level.SERIES, keys, SERIES_KEYS, "series of one study")
    if answers.is_whole:
        inquiry.known.add_series(study, answers.rows)
        inquiry.study = study if inquiry.known.series[study] else ""


def ask_modality(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the series of one modality in one study, unless a relational query gave the result."""
    if not inquiry.is_open(Subject.MODALITY):
        return
    codes = sorted({str(row["Modality"]) for row in _series(inquiry).values() if row.get("Modality")})
    if not codes:
        return
    if len(codes) > 1:
        inquiry.record(Subject.MODALITY, judge((yield from _compare_modality(inquiry, codes[0]))))
        return
    away = yield from _compare_modality(inquiry, next(code for code in CONTRAST if code not in codes))
    inquiry.record(Subject.MODALITY, judge(away))
    if inquiry.is_open(Subject.MODALITY):
        there = yield from _compare_modality(inquiry, codes[0])
        inquiry.record(Subject.MODALITY, judge_pair(away, there))


def _compare_modality(inquiry: Inquiry, code: str) -> ComparisonSteps:
    keys = (*inquiry.above(Level.SERIES, inquiry.study), ("Modality", code))
    answers = yield from inquiry.ask(Level.SERIES, keys, SERIES_KEYS, f"series of one study by Modality {code}")
    codes = {uid: row.get("Modality") for uid, row in _series(inquiry).items()}
    matching = {uid: None if own is None else own == code for uid, own in codes.items()}
    return inquiry.comparison(f"Modality {code} within a study", answers, Level.SERIES, matching)


def ask_series_of_studies(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the series of two studies in one request."""
    study = inquiry.study
    other = inquiry.known.companion(inquiry.sample.studies, study)
    if not other:
        return
    patients = {inquiry.above(Level.STUDY, uid) for uid in (study, other)}
    same_patient = patients.pop() if len(patients) == 1 else ()
    keys = (*same_patient, ("StudyInstanceUID", f"{study}\\{other}"))
    answers = yield from inquiry.ask(Level.SERIES, keys, SERIES_KEYS, "series of 2 studies")
    inquiry.record(Subject.SERIES_OF_STUDIES, _judge_two(inquiry, answers, other))


def _judge_two(inquiry: Inquiry, answers: QueryAnswers, other: str) -> Finding:
    what = "a list of 2 StudyInstanceUIDs at SERIES level"
    if answers.is_refusal:
        return Finding(verdict=Verdict.REFUSED, evidence=f"{what}: {answers.failure}")
    strangers = {row.get("StudyInstanceUID") for row in answers.rows} - {inquiry.study, other, None}
    if strangers:
        evidence = f"{what}: the node returned series of {len(strangers)} other studies"
        return Finding(verdict=Verdict.IGNORED, evidence=evidence)
    present, first = inquiry.present(answers, Level.SERIES), set(_series(inquiry))
    second = len(present - first)
    shares = f"{len(first & present)} of {len(first)} series of one study and {second} of the other"
    evidence = f"{what}: the node returned {shares}"
    if not answers.is_whole:
        return Finding(evidence=evidence)
    expected = inquiry.known.studies[other].get("NumberOfStudyRelatedSeries")
    is_all = first <= present and (second == expected if isinstance(expected, int) and expected else second > 0)
    verdict = Verdict.HONOURED if is_all else Verdict.REFUSED
    return Finding(verdict=verdict, evidence=evidence, answers=None if is_all else answers.count)


def ask_images(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the images of one small series, of SR if there is one.

    If the series has one image, the question includes its expected InstanceNumber 1, which saves a question.
    """
    series = _series(inquiry)
    inquiry.series = min(
        series, key=lambda uid: (_size(series[uid]) > SMALL, series[uid].get("Modality") != "SR", uid)
    )
    if series[inquiry.series].get("NumberOfSeriesRelatedInstances") == 1:
        answers = yield from _ask_number(inquiry, inquiry.series, 1)
        if answers.count == 1:
            inquiry.images = _by_uid(answers)
            _record_classes(inquiry)
            return
    keys = inquiry.above(Level.IMAGE, inquiry.study, inquiry.series)
    answers = yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series")
    inquiry.images = _by_uid(answers) if answers.is_whole else {}
    _record_classes(inquiry)


def _record_classes(inquiry: Inquiry) -> None:
    """Compare SOPClassesInStudy of the reference study with its series and images."""
    text = str(inquiry.known.studies[inquiry.study].get("SOPClassesInStudy") or "")
    named = {uid.strip() for uid in text.split("\\") if uid.strip()}
    listed = {str(row["SOPClassUID"]) for row in inquiry.images.values() if row.get("SOPClassUID")}
    codes = {str(row["Modality"]) for row in _series(inquiry).values() if row.get("Modality")}
    if named and listed:
        inquiry.record(Subject.SOP_CLASSES_IN_STUDY, judge_classes(named, listed, codes))


def judge_classes(named: AbstractSet[str], listed: AbstractSet[str], codes: AbstractSet[str]) -> Finding:
    """Return whether a study names all its classes: those of listed images, and at least one for each modality.

    A study of one modality shows too little.

    >>> judge_classes({"1.2", "1.3"}, {"1.3"}, {"CT", "SR"}).verdict.value
    'honoured'
    >>> judge_classes({"1.2"}, {"1.2"}, {"CT", "SR"}).verdict.value
    'ignored'
    """
    evidence = (
        f"SOPClassesInStudy of one study names {counted(len(named), 'class', plural='classes')}, among them "
        f"{len(listed & named)} of the {len(listed)} of its listed images; its series have "
        f"{counted(len(codes), 'modality', plural='modalities')}"
    )
    if not listed <= named or len(named) < len(codes):
        return Finding(verdict=Verdict.IGNORED, evidence=evidence)
    return Finding(verdict=Verdict.HONOURED if len(codes) > 1 else Verdict.UNKNOWN, evidence=evidence)


def ask_instance_number(inquiry: Inquiry) -> ProbeSteps:
    """Ask for one InstanceNumber in the reference series, or in another series with several images."""
    others = _series(inquiry)
    larger = [uid for uid, row in others.items() if uid != inquiry.series and _size(row, unknown=1) > 1]
    numbers = {
        uid: row["InstanceNumber"] for uid, row in inquiry.images.items() if row.get("InstanceNumber") is not None
    }
    if len(set(numbers.values())) > 1:
        comparison = yield from _compare_number(inquiry, numbers, min(numbers.values()))
        inquiry.record(Subject.INSTANCE_NUMBER, judge(comparison))
    elif larger:
        yield from _ask_first(inquiry, min(larger, key=lambda uid: (_size(others[uid]), uid)))
    elif numbers:
        yield from _ask_other_number(inquiry, numbers)


def _ask_other_number(inquiry: Inquiry, numbers: Mapping[str, int]) -> ProbeSteps:
    """Ask for a number that no image has, and then, unless that was asked before, for the number that they have."""
    number = max(numbers.values())
    away = yield from _compare_number(inquiry, numbers, number + 1_000)
    inquiry.record(Subject.INSTANCE_NUMBER, judge(away))
    if not inquiry.is_open(Subject.INSTANCE_NUMBER):
        return
    asked = (pair[1] for pair in inquiry.asked if pair[0].request.value("InstanceNumber") == str(number))
    earlier = next(asked, None)
    if earlier is None:
        there = yield from _compare_number(inquiry, numbers, number)
    else:
        there = _number_comparison(inquiry, earlier, numbers, number)
    inquiry.record(Subject.INSTANCE_NUMBER, judge_pair(away, there))


def _compare_number(inquiry: Inquiry, numbers: Mapping[str, int], number: int) -> ComparisonSteps:
    answers = yield from _ask_number(inquiry, inquiry.series, number)
    return _number_comparison(inquiry, answers, numbers, number)


def _number_comparison(
    inquiry: Inquiry, answers: QueryAnswers, numbers: Mapping[str, int], number: int
) -> Comparison:
    matching = {uid: own == number for uid, own in numbers.items()}
    return inquiry.comparison(f"InstanceNumber {number} within a series", answers, Level.IMAGE, matching)


def _ask_number(inquiry: Inquiry, series: str, number: int) -> AnswerSteps:
    keys = (*inquiry.above(Level.IMAGE, inquiry.study, series), ("InstanceNumber", str(number)))
    return (yield from inquiry.ask(Level.IMAGE, keys, IMAGE_KEYS, "images of one series by InstanceNumber"))


def _ask_first(inquiry: Inquiry, series: str) -> ProbeSteps:
    """Ask for the image with InstanceNumber 1 in a series of several unknown images."""
    expected = _size(_series(inquiry)[series])
    answers = yield from _ask_number(inquiry, series, 1)
    evidence = f"InstanceNumber 1 within a series of {expected} images: the node returned {answers.count}"
    wrong = [row for row in answers.rows if row.get("InstanceNumber") not in (None, 1)]
    verdict = Verdict.UNKNOWN
    if answers.is_refusal:
        verdict, evidence = Verdict.REFUSED, f"InstanceNumber 1: {answers.failure}"
    elif wrong or answers.count >= expected:
        verdict = Verdict.IGNORED
    elif answers.is_whole and answers.count:
        verdict = Verdict.HONOURED
    inquiry.record(Subject.INSTANCE_NUMBER, Finding(verdict=verdict, evidence=evidence, answers=answers.count))


def _by_uid(answers: QueryAnswers) -> dict[str, Mapping[str, Any]]:
    return {str(uid): row for row in answers.rows if (uid := row.get("SOPInstanceUID"))}


def _series(inquiry: Inquiry) -> Mapping[str, Mapping[str, Any]]:
    """Return the series of the reference study."""
    return inquiry.known.series[inquiry.study]


def _size(series: Mapping[str, Any], *, unknown: int = _UNKNOWN_COUNT) -> int:
    count = series.get("NumberOfSeriesRelatedInstances")
    return count if isinstance(count, int) and count > 0 else unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationalQuestion:
    """A relational question about one day at SERIES or IMAGE level, and what is known of its result."""

    level: Level
    day: date
    key: tuple[str, str]
    """The matching key in addition to StudyDate, and its value."""
    home: tuple[str, str]
    """The keyword and UID of the reference study or series."""
    everything: AbstractSet[str]
    """Unique Keys below the reference according to the hierarchy."""
    truth: AbstractSet[str]
    """Those of them that match."""
    having: AbstractSet[str]
    """Known studies of any day that contain what is asked for."""
    lacking: AbstractSet[str]
    """Known studies that do not."""
    likely: AbstractSet[str] = frozenset()
    """Studies that probably contain it, by their modalities, if the node does not return their SOP Classes."""

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """The matching keys."""
        return (("StudyDate", Dates(first=self.day, last=self.day).matching), self.key)

    @property
    def things(self) -> str:
        """The plural of what is asked for."""
        return THINGS[self.level]

    @property
    def what(self) -> str:
        """The question, for the evidence."""
        return f"{self.things} by StudyDate and {self.key[0]} {self.key[1]}"


def ask_relational_series(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the series of one day and one modality."""
    known, series = inquiry.known, _series(inquiry)
    day = known.studies[inquiry.study].get("StudyDate")
    codes = {str(row["Modality"]) for row in series.values() if row.get("Modality")}
    if not codes or day is None:
        return
    code = min(codes, key=lambda code: (not _is_elsewhere(known, code, day), code != "SR", code))
    having, lacking = known.with_code(known.studies, code)
    question = RelationalQuestion(
        level=Level.SERIES,
        day=day,
        key=("Modality", code),
        home=("StudyInstanceUID", inquiry.study),
        everything=frozenset(series),
        truth={uid for uid, row in series.items() if row.get("Modality") == code},
        having=having,
        lacking=lacking,
    )
    what = f"{code} series of one day"
    answers = yield from inquiry.ask(Level.SERIES, question.keys, SERIES_KEYS, what, _LIMIT)
    inquiry.record(Subject.SERIES_WITHOUT_STUDY, judge_truth(question, answers))
    by_keys = judge_keys(question, answers, known)
    inquiry.record(Subject.SERIES_BY_DATE_AND_MODALITY, by_keys)
    if by_keys.verdict is Verdict.HONOURED:
        inquiry.record(Subject.MODALITY, by_keys)


def ask_relational_images(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the images of one day and one SOP Class."""
    known, images = inquiry.known, inquiry.images
    day = known.studies[inquiry.study].get("StudyDate")
    classes = {str(row["SOPClassUID"]) for row in images.values() if row.get("SOPClassUID")}
    if not classes or day is None:
        return
    sop_class = min(classes)
    listed = {uid: row["SOPClassesInStudy"] for uid, row in known.studies.items() if row.get("SOPClassesInStudy")}
    having = {uid for uid, text in listed.items() if sop_class in str(text).split("\\")}
    modality = str(_series(inquiry)[inquiry.series].get("Modality") or "")
    question = RelationalQuestion(
        level=Level.IMAGE,
        day=day,
        key=("SOPClassUID", sop_class),
        home=("SeriesInstanceUID", inquiry.series),
        everything=frozenset(images),
        truth={uid for uid, row in images.items() if row.get("SOPClassUID") == sop_class},
        having=having | {inquiry.study},
        lacking=set(listed) - having - {inquiry.study},
        likely=frozenset() if listed else known.with_code(known.studies, modality)[0],
    )
    what = "images of one day and one SOP Class"
    answers = yield from inquiry.ask(Level.IMAGE, question.keys, IMAGE_KEYS, what, _LIMIT)
    inquiry.record(Subject.IMAGES_WITHOUT_SERIES, judge_truth(question, answers))
    inquiry.record(Subject.IMAGES_BY_DATE_AND_CLASS, judge_keys(question, answers, known))


def judge_truth(question: RelationalQuestion, answers: QueryAnswers) -> Finding:
    """Return whether the responses agree with the hierarchy on the reference study or series."""
    if answers.is_refusal:
        return Finding(verdict=Verdict.REFUSED, evidence=f"{question.what}: {answers.failure}")
    keyword, uid = question.home
    unique = unique_key(question.level)
    present = {str(row[unique]) for row in answers.rows if row.get(unique)}
    own = {str(row[unique]) for row in answers.rows if row.get(unique) and row.get(keyword) == uid}
    found, strange = len(question.truth & present), len(own - question.everything)
    evidence = (
        f"{question.what}: the node returned {answers.count}, among them {found} of the {len(question.truth)} "
        f"{question.things} in the hierarchy of one {'study' if question.level is Level.SERIES else 'series'}"
    )
    if strange:
        return Finding(verdict=Verdict.IGNORED, evidence=f"{evidence}, and {strange} that are not in it")
    if found == len(question.truth):
        return Finding(verdict=Verdict.HONOURED, evidence=evidence)
    verdict = Verdict.REFUSED if answers.is_whole else Verdict.UNKNOWN
    return Finding(verdict=verdict, evidence=evidence, answers=answers.count)


def judge_keys(question: RelationalQuestion, answers: QueryAnswers, known: KnownStudies) -> Finding:
    """Return whether the node matches StudyDate and the other key, by all known studies."""
    if answers.is_refusal:
        return Finding(verdict=Verdict.REFUSED, evidence=f"{question.what}: {answers.failure}")
    studies = {str(row["StudyInstanceUID"]) for row in answers.rows if row.get("StudyInstanceUID")}
    if not studies:
        return Finding(evidence=f"{question.what}: {counted(answers.count, 'response')} without StudyInstanceUID")
    same_day, other_days = known.on(known.studies, question.day, question.day)
    wrong = sum(_is_wrong(row, question, other_days) for row in answers.rows)
    if wrong:
        evidence = f"{question.what}: {wrong} of {len(answers.rows)} responses do not match"
        return Finding(verdict=Verdict.IGNORED, evidence=evidence)
    expected = question.having & same_day
    if answers.is_whole and not expected <= studies:
        return Finding(
            verdict=Verdict.REFUSED,
            evidence=f"{question.what}: those of {len(expected - studies)} of {len(expected)} studies are missing",
            answers=answers.count,
        )
    unique = unique_key(question.level)
    not_matching = question.everything - question.truth - {str(row.get(unique)) for row in answers.rows}
    absent = len((question.lacking & same_day) - studies) + len(not_matching)
    by_key = absent + _absent_images(question, answers, known, studies)
    by_day = len(((question.having | question.likely) & other_days) - studies)
    evidence = (
        f"{question.what}: {counted(answers.count, 'response')} from {counted(len(studies), 'study')}; "
        f"{question.key[0]} excluded {by_key} of that day, StudyDate {counted(by_day, 'study')} of other days"
    )
    verdict = Verdict.HONOURED if answers.is_whole and by_key and by_day else Verdict.UNKNOWN
    return Finding(verdict=verdict, evidence=evidence, answers=answers.count)


def _absent_images(
    question: RelationalQuestion, answers: QueryAnswers, known: KnownStudies, studies: AbstractSet[str]
) -> int:
    """Return how many images of the returned studies are absent, by the counts of these studies."""
    if question.level is not Level.IMAGE or not answers.is_whole:
        return 0
    rows = (known.studies[uid] for uid in studies if uid in known.studies)
    return max(0, sum(row.get("NumberOfStudyRelatedInstances") or 0 for row in rows) - answers.count)


def _is_elsewhere(known: KnownStudies, code: str, day: date) -> bool:
    """Return whether studies of other days have a modality; a matched StudyDate must exclude them."""
    having, _ = known.with_code(known.studies, code)
    return bool(having & known.on(known.studies, day, day)[1])


def _is_wrong(row: Mapping[str, Any], question: RelationalQuestion, other_days: AbstractSet[str]) -> bool:
    keyword, value = question.key
    return row.get(keyword) not in (None, value) or row.get("StudyInstanceUID") in other_days
