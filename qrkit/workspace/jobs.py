"""The retrieve jobs of a workspace: handles on rows that the worker writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qrkit.advice import Action, Advice
from qrkit.errors import WorkerError
from qrkit.handlers import HandlerRun
from qrkit.jobs import ItemRow, JobRow, JobState, item_to_json, job_to_json
from qrkit.markup import code, grid
from qrkit.store.handler_runs import HandlerRunTable
from qrkit.tables import Records
from qrkit.words import local_time, out_of, volume
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.handlers import run_records
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

_POLL = 0.2
_WORKER_CHECK = 2.0
_REST = 9.0  # a job of thousands of items takes long to read: at most a tenth of the time goes into looking

_SHOWN = 20
_NEWEST = "The newest retrieve jobs"

_COLUMNS = [
    "job_id",
    "created",
    "user",
    "node",
    "destination",
    "priority",
    "state",
    "expected",
    "stored",
    "bytes",
    "proven",
    "error",
    "reason",
    "paused_by",
    "not_before",
]
_ITEM_COLUMNS = [
    "position",
    "level",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "state",
    "expected",
    "stored",
    "received",
    "bytes",
    "missing",
    "proven",
    "why",
    "error",
    "advice",
    "note",
    "attempts",
    "not_before",
]


@checks_arguments
class Job:
    """A retrieve job; it continues whether or not this handle exists. Only operators may change it.

    Parameters
    ----------
    job_id
        The id of the job.
    services
        What the parts of the workspace share.
    watchers
        Called by `wait`, in its thread, with the job and its current state.

    Examples
    --------
    ::

        job = ws.retrieve(studies)
        job.wait(timeout=600).state
    """

    def __init__(
        self, job_id: str, services: Services, *, watchers: Iterable[Callable[[Job, JobRow], None]] = ()
    ) -> None:
        self.job_id = job_id
        self._services = services
        self._table = services.jobs
        self._permissions = services.permissions
        self._watchers = watchers

    @property
    def status(self) -> JobRow:
        """The job and its items as they are now."""
        return self._table.get(self.job_id)

    @property
    def state(self) -> JobState:
        """The state of the job now."""
        return self._table.get_summary(self.job_id).state

    def wait(self, *, timeout: float | None = None, on_progress: Callable[[JobRow], None] | None = None) -> JobRow:
        """Wait until the job has ended, and return it.

        Parameters
        ----------
        timeout
            Seconds to wait at most; the job continues after them.
        on_progress
            Called five times a second with the job and its items; less often for a job of thousands of items.

        Returns
        -------
        JobRow
            The job and its items: `state`, `expected`, `stored` and `bytes`, and of each item what is missing.

        Raises
        ------
        WorkerError
            If it has not ended in time, or no worker can be started.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        check_worker = 0.0
        while True:
            looked = time.monotonic()
            job = self.status
            took = time.monotonic() - looked
            for watcher in self._watchers:
                watcher(self, job)
            if on_progress is not None:
                on_progress(job)
            if job.state.is_final:
                return job
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise WorkerError(
                    f"Job {self.job_id} is {job.state.value} after {timeout:g} seconds.",
                    advice=Advice("It continues in the background. Show its progress", Action.SHOW_JOB, self.job_id),
                )
            if job.needs_worker and now >= check_worker:
                self.see_to_worker()
                check_worker = now + _WORKER_CHECK
            time.sleep(max(_POLL, took * _REST))

    def see_to_worker(self) -> None:
        """Start a worker if none runs, as `wait` does every few seconds.

        Raises
        ------
        WorkerError
            If it cannot be started, or has ended by an error each time.
        """
        self._services.ensure_worker()

    def cancel(self) -> None:
        """Cancel the job within seconds; received objects stay."""
        with self._permissions.operating("cancel a job", "job cancelled", self.job_id):
            self._table.request_cancel(self.job_id)

    def pause(self) -> None:
        """Pause the job within seconds; received objects stay, and `resume` retrieves only the others."""
        with self._permissions.operating("pause a job", "job paused", self.job_id):
            when = datetime.now().astimezone().strftime("%Y-%m-%d at %H:%M")
            self._table.pause(self.job_id, reason=f"Paused by {self._permissions.access.user} on {when}.")

    def resume(self) -> None:
        """Resume a paused job, or retry now a job that waits for its next attempt."""
        with self._permissions.operating("resume a job", "job resumed", self.job_id):
            self._table.resume(self.job_id)
        self._services.ensure_worker()

    def retry(self) -> int:
        """Queue failed, incomplete and cancelled items again; return their number."""
        with self._permissions.operating("retry a job", "job retried", self.job_id):
            count = self._table.retry(self.job_id)
        if count:
            self._services.ensure_worker()
        return count

    def prioritise(self, priority: int) -> None:
        """Set the priority of the job, -100 to 100; higher ones run first, and new jobs have 0."""
        with self._permissions.operating("prioritise a job", "job prioritised", self.job_id):
            self._table.set_priority(self.job_id, priority)

    @property
    def after_runs(self) -> tuple[HandlerRun, ...]:
        """The same as `after`, as values."""
        return HandlerRunTable(self._services.state).of_job(self.job_id)

    @property
    def after(self) -> pd.DataFrame:
        """The handler runs for its series: one row per handler and series."""
        return run_records(reversed(self.after_runs)).frame()

    @property
    def items(self) -> pd.DataFrame:
        """The items: one row per request, with counts, bytes, missing SOP Instance UIDs, error and next attempt."""
        return self.item_records.frame()

    @property
    def item_records(self) -> Records:
        """The same as `items`, as plain values."""
        return Records.of([_item(item) for item in self.status.items], _ITEM_COLUMNS)

    def to_json(self) -> dict[str, Any]:
        """Return the job as the command line prints it; `after` has the runs of handlers for its series."""
        return job_to_json(self.status) | {"after": [run.to_json() for run in self.after_runs]}

    def __repr__(self) -> str:
        job = self._table.get_summary(self.job_id)
        objects = out_of(job.stored, job.expected, "object")
        return f"<Job {self.job_id}: {job.state_in_words}, {objects} from {job.node}>"


@checks_arguments
class Jobs:
    """The retrieve jobs of a workspace.

    Attributes
    ----------
    watchers
        Called while `Job.wait` waits, with the job and its current state; a notebook shows the progress by one.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.jobs
        self.watchers: list[Callable[[Job, JobRow], None]] = []

    def __getitem__(self, job_id: str) -> Job:
        whole = self._table.get_summary(job_id).job_id
        return Job(whole, self._services, watchers=self.watchers)

    def list(self, limit: int = 100) -> pd.DataFrame:
        """Return the newest jobs: one row each, with counts of objects and bytes."""
        return self.records(limit).frame()

    def records(self, limit: int = 100) -> Records:
        """Return the same table as plain values."""
        return Records.of([_row(job) for job in self._table.list(limit)], _COLUMNS)

    def _ipython_key_completions_(self) -> tuple[str, ...]:
        return tuple(job.job_id for job in self._table.list())

    def __repr__(self) -> str:
        jobs = self._table.list(_SHOWN)
        newest = f", the newest {jobs[0].state.value} from {jobs[0].node}" if jobs else ""
        return f"<Jobs: {'at least ' if len(jobs) == _SHOWN else ''}{len(jobs)}{newest}>"

    def _repr_html_(self) -> str:
        shown = [
            [
                local_time(job.created),
                job.user,
                f"{job.node} to {job.destination}" if job.destination else job.node,
                job.state_in_words,
                f"{job.stored:,} of {job.expected:,}" if job.expected else f"{job.stored:,}",
                volume(job.bytes),
                job.error or job.doubt,
                code(job.job_id),
            ]
            for job in self._table.list(_SHOWN)
        ]
        return grid(
            ["queued at", "by", "from", "state", "objects", "retrieved", "error", "job_id"], shown, caption=_NEWEST
        )


def _row(job: JobRow) -> dict[str, Any]:
    paused_by = job.paused_by.value if job.paused_by else None
    values = {"state": job.state.value, "paused_by": paused_by}
    return {name: values[name] if name in values else getattr(job, name) for name in _COLUMNS}


def _item(item: ItemRow) -> dict[str, Any]:
    """Return a row of `Job.items`, where the error and its advice are two columns."""
    values = item_to_json(item) | {
        "position": item.position,
        "SeriesInstanceUID": item.request.SeriesInstanceUID,
        "error": item.outcome.error,
    }
    return {name: values[name] for name in _ITEM_COLUMNS}
