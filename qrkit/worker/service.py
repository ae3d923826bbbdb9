"""The worker of a workspace on this station: its life cycle, heartbeat and Storage SCP.

`qrkit.worker.dispatcher` claims its items, `qrkit.worker.fetcher` retrieves them.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import datetime
from uuid import uuid4

from filelock import FileLock, Timeout

from qrkit import errors
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.jobs import RetryPolicy
from qrkit.node import Tls
from qrkit.retrieve.admission import ActiveItems
from qrkit.retrieve.arrivals import Arrivals
from qrkit.retrieve.outcomes import Outcomes
from qrkit.settings import Settings
from qrkit.store.files import FileStore
from qrkit.store.instances import InstanceTable
from qrkit.store.job_progress import LateObjects, RunningItems
from qrkit.store.job_queue import JobPauses
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State
from qrkit.store.workers import NewWorker, WorkerTable
from qrkit.worker.background_task import BackgroundTask
from qrkit.worker.disk_space import DiskSpace
from qrkit.worker.dispatcher import AT_ONCE, ClosedNodes, Dispatcher
from qrkit.worker.fetcher import Fetcher, FetchServices
from qrkit.worker.health import OtherWorkers
from qrkit.worker.process import force_exit_later, keep_errors_small, lock_path
from qrkit.worker.receiver_pool import ReceiverPool
from qrkit.worker.receiver_process import Assignment

logger = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds between two signs of life."""

SILENT = 120
"""Heartbeats without a sign of life of a batch after which it is stuck; a living one gives several a second."""

_LATE_HOURS = 24.0
_POLL = 0.1
_LOCK_PATIENCE = 1.0  # a check for a running worker holds the lock for a moment


class Worker:
    """Runs the jobs of a workspace, and background tasks, until it is stopped or has been idle for a while.

    Where a Storage SCP is not needed and cannot listen, jobs use C-GET only.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        *,
        needs_scp: bool = True,
        background_tasks: Sequence[BackgroundTask] = (),
    ) -> None:
        self._settings = settings
        self._state = state
        self._nodes = NodeTable(state)
        self._workers = WorkerTable(state)
        self._late = LateObjects(state)
        self._worker_id = uuid4().hex
        self._other_workers = OtherWorkers(self._worker_id, self._workers.running)
        self._known_others: frozenset[str] = frozenset()
        self._needs_scp = needs_scp
        self._background_tasks = tuple(background_tasks)
        self._files = FileStore(settings.files, free_space_floor=settings.free_space_floor, keep_receipts=True)
        self._arrivals = Arrivals(
            self._files,
            ActiveItems(),
            add_rows=InstanceTable(state).add_many,
            count_late=lambda item_id, uids, size: self._late.count(item_id, uids, size=size),
            node_name=self._node_name,
            keep_unsolicited=settings.unsolicited == "keep",
        )
        self._scp: StorageScp | None = None
        self._stopping = threading.Event()
        self._ending = threading.Event()
        policy = RetryPolicy(most=settings.retries, first=settings.retry_pause)
        pauses = JobPauses(state)
        closed_nodes = ClosedNodes(pauses, self._now)
        self._disk_space = DiskSpace(self._files, pauses, floor=settings.free_space_floor)
        self._fetcher = Fetcher(
            state,
            FetchServices(
                worker_id=self._worker_id,
                settings=settings,
                arrivals=self._arrivals,
                disk_space=self._disk_space,
                closed_nodes=closed_nodes,
                outcomes=Outcomes(RunningItems(state), self._worker_id, policy, self._now),
                ending=self._ending,
            ),
        )
        self._dispatcher = Dispatcher(
            state, self._worker_id, site=settings.site, closed_nodes=closed_nodes, fetch=self._fetcher.fetch
        )

    def stop(self) -> None:
        """Make `run` return soon; running items go back to the queue."""
        self._stopping.set()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def run(self, *, idle_exit: float | None = None, started: Callable[[int], None] = lambda _: None) -> None:
        """Run jobs.

        It returns after `idle_exit` idle seconds, if they are given. `started` is called with the port of its Storage
        SCP, 0 for none, once it may run. Raise `WorkerError` if another worker runs this workspace on this station or
        the state was replaced under it, `PortInUse` if the Storage SCP is needed and cannot listen.
        """
        with ExitStack() as stack:
            self._lock(stack)
            self._arrivals.start()
            stack.callback(self._arrivals.stop)
            port = self._start_scp(stack)
            self._workers.register(self._worker_id, self._station(port, stays=idle_exit is None))
            stack.callback(self._leave)
            logger.info("Worker %s runs; Storage SCP %s on port %d", self._worker_id, self._settings.ae_title, port)
            started(port)
            pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE, thread_name_prefix="retrieve"))
            _start_threads(pool)
            stack.callback(self._halt)
            self._expect_late()
            self._tidy_up()
            for task in self._background_tasks:
                task.start(self._worker_id)
                stack.callback(task.stop)
            self._serve(pool, idle_exit)

    def _station(self, port: int, *, stays: bool) -> NewWorker:
        return NewWorker(
            host=socket.gethostname(),
            pid=os.getpid(),
            ae_title=self._settings.ae_title,
            port=port,
            site=self._settings.site,
            service=stays,
            disk=self._disk_space.disk,
        )

    def _expect_late(self) -> None:
        """Accept objects that were missing when an earlier worker ended their items."""
        for node, item in self._late.lacking(hours=_LATE_HOURS):
            self._arrivals.active.expect_late(item, item.outcome.missing, node=node)

    def _tidy_up(self) -> None:
        """Remove incomplete files of killed workers, and list their unlisted objects."""
        self._files.sweep()
        self._arrivals.list_left()

    def _halt(self) -> None:
        """End the running batches, which give back their unfinished items."""
        self._ending.set()
        self._arrivals.hurry()

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
        reception = ReceiverPool(assignment, self._arrivals.receiver_for_caller, self._files.sweep)
        scp = StorageScp(listener, self._arrivals.receiver_for_caller, aside=reception)
        try:
            stack.enter_context(reception)
            stack.enter_context(scp)
        except (errors.PortInUse, errors.InputError) as error:
            if self._needs_scp:
                raise
            logger.warning("%s", error)
            self._fetcher.scp_error = error
            return 0
        self._scp = scp
        self._fetcher.scp_port = scp.port
        self._fetcher.scp_connections = lambda: scp.connections
        return scp.port

    def _serve(self, pool: ThreadPoolExecutor, idle_exit: float | None) -> None:
        beat, busy_until = 0.0, time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            try:
                if now - beat >= HEARTBEAT:
                    self._beat()
                    beat = now
                self._dispatcher.dispatch(pool)
            except errors.StoreError:  # the database may come back; jobs wait meanwhile
                logger.exception("The state cannot be used")
                self._stopping.wait(HEARTBEAT)
            if self._dispatcher.is_busy or any(task.is_busy for task in self._background_tasks):
                busy_until = now
            elif idle_exit is not None and now - busy_until > idle_exit:
                if not self._dispatcher.has_work_to_come():
                    return
                busy_until = now
            self._stopping.wait(_POLL)

    def _beat(self) -> None:
        if self._state.is_replaced():
            message = f"The state of {self._settings.workspace} was deleted, moved or replaced under the worker."
            logger.critical("%s", message)
            raise errors.WorkerError(message, advice="Start the worker again, and stop it before the next restore.")
        if self._scp is not None and self._scp.is_stuck():
            self._stuck("The Storage SCP accepts no more connections, probably because memory is low.")
        self._workers.heartbeat(self._worker_id)
        if self._fetcher.silent_checks() >= SILENT:  # not for want of the state, which has just been written
            self._stuck(
                "A retrieve has been stuck for minutes and cannot be stopped, probably because memory is low."
            )
        others = self._other_workers.alive()
        if not self._known_others.issubset(others):
            self._tidy_up()  # a killed worker may have no successor
        self._known_others = frozenset(others)
        self._dispatcher.take_over(others)
        self._disk_space.resume_jobs()
        alive = [*others, self._worker_id]
        self._workers.mark_dead(alive)
        keep_errors_small(self._settings.workspace)
        for task in self._background_tasks:
            task.take_over(alive)

    def _stuck(self, message: str) -> None:
        logger.critical("%s", message)
        force_exit_later()  # waiting for a stuck thread would never end
        raise errors.WorkerError(message, advice="Start the worker again with more memory; its jobs resume.")

    def _leave(self) -> None:
        with suppress(errors.StoreError):  # other workers notice the missing heartbeat
            self._dispatcher.leave(self._other_workers.alive())
            self._workers.leave(self._worker_id)

    def _now(self) -> datetime:
        return datetime.fromisoformat(self._state.now())

    def _node_name(self, calling_ae_title: str) -> str:
        names = (node.name for node in self._nodes.list() if node.ae_title == calling_ae_title)
        return next(names, "")


def _start_threads(pool: ThreadPoolExecutor) -> None:
    """Start all threads of the pool: one that cannot start later, because memory is low, would block us forever."""
    together = threading.Barrier(AT_ONCE)
    for future in [pool.submit(together.wait) for _ in range(AT_ONCE)]:
        future.result()


def listener_of(settings: Settings) -> Listener:
    """Return the address at which the Storage SCP of a workspace listens."""
    tls = Tls(
        enabled=bool(settings.tls_certificate),
        ca_file=settings.tls_ca,
        certificate_file=settings.tls_certificate,
        key_file=settings.tls_key,
    )
    return Listener(ae_title=settings.ae_title, host=settings.host, port=settings.port, tls=tls)
