"""The items of retrieve jobs as workers have them: claimed, under way, ended, put off, given back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from qrkit.errors import InputError, NotFound
from qrkit.job import Change, ItemOutcome, ItemRow, JobRow, JobState, PausedBy, is_news
from qrkit.store.after_due import note_complete
from qrkit.store.batches import NewBatch, begin, spare_associations
from qrkit.store.job_changes import (
    QUEUED,
    RUNNING,
    claim_of,
    claimable,
    due,
    due_between,
    far_from,
    follow,
    get_job,
    give_back,
    give_up_deadly,
    going_on,
    move_items,
)
from qrkit.store.job_rows import item_outcome, item_row, job_row, outcome_values
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import State

_NOW, _FAR = sa.bindparam("now", type_=sa.String), sa.bindparam("far", type_=sa.String)
_SOMETHING_WAITS = (
    sa.select(jobs.c.job_id)
    .where(
        *going_on(),
        due_between(jobs.c.not_before, _NOW, _FAR),
        jobs.c.node.not_in(sa.bindparam("nodes", expanding=True)),
        sa.exists().where(
            job_items.c.job_id == jobs.c.job_id,
            job_items.c.state == QUEUED,
            due_between(job_items.c.not_before, _NOW, _FAR),
        ),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """That something is to be tried again.

    Attributes
    ----------
    not_before
        When; UTC, ISO 8601.
    failures
        How often in a row it has failed.
    """

    not_before: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What people want of a job that is under way."""

    cancel: bool = False
    pause: bool = False


class JobQueue:
    """What waits in a workspace to be fetched, for any number of workers; no two ever have the same item."""

    def __init__(self, state: State) -> None:
        self._state = state

    def waiting(self, *, except_nodes: Collection[str] = ()) -> int:
        """Return how many items could be claimed now, leaving out those of some nodes."""
        now = self._state.now()
        open_jobs = sa.select(jobs.c.job_id).where(
            *going_on(), due(jobs.c.not_before, now), jobs.c.node.not_in(list(except_nodes))
        )
        return self._count(due(job_items.c.not_before, now), job_items.c.job_id.in_(open_jobs))

    def has_waiting(self, *, except_nodes: Collection[str] = ()) -> bool:
        """Whether any item could be claimed now; cheap, since an idle worker asks ten times a second."""
        now = self._state.now()
        values = {"now": now, "far": far_from(now), "nodes": list(except_nodes)}
        with self._state.reading() as connection:
            return connection.scalar(_SOMETHING_WAITS, values) is not None

    def has_work_to_come(self, *, except_nodes: Collection[str] = ()) -> bool:
        """Whether anything waits that a worker will start by itself, now or later, leaving out some nodes."""
        goes_on_by_itself = sa.or_(sa.not_(jobs.c.paused), jobs.c.paused_by == PausedBy.DISK.value)
        to_come = sa.select(jobs.c.job_id).where(
            jobs.c.state.in_((QUEUED, RUNNING, JobState.PAUSED.value)),
            goes_on_by_itself,
            jobs.c.node.not_in(list(except_nodes)),
        )
        return self._count(job_items.c.job_id.in_(to_come)) > 0

    def claim_share(
        self, worker_id: str, associations: Mapping[str, int], *, most: int, batch_id: str = ""
    ) -> tuple[ItemRow, ...]:
        """Take items of one job for one association: its share, so that the node's others get theirs.

        The job of the highest priority goes first; among those, the one that was served longest ago. SQLite lets
        one worker claim at a time, and PostgreSQL passes over rows that another claim has locked.

        Parameters
        ----------
        associations
            How many associations each node allows to all workers together, by name; a job of another node is passed
            over.
        most
            Items at once.
        batch_id
            Under which the association is counted until `BatchTable.end`; without it, it is not.
        """
        now = self._state.now()
        wanted = (
            sa.select(jobs.c.job_id, jobs.c.node)
            .where(*going_on(), due(jobs.c.not_before, now))
            .order_by(jobs.c.priority.desc(), sa.func.coalesce(jobs.c.served, ""), jobs.c.created, jobs.c.job_id)
        )
        with self._state.transaction() as connection:
            # One job after the other: there are few, and the next items of each are found without sorting them all.
            spare = spare_associations(connection, associations)
            free = [name for name, count in spare.items() if count > 0]
            for job_id, node in connection.execute(wanted.where(jobs.c.node.in_(free))).all():
                queued = connection.scalar(sa.select(sa.func.count()).where(*claimable(job_id, now))) or 0
                share = min(most, -(-queued // spare[node]))
                items = claim_of(connection, job_id, worker_id, now, most=share) if share else []
                if items:
                    if batch_id:
                        batch = NewBatch(batch_id=batch_id, worker_id=worker_id)
                        begin(connection, batch, node=node, job_id=job_id, now=now)
                    follow(connection, job_id, now, served=now, not_before=None)
                    return tuple(item_row(item) for item in items)
        return ()

    def has_rival(self, job_id: str) -> bool:
        """Whether another job of the same node, of no lower priority, waits for its turn.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        now = self._state.now()
        with self._state.reading() as connection:
            job = get_job(connection, job_id)
            rivals = sa.select(jobs.c.job_id).where(
                *going_on(),
                due(jobs.c.not_before, now),
                jobs.c.node == job.node,
                jobs.c.priority >= job.priority,
                jobs.c.job_id != job_id,
            )
            waits = sa.select(job_items.c.item_id).where(
                job_items.c.job_id.in_(rivals), job_items.c.state == QUEUED, due(job_items.c.not_before, now)
            )
            return connection.execute(waits.limit(1)).first() is not None

    def progress(self, item_id: int, outcome: ItemOutcome, *, worker_id: str | None = None) -> bool:
        """Write down how far a running item is, and say whether it is running still.

        Nothing happens to one that is not, such as one that another worker has taken over.

        Parameters
        ----------
        worker_id
            Who says so; None: whoever holds it.
        """
        values = {"stored": outcome.stored, "received": outcome.received, "bytes": outcome.bytes}
        if outcome.expected is not None:
            values["expected"] = outcome.expected
        with self._state.transaction() as connection:
            item = self._locked(connection, item_id)
            held = bool(item.state == RUNNING and worker_id in (None, item.worker_id))
            if held:
                if outcome.stored > item.stored:  # a try that brings something new is the first again
                    values["failures"] = 0
                connection.execute(job_items.update().where(job_items.c.item_id == item_id).values(values))
                follow(connection, item.job_id, self._state.now())
        return held

    def finish_item(self, item_id: int, outcome: ItemOutcome, *, worker_id: str | None = None) -> None:
        """Write down what became of an item. Nothing happens where that is no news; see `qrkit.job.is_news`.

        Parameters
        ----------
        worker_id
            Who says so; None: whoever holds it.

        Raises
        ------
        InputError
            If the outcome is not final.
        NotFound
            If there is no such item.
        """
        if not outcome.state.is_final:
            raise InputError(f"An item cannot end as {outcome.state.value}.")
        now = self._state.now()
        with self._state.transaction() as connection:
            item = self._locked(connection, item_id)
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

    def put_off(self, item_id: int, outcome: ItemOutcome, put_off: PutOff, *, worker_id: str) -> None:
        """Let an item that has failed for now be tried again later; what came of it is kept.

        Raises
        ------
        NotFound
            If there is no such item.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            item = self._locked(connection, item_id)
            own = (job_items.c.item_id == item_id, job_items.c.worker_id == worker_id)
            if get_job(connection, item.job_id).cancel_requested:
                move_items(
                    connection, Change.CANCEL, JobState.CANCELLED, own, **outcome_values(outcome), finished=now
                )
            else:
                move_items(
                    connection,
                    Change.PUT_OFF,
                    JobState.QUEUED,
                    own,
                    **outcome_values(outcome),
                    worker_id=None,
                    not_before=put_off.not_before,
                    failures=put_off.failures,
                )
            follow(connection, item.job_id, now)

    def put_off_job(self, job_id: str, item_ids: Collection[int], put_off: PutOff, *, reason: str) -> None:
        """Give back some items of a job whose node is out of reach, and let all of it wait.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            give_back(connection, (job_items.c.item_id.in_(list(item_ids)),), now)
            job = get_job(connection, job_id, lock=True)
            if not JobState(job.state).is_final:
                values = {"not_before": put_off.not_before, "failures": put_off.failures}
                follow(connection, job_id, now, **values, reason=job.reason if job.paused else reason)

    def give_up(self, job_id: str, *, error: str, advice: str) -> None:
        """End all of a job that has not ended, since its node stays out of reach.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            for state, some in (
                (JobState.PARTIAL, job_items.c.stored > 0),
                (JobState.FAILED, job_items.c.stored == 0),
            ):
                which = (job_items.c.job_id == job_id, some)
                move_items(
                    connection,
                    Change.GIVE_UP,
                    state,
                    which,
                    error=error,
                    advice=advice,
                    finished=now,
                    not_before=None,
                )
            follow(connection, job_id, now)

    def give_back(self, item_ids: Collection[int], *, worker_id: str) -> int:
        """Queue again what a worker has not done; return how many items that are."""
        own = (job_items.c.worker_id == worker_id, job_items.c.item_id.in_(list(item_ids)))
        with self._state.transaction() as connection:
            return len(give_back(connection, own, self._state.now()))

    def requeue_orphans(
        self, alive_worker_ids: Collection[str], *, worker_id: str = "", under_way: Collection[int] = ()
    ) -> int:
        """Queue again what runs under workers that are not alive; return how many items that are.

        Items of a job that somebody has asked to end become cancelled instead. One whose worker died again and again,
        without a new object in between, ends: it may be what kills them, and the others shall go on.

        Parameters
        ----------
        worker_id, under_way
            Of the worker that asks: what it has in hand. What it has lost sight of, because the state could not be
            written when that ended, is queued again, too.
        """
        dead = job_items.c.worker_id.not_in([*alive_worker_ids, worker_id])
        lost = sa.and_(job_items.c.worker_id == worker_id, job_items.c.item_id.not_in(list(under_way)))
        now = self._state.now()
        with self._state.transaction() as connection:
            give_up_deadly(connection, (dead,), now)
            given_back = give_back(connection, (dead,), now, failures=job_items.c.failures + 1)
            return len([*given_back, *give_back(connection, (lost,), now)])

    def wish(self, job_id: str) -> Wish:
        """Return what people want of a job.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.reading() as connection:
            job = get_job(connection, job_id)
            return Wish(cancel=job.cancel_requested, pause=job.paused)

    def pause_for_disk(self, job_id: str, reason: str) -> None:
        """Let a job rest until there is room; nothing happens to one that rests already.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.transaction() as connection:
            job = get_job(connection, job_id)
            if not (job.paused or job.cancel_requested or JobState(job.state).is_final):
                values = {"paused": True, "paused_by": PausedBy.DISK.value, "reason": reason}
                follow(connection, job_id, self._state.now(), **values)

    def paused_for_disk(self) -> tuple[JobRow, ...]:
        """Return the jobs that rest until there is room, without their items."""
        wanted = sa.select(jobs).where(jobs.c.paused_by == PausedBy.DISK.value, jobs.c.paused)
        with self._state.reading() as connection:
            return tuple(job_row(job) for job in connection.execute(wanted.order_by(jobs.c.created)))

    def resume_from_disk(self, job_id: str) -> None:
        """Let a job go on that rested until there is room.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.transaction() as connection:
            if get_job(connection, job_id).paused_by == PausedBy.DISK.value:
                follow(connection, job_id, self._state.now(), paused=False, paused_by="", reason="")

    def explain(self, node: str, reason: str) -> None:
        """Say of the waiting jobs of a node why they wait; empty: for no reason of the node's."""
        busy = sa.select(job_items.c.job_id).where(job_items.c.state == sa.literal_column(f"'{RUNNING}'"))
        which = (
            *going_on(),
            jobs.c.node == node,
            jobs.c.reason != reason,
            jobs.c.job_id.not_in(busy),
            jobs.c.not_before.is_(None),
        )
        with self._state.reading() as connection:  # a worker looks often, and seldom has news
            if connection.execute(sa.select(jobs.c.job_id).where(*which).limit(1)).first() is None:
                return
        with self._state.transaction() as connection:
            connection.execute(jobs.update().where(*which).values(reason=reason))

    def _count(self, *which: sa.ColumnElement[bool]) -> int:
        wanted = sa.select(sa.func.count(job_items.c.item_id)).where(job_items.c.state == QUEUED, *which)
        with self._state.reading() as connection:
            return connection.scalar(wanted) or 0

    @staticmethod
    def _locked(connection: sa.Connection, item_id: int) -> sa.Row[Any]:
        wanted = sa.select(job_items).where(job_items.c.item_id == item_id).with_for_update()
        item = connection.execute(wanted).one_or_none()
        if item is None:
            raise NotFound(f"There is no item {item_id} of any job.")
        return item
