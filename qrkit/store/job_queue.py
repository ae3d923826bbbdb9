"""The queue of retrieve items: which may start, which worker claims them, which are given back, and why jobs wait.

Workers claim items in batches, each with one association to its node. A node limits the associations of all workers
together, so a batch counts from the transaction that claims its items until its worker ends it or dies. The progress
of claimed items is in `qrkit.store.job_progress`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from qrkit.jobs import ItemRow, JobRow, JobState, PausedBy, still_to_come
from qrkit.store.job_transitions import (
    IS_RUNNING,
    QUEUED,
    RUNNING,
    active_jobs,
    claim_of,
    claimable,
    due,
    due_between,
    far_from,
    follow,
    get_job,
    give_back,
    give_up_deadly,
)
from qrkit.store.jobs import item_row, job_row
from qrkit.store.schema import batches, handler_runs, job_items, jobs, nodes, workers
from qrkit.store.state import StateTable

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


class BatchTable(StateTable):
    """The batches under way in a workspace."""

    def by_node(self) -> Mapping[str, int]:
        """Return how many there are of each node that has any."""
        with self._state.reading() as connection:
            return _by_node(connection)

    def of_job(self, job_id: str) -> int:
        """Return how many there are of a job."""
        return self._state.count(batches, batches.c.job_id == job_id)

    def end(self, batch_id: str) -> None:
        """Forget one that has ended; nothing happens if it is forgotten already."""
        with self._state.transaction() as connection:
            connection.execute(batches.delete().where(batches.c.batch_id == batch_id))

    def forget_lost(
        self, alive_worker_ids: Collection[str], *, worker_id: str = "", under_way: Collection[str] = ()
    ) -> None:
        """Forget those of workers that are not alive.

        The worker that asks gives its `worker_id` and the ids of its batches under way; its other batches are
        forgotten, too.
        """
        is_lost = sa.or_(
            batches.c.worker_id.not_in([*alive_worker_ids, worker_id]),
            sa.and_(batches.c.worker_id == worker_id, batches.c.batch_id.not_in(list(under_way))),
        )
        if not self._state.has(batches, is_lost):  # a worker looks often, and seldom finds any
            return
        with self._state.transaction() as connection:
            connection.execute(batches.delete().where(is_lost))


def spare_associations(connection: sa.Connection, most: Mapping[str, int]) -> dict[str, int]:
    """Return how many associations each node has to spare, for the transaction that is open.

    On PostgreSQL the nodes are locked until it ends, always in the same order, so that no two workers take the last
    one; on SQLite the whole state is. `most` has the number that each node allows, by name.
    """
    names = [name for name, count in most.items() if count > 0]
    connection.execute(
        sa.select(nodes.c.node_id).where(nodes.c.name.in_(names)).order_by(nodes.c.node_id).with_for_update()
    ).all()
    under_way = _by_node(connection)
    return {name: most[name] - under_way.get(name, 0) for name in names}


def _by_node(connection: sa.Connection) -> dict[str, int]:
    wanted = sa.select(batches.c.node, sa.func.count().label("count")).group_by(batches.c.node)
    return {row.node: int(row[1]) for row in connection.execute(wanted)}


class JobQueue(StateTable):
    """The waiting items of a workspace, for any number of workers; no two ever claim the same item."""

    def waiting(self, *, except_nodes: Collection[str] = ()) -> int:
        """Return how many items could be claimed now, leaving out those of some nodes."""
        now = self._state.now()
        open_jobs = sa.select(jobs.c.job_id).where(
            *active_jobs(), due(jobs.c.not_before, now), jobs.c.node.not_in(list(except_nodes))
        )
        is_open = (job_items.c.state == QUEUED, due(job_items.c.not_before, now), job_items.c.job_id.in_(open_jobs))
        return self._state.count(job_items, *is_open)

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
        return self._state.has(job_items, job_items.c.state == QUEUED, job_items.c.job_id.in_(to_come))

    def claim_share(
        self, worker_id: str, associations: Mapping[str, int], *, most: int, batch_id: str = ""
    ) -> tuple[ItemRow, ...]:
        """Take items of one job for one association: its share, so that the node's others get theirs.

        The job of the highest priority goes first; among those, the one that was served longest ago. SQLite lets one
        worker claim at a time, and PostgreSQL passes over rows that another claim has locked.

        `associations` has the number that each node allows to all workers together, by name; jobs of other nodes are
        skipped. At most `most` items are taken. The association is counted under `batch_id` until `BatchTable.end`;
        without a `batch_id` it is not counted.
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
                        batch = {"batch_id": batch_id, "worker_id": worker_id, "node": node, "job_id": job_id}
                        connection.execute(batches.insert().values(**batch, began=now))
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

        Items of a job that a user has cancelled become cancelled instead. One whose worker died again and again,
        without a new object in between, ends: it may be what kills them, and the others continue. The worker that
        asks gives its `worker_id` and the ids of its items under way. Its other items, whose end could not be written
        to the state, are queued again, too.
        """
        dead = job_items.c.worker_id.not_in([*alive_worker_ids, worker_id])
        lost = sa.and_(job_items.c.worker_id == worker_id, job_items.c.item_id.not_in(list(under_way)))
        now = self._state.now()
        with self._state.transaction() as connection:
            give_up_deadly(connection, (dead,), now)
            given_back = give_back(connection, (dead,), now, deaths=job_items.c.deaths + 1)
            return len([*given_back, *give_back(connection, (lost,), now)])


class JobPauses(StateTable):
    """The jobs of a workspace that qrkit has paused; they resume automatically."""

    def pause_for_disk(self, job_id: str, reason: str, *, disk: str = "") -> None:
        """Pause a job until a disk has space again; a paused job is left as it is.

        Raises NotFound if there is no such job.
        """
        with self._state.transaction() as connection:
            job = get_job(connection, job_id)
            if not (job.paused or job.cancel_requested or JobState(job.state).is_final):
                values = {"paused": True, "paused_by": PausedBy.DISK.value, "reason": reason, "rests_on": disk}
                follow(connection, job_id, self._state.now(), **values)

    def paused_for_disk(self, disk: str = "") -> tuple[JobRow, ...]:
        """Return the jobs that are paused for space on this or an unknown disk, without their items."""
        mine = jobs.c.rests_on.in_(("", disk))
        wanted = sa.select(jobs).where(jobs.c.paused_by == PausedBy.DISK.value, jobs.c.paused, mine)
        return tuple(map(job_row, self._state.rows(wanted.order_by(jobs.c.created))))

    def resume_from_disk(self, job_id: str) -> None:
        """Resume a job that was paused for disk space. Raises NotFound if there is no such job."""
        with self._state.transaction() as connection:
            if get_job(connection, job_id).paused_by == PausedBy.DISK.value:
                follow(connection, job_id, self._state.now(), paused=False, paused_by="", reason="")

    def bytes_to_come(self, disk: str = "", *, before: JobRow | None = None) -> int:
        """Return how many bytes the jobs that run will still bring here, by their estimates.

        Jobs that workers with another `disk` are retrieving are not counted. With `before`, only jobs that were
        created before that job are counted.
        """
        wanted = sa.select(jobs).where(
            *active_jobs(), jobs.c.state == RUNNING, jobs.c.destination == "", _not_elsewhere(disk)
        )
        if before is not None:
            wanted = wanted.where(sa.tuple_(jobs.c.created, jobs.c.job_id) < (before.created, before.job_id))
        return sum(still_to_come(job_row(job)) for job in self._state.rows(wanted))

    def explain(self, node: str, reason: str) -> None:
        """Set the reason why the jobs of a node wait; empty: not because of the node."""
        busy = sa.select(job_items.c.job_id).where(IS_RUNNING)
        which = (
            *active_jobs(),
            jobs.c.node == node,
            jobs.c.reason != reason,
            jobs.c.job_id.not_in(busy),
            jobs.c.not_before.is_(None),
        )
        if not self._state.has(jobs, *which):  # a worker looks often, and seldom has news
            return
        with self._state.transaction() as connection:
            connection.execute(jobs.update().where(*which).values(reason=reason))


def _not_elsewhere(disk: str) -> sa.ColumnElement[bool]:
    """Return the condition that no worker of another disk fetches a job just now."""
    elsewhere = (
        sa.select(job_items.c.job_id)
        .join(workers, workers.c.worker_id == job_items.c.worker_id)
        .where(IS_RUNNING, workers.c.disk.not_in(("", disk)))
    )
    return jobs.c.job_id.not_in(elsewhere)
