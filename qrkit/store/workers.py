"""The workers that run retrieve jobs, and their heartbeats."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta

import sqlalchemy as sa

from qrkit.errors import NotFound
from qrkit.store.schema import workers
from qrkit.store.state import State, as_text

RUNNING, LEFT, DEAD = "running", "left", "dead"

_KEPT = timedelta(days=30)
"""How long a worker that has ended stays listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One worker.

    Attributes
    ----------
    host, pid
        Of its process.
    ae_title, port
        Of its Storage SCP.
    started, heartbeat
        UTC, ISO 8601.
    state
        ``running``, ``left``, or ``dead``: others saw no sign of life any more.
    site
        Where it is, as its settings call it; decides which nodes it can reach.
    service
        Whether it stays, so that what recurs finds it; else it leaves when idle.
    disk
        Tells the disk on which it keeps what it receives from those of other sites.
    """

    worker_id: str
    host: str
    pid: int
    ae_title: str
    port: int
    started: str
    heartbeat: str
    state: str
    site: str = ""
    service: bool = False
    disk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorker:
    """The row of a worker that starts; see `WorkerRow`."""

    host: str
    pid: int
    ae_title: str
    port: int
    site: str = ""
    service: bool = False
    disk: str = ""


_FIELDS = tuple(item.name for item in fields(WorkerRow))


class WorkerTable:
    """The workers of a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def register(self, worker_id: str, station: NewWorker) -> None:
        """Write down that a worker has started; its id is its own, such as a UUID."""
        now = self._state.now()
        values = asdict(station) | {"worker_id": worker_id, "started": now, "heartbeat": now, "state": RUNNING}
        with self._state.transaction() as connection:
            connection.execute(workers.insert().values(values))

    def heartbeat(self, worker_id: str) -> None:
        """Write down that a worker is alive.

        Raises
        ------
        NotFound
            If it never registered.
        """
        self._update(worker_id, state=RUNNING)

    def leave(self, worker_id: str) -> None:
        """Write down that a worker has ended.

        Raises
        ------
        NotFound
            If it never registered.
        """
        self._update(worker_id, state=LEFT)

    def mark_dead(self, alive_worker_ids: Collection[str]) -> None:
        """Write down that the others have died, and forget those that ended long ago.

        One that was only out of reach runs again with its next heartbeat.
        """
        long_ago = as_text(datetime.fromisoformat(self._state.now()) - _KEPT)
        are_dead = sa.and_(workers.c.state == RUNNING, workers.c.worker_id.not_in(list(alive_worker_ids)))
        are_old = sa.and_(workers.c.state != RUNNING, workers.c.heartbeat < long_ago)
        with self._state.reading() as connection:  # a worker looks often, and seldom finds any
            wanted = sa.select(workers.c.worker_id).where(sa.or_(are_dead, are_old)).limit(1)
            if connection.execute(wanted).first() is None:
                return
        with self._state.transaction() as connection:
            connection.execute(workers.update().where(are_dead).values(state=DEAD))
            connection.execute(workers.delete().where(are_old))

    def running(self) -> tuple[WorkerRow, ...]:
        """Return the workers that have not left, newest first; some may have died just now."""
        return self._rows(workers.c.state == RUNNING)

    def alive(self, max_age_seconds: float) -> tuple[WorkerRow, ...]:
        """Return those whose last heartbeat is not older by the clock of this machine, newest first."""
        limit = as_text(datetime.fromisoformat(self._state.now()) - timedelta(seconds=max_age_seconds))
        return self._rows(workers.c.state == RUNNING, workers.c.heartbeat >= limit)

    def _rows(self, *which: sa.ColumnElement[bool]) -> tuple[WorkerRow, ...]:
        wanted = (
            sa.select(*(workers.c[name] for name in _FIELDS))
            .where(*which)
            .order_by(workers.c.started.desc(), workers.c.worker_id)
        )
        with self._state.reading() as connection:
            rows = connection.execute(wanted).all()
        return tuple(WorkerRow(**dict(zip(_FIELDS, row, strict=True))) for row in rows)

    def last(self, host: str, site: str) -> WorkerRow | None:
        """Return the worker that was started last on a machine for a site, whatever its state."""
        wanted = (
            sa.select(*(workers.c[name] for name in _FIELDS))
            .where(workers.c.host == host, workers.c.site == site)
            .order_by(workers.c.started.desc())
            .limit(1)
        )
        with self._state.reading() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else WorkerRow(**dict(zip(_FIELDS, row, strict=True)))

    def _update(self, worker_id: str, *, state: str) -> None:
        with self._state.transaction() as connection:
            changed = connection.execute(
                workers.update()
                .where(workers.c.worker_id == worker_id)
                .values(heartbeat=self._state.now(), state=state)
            )
            if changed.rowcount != 1:
                raise NotFound(f"There is no worker {worker_id!r}.", advice="A worker registers before it runs.")
