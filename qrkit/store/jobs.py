"""Retrieve jobs and their items in the state; every change of where one of them is happens here.

An item goes from queued to running when a worker claims it, and from there to a final state; a worker that dies
gives it back. A job's state and sums always follow from its items, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from qrkit.errors import InputError, NotFound
from qrkit.job import ItemOutcome, ItemRow, JobRow, JobState, NewJob
from qrkit.store.after_due import choose, note_complete
from qrkit.store.job_changes import (
    NOT_WHOLE,
    QUEUED,
    RUNNING,
    claim_of,
    follow,
    get_job,
    move_items,
    of_job,
    open_jobs,
)
from qrkit.store.job_rows import item_row, item_values, job_row
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import State

_CANCELLED = JobState.CANCELLED.value
_FINAL = tuple(state.value for state in JobState if state.is_final)


class JobTable:
    """The retrieve jobs of a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, job: NewJob) -> str:
        """Queue a job with all its items, and return its id.

        Raises
        ------
        InputError
            If there is nothing to fetch.
        """
        if not job.requests:
            raise InputError("There is nothing to fetch: the job has no requests.")
        job_id = uuid4().hex
        items = [item_values(job_id, position, request) for position, request in enumerate(job.requests)]
        with self._state.transaction() as connection:
            connection.execute(
                jobs.insert().values(
                    job_id=job_id,
                    node=job.node,
                    method=job.method.value,
                    destination=job.destination,
                    user=job.user,
                    source=job.source,
                    state=QUEUED,
                    created=self._state.now(),
                    expected=sum(item["expected"] or 0 for item in items),
                )
            )
            connection.execute(job_items.insert(), items)
            choose(connection, job_id, job.after)
        return job_id

    def get_summary(self, job_id: str) -> JobRow:
        """Return a job without its items, which may be many.

        Raises
        ------
        NotFound
            If there is none of that id.
        """
        with self._state.reading() as connection:
            return job_row(get_job(connection, job_id))

    def get(self, job_id: str) -> JobRow:
        """Return a job with its items.

        Raises
        ------
        NotFound
            If there is none of that id.
        """
        with self._state.reading() as connection:
            row = get_job(connection, job_id)
            items = connection.execute(
                sa.select(job_items).where(job_items.c.job_id == job_id).order_by(job_items.c.position)
            )
            return job_row(row, tuple(item_row(item) for item in items))

    def list(self, limit: int = 100, *, node: str | None = None, state: JobState | None = None) -> tuple[JobRow, ...]:
        """Return the newest jobs first, without their items."""
        wanted = sa.select(jobs).order_by(jobs.c.created.desc(), jobs.c.job_id).limit(limit)
        if node is not None:
            wanted = wanted.where(jobs.c.node == node)
        if state is not None:
            wanted = wanted.where(jobs.c.state == state.value)
        with self._state.reading() as connection:
            return tuple(job_row(row) for row in connection.execute(wanted))

    def waiting(self) -> int:
        """Return how many items could be claimed now."""
        with self._state.reading() as connection:
            queued = sa.and_(job_items.c.state == QUEUED, job_items.c.job_id.in_(open_jobs()))
            return connection.scalar(sa.select(sa.func.count(job_items.c.item_id)).where(queued)) or 0

    def claim(
        self, worker_id: str, *, job_id: str | None = None, except_nodes: Collection[str] = ()
    ) -> ItemRow | None:
        """Take the next item of the oldest job for a worker; None if nothing waits.

        No two workers ever get the same item: SQLite lets one write at a time, and PostgreSQL passes over rows
        that another claim has locked.

        Parameters
        ----------
        job_id
            Only an item of this job.
        except_nodes
            No item of a job that asks one of these nodes.
        """
        wanted = open_jobs().where(jobs.c.node.not_in(list(except_nodes))).order_by(jobs.c.created, jobs.c.job_id)
        if job_id is not None:
            wanted = wanted.where(jobs.c.job_id == job_id)
        now = self._state.now()
        with self._state.transaction() as connection:
            # One job after the other: there are few, and the next items of each are found without sorting them all.
            for open_job in connection.scalars(wanted).all():
                items = claim_of(connection, open_job, worker_id, now, most=1)
                if items:
                    follow(connection, open_job, now)
                    return item_row(items[0])
        return None

    def claim_share(self, worker_id: str, associations: Mapping[str, int], *, most: int) -> tuple[ItemRow, ...]:
        """Take items of the oldest job for one association: its share, so that the node's others get theirs.

        Parameters
        ----------
        associations
            How many associations each node has to spare, by name; a job of another node is passed over.
        most
            Items at once.
        """
        wanted = (
            open_jobs()
            .add_columns(jobs.c.node)
            .where(jobs.c.node.in_([n for n, spare in associations.items() if spare > 0]))
        )
        now = self._state.now()
        with self._state.transaction() as connection:
            for job_id, node in connection.execute(wanted.order_by(jobs.c.created, jobs.c.job_id)).all():
                queued = connection.scalar(sa.select(sa.func.count()).where(*of_job(job_id, QUEUED))) or 0
                share = min(most, -(-queued // associations[node]))
                items = claim_of(connection, job_id, worker_id, now, most=share) if share else []
                if items:
                    follow(connection, job_id, now)
                    return tuple(item_row(item) for item in items)
        return ()

    def progress(
        self,
        item_id: int,
        *,
        stored: int | None = None,
        received: int | None = None,
        bytes: int | None = None,  # noqa: A002 - the name of the column and of ItemOutcome
        expected: int | None = None,
    ) -> None:
        """Write down how far a running item is; what is not given stays. Nothing happens to one that has ended."""
        given = {"stored": stored, "received": received, "bytes": bytes, "expected": expected}
        values = {name: value for name, value in given.items() if value is not None}
        self._change_item(item_id, values)

    def finish_item(self, item_id: int, outcome: ItemOutcome) -> None:
        """Write down what became of an item. Nothing happens to one that has ended already.

        Raises
        ------
        InputError
            If the outcome is not final.
        NotFound
            If there is no such item.
        """
        if not outcome.state.is_final:
            raise InputError(f"An item cannot end as {outcome.state.value}.")
        values = {item.name: getattr(outcome, item.name) for item in fields(ItemOutcome)}
        values |= {"state": outcome.state.value, "missing": list(outcome.missing), "finished": self._state.now()}
        self._change_item(item_id, values)

    def request_cancel(self, job_id: str) -> None:
        """Ask for a job to end: what is queued is cancelled now, what is running is for its worker to end.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            move_items(connection, of_job(job_id, QUEUED), state=_CANCELLED, finished=now)
            ended = connection.scalar(sa.select(jobs.c.state).where(jobs.c.job_id == job_id)) in _FINAL
            follow(connection, job_id, now, **({} if ended else {"cancel_requested": True, "paused": False}))

    def is_cancel_requested(self, job_id: str) -> bool:
        """Whether somebody asked for the job to end.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.reading() as connection:
            return bool(get_job(connection, job_id).cancel_requested)

    def pause(self, job_id: str) -> None:
        """Let no more items of a job start; one that is running goes on to its end.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        self._change_job(job_id, paused=True)

    def resume(self, job_id: str) -> None:
        """Let a paused job go on.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        self._change_job(job_id, paused=False)

    def retry(self, job_id: str) -> int:
        """Queue again what failed, is not whole, or was cancelled; return how many items that are.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.transaction() as connection:
            moved = move_items(
                connection, of_job(job_id, *NOT_WHOLE), state=QUEUED, error="", finished=None, worker_id=None
            )
            follow(connection, job_id, self._state.now(), cancel_requested=False, paused=False)
            return len(moved)

    def requeue_orphans(self, alive_worker_ids: Collection[str]) -> int:
        """Queue again what runs under workers that are not alive; return how many items that are.

        Items of a job that somebody has asked to end become cancelled instead.
        """
        # Literally, so that SQLite sees that its index of the running items fits.
        is_running = job_items.c.state == sa.literal_column(f"'{RUNNING}'")
        running = (is_running, job_items.c.worker_id.not_in(list(alive_worker_ids)))
        to_cancel = job_items.c.job_id.in_(sa.select(jobs.c.job_id).where(jobs.c.cancel_requested))
        now = self._state.now()
        with self._state.transaction() as connection:
            cancelled = move_items(connection, (*running, to_cancel), state=_CANCELLED, finished=now)
            requeued = move_items(connection, running, state=QUEUED, worker_id=None)
            for job_id in sorted({*cancelled, *requeued}):
                follow(connection, job_id, now)
            return len(requeued)

    def _change_item(self, item_id: int, values: dict[str, Any]) -> None:
        now = self._state.now()
        with self._state.transaction() as connection:
            item = connection.execute(
                sa.select(job_items.c.job_id, job_items.c.state)
                .where(job_items.c.item_id == item_id)
                .with_for_update()
            ).one_or_none()
            if item is None:
                raise NotFound(f"There is no item {item_id} of any job.")
            if values and item.state not in _FINAL:
                connection.execute(job_items.update().where(job_items.c.item_id == item_id).values(values))
                if values.get("state") == JobState.COMPLETE.value:
                    note_complete(connection, item_id)
                follow(connection, item.job_id, now)

    def _change_job(self, job_id: str, **values: object) -> None:
        with self._state.transaction() as connection:
            follow(connection, job_id, self._state.now(), **values)
