"""`JobProgress`: the progress of a retrieve job, in a notebook or on a page."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import anywidget
import traitlets

from qrkit.errors import StoreError
from qrkit.jobs import ItemRow, JobRow, JobState, PausedBy, RetrieveRequest
from qrkit.jobs.estimate import Rate
from qrkit.tables import Level
from qrkit.widgets.panel import Poller, error_on_page
from qrkit.words import counted, duration, local_time, out_of, volume
from qrkit.workspace import Job, Workspace

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PARTS = 1_000_000
_WORKER_CHECK = 5.0
"""Seconds between two checks for a worker, which may have been killed, while a job needs one."""

_WHILE_WAITING = "(A cell is waiting for this job. To pause or cancel the job, interrupt the cell first.)"

_FAILURES_SHOWN = 20

ACTS = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel", "retry": "Retry failed"}
"""The actions on a job, which are methods of `Job`, with the labels of their buttons."""

_PAUSED = {
    PausedBy.USER: "Press Resume to continue.",
    PausedBy.DISK: "Paused because the disk is full. It resumes by itself when there is space.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """The parts of the display.

    `fraction` is the share that is done, 0 to 1; None if unknown. `failures` has a line for each item that has ended
    otherwise than complete, once the job has ended; of a complete job, why that is not proven. `note` is why a job
    waits, and until when. `acts` are the possible actions, of `ACTS`.
    """

    headline: str
    numbers: str
    fraction: float | None
    failures: tuple[str, ...]
    note: str
    acts: tuple[str, ...]


def view_of(job: JobRow, *, bytes_per_second: float = 0.0, seconds_left: float | None = None) -> JobView:
    """Return the display of a job; a rate of 0 and an unknown time left are not shown."""
    numbers = [_objects(job)]
    if job.bytes:
        numbers.append(volume(job.bytes))
    if job.state.is_final:
        numbers += _duration(job)
    elif job.state is JobState.RUNNING:
        numbers += [f"{volume(bytes_per_second)}/s"] if bytes_per_second else []
        numbers += [f"about {duration(seconds_left)} left"] if seconds_left is not None else []
    return JobView(
        headline=_headline(job),
        numbers=", ".join(numbers),
        fraction=fraction_done(job),
        failures=_failures(job),
        note=_why_it_waits(job),
        acts=_acts(job),
    )


def _why_it_waits(job: JobRow) -> str:
    """Return why a job is waiting, and when it continues; empty if it is running or has ended."""
    if job.state.is_final:
        return ""
    sentences = [job.reason, _PAUSED.get(job.paused_by, "") if job.paused_by else ""]
    if job.not_before:
        sentences.append(f"Next try at {local_time(job.not_before)}.")
    return " ".join(filter(None, sentences))


def _acts(job: JobRow) -> tuple[str, ...]:
    if job.state.is_final:
        return () if job.state is JobState.COMPLETE else ("retry",)
    if job.cancel_requested:
        return ()
    return ("resume" if job.state is JobState.PAUSED else "pause", "cancel")


def fraction_done(job: JobRow) -> float | None:
    """Return the share of a job that is done, 0 to 1; None while it runs and the share is unknown.

    Objects are counted if all were listed from the start. Otherwise each item counts the same, since the number of
    objects of a waiting item is unknown.
    """
    if job.state is JobState.COMPLETE:
        return 1.0
    if job.expected and all(item.request.expected for item in job.items):
        return min(1.0, job.stored / job.expected)
    shares = [_share(item) for item in job.items]
    known = [share for share in shares if share is not None]
    if job.state is JobState.RUNNING and not known:
        return None
    return sum(known) / len(shares) if shares else 0.0


def _share(item: ItemRow) -> float | None:
    result = item.outcome
    if result.expected:
        return min(1.0, result.stored / result.expected)
    if result.state is JobState.COMPLETE:
        return 1.0
    return 0.0 if result.state.is_final else None


def _headline(job: JobRow) -> str:
    if job.cancel_requested and not job.state.is_final:
        return "Cancelling"
    if job.state is JobState.QUEUED:
        return "Waiting" if job.reason or job.not_before else "Queued: waiting for the worker"
    if job.state is JobState.PARTIAL and job.expected > job.stored:
        return f"Partial: {counted(job.expected - job.stored, 'object')} missing"
    return job.state_in_words.capitalize()


def _objects(job: JobRow) -> str:
    if job.items and all(item.outcome.expected is not None for item in job.items):
        return out_of(job.stored, job.expected, "object")
    if len(job.items) < 2:
        return counted(job.stored, "object")
    ended = sum(item.outcome.state.is_final for item in job.items)
    return f"{counted(job.stored, 'object')} received, {out_of(ended, len(job.items), 'item')} done"


def _failures(job: JobRow) -> tuple[str, ...]:
    if not job.state.is_final:
        return ()
    if job.state is JobState.COMPLETE:
        return (job.doubt,) if job.doubt else ()
    others = [item for item in job.items if item.outcome.state is not JobState.COMPLETE]
    # An item that was cancelled before any of its objects arrived needs no explanation.
    lines = [
        _failure(item)
        for item in others
        if item.outcome.state is not JobState.CANCELLED or item.outcome.stored or item.outcome.error_text
    ]
    untouched = len(others) - len(lines)
    more = len(lines) - _FAILURES_SHOWN
    return (
        *lines[:_FAILURES_SHOWN],
        *([f"and {more:,} more; open the job to see all items"] if more > 0 else []),
        *([f"{counted(untouched, 'item')} cancelled before any object arrived"] if untouched else []),
    )


def kind_of(request: RetrieveRequest) -> str:
    """Return what an item retrieves."""
    return {Level.STUDY: "Study", Level.SERIES: "Series"}.get(request.level, "Objects of series")


def _failure(item: ItemRow) -> str:
    request, result = item.request, item.outcome
    item_text = f"{kind_of(request)} {request.SeriesInstanceUID or request.StudyInstanceUID}: {result.state.value}"
    count = out_of(result.stored, result.expected, "object")
    return f"{item_text}, {count}. {result.error_text}".strip()


def _duration(job: JobRow) -> Sequence[str]:
    if not job.started or not job.finished:
        return []
    seconds = (datetime.fromisoformat(job.finished) - datetime.fromisoformat(job.started)).total_seconds()
    return [f"took {duration(seconds)}"]


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

        While a cell is waiting for the job, the kernel receives no clicks, so no button is shown.
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
        with self._shown_errors("act"):
            getattr(self._job, name)()

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
