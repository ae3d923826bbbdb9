"""Trials at STUDY level: the sample of studies, and the matching keys StudyTime, ModalitiesInStudy and the others."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import date, time, timedelta
from itertools import pairwise

from qrkit.node import InformationModel
from qrkit.probe.inquiry import SMALL, Comparison, Finding, Inquiry, ProbeEnded, Sample, judge, judge_pair
from qrkit.probe.questions import ProbeSteps, QueryAnswers, Question
from qrkit.profile.subjects import Subject, Verdict
from qrkit.query.dates import Dates, Times
from qrkit.tables import Level
from qrkit.words import counted

STUDY_KEYS = (
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "ModalitiesInStudy",
    "SOPClassesInStudy",
    "StationName",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "PatientName",
)
"""Return keys of studies; PatientName only shows whether text is in the named character set."""

EVER = date(1900, 1, 1)

_RECENT_DAYS = 7
_FEW = 4
_PATIENTS = 3
_DAY_END = time(23, 59, 59, 999999)

ComparisonSteps = Generator[Question, QueryAnswers, Comparison]
Fits = Callable[[str], bool | None]
"""Whether a study matches; None if that is unknown."""


def find_sample(inquiry: Inquiry) -> ProbeSteps:
    """Ask for recent studies; if there are hardly any, for all, and take the first ones.

    Raises ProbeEnded if there are no studies to compare with.
    """
    today = inquiry.today
    recent = Dates(first=today - timedelta(days=_RECENT_DAYS - 1), last=today)
    answers = yield from _studies(inquiry, recent, f"studies of the last {_RECENT_DAYS} days")
    if answers.is_refusal and inquiry.model is InformationModel.PATIENT_ROOT:
        inquiry.sample = yield from _by_patient(inquiry)
        return
    if answers.is_refusal:
        raise ProbeEnded(f"The node did not answer the first query, so the probe stopped: {answers.failure}")
    window = recent
    if answers.is_whole and len(inquiry.known.studies) < _FEW:
        window = Dates(first=EVER, last=today)
        answers = yield from _studies(inquiry, window, "the first studies of all times")
    if not inquiry.known.studies:
        raise ProbeEnded(_nothing(answers))
    if answers.is_whole:
        inquiry.sample = Sample(keys=(("StudyDate", window.matching),), studies=tuple(inquiry.known.studies))
    else:
        inquiry.sample = yield from _one_day(inquiry, window)


def _studies(inquiry: Inquiry, days: Dates, what: str) -> Generator[Question, QueryAnswers, QueryAnswers]:
    return (yield from inquiry.ask(Level.STUDY, (("StudyDate", days.matching),), STUDY_KEYS, what))


def _one_day(inquiry: Inquiry, window: Dates) -> Generator[Question, QueryAnswers, Sample]:
    """Narrow the sample to one day, since the window holds more studies than the probe read."""
    day = inquiry.known.busiest_day()
    if day is None:
        return Sample(keys=(("StudyDate", window.matching),), studies=tuple(inquiry.known.studies))
    that_day = Dates(first=day, last=day)
    there, _ = inquiry.known.on(inquiry.known.studies, day, day)
    if len(there) < _FEW:
        yield from _studies(inquiry, that_day, "studies of one day")
        there, _ = inquiry.known.on(inquiry.known.studies, day, day)
    return Sample(keys=(("StudyDate", that_day.matching),), studies=tuple(sorted(there)))


def _by_patient(inquiry: Inquiry) -> Generator[Question, QueryAnswers, Sample]:
    """Use the hierarchy, for a node that requires a PatientID in queries for studies."""
    first = yield from inquiry.ask(Level.PATIENT, (), (), "the first patients", SMALL // 2)
    patients = [str(row["PatientID"]) for row in first.rows if row.get("PatientID")]
    best: tuple[str, list[str]] = ("", [])
    for patient in patients[:_PATIENTS]:
        found = yield from inquiry.ask(Level.STUDY, (("PatientID", patient),), STUDY_KEYS, "studies of one patient")
        studies = sorted(inquiry.present(found, Level.STUDY))
        best = max(best, (patient, studies), key=lambda pair: len(pair[1]))
        if len(studies) >= _FEW:
            break
    patient, studies = best
    if not studies:
        raise ProbeEnded(_nothing(first))
    return Sample(keys=(("PatientID", patient),), studies=tuple(studies))


def _nothing(answers: QueryAnswers) -> str:
    if answers.failure:
        return f"The probe saw no studies: {answers.failure}"
    if answers.count:
        return f"The probe saw no studies: {counted(answers.count, 'response')} had no Unique Key."
    return "The probe saw no studies: the node returned no studies."


def ask_modalities(inquiry: Inquiry) -> ProbeSteps:
    """Ask for one modality; if all known studies have the same, also for one that none has."""
    known, sample = inquiry.known, inquiry.sample
    code = known.distinguishing_code(sample.studies)
    if code:
        comparison = yield from _compare_modality(inquiry, code)
        inquiry.record(Subject.MODALITIES_IN_STUDY, judge(comparison, cut_at=inquiry.cut_at))
    if not inquiry.is_open(Subject.MODALITIES_IN_STUDY):
        return
    common = next((min(codes) for uid in sample.studies if (codes := known.codes(uid))), "")
    contrast = known.contrast_code(sample.studies)
    if common and contrast:
        away = yield from _compare_modality(inquiry, contrast)
        inquiry.record(Subject.MODALITIES_IN_STUDY, judge(away))
        if inquiry.is_open(Subject.MODALITIES_IN_STUDY) and away.others:
            there = yield from _compare_modality(inquiry, common)
            inquiry.record(Subject.MODALITIES_IN_STUDY, judge_pair(away, there))


def ask_times_and_lists(inquiry: Inquiry) -> ProbeSteps:
    """Ask for a range of StudyTime and a list of studies in one request; separately where a doubt remains."""
    sample = inquiry.sample
    window = distinguishing_window(inquiry)
    if window is not None and inquiry.verdict(Subject.SERIES_OF_STUDIES) is not Verdict.REFUSED:
        yield from _times_with_list(inquiry, window)
    if window is not None and inquiry.is_open(Subject.STUDY_TIME):
        keys = (("StudyTime", window.matching),)
        comparison = yield from compare_studies(
            inquiry, sample, keys, "a range of StudyTime", _is_within(inquiry, window)
        )
        inquiry.record(Subject.STUDY_TIME, judge(comparison, cut_at=inquiry.cut_at))
    if inquiry.is_open(Subject.UID_LISTS) and len(sample.studies) > 2:
        listed = sample.studies[:2]
        patient = tuple(key for key in sample.keys if key[0] == "PatientID")
        alone = Sample(keys=patient, studies=sample.studies)
        keys = (("StudyInstanceUID", "\\".join(listed)),)
        what = "a list of 2 StudyInstanceUIDs"
        comparison = yield from compare_studies(inquiry, alone, keys, what, listed.__contains__)
        inquiry.record(Subject.UID_LISTS, judge(comparison))


def distinguishing_window(inquiry: Inquiry) -> Times | None:
    """Return a range of StudyTime until midnight that contains some of the studies; None if no range does."""
    times = sorted(moment for uid in inquiry.sample.studies if (moment := _study_time(inquiry, uid)))
    gaps = [
        (_seconds(later) - _seconds(earlier), -place, earlier)
        for place, (earlier, later) in enumerate(pairwise(times))
        if _seconds(later) - _seconds(earlier) > 2
    ]
    roomy = [gap for gap in gaps if len(times) + gap[1] - 1 >= 3] or gaps
    if not roomy:
        return None
    gap, _, earlier = max(roomy)
    minutes, second = divmod(_seconds(earlier) + gap // 2, 60)
    return Times(first=time(*divmod(minutes, 60), second), last=_DAY_END)


def _times_with_list(inquiry: Inquiry, window: Times) -> ProbeSteps:
    """Record both keys as honoured if one request with both of them shows it."""
    within = _is_within(inquiry, window)
    inside = [uid for uid in inquiry.sample.studies if within(uid)]
    outside = [uid for uid in inquiry.sample.studies if within(uid) is False]
    if len(inside) < 3 or not outside:
        return
    listed = {outside[0], *inside[:2]}
    keys = (("StudyInstanceUID", "\\".join([outside[0], *inside[:2]])), ("StudyTime", window.matching))
    what = "a list of 3 StudyInstanceUIDs with a range of StudyTime"
    fits: Fits = lambda uid: uid in listed and within(uid)  # noqa: E731 - one expression, used once
    finding = judge((yield from compare_studies(inquiry, inquiry.sample, keys, what, fits)))
    if finding.verdict is Verdict.HONOURED:
        inquiry.record(Subject.STUDY_TIME, finding)
        inquiry.record(Subject.UID_LISTS, finding)


def _is_within(inquiry: Inquiry, window: Times) -> Fits:
    def fits(uid: str) -> bool | None:
        moment = _study_time(inquiry, uid)
        return None if moment is None else window.first <= moment <= window.last

    return fits


def _study_time(inquiry: Inquiry, uid: str) -> time | None:
    moment: time | None = inquiry.known.studies[uid].get("StudyTime")
    return moment


def _compare_modality(inquiry: Inquiry, code: str) -> ComparisonSteps:
    def fits(uid: str) -> bool | None:
        codes = inquiry.known.codes(uid)
        return None if codes is None else code in codes

    keys, what = (("ModalitiesInStudy", code),), f"ModalitiesInStudy {code}"
    return (yield from compare_studies(inquiry, inquiry.sample, keys, what, fits))


def compare_studies(
    inquiry: Inquiry, sample: Sample, keys: tuple[tuple[str, str], ...], what: str, fits: Fits
) -> ComparisonSteps:
    """Ask for the studies of a sample that match additional keys."""
    answers = yield from inquiry.ask(Level.STUDY, (*sample.keys, *keys), STUDY_KEYS, f"studies by {what}")
    matching = {uid: fits(uid) for uid in {*sample.studies, *inquiry.present(answers, Level.STUDY)}}
    return inquiry.comparison(what, answers, Level.STUDY, matching)


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def ask_descriptions(inquiry: Inquiry) -> ProbeSteps:
    """Ask for the beginning of a StudyDescription in the other case; in its own case and whole only if necessary."""
    text = _distinguishing_text([_text_of(inquiry, uid) for uid in inquiry.sample.studies])
    if not text:
        return
    prefix = _prefix(text)
    what = f"the first {len(prefix)} letters of a StudyDescription and *"
    swapped = yield from _compare_text(
        inquiry, f"{prefix.swapcase()}*", f"{what}, in the other case", lambda found: _begins(found, prefix)
    )
    finding = judge(swapped, cut_at=inquiry.cut_at)
    if finding.verdict is not Verdict.REFUSED:
        inquiry.record(Subject.STUDY_DESCRIPTION, finding)
        if finding.verdict is Verdict.HONOURED:
            inquiry.record(Subject.WILDCARDS, finding)
            inquiry.record(Subject.CASE, Finding(verdict=Verdict.IGNORED, evidence=finding.evidence))
        return
    own = yield from _compare_text(inquiry, f"{prefix}*", what, lambda found: found.startswith(prefix))
    finding = judge(own, cut_at=inquiry.cut_at)
    inquiry.record(Subject.CASE, _case(swapped, own))
    if finding.verdict is Verdict.REFUSED:
        yield from _ask_whole_text(inquiry, text, own)
        return
    inquiry.record(Subject.STUDY_DESCRIPTION, finding)
    if finding.verdict is Verdict.HONOURED:
        inquiry.record(Subject.WILDCARDS, finding)


def _ask_whole_text(inquiry: Inquiry, text: str, with_wildcard: Comparison) -> ProbeSteps:
    """Ask for a whole StudyDescription after its beginning with a wildcard found nothing."""
    whole = yield from _compare_text(inquiry, text, "a whole StudyDescription", lambda found: _is_same(found, text))
    finding = judge(whole, cut_at=inquiry.cut_at)
    inquiry.record(Subject.STUDY_DESCRIPTION, finding)
    if finding.verdict is not Verdict.HONOURED:
        return
    inquiry.record(
        Subject.WILDCARDS,
        Finding(
            verdict=Verdict.REFUSED if with_wildcard.answers.is_refusal else Verdict.IGNORED,
            evidence=f"{judge(with_wildcard).evidence}; {finding.evidence}",
        ),
    )
    what = "a whole StudyDescription in the other case"
    swapped = yield from _compare_text(
        inquiry, text.swapcase(), what, lambda found: _is_same(found, text) is not False
    )
    inquiry.record(Subject.CASE, _case(swapped, whole))


def _case(swapped: Comparison, own: Comparison) -> Finding:
    """Judge whether case matters, by the same text in the other case and in its own case."""
    matching, found = swapped.fits & swapped.present, own.fits & own.present
    evidence = f"{swapped.what}: it found {len(matching)} of the {len(found)} studies that its own case found"
    if not found or swapped.answers.is_refusal:
        return Finding(evidence=evidence)
    verdict = Verdict.IGNORED if matching else Verdict.HONOURED
    return Finding(verdict=verdict, evidence=evidence, answers=swapped.answers.count)


def _compare_text(inquiry: Inquiry, value: str, what: str, fits: Fits) -> ComparisonSteps:
    keys = (("StudyDescription", value),)
    return (yield from compare_studies(inquiry, inquiry.sample, keys, what, lambda uid: fits(_text_of(inquiry, uid))))


def _text_of(inquiry: Inquiry, study: str) -> str:
    return str(inquiry.known.studies[study].get("StudyDescription") or "")


def _distinguishing_text(texts: list[str]) -> str:
    """Return the text whose beginning a few texts share, none of them in another case; empty if all share it.

    >>> _distinguishing_text(["CT Chest", "CT Chest", "MR Knee", "MR knee", "US"])
    'CT Chest'
    >>> _distinguishing_text(["CT Chest", "CT Chest"]), _distinguishing_text(["*", "2"])
    ('', '')
    """
    shared = {}
    for text in texts:
        prefix = _prefix(text)
        sharing = [other for other in texts if _begins(other, prefix)]
        if _is_plain(text) and len(sharing) < len(texts) and all(other.startswith(prefix) for other in sharing):
            shared[text] = len(sharing)
    return min(shared, key=lambda text: (shared[text] < 2, shared[text], text), default="")


def _is_same(found: str, text: str) -> bool | None:
    """Return whether two texts are equal; None if they differ only in case, whose effect is still unknown."""
    return None if found != text and found.casefold() == text.casefold() else found == text


def _begins(text: str, prefix: str) -> bool:
    return text.casefold().startswith(prefix.casefold())


def _prefix(text: str) -> str:
    return text[: max(1, min(6, len(text) - 1))].rstrip()


def _is_plain(text: str) -> bool:
    """Return whether a text is usable in both cases and is longer than its beginning."""
    plain = len(text) > 2 and text.isascii() and text.isprintable() and not any(mark in text for mark in "*?\\")
    return plain and _prefix(text).swapcase() != _prefix(text)
