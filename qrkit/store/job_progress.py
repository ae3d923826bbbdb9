"""The progress of running items: what their worker reports of them, and what users want of their job.

Objects may also arrive after their item has ended; they are counted, and may complete the item.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from qrkit.errors import InputError, NotFound
from qrkit.jobs import Change, ItemOutcome, ItemRow, JobState, allows, is_news
from qrkit.store.handler_runs import note_complete
from qrkit.store.job_transitions import (
    QUEUED,
    RUNNING,
    active_jobs,
    due,
    follow,
    get_job,
    give_back,
    give_up,
    move_items,
)
from qrkit.store.jobs import item_outcome, item_row, outcome_values
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import StateTable, as_text
from qrkit.words import counted

LATE_NOTE = "Objects arrived after its end and are counted."

_STILL_WANTED = (JobState.PARTIAL.value, JobState.FAILED.value)
"""The missing objects of a cancelled job are not wanted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponement:
    """The time of the next attempt."""

    not_before: str  # UTC, ISO 8601
    failures: int  # failed attempts in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class JobControl:
    """The cancel and pause requests of users for a running job."""

    cancel: bool = False
    pause: bool = False


class RunningItems(StateTable):
    """The running items of a workspace, each held by one worker."""

    def progress(self, item_id: int, outcome: ItemOutcome, *, worker_id: str | None = None) -> bool:
        """Write down the progress of a running item, and return whether it is still running.

        Nothing happens to one that is not, such as one that another worker has taken over. What is stored never
        becomes less: a worker that takes an item over first has to look what is here. Without `worker_id` the report
        is taken as that of the worker which holds the item.
        """
        values = {"received": outcome.received, "bytes": outcome.bytes}
        if outcome.expected is not None:
            values["expected"] = outcome.expected
        with self._state.transaction() as connection:
            item = _locked(connection, item_id)
            held = bool(item.state == RUNNING and worker_id in (None, item.worker_id))
            if held:
                if outcome.stored > item.stored:  # a try that brings something new is the first again
                    values |= {"stored": outcome.stored, "failures": 0, "deaths": 0}
                connection.execute(job_items.update().where(job_items.c.item_id == item_id).values(values))
                follow(connection, item.job_id, self._state.now())
        return held

    def control(self, job_id: str) -> JobControl:
        """Return the requests of users for a job. Raises NotFound if there is no such job."""
        with self._state.reading() as connection:
            job = get_job(connection, job_id)
            return JobControl(cancel=job.cancel_requested, pause=job.paused)

    def has_rival(self, job_id: str) -> bool:
        """Whether another job of the same node, of no lower priority, waits for its turn.

        Raises NotFound if there is no such job.
        """
        now = self._state.now()
        with self._state.reading() as connection:
            job = get_job(connection, job_id)
            rivals = sa.select(jobs.c.job_id).where(
                *active_jobs(),
                due(jobs.c.not_before, now),
                jobs.c.node == job.node,
                jobs.c.priority >= job.priority,
                jobs.c.job_id != job_id,
            )
            waits = sa.select(job_items.c.item_id).where(
                job_items.c.job_id.in_(rivals), job_items.c.state == QUEUED, due(job_items.c.not_before, now)
            )
            return connection.execute(waits.limit(1)).first() is not None

    def finish_item(self, item_id: int, outcome: ItemOutcome, *, worker_id: str | None = None) -> None:
        """Write down the outcome of an item, if it is news; see `qrkit.jobs.is_news`.

        Without `worker_id` it is taken as that of the worker which holds the item. Raises InputError if the outcome
        is not final; NotFound if there is no such item.
        """
        if not outcome.state.is_final:
            raise InputError(f"An item cannot end as {outcome.state.value}.")
        now = self._state.now()
        with self._state.transaction() as connection:
            item = _locked(connection, item_id)
            if not is_news(item_outcome(item), outcome, by_holder=worker_id in (None, item.worker_id)):
                return
            ended = {"state": outcome.state.value, "finished": now, "not_before": None}
            connection.execute(
                job_items.update().where(job_items.c.item_id == item_id).values(outcome_values(outcome) | ended)
            )
            if outcome.state is JobState.COMPLETE:
                note_complete(connection, item_id)
            # the node was there, so it is no longer out of reach
            follow(connection, item.job_id, now, **({"failures": 0} if outcome.stored else {}))

    def postpone(self, item_id: int, outcome: ItemOutcome, postponement: Postponement, *, worker_id: str) -> None:
        """Postpone an item that has failed for now; its received objects are kept.

        Raises NotFound if there is no such item.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            item = _locked(connection, item_id)
            own = (job_items.c.item_id == item_id, job_items.c.worker_id == worker_id)
            values = outcome_values(outcome)
            if get_job(connection, item.job_id).cancel_requested:
                move_items(connection, Change.CANCEL, JobState.CANCELLED, own, **values, finished=now)
            else:
                values |= asdict(postponement) | {"worker_id": None, "deaths": 0}
                move_items(connection, Change.POSTPONE, JobState.QUEUED, own, **values)
            follow(connection, item.job_id, now)

    def postpone_job(
        self, job_id: str, item_ids: Collection[int], postponement: Postponement, *, reason: str
    ) -> None:
        """Give back some items of a job whose node is out of reach, and postpone the whole job.

        Raises NotFound if there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            give_back(connection, (job_items.c.item_id.in_(list(item_ids)),), now)
            job = get_job(connection, job_id, lock=True)
            if not JobState(job.state).is_final:
                reason = job.reason if job.paused else reason
                follow(connection, job_id, now, **asdict(postponement), reason=reason)

    def give_up(self, job_id: str, *, error: str, advice: str) -> None:
        """End all of a job that has not ended, since its node stays out of reach.

        Raises NotFound if there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            which = (job_items.c.job_id == job_id,)
            give_up(connection, which, now, error=error, advice=advice, not_before=None)
            follow(connection, job_id, now)


class LateObjects(StateTable):
    """The missing objects of ended items of a workspace."""

    def lacking(self, *, hours: float) -> tuple[tuple[str, ItemRow], ...]:
        """Return the items that have ended without all of their objects within some hours, with their nodes."""
        since = as_text(datetime.fromisoformat(self._state.now()) - timedelta(hours=hours))
        wanted = (
            sa.select(job_items, jobs.c.node)
            .join(jobs, jobs.c.job_id == job_items.c.job_id)
            .where(jobs.c.destination == "", job_items.c.state.in_(_STILL_WANTED), job_items.c.finished >= since)
            .order_by(job_items.c.finished)
        )
        return tuple((row.node, item_row(row)) for row in self._state.rows(wanted) if row.missing)

    def count(self, item_id: int, arrived: Collection[str], *, size: int) -> None:
        """Count objects for an ended item; a running or complete item and known objects are left as they are.

        `arrived` has their SOP Instance UIDs, and `size` is the total of their files in bytes.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            item = connection.execute(_to_lock(item_id)).one_or_none()
            if item is None:
                return
            # of an item that names nothing as missing, all that arrives had been missing
            came = set(arrived).intersection(item.missing or arrived)
            if not came:
                return
            values = _counted(item, came, size)
            if not allows(Change.ARRIVE, JobState(item.state), JobState(values["state"])):
                return
            connection.execute(job_items.update().where(job_items.c.item_id == item_id).values(values))
            if values["state"] == JobState.COMPLETE.value:
                note_complete(connection, item_id)
            follow(connection, item.job_id, now)


def _to_lock(item_id: int) -> sa.Select[Any]:
    return sa.select(job_items).where(job_items.c.item_id == item_id).with_for_update()


def _locked(connection: sa.Connection, item_id: int) -> sa.Row[Any]:
    item = connection.execute(_to_lock(item_id)).one_or_none()
    if item is None:
        raise NotFound(f"There is no item {item_id} of any job.")
    return item


def _counted(item: sa.Row[Any], came: Collection[str], size: int) -> dict[str, Any]:
    """Return the columns of an item after objects have arrived."""
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
    if not item.missing:  # nothing was named
        lack = "It is not known whether more objects are missing."
        if item.expected is not None:
            lack = f"Still missing: {counted(item.expected - stored, 'object')}."
        return values | {"error": lack}
    return values | ({"error": f"Still missing: {counted(len(left), 'object')}."} if left else {})
