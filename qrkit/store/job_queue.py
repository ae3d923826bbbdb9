"""The queue of retrieve items: which may start, which worker claims them, and which are given back.

Workers claim items in batches, each with one association to its node. A node limits the associations of all workers
together, so a batch counts from the transaction that claims its items until its worker ends it or dies. The progress
of claimed items is in `qrkit.store.job_progress`, paused jobs are in `qrkit.store.job_pauses`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from qrkit.jobs import ItemRow, JobState, PausedBy
from qrkit.store.job_transitions import (
    QUEUED,
    RUNNING,
    active_jobs,
    claim_of,
    claimable,
    due,
    due_between,
    far_from,
    follow,
    give_back,
    give_up_deadly,
)
from qrkit.store.jobs import item_row
from qrkit.store.schema import batches, handler_runs, job_items, jobs, nodes
from qrkit.store.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A batch that is to begin.

    Attributes
    ----------
    batch_id
        Its own, such as a UUID.
    """

    batch_id: str
    worker_id: str


class BatchTable:
    """The batches under way in a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def by_node(self) -> Mapping[str, int]:
        """Return how many there are of each node that has any."""
        with self._state.reading() as connection:
            return _by_node(connection)

    def of_job(self, job_id: str) -> int:
        """Return how many there are of a job."""
        wanted = sa.select(sa.func.count()).select_from(batches).where(batches.c.job_id == job_id)
        with self._state.reading() as connection:
            return connection.scalar(wanted) or 0

    def end(self, batch_id: str) -> None:
        """Forget one that has ended; nothing happens if it is forgotten already."""
        with self._state.transaction() as connection:
            connection.execute(batches.delete().where(batches.c.batch_id == batch_id))

    def forget_lost(
        self, alive_worker_ids: Collection[str], *, worker_id: str = "", under_way: Collection[str] = ()
    ) -> None:
        """Forget those of workers that are not alive.

        Parameters
        ----------
        worker_id, under_way
            Of the worker that asks: the ids of those it has in hand; the others of its own are forgotten, too.
        """
        is_lost = sa.or_(
            batches.c.worker_id.not_in([*alive_worker_ids, worker_id]),
            sa.and_(batches.c.worker_id == worker_id, batches.c.batch_id.not_in(list(under_way))),
        )
        with self._state.reading() as connection:  # a worker looks often, and seldom finds any
            if connection.execute(sa.select(batches.c.batch_id).where(is_lost).limit(1)).first() is None:
                return
        with self._state.transaction() as connection:
            connection.execute(batches.delete().where(is_lost))


def spare_associations(connection: sa.Connection, most: Mapping[str, int]) -> dict[str, int]:
    """Return how many associations each node has to spare, for the transaction that is open.

    On PostgreSQL the nodes are locked until it ends, always in the same order, so that no two workers take the last
    one; on SQLite the whole state is.

    Parameters
    ----------
    most
        How many each node allows, by name.
    """
    names = [name for name, count in most.items() if count > 0]
    connection.execute(
        sa.select(nodes.c.node_id).where(nodes.c.name.in_(names)).order_by(nodes.c.node_id).with_for_update()
    ).all()
    under_way = _by_node(connection)
    return {name: most[name] - under_way.get(name, 0) for name in names}


def begin(connection: sa.Connection, batch: NewBatch, *, node: str, job_id: str, now: str) -> None:
    """Count a batch from now on."""
    values = {"batch_id": batch.batch_id, "worker_id": batch.worker_id, "node": node, "job_id": job_id, "began": now}
    connection.execute(batches.insert().values(values))


def _by_node(connection: sa.Connection) -> dict[str, int]:
    wanted = sa.select(batches.c.node, sa.func.count().label("count")).group_by(batches.c.node)
    return {row.node: int(row[1]) for row in connection.execute(wanted)}


_NOW, _FAR = sa.bindparam("now", type_=sa.String), sa.bindparam("far", type_=sa.String)
_SOMETHING_WAITS = (
    sa.select(jobs.c.job_id)
    .where(
        *active_jobs(),
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


class JobQueue:
    """The waiting items of a workspace, for any number of workers; no two ever claim the same item."""

    def __init__(self, state: State) -> None:
        self._state = state

    def waiting(self, *, except_nodes: Collection[str] = ()) -> int:
        """Return how many items could be claimed now, leaving out those of some nodes."""
        now = self._state.now()
        open_jobs = sa.select(jobs.c.job_id).where(
            *active_jobs(), due(jobs.c.not_before, now), jobs.c.node.not_in(list(except_nodes))
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
            .where(*active_jobs(), due(jobs.c.not_before, now))
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

    def wake(self) -> None:
        """Let all that waits for another try have it now: items, jobs, and what is done after arrival."""
        now = self._state.now()
        with self._state.transaction() as connection:
            for table in (job_items, jobs):
                connection.execute(table.update().where(table.c.not_before.is_not(None)).values(not_before=None))
            connection.execute(handler_runs.update().where(handler_runs.c.due > now).values(due=now))

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
            given_back = give_back(connection, (dead,), now, deaths=job_items.c.deaths + 1)
            return len([*given_back, *give_back(connection, (lost,), now)])

    def _count(self, *which: sa.ColumnElement[bool]) -> int:
        wanted = sa.select(sa.func.count(job_items.c.item_id)).where(job_items.c.state == QUEUED, *which)
        with self._state.reading() as connection:
            return connection.scalar(wanted) or 0
