"""Objects that come after their item has ended: which are missing, and what their arrival changes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from qrkit.job import Change, ItemRow, JobState, allows
from qrkit.store.after_due import note_complete
from qrkit.store.job_changes import follow
from qrkit.store.job_rows import item_row
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import State, as_text
from qrkit.words import counted

LATE_NOTE = "Objects came after its end, and are counted."

_STILL_WANTED = (JobState.PARTIAL.value, JobState.FAILED.value)
"""What a job that somebody has cancelled lacks is not wanted any more."""


class LateObjects:
    """What ended items of a workspace lack."""

    def __init__(self, state: State) -> None:
        self._state = state

    def lacking(self, *, hours: float) -> tuple[tuple[str, ItemRow], ...]:
        """Return the items that have ended without all of their objects within some hours, with their nodes."""
        since = as_text(datetime.fromisoformat(self._state.now()) - timedelta(hours=hours))
        wanted = (
            sa.select(job_items, jobs.c.node)
            .join(jobs, jobs.c.job_id == job_items.c.job_id)
            .where(jobs.c.destination == "", job_items.c.state.in_(_STILL_WANTED), job_items.c.finished >= since)
            .order_by(job_items.c.finished)
        )
        with self._state.reading() as connection:
            return tuple((row.node, item_row(row)) for row in connection.execute(wanted) if row.missing)

    def count(self, item_id: int, arrived: Collection[str], *, size: int) -> None:
        """Count objects for an item that has ended; nothing happens to one that goes on, or has them.

        Parameters
        ----------
        arrived
            SOP Instance UIDs.
        size
            Bytes of their files together.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            wanted = sa.select(job_items).where(job_items.c.item_id == item_id).with_for_update()
            item = connection.execute(wanted).one_or_none()
            if item is None or set(arrived).isdisjoint(item.missing):
                return
            values = _counted(item, set(arrived).intersection(item.missing), size)
            if not allows(Change.ARRIVE, JobState(item.state), JobState(values["state"])):
                return
            connection.execute(job_items.update().where(job_items.c.item_id == item_id).values(values))
            if values["state"] == JobState.COMPLETE.value:
                note_complete(connection, item_id)
            follow(connection, item.job_id, now)


def _counted(item: sa.Row[Any], came: Collection[str], size: int) -> dict[str, Any]:
    """Return the columns of an item after objects have come."""
    left = [uid for uid in item.missing if uid not in came]
    stored = item.stored + len(came)
    is_whole = not left and item.expected is not None and stored >= item.expected
    unfinished = JobState.CANCELLED if item.state == JobState.CANCELLED.value else JobState.PARTIAL
    values = {
        "state": (JobState.COMPLETE if is_whole else unfinished).value,
        "missing": left,
        "stored": stored,
        "received": item.received + len(came),
        "bytes": item.bytes + size,
        "note": item.note if LATE_NOTE in item.note else f"{item.note} {LATE_NOTE}".strip(),
    }
    if is_whole:
        return values | {"error": "", "advice": ""}
    return values | ({"error": f"Still missing: {counted(len(left), 'object')}."} if left else {})
