"""Which items a worker takes when, and the batches that it has under way.

The hours in which nodes may be fetched from, and what is said of the jobs that wait for them.

Whether the clock of this machine was put back: what waits for a time by it would wait too long.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from qrkit.errors import StoreError
from qrkit.jobs import ItemRow, JobRow
from qrkit.node import Node
from qrkit.store.job_pauses import JobPauses
from qrkit.store.job_queue import BatchTable, JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State
from qrkit.words import duration

logger = logging.getLogger(__name__)


class ClosedNodes:
    """Knows which nodes may not be fetched from now.

    Parameters
    ----------
    now
        Gives the time of the state.
    """

    def __init__(self, pauses: JobPauses, now: Callable[[], datetime]) -> None:
        self._pauses = pauses
        self._now = now
        self._closed: frozenset[str] = frozenset()

    def includes(self, node: str) -> bool:
        """Whether a node may not be fetched from, as of the last look."""
        return node in self._closed

    def update(self, nodes: Sequence[Node]) -> None:
        """Note which nodes may not be fetched from now, and say so of the jobs that wait for them."""
        now = self._now()
        closed = {node.name: node for node in nodes if not node.is_open(now)}
        for node in closed.values():
            opening = node.next_opening(now)
            self._pauses.explain(
                node.name, f"{node.name} is fetched from at {node.retrieve_hours} only: from {opening:%a %H:%M} on."
            )
        for name in self._closed - set(closed):
            self._pauses.explain(name, "")
        self._closed = frozenset(closed)


_STEP = 2.0
"""Seconds by which a clock may be put back unnoticed, as it is all the time where it is kept right."""


class ClockMonitor:
    """Notices when a clock is put back.

    Parameters
    ----------
    now
        Gives the time by it.
    elapsed
        Seconds that never go back.
    """

    def __init__(self, now: Callable[[], datetime], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._elapsed = elapsed
        self._last = now(), elapsed()

    def seconds_set_back(self) -> float:
        """Return by how many seconds the clock was put back since the last look; 0 if it was not."""
        before, since = self._last
        self._last = now, at = self._now(), self._elapsed()
        back = (at - since) - (now - before).total_seconds()
        return back if back > _STEP else 0.0


AT_ONCE = 8
"""Batches of a worker, each with an association of its own."""

_ITEMS_IN_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunningBatch:
    """A batch under way."""

    batch_id: str
    item_ids: tuple[int, ...]


class Dispatcher:
    """Claims items for a worker and has them fetched, as many at a time as the nodes allow.

    Parameters
    ----------
    site
        Of the worker; decides which nodes it can reach.
    hours
        Of the nodes.
    fetch
        Fetches some items of a job; called in a thread of its own.
    """

    def __init__(
        self,
        state: State,
        worker_id: str,
        *,
        site: str,
        closed_nodes: ClosedNodes,
        fetch: Callable[[JobRow, Sequence[ItemRow]], None],
    ) -> None:
        self._worker_id = worker_id
        self._site = site
        self._closed_nodes = closed_nodes
        self._fetch = fetch
        self._jobs = JobTable(state)
        self._queue = JobQueue(state)
        self._batches = BatchTable(state)
        self._nodes = NodeTable(state)
        self._clock_monitor = ClockMonitor(lambda: datetime.fromisoformat(state.now()))
        self._out_of_reach: list[str] = []
        self._running: dict[Future[None], _RunningBatch] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a batch is under way, or has ended without having been looked at since."""
        return bool(self._running)

    def has_work_to_come(self) -> bool:
        """Whether something waits for its time; an unknown state is none to stay for."""
        try:
            return self._queue.has_work_to_come(except_nodes=self._out_of_reach)
        except StoreError:
            return False

    def dispatch(self, pool: Executor) -> None:
        """Start batches for as many associations as the nodes allow."""
        self._forget_ended()
        # looking first: a claim takes the write lock, ten times a second for nothing while the worker is idle
        while len(self._running) < AT_ONCE and self._queue.has_waiting(except_nodes=self._out_of_reach):
            most = self._most_associations()
            under_way = self._batches.by_node()
            full = [name for name, count in most.items() if under_way.get(name, 0) >= count]
            if full and not self._queue.has_waiting(except_nodes=[*self._out_of_reach, *full]):
                return
            batch_id = uuid4().hex
            items = self._queue.claim_share(self._worker_id, most, most=_ITEMS_IN_BATCH, batch_id=batch_id)
            if not items:
                return
            job = self._jobs.get_summary(items[0].job_id)
            begun = _RunningBatch(batch_id=batch_id, item_ids=tuple(item.item_id for item in items))
            self._running[pool.submit(self._fetch, job, items)] = begun

    def take_over(self, others: Sequence[str]) -> None:
        """Make good for workers that have died, and for what this one has lost sight of; with each heartbeat.

        Parameters
        ----------
        others
            Ids of the other workers that are alive.
        """
        self._out_of_reach = [node.name for node in self._nodes.list() if not node.is_reached_from(self._site)]
        if back := self._clock_monitor.seconds_set_back():
            logger.warning("The clock was put back by %s; what waited for a time is tried now", duration(back))
            self._queue.wake()
        # first what has ended: of the rest, what the state has as ours and we have not is lost
        self._forget_ended()
        in_hand = [item_id for begun in self._running.values() for item_id in begun.item_ids]
        self._queue.requeue_orphans(others, worker_id=self._worker_id, under_way=in_hand)
        batch_ids = [begun.batch_id for begun in self._running.values()]
        self._batches.forget_lost(others, worker_id=self._worker_id, under_way=batch_ids)

    def leave(self, others: Sequence[str]) -> None:
        """Give back all that this worker has not done, and what workers had that have died."""
        self._forget_ended()  # what it had under way is given back by it: it has not died
        self._queue.requeue_orphans([*others, self._worker_id])
        self._batches.forget_lost(others)

    def _forget_ended(self) -> None:
        """Forget the batches that have ended, having given back what they have not done."""
        for future in [one for one in self._running if one.done()]:
            begun = self._running.pop(future)
            error = future.exception()
            if isinstance(error, StoreError):
                logger.warning("What became of a batch cannot be written: %s", error)
            elif error is not None:
                logger.error("A batch ended by an error of ours", exc_info=error)
            self._queue.give_back(begun.item_ids, worker_id=self._worker_id)
            self._batches.end(begun.batch_id)

    def _most_associations(self) -> dict[str, int]:
        """Return how many associations each node allows now, removed ones too: their jobs fail and say so."""
        known = self._nodes.list(include_removed=True)
        nodes = [node for node in known if node.is_reached_from(self._site)]
        self._closed_nodes.update(nodes)
        return {node.name: 0 if self._closed_nodes.includes(node.name) else node.associations for node in nodes}
