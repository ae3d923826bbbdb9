"""Between the rows of jobs and items and their values in `qrkit.job`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from qrkit.job import ItemOutcome, ItemRow, JobRow, JobState, RetrieveRequest
from qrkit.node import Method


def item_values(job_id: str, position: int, request: RetrieveRequest) -> dict[str, Any]:
    """Return the columns of a new item."""
    # At IMAGE level the objects asked for are those expected, where nobody says otherwise.
    expected = request.expected or request.sop_instance_uids
    return {
        "job_id": job_id,
        "position": position,
        "level": request.level,
        "PatientID": request.patient_id,
        "StudyInstanceUID": request.StudyInstanceUID,
        "SeriesInstanceUID": request.SeriesInstanceUID,
        "sop_instance_uids": list(request.sop_instance_uids),
        "expected_uids": list(request.expected),
        "state": JobState.QUEUED.value,
        "expected": len(expected) if expected else None,
        "missing": [],
    }


def item_row(row: sa.Row[Any]) -> ItemRow:
    """Return an item from its row."""
    request = RetrieveRequest(
        level=row.level,
        StudyInstanceUID=row.StudyInstanceUID,
        SeriesInstanceUID=row.SeriesInstanceUID,
        sop_instance_uids=tuple(row.sop_instance_uids),
        patient_id=row.PatientID,
        expected=tuple(row.expected_uids),
    )
    return ItemRow(
        item_id=row.item_id,
        job_id=row.job_id,
        position=row.position,
        request=request,
        outcome=ItemOutcome(
            state=JobState(row.state),
            expected=row.expected,
            stored=row.stored,
            missing=tuple(row.missing),
            received=row.received,
            bytes=row.bytes,
            error=row.error,
        ),
        attempts=row.attempts,
    )


def job_row(row: sa.Row[Any], items: tuple[ItemRow, ...] = ()) -> JobRow:
    """Return a job from its row."""
    values = {item.name: getattr(row, item.name) for item in fields(JobRow) if item.name != "items"}
    values |= {"method": Method(row.method), "state": JobState(row.state), "items": items}
    return JobRow(**values)
