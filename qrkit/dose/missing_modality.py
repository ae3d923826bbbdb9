"""Series without a Modality: there are nodes that leave it out, and a dose report must not be lost by that.

What such a series is, its objects tell by their SOP Class: all of a small series, where a report may have any
InstanceNumber, and the first image of a large one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qrkit.dose.facts import Answer, Need, NeedKind, ObjectsAnswer, SeriesAnswer, SeriesRow
from qrkit.dose.groups import DOSE_CLASSES, ESR, RDSR, RRDSR, SR
from qrkit.uids import KEY_OBJECT_SELECTION, PRESENTATION_STATE_STORAGE, SR_STORAGE, STANDARD_STORAGE

SMALL = 5
"""Instances of a series that are all listed."""

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
    """Return what must be known to tell the modalities of the series that have none."""
    return tuple(_need(study, row) for row in answer.rows if not row.Modality)


def named(study: str, answer: SeriesAnswer, told: Mapping[Need, Answer]) -> SeriesAnswer:
    """Return the series with the modalities that their objects tell; of those that tell none it stays empty."""
    rows = [row if row.Modality else _named(row, told.get(_need(study, row))) for row in answer.rows]
    return SeriesAnswer(tuple(rows), answer.only_sr)


def modality_of(sop_classes: Sequence[str]) -> str:
    """Return the modality of a series by the SOP Classes of its objects; empty where they do not tell.

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


def _named(row: SeriesRow, told: Answer | None) -> SeriesRow:
    if not isinstance(told, ObjectsAnswer):
        return row
    return row._replace(Modality=modality_of([one.SOPClassUID for one in told.rows]))
