"""The worker's part for handlers: it queues runs for completed series and performs them.

Each handler runs in a separate thread, once at a time, and a few handlers run in parallel. Retrieves never wait for
them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future

from qrkit.errors import Cancelled, InputError, QrkitError, StoreError
from qrkit.handlers.commands import call_function, private_values, run_command
from qrkit.handlers.handler import Handler, SopReference, Task, chosen
from qrkit.handlers.transfer import copy_files, send_files
from qrkit.jobs.handler_run import HandlerRun, ReceivedSeries, pause_after
from qrkit.settings import Settings
from qrkit.store.handler_runs import CompletedItem, CompletedItemTable, CompleteSeries, HandlerRunTable
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State
from qrkit.worker.background_task import ERROR_PAUSE, BackgroundTask

logger = logging.getLogger(__name__)

_AT_ONCE = 4
_LOOK = 1.0


class HandlerRunner(BackgroundTask):
    """Runs the handlers of a site; running ones are ended and requeued when it stops."""

    def __init__(self, settings: Settings, state: State, handlers: Sequence[Handler]) -> None:
        super().__init__("handler", every=_LOOK, at_once=_AT_ONCE)
        self._settings = settings
        self._handlers = {handler.name: handler for handler in handlers}
        self._due = CompletedItemTable(state)
        self._runs = HandlerRunTable(state)
        self._nodes = NodeTable(state)
        self._running: dict[str, Future[None]] = {}

    def take_over(self, alive_worker_ids: Collection[str]) -> None:
        """Requeue the runs of workers that are no longer alive."""
        if self._runs.requeue_orphans(alive_worker_ids):
            self._wake.set()

    def _poll(self) -> None:
        self._decide()
        self._dispatch()
        self._is_busy = bool(self._running) or self._runs.waiting(self._handlers) > 0  # also for a later attempt

    def _decide(self) -> None:
        """Queue runs for newly completed series."""
        while (items := self._due.list()) and not self._stopping.is_set():
            for due in items:
                handlers = self._chosen(due)
                series = self._due.complete_series(due) if handlers else ()
                fitting = [
                    (handler.name, held)
                    for held in series
                    for handler in handlers
                    if handler.criteria.fits(_series(held))
                ]
                self._due.queue(due, fitting)

    def _chosen(self, due: CompletedItem) -> tuple[Handler, ...]:
        try:
            return chosen(tuple(self._handlers.values()), due.handlers)
        except InputError as error:  # the handler was removed after the job was created
            logger.warning("Job %s: %s", due.job_id, error)
            known = [name for name in due.handlers or () if name in self._handlers]
            return chosen(tuple(self._handlers.values()), known)

    def _dispatch(self) -> None:
        for name in [name for name, future in self._running.items() if future.done()]:
            del self._running[name]
        while len(self._running) < _AT_ONCE and (free := self._handlers.keys() - self._running.keys()):
            # check first: a claim takes the write lock
            run = self._runs.claim(self._worker_id, free) if self._runs.is_due(free) else None
            if run is None:
                return
            future = self._pool.submit(self._attempt, run)
            self._running[run.handler] = future
            future.add_done_callback(lambda _: self._wake.set())

    def _attempt(self, run: HandlerRun) -> None:
        handler = self._handlers[run.handler]
        try:
            task = self._task(run, handler)
            note = self._do(task)
        except Cancelled:
            self._write(lambda: self._runs.give_back(run.run_id))
        except QrkitError as error:
            self._failed(run, str(error), transient=error.transient or isinstance(error, StoreError))
        except Exception as error:  # the worker must survive any error of one series
            logger.exception("Handler %s failed by an internal error", handler.name)
            self._failed(run, f"Internal error {type(error).__name__}. See the worker's log.")
        else:
            self._write(lambda: self._runs.done(run.run_id, note))
            logger.info("Handler %s, series %s: done", handler.name, run.SeriesInstanceUID)

    def _do(self, task: Task) -> str:
        if task.handler.action == "send_to":
            return send_files(task, self._nodes.get(task.handler.send_to))
        actions: dict[str, Callable[[Task], str]] = {
            "copy_to": copy_files,
            "command": run_command,
            "call": call_function,
        }
        return actions[task.handler.action](task)

    def _task(self, run: HandlerRun, handler: Handler) -> Task:
        rows = self._runs.files(run)
        files = tuple(self._settings.files / row.path for row in rows)
        series = ReceivedSeries(
            StudyInstanceUID=run.StudyInstanceUID,
            SeriesInstanceUID=run.SeriesInstanceUID,
            modality=_values(row.Modality for row in rows),
            station=_values(row.StationName for row in rows),
            description=_values(row.SeriesDescription for row in rows),
            node=_values(row.source for row in rows),
            level=run.levels,
            job_id=run.job_id,
            files=files,
        )
        return Task(
            run_id=run.run_id,
            handler=handler,
            series=series,
            objects=tuple(
                SopReference(sop_class_uid=row.SOPClassUID, sop_instance_uid=row.SOPInstanceUID) for row in rows
            ),
            settings=self._settings,
            private=private_values(files),
            deadline=time.monotonic() + handler.time_limit,
            is_stopping=self._stopping.is_set,
        )

    def _failed(self, run: HandlerRun, error: str, *, transient: bool = True) -> None:
        handler = self._handlers[run.handler]
        pause = pause_after(run.attempts, most=handler.attempts, transient=transient)
        then = f"next attempt in {pause.total_seconds():.0f} seconds" if pause else "no further attempt"
        logger.warning("Handler %s, series %s, %s: %s", handler.name, run.SeriesInstanceUID, then, error)
        self._write(lambda: self._runs.failed(run.run_id, error, pause=pause))

    def _write(self, change: Callable[[], None]) -> None:
        """Store the result of a run; wait while the state is not available."""
        while True:
            try:
                change()
            except StoreError:
                logger.exception("The result of a handler cannot be stored yet")
                if self._stopping.wait(ERROR_PAUSE):
                    return  # another worker sees the missing heartbeat and requeues the run
            else:
                return


def _series(held: CompleteSeries) -> ReceivedSeries:
    return ReceivedSeries(
        StudyInstanceUID=held.StudyInstanceUID,
        SeriesInstanceUID=held.SeriesInstanceUID,
        modality=held.modality,
        station=held.station,
        description=held.description,
        node=held.node,
        level=held.levels,
    )


def _values(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))
