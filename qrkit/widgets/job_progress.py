"""`JobProgress`: the progress of a retrieve job, in a notebook or on a page."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anywidget
import traitlets

from qrkit.errors import StoreError
from qrkit.jobs import JobRow, JobState
from qrkit.jobs.rate import Rate
from qrkit.widgets.background import Poller
from qrkit.widgets.job_view import ACTS, JobView, fraction_done, view_of
from qrkit.widgets.notice import error_on_page
from qrkit.workspace import Job, Workspace

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PARTS = 1_000_000
_WORKER_CHECK = 5.0
"""Seconds between two checks for a worker, which may have been killed, while a job needs one."""

_WHILE_WAITING = "(A cell is waiting for this job. To pause or cancel the job, interrupt the cell first.)"


class JobProgress(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """Shows the progress of a retrieve job, with buttons to pause, resume, cancel and retry it.

    It follows an active job by itself while the kernel is free; `Job.wait` updates it while a cell waits. All its
    content is text, never HTML.

    Parameters
    ----------
    job
        The job; it runs whether or not it is shown.
    """

    _esm = _HERE / "job_progress.js"
    _css = _HERE / "job_progress.css"

    label = traitlets.Unicode().tag(sync=True)
    headline = traitlets.Unicode().tag(sync=True)
    numbers = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(None, allow_none=True).tag(sync=True)
    failures = traitlets.List(traitlets.Unicode()).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    acts: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    alert = traitlets.Unicode().tag(sync=True)

    def __init__(self, job: Job) -> None:
        super().__init__(label=f"Retrieve {job.job_id[:8]}")
        self._job = job
        self._bytes = Rate()
        self._parts = Rate()
        self._errors: dict[str, str] = {}
        self._poller = Poller(self.tick)
        self._worker_checked = time.monotonic()
        self.on_msg(self._on_message)
        _open.add(self)
        if self.tick():
            self._poller.wake()

    @staticmethod
    def showing(job_id: str) -> tuple[JobProgress, ...]:
        """Return the open widgets of a job."""
        return tuple(widget for widget in _open if widget.job_id == job_id)

    @property
    def job_id(self) -> str:
        """Id of the job."""
        return self._job.job_id

    @property
    def is_following(self) -> bool:
        """Whether it will read the job again by itself."""
        return self._poller.is_running

    def tick(self) -> bool:
        """Show the current state of the job; return whether it can still change."""
        more = False
        with self._shown_errors("read"):
            try:
                job = self._job.status
            except StoreError:
                more = True  # the state may be available again next time
                raise
            more = self.show(job)
            self._check_worker(job)
        self.alert = self._alert()
        return more

    def show(self, job: JobRow, *, waiting: bool = False) -> bool:
        """Show a job that the caller has just read; return whether it can still change.

        Parameters
        ----------
        waiting
            Whether a cell waits for the job: the kernel receives no clicks then, so no button is shown.
        """
        view = self._view(job)
        waiting = waiting and not job.state.is_final
        with self.hold_sync():
            self.label = f"Retrieve from {job.node}"
            self.headline = view.headline
            self.numbers = f"{view.numbers} {_WHILE_WAITING}".strip() if waiting else view.numbers
            self.fraction = view.fraction
            self.failures = list(view.failures)
            self.note = view.note
            self.acts = [] if waiting else [[act, ACTS[act]] for act in view.acts]
            self.alert = self._alert()
        return not job.state.is_final

    def act(self, name: str) -> None:
        """Do the action of a button, one of `ACTS`; received objects stay."""
        do = {
            "pause": self._job.pause,
            "resume": self._job.resume,
            "cancel": self._job.cancel,
            "retry": self._job.retry,
        }
        with self._shown_errors("act"):
            do[name]()

    def follow(self) -> None:
        """Read the job again, and continue while it can change."""
        self._poller.wake()

    def close(self) -> None:
        """Stop updating; the job continues."""
        self._poller.stop()
        _open.discard(self)
        super().close()

    def _view(self, job: JobRow) -> JobView:
        if job.state is not JobState.RUNNING:
            return view_of(job)
        done = fraction_done(job) or 0.0
        self._bytes.add(job.bytes)
        self._parts.add(round(done * _PARTS))
        per_second = self._parts.per_second
        left = (1.0 - done) * _PARTS / per_second if per_second else None
        return view_of(job, bytes_per_second=self._bytes.per_second, seconds_left=left)

    def _check_worker(self, job: JobRow) -> None:
        if not job.needs_worker:
            self._errors["worker"] = ""
        elif time.monotonic() - self._worker_checked > _WORKER_CHECK:
            self._worker_checked = time.monotonic()
            with self._shown_errors("worker"):
                self._job.see_to_worker()

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        """Do the action of a button; JupyterLab may call it from another thread, so no trait is set here."""
        for name in ACTS:
            if content == {"action": name}:  # a browser may send anything
                self.act(name)
                self.follow()

    @contextmanager
    def _shown_errors(self, action: str) -> Iterator[None]:
        """Keep an error to show it: Voilà would neither show nor log one raised by a callback."""
        self._errors[action] = ""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every error must be shown
            self._errors[action] = error_on_page(error)

    def _alert(self) -> str:
        return " ".join(filter(None, self._errors.values()))


_open: weakref.WeakSet[JobProgress] = weakref.WeakSet()


def running_jobs(workspace: Workspace) -> list[JobProgress]:
    """Return the progress of all jobs that have not ended, so that a reopened page shows them."""
    listed = workspace.jobs.list(50)
    active = listed[listed["state"].isin(["queued", "running", "paused"])]
    return [JobProgress(workspace.jobs[job_id]) for job_id in active["job_id"]]
