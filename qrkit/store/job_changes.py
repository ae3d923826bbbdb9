"""What the changes of jobs and items have in common, within a transaction.

A job's state and sums always follow from its items. All transactions lock items before jobs, and items in the order
of their ids, so that on PostgreSQL none waits for another in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from qrkit.errors import NotFound
from qrkit.job import ItemOutcome, JobState, job_state
from qrkit.store.schema import job_items, jobs

QUEUED, RUNNING = JobState.QUEUED.value, JobState.RUNNING.value
NOT_WHOLE = (JobState.FAILED.value, JobState.PARTIAL.value, JobState.CANCELLED.value)
"""Final states after which there may be something left to fetch."""


def open_jobs() -> sa.Select[str]:
    """Select the jobs of which items may start."""
    return sa.select(jobs.c.job_id).where(
        jobs.c.state.in_((QUEUED, RUNNING)), sa.not_(jobs.c.cancel_requested), sa.not_(jobs.c.paused)
    )


def claim_of(connection: sa.Connection, job_id: str, worker_id: str, now: str, *, most: int) -> Sequence[sa.Row[Any]]:
    """Claim the next items of a job that nobody else is claiming just now, in their order."""
    following = (
        sa.select(job_items.c.item_id)
        .where(*of_job(job_id, QUEUED))
        .order_by(job_items.c.position)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    claimed = connection.execute(
        job_items.update()
        .where(job_items.c.item_id.in_(connection.scalars(following).all()))
        .values(state=RUNNING, worker_id=worker_id, started=now, attempts=job_items.c.attempts + 1)
        .returning(job_items)
    ).all()
    return sorted(claimed, key=lambda item: int(item.position))


def of_job(job_id: str, *states: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions for items of a job that are in one of some states."""
    return job_items.c.job_id == job_id, job_items.c.state.in_(states)


def move_items(connection: sa.Connection, which: Sequence[sa.ColumnElement[bool]], **values: object) -> list[str]:
    """Change some items, locked in the order of their ids, and return the job of each."""
    locked = connection.execute(
        sa.select(job_items.c.item_id, job_items.c.job_id)
        .where(*which)
        .order_by(job_items.c.item_id)
        .with_for_update()
    ).all()
    if locked:
        connection.execute(
            job_items.update().where(job_items.c.item_id == sa.bindparam("which")).values(**values),
            [{"which": item.item_id} for item in locked],
        )
    return [item.job_id for item in locked]


def follow(connection: sa.Connection, job_id: str, now: str, **values: object) -> None:
    """Let a job's state and sums follow from its items, and change some of its values.

    The job is locked first: of two items that end at once, the second counts the first.

    Raises
    ------
    NotFound
        If there is no such job.
    """
    job = get_job(connection, job_id, lock=True)
    by_state = connection.execute(_SUMS.where(job_items.c.job_id == job_id)).all()
    state = job_state([ItemOutcome(state=JobState(row.state), stored=row.stored) for row in by_state])
    running = any(row.state == RUNNING for row in by_state)
    if values.get("paused", job.paused) and not state.is_final and not running:
        state = JobState.PAUSED
    connection.execute(
        jobs.update()
        .where(jobs.c.job_id == job_id)
        .values(
            state=state.value,
            started=job.started or (now if running else None),
            finished=(job.finished or now) if state.is_final else None,
            error=_first_error(connection, job_id) if any(row.state in NOT_WHOLE for row in by_state) else "",
            **{name: sum(getattr(row, name) for row in by_state) for name in _SUMMED},
            **values,
        )
    )


_SUMMED = ("expected", "stored", "received", "bytes")
_SUMS = sa.select(
    job_items.c.state,
    *(sa.cast(sa.func.coalesce(sa.func.sum(job_items.c[name]), 0), sa.BigInteger).label(name) for name in _SUMMED),
).group_by(job_items.c.state)
"""One row for each state that items of a job have: `job_state` asks for no more of them."""


def _first_error(connection: sa.Connection, job_id: str) -> str:
    wanted = sa.select(job_items.c.error).where(job_items.c.job_id == job_id, job_items.c.error != "")
    return connection.scalar(wanted.order_by(job_items.c.position).limit(1)) or ""


def get_job(connection: sa.Connection, job_id: str, *, lock: bool = False) -> sa.Row[Any]:
    """Return the row of a job, locked for a change if asked for.

    Raises
    ------
    NotFound
        If there is none of that id.
    """
    wanted = sa.select(jobs).where(jobs.c.job_id == job_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}.", advice="qrkit jobs list shows those there are.")
    return row
