"""Answers of C-FIND as the rows that a plan judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pyarrow as pa

from qrkit.plan.facts import ObjectRow, SeriesRow, StudyRow


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
