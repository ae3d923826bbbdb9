"""The facts of a plan: rows of studies, series and objects from C-FIND, and the needs for more of them.

Attributes that hold a DICOM element have its keyword as name. A missing value is an empty text, or None for a count.
Series, objects and needs are named tuples: a plan of 100,000 studies has a million of them, and a frozen dataclass
takes four times as long to create and to look up.

Some nodes omit the Modality of series. Their objects show it, so that no dose report is lost: of all objects in a
small series, where a report may have any InstanceNumber, and of the first image in a large one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa

from qrkit.dose.groups import DOSE_CLASSES, ESR, RDSR, RRDSR, SR
from qrkit.tables import read_modalities
from qrkit.uids import (
    KEY_OBJECT_SELECTION,
    PRESENTATION_STATE_STORAGE,
    RAW_DATA_STORAGE,
    SR_STORAGE,
    STANDARD_STORAGE,
    is_standard_uid,
)

SMALL = 5
"""Largest number of instances in a series that is listed completely."""

_IMAGES = {
    f"{STANDARD_STORAGE}{end}": modality
    for end, modality in {
        "1": "CR",
        "1.1": "DX",
        "1.1.1": "DX",
        "1.2": "MG",
        "1.2.1": "MG",
        "13.1.3": "MG",
        "1.3": "IO",
        "1.3.1": "IO",
        "2": "CT",
        "2.1": "CT",
        "2.2": "CT",
        "3.1": "US",
        "4": "MR",
        "4.1": "MR",
        "6.1": "US",
        "6.2": "US",
        "12.1": "XA",
        "12.1.1": "XA",
        "12.2": "RF",
        "12.2.1": "RF",
        "20": "NM",
        "128": "PT",
        "128.1": "PT",
        "130": "PT",
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One study from a STUDY query."""

    StudyInstanceUID: str
    PatientID: str = ""
    AccessionNumber: str = ""
    StudyDate: str = ""
    StudyDescription: str = ""
    StationName: str = ""
    ModalitiesInStudy: frozenset[str] = frozenset()  # empty if the node does not return it, or not as codes
    SOPClassesInStudy: frozenset[str] = frozenset()  # empty if the node does not return it
    series_count: int | None = None
    instance_count: int | None = None
    has_odd_modalities: bool = False  # true if ModalitiesInStudy is not written as DICOM does and was read


class SeriesRow(NamedTuple):
    """One series."""

    SeriesInstanceUID: str
    Modality: str = ""
    SeriesDescription: str = ""
    StationName: str = ""
    SeriesNumber: int | None = None
    instance_count: int | None = None  # NumberOfSeriesRelatedInstances


class ObjectRow(NamedTuple):
    """One SOP Instance."""

    SOPInstanceUID: str
    SOPClassUID: str = ""
    InstanceNumber: int | None = None


class NeedKind(StrEnum):
    """The questions that a plan may ask a node.

    SERIES, SR_SERIES
        The series of a study, all or only those of Modality SR.
    OBJECTS
        All objects of a series.
    DOSE_OBJECTS
        The objects of a dose class in an SR series; all objects answer it too.
    FIRST_IMAGE
        The image of a series with InstanceNumber 1, otherwise 0, otherwise the smallest, otherwise any image.
    """

    SERIES = "series"
    SR_SERIES = "SR series"
    OBJECTS = "objects"
    DOSE_OBJECTS = "dose objects"
    FIRST_IMAGE = "first image"


class Need(NamedTuple):
    """One question that must be answered before a study can be judged."""

    kind: NeedKind
    StudyInstanceUID: str
    SeriesInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """The series of a study; with `only_sr` the study may have others; `doubt`: why series may be missing."""

    rows: tuple[SeriesRow, ...] = ()
    only_sr: bool = False
    doubt: str = ""
    unclear: frozenset[str] = frozenset()  # series of which neither the Modality nor a SOP Class is known


@dataclass(frozen=True, slots=True)
class ObjectsAnswer:
    """Objects of a series; without `is_whole` the series may have others; `doubt`: why objects may be missing."""

    rows: tuple[ObjectRow, ...] = ()
    is_whole: bool = True
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The node failed to answer; `why` is the reason."""

    why: str
    is_error: bool = False  # whether it answered, with an error status

    @property
    def reason(self) -> str:
        """The failure of the node, with its reason."""
        return f"the node {'returned an error' if self.is_error else 'did not answer'}: {self.why}"


Answer = SeriesAnswer | ObjectsAnswer | Unanswered


def study_rows(table: pa.Table) -> dict[str, StudyRow]:
    """Return the studies in a table by StudyInstanceUID, without those that have none.

    In some archives two patients share a study; each of its rows describes a part of it.
    """
    names = (
        "StudyInstanceUID",
        "PatientID",
        "AccessionNumber",
        "StudyDate",
        "StudyDescription",
        "StationName",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    )
    rows: dict[str, StudyRow] = {}
    seen: set[tuple[str, str]] = set()
    for uid, patient, accession, day, description, station, modalities, classes, *counts in _columns(table, names):
        if uid and (uid, patient) not in seen:
            seen.add((uid, patient))
            read = read_modalities(modalities)
            row = StudyRow(
                StudyInstanceUID=uid,
                PatientID=patient or "",
                AccessionNumber=accession or "",
                StudyDate=f"{day:%Y%m%d}".rjust(8, "0") if day else "",
                StudyDescription=description or "",
                StationName=station or "",
                ModalitiesInStudy=read.known,
                SOPClassesInStudy=_values(classes),
                series_count=counts[0],
                instance_count=counts[1],
                has_odd_modalities=read.is_odd,
            )
            rows[uid] = _merged(rows[uid], row) if uid in rows else row
    return rows


def lists_values(rows: Iterable[StudyRow]) -> bool:
    """Return whether a row lists several modalities and several classes, so that the node does not name only one."""
    return any(len(row.ModalitiesInStudy) > 1 and len(row.SOPClassesInStudy) > 1 for row in rows)


def _merged(first: StudyRow, other: StudyRow) -> StudyRow:
    """Return two rows of one study as one; its modalities are unknown if those of a row are."""
    are_known = bool(first.ModalitiesInStudy and other.ModalitiesInStudy)
    return replace(
        first,
        ModalitiesInStudy=first.ModalitiesInStudy | other.ModalitiesInStudy if are_known else frozenset(),
        SOPClassesInStudy=first.SOPClassesInStudy | other.SOPClassesInStudy,
        series_count=_sum(first.series_count, other.series_count),
        instance_count=_sum(first.instance_count, other.instance_count),
        has_odd_modalities=first.has_odd_modalities or other.has_odd_modalities,
    )


def _sum(first: int | None, other: int | None) -> int | None:
    return None if first is None or other is None else first + other


def series_by_study(table: pa.Table, *, study_instance_uid: str = "") -> dict[str, tuple[SeriesRow, ...]]:
    """Return the series of a table, each once, by StudyInstanceUID; of `study_instance_uid` where it is missing."""
    names = (
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        "SeriesDescription",
        "StationName",
        "SeriesNumber",
        "NumberOfSeriesRelatedInstances",
    )
    found: dict[str, dict[str, SeriesRow]] = {}
    for study, uid, modality, description, station, number, count in _columns(table, names):
        if uid:
            row = SeriesRow(uid, _modality(modality), description or "", station or "", number, count)
            found.setdefault(study or study_instance_uid, {}).setdefault(uid, row)
    return {study: tuple(rows.values()) for study, rows in found.items()}


def _modality(text: str | None) -> str:
    """Return the Modality of a series; empty if it is unknown, so that its objects decide."""
    known = read_modalities(text).known
    return next(iter(known)) if len(known) == 1 else ""


def _class(text: str | None) -> str:
    """Return the SOP Class of an object; empty if it is unknown, or cannot be one."""
    uid = (text or "").strip(" .")
    return uid if is_standard_uid(uid) else ""


def objects_by_series(table: pa.Table, *, series_instance_uid: str = "") -> dict[str, tuple[ObjectRow, ...]]:
    """Return the objects of a table by SeriesInstanceUID, each once; of `series_instance_uid` without it."""
    names = ("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber")
    found: dict[str, dict[str, ObjectRow]] = {}
    for series, uid, sop_class, number in _columns(table, names):
        if uid:
            found.setdefault(series or series_instance_uid, {}).setdefault(
                uid, ObjectRow(uid, _class(sop_class), number)
            )
    return {series: tuple(rows.values()) for series, rows in found.items()}


def _columns(table: pa.Table, names: Sequence[str]) -> Any:  # noqa: ANN401 - rows of any types, zipped
    """Yield the rows of a table as tuples; a missing column gives None."""
    nothing = [None] * table.num_rows
    return zip(*(table[name].to_pylist() if name in table.column_names else nothing for name in names), strict=True)


@lru_cache(maxsize=10_000)
def _values(text: str | None) -> frozenset[str]:
    """Return the values of a multi-valued attribute; very many studies share a few sets."""
    return frozenset(part.strip() for part in (text or "").split("\\") if part.strip())


def is_image(row: ObjectRow) -> bool:
    """Return whether an object may be an image: not a report, presentation state, registration or raw data."""
    return not row.SOPClassUID.startswith((SR_STORAGE, PRESENTATION_STATE_STORAGE, RAW_DATA_STORAGE))


def first_image_of(objects: Sequence[ObjectRow]) -> ObjectRow | None:
    """Return the first image of the objects of a series, whatever their numbers are; None if there are no objects.

    >>> rows = [ObjectRow("1.9"), ObjectRow("1.7", InstanceNumber=7), ObjectRow("1.5", InstanceNumber=5)]
    >>> first_image_of(rows), first_image_of(rows[:1]), first_image_of([])
    (ObjectRow(SOPInstanceUID='1.5', SOPClassUID='', InstanceNumber=5), ObjectRow(SOPInstanceUID='1.9', \
SOPClassUID='', InstanceNumber=None), None)
    """
    return min(objects, key=_place_as_first, default=None)


def _place_as_first(row: ObjectRow) -> tuple[bool, int, int]:
    number = row.InstanceNumber
    if number is None:
        return not is_image(row), 3, 0
    return not is_image(row), {1: 0, 0: 1}.get(number, 2), number


def needs_of(study: str, answer: SeriesAnswer, objects: Mapping[Need, Answer]) -> tuple[Need, ...]:
    """Return the needs for the objects of the series without a Modality."""
    needs = (_need(study, row) for row in answer.rows if not row.Modality)
    return tuple(need for need in needs if need not in objects)


def with_modalities(study: StudyRow, answer: SeriesAnswer, objects: Mapping[Need, Answer]) -> SeriesAnswer:
    """Return the series with the modalities of their objects; unknown ones stay empty.

    If no series has a Modality, and the study has a single one, that is the modality of series of unknown class.
    """
    only = next(iter(study.ModalitiesInStudy)) if len(study.ModalitiesInStudy) == 1 else ""
    if any(row.Modality for row in answer.rows):
        only = ""
    rows: list[SeriesRow] = []
    unclear: set[str] = set()
    for row in answer.rows:
        classes = _classes(objects.get(_need(study.StudyInstanceUID, row)))
        modality = row.Modality or (modality_of(classes) if any(classes) else only)
        rows.append(row._replace(Modality=modality))
        if not modality and not all(classes or [""]):
            unclear.add(row.SeriesInstanceUID)
    return replace(answer, rows=tuple(rows), unclear=frozenset(unclear))


def modality_of(sop_classes: Sequence[str]) -> str:
    """Return the modality of a series by the SOP Classes of its objects; empty if it is unknown.

    >>> modality_of(["1.2.840.10008.5.1.4.1.1.88.67"]), modality_of(["1.2.840.10008.5.1.4.1.1.2"]), modality_of([])
    ('SR', 'CT', '')
    """
    for uid in sop_classes:
        if uid == KEY_OBJECT_SELECTION:
            return "KO"
        if uid.startswith(SR_STORAGE) or any(uid in DOSE_CLASSES[kind] for kind in (RDSR, ESR, RRDSR)):
            return SR
        if uid.startswith(PRESENTATION_STATE_STORAGE):
            return "PR"
        if uid in _IMAGES:
            return _IMAGES[uid]
    return ""


@lru_cache(maxsize=10_000)
def modalities_of(sop_classes: frozenset[str]) -> frozenset[str]:
    """Return the modalities that some SOP Classes show."""
    return frozenset(filter(None, (modality_of([uid]) for uid in sop_classes)))


def _need(study: str, row: SeriesRow) -> Need:
    is_small = row.instance_count is None or row.instance_count <= SMALL
    return Need(NeedKind.OBJECTS if is_small else NeedKind.FIRST_IMAGE, study, row.SeriesInstanceUID)


def _classes(objects: Answer | None) -> list[str]:
    """Return the SOP Class of each object; an empty text where the node does not return it."""
    return [instance.SOPClassUID for instance in objects.rows] if isinstance(objects, ObjectsAnswer) else []
