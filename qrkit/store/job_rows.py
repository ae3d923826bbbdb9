"""Between the rows of jobs and items and their values in `qrkit.job`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from qrkit.job import ItemOutcome, ItemRow, JobRow, JobState, PausedBy, RetrieveRequest
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


OUTCOME = tuple(item.name for item in fields(ItemOutcome) if item.name not in ("state", "missing", "transient"))
"""Columns that hold what became of an item as it is."""


def outcome_values(outcome: ItemOutcome) -> dict[str, Any]:
    """Return the columns of an outcome, but for the state."""
    return {name: getattr(outcome, name) for name in OUTCOME} | {"missing": list(outcome.missing)}


def item_outcome(row: sa.Row[Any], *, paused: bool = False) -> ItemOutcome:
    """Return the outcome in an item's row; what waits in a paused job is paused."""
    state = JobState(row.state)
    if paused and state is JobState.QUEUED:
        state = JobState.PAUSED
    return ItemOutcome(state=state, missing=tuple(row.missing), **{name: getattr(row, name) for name in OUTCOME})


def item_row(row: sa.Row[Any], *, paused: bool = False) -> ItemRow:
    """Return an item from its row; what waits in a paused job is paused."""
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
        outcome=item_outcome(row, paused=paused),
        attempts=row.attempts,
        failures=row.failures,
        deaths=row.deaths,
        not_before=row.not_before,
        started=row.started,
        finished=row.finished,
    )


def job_row(row: sa.Row[Any], items: tuple[ItemRow, ...] = ()) -> JobRow:
    """Return a job from its row."""
    values = {item.name: getattr(row, item.name) for item in fields(JobRow) if item.name != "items"}
    paused_by = PausedBy(row.paused_by) if row.paused_by else None
    values |= {"method": Method(row.method), "state": JobState(row.state), "paused_by": paused_by, "items": items}
    return JobRow(**values)
