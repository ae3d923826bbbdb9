"""The workers that run retrieve jobs, and their heartbeats."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from qrkit.errors import NotFound
from qrkit.store.schema import workers
from qrkit.store.state import StateTable, as_text, value_of

RUNNING, LEFT, DEAD = "running", "left", "dead"

_KEPT = timedelta(days=30)
"""How long a worker that has ended stays listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorker:
    """A worker that starts."""

    host: str
    pid: int
    ae_title: str  # of its Storage SCP
    port: int  # of its Storage SCP
    site: str = ""  # its place, as its settings name it, which decides which nodes it can reach
    service: bool = False  # whether it stays for schedules; otherwise it exits when idle
    disk: str = ""  # identifies the disk of its received objects


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow(NewWorker):
    """A worker in the state; times are UTC, ISO 8601."""

    worker_id: str
    started: str
    heartbeat: str
    state: str  # running, left, or dead if others see no sign of life


class WorkerTable(StateTable):
    """The workers of a workspace."""

    def register(self, worker_id: str, station: NewWorker) -> None:
        """Write down that a worker has started; its id is its own, such as a UUID."""
        now = self._state.now()
        values = asdict(station) | {"worker_id": worker_id, "started": now, "heartbeat": now, "state": RUNNING}
        with self._state.transaction() as connection:
            connection.execute(workers.insert().values(values))

    def heartbeat(self, worker_id: str) -> None:
        """Write down that a worker is alive. Raises NotFound if it never registered."""
        self._update(worker_id, state=RUNNING)

    def leave(self, worker_id: str) -> None:
        """Write down that a worker has ended. Raises NotFound if it never registered."""
        self._update(worker_id, state=LEFT)

    def mark_dead(self, alive_worker_ids: Collection[str]) -> None:
        """Write down that the others have died, and forget those that ended long ago.

        One that was only out of reach runs again with its next heartbeat.
        """
        long_ago = as_text(datetime.fromisoformat(self._state.now()) - _KEPT)
        are_dead = sa.and_(workers.c.state == RUNNING, workers.c.worker_id.not_in(list(alive_worker_ids)))
        are_old = sa.and_(workers.c.state != RUNNING, workers.c.heartbeat < long_ago)
        if not self._state.has(workers, sa.or_(are_dead, are_old)):  # a worker looks often, and seldom finds any
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

    def _rows(self, *which: sa.ColumnElement[bool], limit: int | None = None) -> tuple[WorkerRow, ...]:
        wanted = sa.select(workers).where(*which).order_by(workers.c.started.desc(), workers.c.worker_id)
        return tuple(value_of(WorkerRow, row) for row in self._state.rows(wanted.limit(limit)))

    def last(self, host: str, site: str) -> WorkerRow | None:
        """Return the worker that was started last on a machine for a site, whatever its state."""
        return next(iter(self._rows(workers.c.host == host, workers.c.site == site, limit=1)), None)

    def _update(self, worker_id: str, *, state: str) -> None:
        with self._state.transaction() as connection:
            changed = connection.execute(
                workers.update()
                .where(workers.c.worker_id == worker_id)
                .values(heartbeat=self._state.now(), state=state)
            )
            if changed.rowcount != 1:
                raise NotFound(f"There is no worker {worker_id!r}.", advice="A worker registers before it runs.")
