"""`JobProgress`: a retrieve job as it goes, in a notebook or a Voilà page."""

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
from qrkit.widgets.background import Pump
from qrkit.widgets.job_view import ACTS, JobView, fraction_done, view_of
from qrkit.widgets.notice import error_on_page
from qrkit.workspace import Job

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PARTS = 1_000_000
_WORKER_CHECK = 5.0
"""Seconds between two looks for a worker, which may have been killed, while a job needs one."""

_WHILE_WAITING = "(A cell waits for this job: to pause or cancel it, interrupt the cell first.)"


class JobProgress(anywidget.AnyWidget):  # type: ignore[misc] # anywidget publishes no types
    """Shows how far a retrieve job is, and lets it be paused, go on, be cancelled, and be tried again.

    It follows the job by itself as long as that is active and the kernel is free; `Job.wait` keeps it going while
    a cell waits. What is shown is text, never HTML.

    Parameters
    ----------
    job
        The job; it goes on whether or not anybody looks.
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
        self._troubles: dict[str, str] = {}
        self._pump = Pump(self.tick)
        self._seen_to = time.monotonic()
        self.on_msg(self._on_message)
        _open.add(self)
        if self.tick():
            self._pump.wake()

    @staticmethod
    def showing(job_id: str) -> tuple[JobProgress, ...]:
        """Return the open widgets of a job."""
        return tuple(widget for widget in _open if widget.job_id == job_id)

    @property
    def job_id(self) -> str:
        """Which job it shows."""
        return self._job.job_id

    @property
    def is_following(self) -> bool:
        """Whether it will look at the job again by itself."""
        return self._pump.is_running

    def tick(self) -> bool:
        """Show the job as it is now; say whether anything more can happen."""
        more = False
        with self._telling("read"):
            try:
                job = self._job.status
            except StoreError:
                more = True  # what holds the state may be back at the next look
                raise
            more = self.show(job)
            self._see_to_worker(job)
        self.alert = self._told()
        return more

    def show(self, job: JobRow, *, waiting: bool = False) -> bool:
        """Show a job as somebody else has just read it; say whether anything more can happen.

        Parameters
        ----------
        waiting
            Whether a cell waits for the job: what the browser sends is not heard then, so no button is offered.
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
            self.alert = self._told()
        return not job.state.is_final

    def act(self, name: str) -> None:
        """Do with the job what a button of that name does, one of `ACTS`; what has come stays."""
        do = {
            "pause": self._job.pause,
            "resume": self._job.resume,
            "cancel": self._job.cancel,
            "retry": self._job.retry,
        }
        with self._telling("act"):
            do[name]()

    def follow(self) -> None:
        """Look at the job again, and go on as long as anything can happen."""
        self._pump.wake()

    def close(self) -> None:
        """Show no more; the job goes on."""
        self._pump.stop()
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

    def _see_to_worker(self, job: JobRow) -> None:
        if not job.needs_worker:
            self._troubles["worker"] = ""
        elif time.monotonic() - self._seen_to > _WORKER_CHECK:
            self._seen_to = time.monotonic()
            with self._telling("worker"):
                self._job.see_to_worker()

    def _on_message(self, _widget: object, content: object, _buffers: object) -> None:
        """Do what the button asks; JupyterLab may call it from a thread of its own, so no trait is set here."""
        for name in ACTS:
            if content == {"action": name}:  # a browser may send anything
                self.act(name)
                self.follow()

    @contextmanager
    def _telling(self, action: str) -> Iterator[None]:
        """Keep an error to be shown: raised from a callback it would be seen by nobody, in Voilà not even logged."""
        self._troubles[action] = ""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the page must say so
            self._troubles[action] = error_on_page(error)

    def _told(self) -> str:
        return " ".join(filter(None, self._troubles.values()))


_open: weakref.WeakSet[JobProgress] = weakref.WeakSet()
