"""The batches under way, each with one association to its node, whichever worker runs them.

A node allows so many associations to all workers together. A batch is counted from the transaction in which its items
are claimed until its worker says that it has ended, or has died.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from qrkit.store.schema import batches, nodes
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
