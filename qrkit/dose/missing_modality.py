"""Series without a Modality, which some nodes omit; their objects show it, so that no dose report is lost.

The SOP Class decides: of all objects in a small series, where a report may have any InstanceNumber, and of the first
image in a large one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qrkit.dose.facts import Answer, Need, NeedKind, ObjectsAnswer, SeriesAnswer, SeriesRow
from qrkit.dose.groups import DOSE_CLASSES, ESR, RDSR, RRDSR, SR
from qrkit.uids import KEY_OBJECT_SELECTION, PRESENTATION_STATE_STORAGE, SR_STORAGE, STANDARD_STORAGE

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
        "2": "CT",
        "2.1": "CT",
        "4": "MR",
        "12.1": "XA",
        "12.2": "RF",
        "20": "NM",
        "128": "PT",
        "130": "PT",
    }.items()
}


def needs_of(study: str, answer: SeriesAnswer) -> tuple[Need, ...]:
    """Return the needs for the objects of the series without a Modality."""
    return tuple(_need(study, row) for row in answer.rows if not row.Modality)


def with_modalities(study: str, answer: SeriesAnswer, objects: Mapping[Need, Answer]) -> SeriesAnswer:
    """Return the series with the modalities of their objects; unknown ones stay empty."""
    rows = [row if row.Modality else _with_modality(row, objects.get(_need(study, row))) for row in answer.rows]
    return SeriesAnswer(tuple(rows), answer.only_sr)


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


def _need(study: str, row: SeriesRow) -> Need:
    is_small = row.instance_count is None or row.instance_count <= SMALL
    return Need(NeedKind.OBJECTS if is_small else NeedKind.FIRST_IMAGE, study, row.SeriesInstanceUID)


def _with_modality(row: SeriesRow, objects: Answer | None) -> SeriesRow:
    if not isinstance(objects, ObjectsAnswer):
        return row
    return row._replace(Modality=modality_of([instance.SOPClassUID for instance in objects.rows]))
