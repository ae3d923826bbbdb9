"""Changes of the states of jobs and items, within a transaction.

A state changes only by `move_items`, which follows `qrkit.jobs.states`; a job's state and sums always follow from its
items. All transactions lock items before jobs, and items in the order of their ids, so that on PostgreSQL none waits
for another in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import NotFound
from qrkit.jobs import Change, ItemOutcome, JobState, job_state, sources
from qrkit.jobs.states import LONGEST_PAUSE
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import as_text, full_id
from qrkit.words import shown

QUEUED, RUNNING = JobState.QUEUED.value, JobState.RUNNING.value
NOT_WHOLE = (JobState.FAILED.value, JobState.PARTIAL.value, JobState.CANCELLED.value)
"""Final states of items that may have missing objects."""

MOST_DEATHS = 5
"""Number of workers in a row that may die with an item, without a new object in between, before it fails."""

_SUSPICIOUS = 2
"""Failures, or deaths, after which an item is taken alone."""

_LAST = MOST_DEATHS - 1
"""Deaths after which one more is the last."""

_DEADLY = f"The worker has ended unexpectedly {MOST_DEATHS} times in a row while it retrieved this item."
_DEADLY_ADVICE = "Check the worker's log, worker.err in the workspace and the free memory, then retry the job."

Conditions = Sequence[sa.ColumnElement[bool]]

IS_RUNNING = job_items.c.state == sa.literal_column(f"'{RUNNING}'")
"""The condition for running items: literally, as the index of them has it."""

_IS_ENDING = job_items.c.job_id.in_(sa.select(jobs.c.job_id).where(jobs.c.cancel_requested))
"""The condition for items of jobs that are to be cancelled."""


def active_jobs() -> Conditions:
    """Return the conditions for jobs that are neither paused, nor to be cancelled, nor ended."""
    return jobs.c.state.in_((QUEUED, RUNNING)), sa.not_(jobs.c.cancel_requested), sa.not_(jobs.c.paused)


def due(not_before: sa.Column[str], now: str) -> sa.ColumnElement[bool]:
    """Return the condition for what need not wait for another try.

    A time further off than any pause is from a clock that was wrong, since put right; it counts as past.
    """
    return due_between(not_before, now, far_from(now))


def due_between(
    not_before: sa.Column[str], now: str | sa.BindParameter[str], far: str | sa.BindParameter[str]
) -> sa.ColumnElement[bool]:
    """Return the same condition for a prepared statement; `far` is `far_from(now)`."""
    return sa.or_(not_before.is_(None), not_before <= now, not_before > far)


def far_from(now: str) -> str:
    """Return the latest time to which anything is postponed."""
    return as_text(datetime.fromisoformat(now) + timedelta(seconds=LONGEST_PAUSE))


def claimable(job_id: str, now: str) -> Conditions:
    """Return the conditions for items of a job that may start now."""
    return job_items.c.job_id == job_id, job_items.c.state == QUEUED, due(job_items.c.not_before, now)


def claim_of(connection: sa.Connection, job_id: str, worker_id: str, now: str, *, most: int) -> Sequence[sa.Row[Any]]:
    """Claim the next items of a job that no other worker is claiming now, in their order.

    Of those that one more death would end, a worker has one at a time: else that which kills it would take others
    along.
    """
    risky = job_items.alias()
    has_a_risky_one = sa.exists().where(
        risky.c.worker_id == worker_id, risky.c.state == RUNNING, risky.c.deaths >= _LAST
    )
    following = (
        sa.select(job_items.c.item_id, job_items.c.failures, job_items.c.deaths)
        .where(*claimable(job_id, now), sa.or_(job_items.c.deaths < _LAST, sa.not_(has_a_risky_one)))
        .order_by(job_items.c.position)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    claimed = connection.execute(
        job_items.update()
        .where(job_items.c.item_id.in_(_together(connection.execute(following).all())))
        .values(
            state=RUNNING,
            worker_id=worker_id,
            started=now,
            not_before=None,
            attempts=job_items.c.attempts + 1,
        )
        .returning(job_items)
    ).all()
    return sorted(claimed, key=lambda item: int(item.position))


def _together(items: Sequence[Any]) -> list[int]:
    """Return the items of which a worker takes all; one that has failed before goes alone, so that it harms no other.

    >>> from collections import namedtuple
    >>> item = namedtuple("item", "item_id failures deaths")
    >>> _together([item(1, 0, 0), item(2, 1, 1), item(3, 2, 0), item(4, 0, 0)])
    [1, 2]
    >>> _together([item(3, 0, 2), item(4, 0, 0)])
    [3]
    """
    before = takewhile(lambda item: max(item.failures, item.deaths) < _SUSPICIOUS, items)
    return [item.item_id for item in before] or [item.item_id for item in items[:1]]


def move_items(
    connection: sa.Connection, change: Change, after: JobState, which: Conditions, **values: object
) -> list[sa.Row[Any]]:
    """Change the state of those of some items to which the change may happen, locked in the order of their ids.

    Returns `item_id` and `job_id` of each that has changed.
    """
    before = [state.value for state in sources(change, after)]
    locked: list[sa.Row[Any]] = list(
        connection.execute(
            sa.select(job_items.c.item_id, job_items.c.job_id)
            .where(job_items.c.state.in_(before), *which)
            .order_by(job_items.c.item_id)
            .with_for_update()
        )
    )
    if locked:
        connection.execute(
            job_items.update()
            .where(job_items.c.item_id == sa.bindparam("which"))
            .values(state=after.value, **values),
            [{"which": item.item_id} for item in locked],
        )
    return locked


def give_back(connection: sa.Connection, which: Conditions, now: str, **values: object) -> list[sa.Row[Any]]:
    """Queue some running items again; those of a job to be cancelled become cancelled instead."""
    which = (IS_RUNNING, *which)
    cancelled = move_items(connection, Change.CANCEL, JobState.CANCELLED, (*which, _IS_ENDING), finished=now)
    queued = move_items(connection, Change.GIVE_BACK, JobState.QUEUED, which, worker_id=None, **values)
    for job_id in sorted({item.job_id for item in (*cancelled, *queued)}):
        follow(connection, job_id, now)
    return queued


def give_up_deadly(connection: sa.Connection, which: Conditions, now: str) -> None:
    """Fail the running items whose workers have died too often, unless their job is to be cancelled."""
    deadly = (IS_RUNNING, job_items.c.deaths >= _LAST, sa.not_(_IS_ENDING), *which)
    reason = {"error": _DEADLY, "advice": _DEADLY_ADVICE, "deaths": MOST_DEATHS}
    ended = give_up(connection, deadly, now, **reason)
    for job_id in sorted({item.job_id for item in ended}):
        follow(connection, job_id, now)


def give_up(connection: sa.Connection, which: Conditions, now: str, **values: object) -> list[sa.Row[Any]]:
    """End some items as partial or failed: by whether any of their objects are stored."""
    ended: list[sa.Row[Any]] = []
    for state, has_objects in (
        (JobState.PARTIAL, job_items.c.stored > 0),
        (JobState.FAILED, job_items.c.stored == 0),
    ):
        ended += move_items(connection, Change.GIVE_UP, state, (*which, has_objects), finished=now, **values)
    return ended


def follow(connection: sa.Connection, job_id: str, now: str, **values: object) -> None:
    """Update a job's state and sums from its items, and set some of its values.

    The job is locked first: of two items that end at once, the second counts the first. Raises NotFound if there is
    no such job.
    """
    job = get_job(connection, job_id, lock=True)
    by_state = connection.execute(_SUMS.where(job_items.c.job_id == job_id)).all()
    proofs = {row.proven for row in by_state} | ({False} if job.doubts else set())
    outcomes = [ItemOutcome(state=JobState(row.state), stored=row.stored) for row in by_state]
    state = job_state(outcomes, paused=bool(values.get("paused", job.paused)))
    running = any(row.state == RUNNING for row in by_state)
    derived: dict[str, object] = {
        "state": state.value,
        "started": job.started or (now if running else None),
        "finished": (job.finished or now) if state.is_final else None,
        **_first_error(connection, job_id, {row.state for row in by_state}),
        **{name: sum(getattr(row, name) for row in by_state) for name in _SUMMED},
        **({"expected": 0} if any(row.unknown for row in by_state) else {}),  # else more may be stored than expected
        "proven": False if False in proofs else None if None in proofs else True,
        "why": [*job.doubts, *_reasons(connection, job_id)] if False in proofs else [],
    }
    if running:
        derived["reason"] = ""
    if state.is_final:
        derived |= {"reason": "", "not_before": None}
    connection.execute(jobs.update().where(jobs.c.job_id == job_id).values(derived | values))


_SUMMED = ("expected", "stored", "received", "bytes")
_SUMS = sa.select(
    job_items.c.state,
    job_items.c.proven,
    *(sa.cast(sa.func.coalesce(sa.func.sum(job_items.c[name]), 0), sa.BigInteger).label(name) for name in _SUMMED),
    sa.func.sum(sa.case((sa.and_(job_items.c.expected.is_(None), job_items.c.stored > 0), 1), else_=0)).label(
        "unknown"
    ),
).group_by(job_items.c.state, job_items.c.proven)
"""One row for each state that items of a job have, proven and not: `job_state` asks for no more of them."""

_MOST_REASONS = 3


def _reasons(connection: sa.Connection, job_id: str) -> list[str]:
    """Return why what to expect is not proven, of the first items of which it is not."""
    wanted = sa.select(job_items.c.why).where(job_items.c.job_id == job_id, job_items.c.proven.is_(False))
    first = connection.execute(wanted.order_by(job_items.c.position).limit(_MOST_REASONS)).all()
    return list(dict.fromkeys(reason for row in first for reason in row.why))


def _first_error(connection: sa.Connection, job_id: str, states: set[str]) -> dict[str, str]:
    row = None
    if not states.isdisjoint(NOT_WHOLE):
        wanted = sa.select(job_items.c.error, job_items.c.advice).where(
            job_items.c.job_id == job_id, job_items.c.state.in_(NOT_WHOLE), job_items.c.error != ""
        )
        row = connection.execute(wanted.order_by(job_items.c.position).limit(1)).one_or_none()
    return {"error": row.error, "advice": row.advice} if row is not None else {"error": "", "advice": ""}


def get_job(connection: sa.Connection, job_id: str, *, lock: bool = False) -> sa.Row[Any]:
    """Return the row of a job, locked for a change if asked for. Raises NotFound if there is none of that id."""
    wanted = sa.select(jobs).where(jobs.c.job_id == full_id(connection, jobs.c.job_id, job_id))
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {shown(job_id)}.", advice=Advice(action=Action.LIST_JOBS))
    return row
