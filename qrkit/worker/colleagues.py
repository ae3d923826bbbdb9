"""Which other workers of a workspace are alive, by what is seen of them here.

Nothing compares the clocks of two machines, which may be minutes apart: a worker is alive whose heartbeat changes.
One on this machine is known by its process, at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from qrkit.store.workers import WorkerRow
from qrkit.worker.health import DEAD_AFTER, seems_to_run


class Colleagues:
    """The other workers; of one that is seen for the first time it is assumed that it lives.

    Parameters
    ----------
    worker_id
        Of the worker that looks.
    running
        Gives the rows of all workers that have not left.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        worker_id: str,
        running: Callable[[], Sequence[WorkerRow]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker_id = worker_id
        self._running = running
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked = 0.0

    def alive(self) -> list[str]:
        """Return the ids of those that are alive; to be asked more often than each `DEAD_AFTER` seconds."""
        now = self._clock()
        if now - self._looked > DEAD_AFTER / 2:  # the state was gone for a while, for the others as well
            self._seen.clear()
        self._looked = now
        others = [row for row in self._running() if row.worker_id != self._worker_id]
        return [row.worker_id for row in others if self._is_alive(row, now)]

    def _is_alive(self, row: WorkerRow, now: float) -> bool:
        heartbeat, since = self._seen.get(row.worker_id, ("", now))
        if heartbeat != row.heartbeat:
            since = now
            self._seen[row.worker_id] = (row.heartbeat, since)
        return now - since <= DEAD_AFTER and seems_to_run(row)
