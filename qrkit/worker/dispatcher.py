"""The dispatcher of a worker: claims items as the nodes allow, and keeps the batches that are running.

It skips nodes outside their retrieve hours. If the clock is set back, waiting items are tried at once.
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
from qrkit.store.job_queue import BatchTable, JobPauses, JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State
from qrkit.words import duration

logger = logging.getLogger(__name__)


class ClosedNodes:
    """The nodes that are outside their retrieve hours now, by the clock of the state."""

    def __init__(self, pauses: JobPauses, now: Callable[[], datetime]) -> None:
        self._pauses = pauses
        self._now = now
        self._closed: frozenset[str] = frozenset()

    def includes(self, node: str) -> bool:
        """Whether a node was outside its retrieve hours at the last update."""
        return node in self._closed

    def update(self, nodes: Sequence[Node]) -> None:
        """Find the nodes outside their hours, and set the reason of the jobs that wait for them."""
        now = self._now()
        closed = {node.name: node for node in nodes if not node.is_open(now)}
        for node in closed.values():
            opening = node.next_opening(now)
            self._pauses.explain(
                node.name,
                f"{node.name} allows retrieves at {node.retrieve_hours} only: waiting until {opening:%a %H:%M}.",
            )
        for name in self._closed - set(closed):
            self._pauses.explain(name, "")
        self._closed = frozenset(closed)


_STEP = 2.0
"""Seconds by which a clock may be set back unnoticed, as time synchronisation does all the time."""


class ClockMonitor:
    """Detects that a clock is set back, against seconds that never go back."""

    def __init__(self, now: Callable[[], datetime], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._elapsed = elapsed
        self._last = now(), elapsed()

    def seconds_set_back(self) -> float:
        """Return the seconds by which the clock was set back since the last call; 0 if it was not."""
        before, since = self._last
        self._last = now, at = self._now(), self._elapsed()
        back = (at - since) - (now - before).total_seconds()
        return back if back > _STEP else 0.0


AT_ONCE = 8
"""Maximum number of batches of a worker, each with its own association."""

_ITEMS_IN_BATCH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunningBatch:
    """A batch under way."""

    batch_id: str
    item_ids: tuple[int, ...]


class Dispatcher:
    """Claims items for a worker and starts their retrieve, as many at a time as the nodes allow.

    The site decides which nodes the worker can reach. `fetch` retrieves some items of a job, in a thread of its own.
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
        """Whether a batch is running, or has ended since the last check."""
        return bool(self._running)

    def has_work_to_come(self) -> bool:
        """Whether items wait for a later time; False if the state cannot be read."""
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
        """Requeue the items of dead workers, and those that this worker has lost; called with each heartbeat."""
        self._out_of_reach = [node.name for node in self._nodes.list() if not node.is_reached_from(self._site)]
        if back := self._clock_monitor.seconds_set_back():
            logger.warning("The clock was set back by %s; waiting items are tried now", duration(back))
            self._queue.wake()
        # ended batches first: of the rest, items that the state has as ours and we do not have are lost
        self._forget_ended()
        in_hand = [item_id for begun in self._running.values() for item_id in begun.item_ids]
        self._queue.requeue_orphans(others, worker_id=self._worker_id, under_way=in_hand)
        batch_ids = [begun.batch_id for begun in self._running.values()]
        self._batches.forget_lost(others, worker_id=self._worker_id, under_way=batch_ids)

    def leave(self, others: Sequence[str]) -> None:
        """Give back the unfinished items of this worker and of dead workers."""
        self._forget_ended()  # its own running batches give back their items
        self._queue.requeue_orphans([*others, self._worker_id])
        self._batches.forget_lost(others)

    def _forget_ended(self) -> None:
        """Forget ended batches, after giving back their unfinished items."""
        for future in [one for one in self._running if one.done()]:
            begun = self._running.pop(future)
            error = future.exception()
            if isinstance(error, StoreError):
                logger.warning("The outcome of a batch cannot be written: %s", error)
            elif error is not None:
                logger.error("A batch ended by an error of ours", exc_info=error)
            self._queue.give_back(begun.item_ids, worker_id=self._worker_id)
            self._batches.end(begun.batch_id)

    def _most_associations(self) -> dict[str, int]:
        """Return the number of associations that each node allows now, with removed nodes, whose jobs must fail."""
        known = self._nodes.list(include_removed=True)
        nodes = [node for node in known if node.is_reached_from(self._site)]
        self._closed_nodes.update(nodes)
        return {node.name: 0 if self._closed_nodes.includes(node.name) else node.associations for node in nodes}
