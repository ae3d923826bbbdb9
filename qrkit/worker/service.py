"""The worker of a workspace on this station: claims items of jobs, runs them, and owns the Storage SCP."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from filelock import FileLock, Timeout

from qrkit import errors
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.job import ItemOutcome, ItemRow, JobRow, JobState, RetryPolicy
from qrkit.node import Node
from qrkit.settings import Settings
from qrkit.store.batches import BatchTable
from qrkit.store.files import FileStore
from qrkit.store.instances import InstanceTable
from qrkit.store.job_late import LateObjects
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State
from qrkit.store.workers import Station, WorkerTable
from qrkit.tls import Tls
from qrkit.worker.admission import ActiveItems
from qrkit.worker.arrivals import Arrivals
from qrkit.worker.batch import Batch, Watch
from qrkit.worker.beside import Companion
from qrkit.worker.colleagues import Colleagues
from qrkit.worker.destinations import Destination, StoreNodeDestination, WorkspaceDestination
from qrkit.worker.held import Held
from qrkit.worker.logs import keep_errors_small
from qrkit.worker.methods import is_out_of_reach
from qrkit.worker.receiving import Assignment
from qrkit.worker.reception import Reception
from qrkit.worker.room import Room
from qrkit.worker.starting import lock_path
from qrkit.worker.verdicts import Verdicts
from qrkit.worker.watching import Watcher

logger = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two signs of life."""

_AT_ONCE = 8
_ITEMS_IN_BATCH = 50
_LATE_HOURS = 24.0
_POLL = 0.1
_LOCK_PATIENCE = 1.0  # who only looks whether there is a worker holds the lock for a moment


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay:
    """A batch under way."""

    batch_id: str
    node: str
    item_ids: tuple[int, ...]


class Worker:
    """Runs the jobs of a workspace until it is stopped, or has had nothing to do for a while.

    Parameters
    ----------
    needs_scp
        Whether a Storage SCP that cannot listen is an error; else jobs go on by C-GET alone.
    beside
        What it runs beside its retrieves.
    """

    def __init__(
        self, settings: Settings, state: State, *, needs_scp: bool = True, beside: Sequence[Companion] = ()
    ) -> None:
        self._settings = settings
        self._jobs = JobTable(state)
        self._queue = JobQueue(state)
        self._batches = BatchTable(state)
        self._nodes = NodeTable(state)
        self._workers = WorkerTable(state)
        self._instances = InstanceTable(state)
        self._worker_id = uuid4().hex
        self._colleagues = Colleagues(self._worker_id, self._workers.running)
        self._known_others: frozenset[str] = frozenset()
        self._needs_scp = needs_scp
        self._beside = tuple(beside)
        self._out_of_reach: list[str] = []
        self._active = ActiveItems()
        self._late = LateObjects(state)
        self._files = FileStore(settings.files, free_space_floor=settings.free_space_floor)
        self._arrivals = Arrivals(
            self._files,
            self._active,
            add_rows=self._instances.add_many,
            count_late=self._count_late,
            node_name=self._node_name,
            keep_unsolicited=settings.unsolicited == "keep",
        )
        self._scp_error: errors.QrkitError | None = None
        self._scp: StorageScp | None = None
        self._stopping = threading.Event()
        self._ending = threading.Event()
        self._running: dict[Future[None], _UnderWay] = {}
        policy = RetryPolicy(most=settings.retries, first=settings.retry_pause)
        self._state = state
        self._verdicts = Verdicts(self._queue, self._worker_id, policy, self._now)
        self._room = Room(self._files, self._queue, floor=settings.free_space_floor)
        self._closed: set[str] = set()

    def stop(self) -> None:
        """Have `run` return soon: what is under way goes back to the queue."""
        self._stopping.set()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self._stopping.is_set()

    def run(self, *, idle_exit: float | None = None) -> None:
        """Run jobs.

        Parameters
        ----------
        idle_exit
            Seconds without anything to do after which to return; None: only when stopped.

        Raises
        ------
        WorkerError
            If another worker runs this workspace on this station.
            Or if the state was taken away under it.
        PortInUse
            If the Storage SCP cannot listen, and is needed.
        """
        with ExitStack() as stack:
            self._lock(stack)
            self._arrivals.start()
            stack.callback(self._arrivals.stop)
            port = self._start_scp(stack)
            self._workers.register(self._worker_id, self._station(port, stays=idle_exit is None))
            stack.callback(self._leave)
            logger.info("Worker %s runs; Storage SCP %s on port %d", self._worker_id, self._settings.ae_title, port)
            pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="retrieve"))
            _start_threads(pool)
            stack.callback(self._halt)
            self._files.sweep()
            self._expect_late()
            for companion in self._beside:
                companion.start(self._worker_id)
                stack.callback(companion.stop)
            self._serve(pool, idle_exit)

    def _station(self, port: int, *, stays: bool) -> Station:
        return Station(
            host=socket.gethostname(),
            pid=os.getpid(),
            ae_title=self._settings.ae_title,
            port=port,
            site=self._settings.site,
            service=stays,
        )

    def _expect_late(self) -> None:
        """Take what items lacked when an earlier worker ended them."""
        for node, item in self._late.lacking(hours=_LATE_HOURS):
            self._active.expect_late(item, item.outcome.missing, node=node)

    def _count_late(self, item_id: int, uids: Collection[str], size: int) -> None:
        self._late.count(item_id, uids, size=size)

    def _halt(self) -> None:
        """Have the batches under way end, and give back what they have not done."""
        self._ending.set()

    def _lock(self, stack: ExitStack) -> None:
        lock = FileLock(lock_path(self._settings.workspace, self._settings.site))
        try:
            stack.enter_context(lock.acquire(timeout=_LOCK_PATIENCE))
        except Timeout as error:
            raise errors.WorkerError(
                f"Another worker runs the workspace {self._settings.workspace} on this machine.",
                advice="There is one at a time; stop that one first.",
            ) from error

    def _start_scp(self, stack: ExitStack) -> int:
        listener = listener_of(self._settings)
        assignment = Assignment(
            listener=listener, files=self._settings.files, free_space_floor=self._settings.free_space_floor
        )
        reception = Reception(assignment, self._arrivals.receiver_for_caller, self._files.sweep)
        scp = StorageScp(listener, self._arrivals.receiver_for_caller, aside=reception)
        try:
            stack.enter_context(reception)
            stack.enter_context(scp)
        except (errors.PortInUse, errors.InputError) as error:
            if self._needs_scp:
                raise
            logger.warning("%s", error)
            self._scp_error = error
            return 0
        self._scp = scp
        return scp.port

    def _serve(self, pool: ThreadPoolExecutor, idle_exit: float | None) -> None:
        beat, busy_until = 0.0, time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            try:
                if now - beat >= HEARTBEAT:
                    self._beat()
                    beat = now
                self._dispatch(pool)
            except errors.StoreError:  # the database may come back; jobs wait meanwhile
                logger.exception("The state cannot be used")
                self._stopping.wait(HEARTBEAT)
            if self._running or any(companion.is_busy for companion in self._beside):
                busy_until = now
            elif idle_exit is not None and now - busy_until > idle_exit:
                if not self._has_work_to_come():
                    return
                busy_until = now
            self._stopping.wait(_POLL)

    def _beat(self) -> None:
        if self._state.is_replaced():
            message = f"The state of {self._settings.workspace} was deleted, moved or replaced under the worker."
            logger.critical("%s", message)
            raise errors.WorkerError(message, advice="Start the worker again, and stop it before the next restore.")
        if self._scp is not None and self._scp.is_stuck():
            message = "The Storage SCP takes no connections any more, probably for want of memory."
            logger.critical("%s", message)
            raise errors.WorkerError(message, advice="Start the worker again, with more memory; its jobs go on.")
        site = self._settings.site
        self._out_of_reach = [node.name for node in self._nodes.list() if not node.is_reached_from(site)]
        self._workers.heartbeat(self._worker_id)
        # first what has ended: of the rest, what the state has as ours and we have not is lost
        self._forget_ended()
        in_hand = [item_id for under_way in self._running.values() for item_id in under_way.item_ids]
        others = self._colleagues.alive()
        if not self._known_others.issubset(others):
            self._files.sweep()  # what one that was killed left half written; nobody may follow it
        self._known_others = frozenset(others)
        self._queue.requeue_orphans(others, worker_id=self._worker_id, under_way=in_hand)
        batch_ids = [under_way.batch_id for under_way in self._running.values()]
        self._batches.forget_lost(others, worker_id=self._worker_id, under_way=batch_ids)
        self._room.resume_jobs()
        alive = [*others, self._worker_id]
        self._workers.bury(alive)
        keep_errors_small(self._settings.workspace)
        for companion in self._beside:
            companion.tend(alive)

    def _has_work_to_come(self) -> bool:
        """Whether something waits for its time; an unknown state is none to stay for."""
        try:
            return self._queue.has_work_to_come(except_nodes=self._out_of_reach)
        except errors.StoreError:
            return False

    def _leave(self) -> None:
        with suppress(errors.StoreError):  # another worker finds out by the missing heartbeat
            self._forget_ended()  # what it had under way is given back by it: it has not died
            others = self._colleagues.alive()
            self._queue.requeue_orphans([*others, self._worker_id])
            self._batches.forget_lost(others)
            self._workers.leave(self._worker_id)

    def _dispatch(self, pool: ThreadPoolExecutor) -> None:
        """Start batches for as many associations as the nodes allow."""
        self._forget_ended()
        # looking first: a claim takes the write lock, ten times a second for nothing while the worker is idle
        while len(self._running) < _AT_ONCE and self._queue.has_waiting(except_nodes=self._out_of_reach):
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
            watcher = self._watcher(job)
            ids = tuple(item.item_id for item in items)
            begun = _UnderWay(batch_id=batch_id, node=job.node, item_ids=ids)
            self._running[pool.submit(self._run_batch, job, items, watcher)] = begun

    def _watcher(self, job: JobRow) -> Watcher:
        return Watcher(
            self._queue,
            job.job_id,
            self._ending,
            node_is_closed=lambda: job.node in self._closed,
            has_no_room=self._room.is_gone if not job.destination else lambda: False,
            worker_id=self._worker_id,
        )

    def _now(self) -> datetime:
        return datetime.fromisoformat(self._state.now())

    def _forget_ended(self) -> None:
        """Forget the batches that have ended, having given back what they have not done."""
        for future in [one for one in self._running if one.done()]:
            under_way = self._running.pop(future)
            self._queue.give_back(under_way.item_ids, worker_id=self._worker_id)
            self._batches.end(under_way.batch_id)

    def _most_associations(self) -> dict[str, int]:
        """Return how many associations each node allows now, removed ones too: their jobs fail and say so."""
        known = self._nodes.list(include_removed=True)
        nodes = [node for node in known if node.is_reached_from(self._settings.site)]
        self._keep_hours(nodes)
        return {node.name: 0 if node.name in self._closed else node.associations for node in nodes}

    def _keep_hours(self, nodes: Sequence[Node]) -> None:
        """Note which nodes may not be fetched from now, and say so of the jobs that wait for them."""
        now = self._now()
        closed = {node.name: node for node in nodes if not node.is_open(now)}
        for node in closed.values():
            opening = node.next_opening(now)
            self._queue.explain(
                node.name, f"{node.name} is fetched from at {node.retrieve_hours} only: from {opening:%a %H:%M} on."
            )
        for name in self._closed - set(closed):
            self._queue.explain(name, "")
        self._closed = set(closed)

    def _run_batch(self, job: JobRow, items: Sequence[ItemRow], watcher: Watcher) -> None:
        batch: Batch | None = None
        try:
            if not self._room.takes(job):
                return
            batch = self._batch(job, watcher)
            batch.run(items)
        except errors.Cancelled:
            if batch is not None and watcher.is_cancelled:
                self._arrivals.drain()
                batch.end(cancelled=True)
            elif watcher.has_no_room:
                self._room.pause(job.job_id)
        except errors.StoreError:  # what is not told by then is queued again once the state can be used
            logger.exception("A batch of job %s ended early", job.job_id)
        except errors.QrkitError as error:
            self._failed(job, batch.undone if batch is not None else items, error)
        except Exception as error:  # the worker must survive whatever one batch does
            logger.exception("Job %s failed by an error of ours", job.job_id)
            ours = errors.QrkitError(f"An error inside qrkit, {type(error).__name__}; the worker's log has more.")
            self._failed(job, batch.undone if batch is not None else items, ours)

    def _ended(self, job: JobRow, item: ItemRow, outcome: ItemOutcome) -> None:
        """Write down what became of an item; what it lacks is taken if it comes later, unless nobody wants it now."""
        if outcome.missing and not job.destination and outcome.state is not JobState.CANCELLED:
            self._active.expect_late(item, outcome.missing, node=job.node)
        self._verdicts.ended(item, outcome)

    def _failed(self, job: JobRow, items: Sequence[ItemRow], error: errors.QrkitError) -> None:
        if isinstance(error, errors.NodeError) and is_out_of_reach(error):
            others = self._batches.of_job(job.job_id) > 1
            self._verdicts.out_of_reach(self._jobs.get_summary(job.job_id), items, error, others_under_way=others)
        else:
            self._verdicts.failed(items, error)

    def _batch(self, job: JobRow, watcher: Watcher) -> Batch:
        node = self._nodes.get(job.node)
        if not node.enabled:
            raise errors.InputError(f"Node {node.name} is disabled.", advice="Enable it, then retry the job.")
        watch = Watch(
            on_progress=watcher.progress,
            on_done=lambda item, outcome: self._ended(job, item, outcome),
            should_stop=watcher.should_stop,
            should_yield=watcher.should_yield,
            on_late=lambda item, uids, size: self._count_late(item.item_id, uids, size),
        )
        calling = self._settings.ae_title
        destination = self._destination(job, node, watcher)
        return Batch(node, job.method, destination, self._active, watch, calling_ae_title=calling)

    def _destination(self, job: JobRow, node: Node, watcher: Watcher) -> Destination:
        if job.destination:
            target = self._nodes.get(job.destination)
            return StoreNodeDestination(
                target, calling_ae_title=self._settings.ae_title, should_stop=watcher.should_stop
            )
        return WorkspaceDestination(
            self._arrivals,
            node,
            node.move_destination or self._settings.ae_title,
            held=Held(self._instances, self._settings.files),
            scp_error=lambda: self._scp_error,
            should_stop=watcher.should_stop,
        )

    def _node_name(self, calling_ae_title: str) -> str:
        names = (node.name for node in self._nodes.list() if node.ae_title == calling_ae_title)
        return next(names, "")


def _start_threads(pool: ThreadPoolExecutor) -> None:
    """Have all threads of the pool: one that cannot begin later, for want of memory, would hold us up without end."""
    together = threading.Barrier(_AT_ONCE)
    for future in [pool.submit(together.wait) for _ in range(_AT_ONCE)]:
        future.result()


def listener_of(settings: Settings) -> Listener:
    """Return where the Storage SCP of a workspace listens."""
    tls = Tls(
        enabled=bool(settings.tls_certificate),
        ca_file=settings.tls_ca,
        certificate_file=settings.tls_certificate,
        key_file=settings.tls_key,
    )
    return Listener(ae_title=settings.ae_title, host=settings.host, port=settings.port, tls=tls)
