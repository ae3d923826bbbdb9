"""The first questions of a probe: a few studies, recent ones if there are any, which all others are about."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, timedelta

from qrkit.node import InformationModel
from qrkit.probe.inquiry import SMALL, Enough, Inquiry
from qrkit.probe.known import Sample
from qrkit.probe.questions import Heard, Question
from qrkit.query.dates import Dates
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
"""Asked of studies; of PatientName only whether it is in the character set that the answer names."""

RECENT_DAYS = 7
_FEW = 4
_PATIENTS = 3
EVER = date(1900, 1, 1)


def find_sample(inquiry: Inquiry, today: date) -> Generator[Question, Heard, Sample]:
    """Ask for the studies of the last days; if there are hardly any, for all, of which the first will do.

    Raises
    ------
    Enough
        If there is nothing to look at.
    """
    recent = Dates(first=today - timedelta(days=RECENT_DAYS - 1), last=today)
    heard = yield from _studies(inquiry, recent, f"studies of the last {RECENT_DAYS} days")
    if heard.is_refusal and inquiry.model is InformationModel.PATIENT_ROOT:
        return (yield from _by_patient(inquiry))
    if heard.is_refusal:
        raise Enough(f"The first query was not answered, so nothing more was asked: {heard.failure}")
    window = recent
    if heard.is_whole and len(inquiry.known.studies) < _FEW:
        window = Dates(first=EVER, last=today)
        heard = yield from _studies(inquiry, window, "studies of all times, the first of them")
    if not inquiry.known.studies:
        raise Enough(_nothing(heard))
    if heard.is_whole:
        return Sample(keys=(("StudyDate", window.matching),), studies=tuple(inquiry.known.studies))
    return (yield from _one_day(inquiry, window))


def _studies(inquiry: Inquiry, days: Dates, what: str) -> Generator[Question, Heard, Heard]:
    return (yield from inquiry.ask(Level.STUDY, (("StudyDate", days.matching),), STUDY_KEYS, what))


def _one_day(inquiry: Inquiry, window: Dates) -> Generator[Question, Heard, Sample]:
    """Narrow down to one day, since the window holds more studies than were listened to."""
    day = inquiry.known.busiest_day()
    if day is None:
        return Sample(keys=(("StudyDate", window.matching),), studies=tuple(inquiry.known.studies))
    that_day = Dates(first=day, last=day)
    there, _ = inquiry.known.on(inquiry.known.studies, day, day)
    if len(there) < _FEW:
        yield from _studies(inquiry, that_day, "studies of one day")
        there, _ = inquiry.known.on(inquiry.known.studies, day, day)
    return Sample(keys=(("StudyDate", that_day.matching),), studies=tuple(sorted(there)))


def _by_patient(inquiry: Inquiry) -> Generator[Question, Heard, Sample]:
    """Go by the hierarchy, for a node that wants a PatientID before it tells of studies."""
    heard = yield from inquiry.ask(Level.PATIENT, (), (), "patients, the first of them", SMALL // 2)
    patients = [str(row["PatientID"]) for row in heard.rows if row.get("PatientID")]
    best: tuple[str, list[str]] = ("", [])
    for patient in patients[:_PATIENTS]:
        found = yield from inquiry.ask(Level.STUDY, (("PatientID", patient),), STUDY_KEYS, "studies of one patient")
        studies = sorted(inquiry.present(found, Level.STUDY))
        best = max(best, (patient, studies), key=lambda one: len(one[1]))
        if len(studies) >= _FEW:
            break
    patient, studies = best
    if not studies:
        raise Enough(_nothing(heard))
    return Sample(keys=(("PatientID", patient),), studies=tuple(studies))


def _nothing(heard: Heard) -> str:
    if heard.failure:
        return f"Nothing could be seen: {heard.failure}"
    if heard.count:
        return f"Nothing could be seen: {counted(heard.count, 'answer')} had no Unique Key."
    return "Nothing could be seen: the node answered with no studies."
