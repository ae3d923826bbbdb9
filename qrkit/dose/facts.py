"""What a node says of studies, series and objects, as far as a plan needs it; and what is still to be asked.

Attributes that hold a DICOM element go by its keyword. What a node leaves out is an empty text, or None for a count.
Series, objects and needs are named tuples: there are a million of them in a plan of 100,000 studies, and a frozen
dataclass takes four times as long to make and to look up.

Answers of C-FIND as the rows that a plan judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One study, as a STUDY query found it.

    Attributes
    ----------
    ModalitiesInStudy, SOPClassesInStudy
        Empty where the node does not return them.
    """

    StudyInstanceUID: str
    PatientID: str = ""
    StudyDate: str = ""
    StudyDescription: str = ""
    StationName: str = ""
    ModalitiesInStudy: frozenset[str] = frozenset()
    SOPClassesInStudy: frozenset[str] = frozenset()
    series_count: int | None = None
    instance_count: int | None = None


class SeriesRow(NamedTuple):
    """One series.

    Attributes
    ----------
    instance_count
        NumberOfSeriesRelatedInstances.
    """

    SeriesInstanceUID: str
    Modality: str = ""
    SeriesDescription: str = ""
    StationName: str = ""
    SeriesNumber: int | None = None
    instance_count: int | None = None


class ObjectRow(NamedTuple):
    """One SOP Instance."""

    SOPInstanceUID: str
    SOPClassUID: str = ""
    InstanceNumber: int | None = None


class NeedKind(StrEnum):
    """What can be asked of a node.

    SERIES, SR_SERIES
        The series of a study, all of them or those of Modality SR.
    OBJECTS
        All objects of a series.
    DOSE_OBJECTS
        Those of an SR series that are of a dose class; all will do as well.
    FIRST_IMAGE
        The image of a series with InstanceNumber 1, or if there is none, with 0.
    """

    SERIES = "series"
    SR_SERIES = "SR series"
    OBJECTS = "objects"
    DOSE_OBJECTS = "dose objects"
    FIRST_IMAGE = "first image"


class Need(NamedTuple):
    """One thing that must be known before a study can be judged."""

    kind: NeedKind
    StudyInstanceUID: str
    SeriesInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """The series of a study; with `only_sr` there may be others."""

    rows: tuple[SeriesRow, ...] = ()
    only_sr: bool = False


@dataclass(frozen=True, slots=True)
class ObjectsAnswer:
    """Objects of a series; without `is_whole` there may be others."""

    rows: tuple[ObjectRow, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The node failed to answer; `why` says how."""

    why: str


Answer = SeriesAnswer | ObjectsAnswer | Unanswered


def study_rows(table: pa.Table) -> dict[str, StudyRow]:
    """Return the studies of an answer by StudyInstanceUID; those without one are left out.

    There are archives in which two patients share a study: each of its rows tells a part of it.
    """
    names = (
        "StudyInstanceUID",
        "PatientID",
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
    for uid, patient, day, description, station, modalities, classes, series_count, count in _columns(table, names):
        if uid and (uid, patient) not in seen:
            seen.add((uid, patient))
            row = StudyRow(
                StudyInstanceUID=uid,
                PatientID=patient or "",
                StudyDate=f"{day:%Y%m%d}".rjust(8, "0") if day else "",
                StudyDescription=description or "",
                StationName=station or "",
                ModalitiesInStudy=_values(modalities),
                SOPClassesInStudy=_values(classes),
                series_count=series_count,
                instance_count=count,
            )
            rows[uid] = _merged(rows[uid], row) if uid in rows else row
    return rows


def _merged(one: StudyRow, other: StudyRow) -> StudyRow:
    return replace(
        one,
        ModalitiesInStudy=one.ModalitiesInStudy | other.ModalitiesInStudy,
        SOPClassesInStudy=one.SOPClassesInStudy | other.SOPClassesInStudy,
        series_count=_sum(one.series_count, other.series_count),
        instance_count=_sum(one.instance_count, other.instance_count),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def series_by_study(table: pa.Table, *, study_instance_uid: str = "") -> dict[str, tuple[SeriesRow, ...]]:
    """Return the series of an answer by StudyInstanceUID, each once.

    Parameters
    ----------
    study_instance_uid
        Of rows that do not tell it themselves.
    """
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
            row = SeriesRow(uid, (modality or "").strip(), description or "", station or "", number, count)
            found.setdefault(study or study_instance_uid, {}).setdefault(uid, row)
    return {study: tuple(rows.values()) for study, rows in found.items()}


def objects_by_series(table: pa.Table, *, series_instance_uid: str = "") -> dict[str, tuple[ObjectRow, ...]]:
    """Return the objects of an answer by SeriesInstanceUID, each once.

    Parameters
    ----------
    series_instance_uid
        Of rows that do not tell it themselves.
    """
    names = ("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber")
    found: dict[str, dict[str, ObjectRow]] = {}
    for series, uid, sop_class, number in _columns(table, names):
        if uid:
            found.setdefault(series or series_instance_uid, {}).setdefault(
                uid, ObjectRow(uid, sop_class or "", number)
            )
    return {series: tuple(rows.values()) for series, rows in found.items()}


def _columns(table: pa.Table, names: Sequence[str]) -> Any:  # noqa: ANN401 - rows of any types, zipped
    """Give the rows of a table as tuples; a column that it has not is of None."""
    nothing = [None] * table.num_rows
    return zip(*(table[name].to_pylist() if name in table.column_names else nothing for name in names), strict=True)


@lru_cache(maxsize=10_000)
def _values(text: str | None) -> frozenset[str]:
    """Return the values of a multi-valued attribute; few different sets are shared by very many studies."""
    return frozenset(part.strip() for part in (text or "").split("\\") if part.strip())
