"""`JobsPage`: the jobs of the workspace, with buttons to open, pause, resume, cancel and retry them.

An open job has its items with their errors, advice and next tries. Studies and series are named by date, description
and Patient ID, from the query or plan of the job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

import ipywidgets
import pandas as pd

from qrkit.errors import QrkitError
from qrkit.jobs import ItemRow, JobRow, JobState, state_in_words
from qrkit.markup import grid, paragraph
from qrkit.widgets.charts import Charts, charts_of_job
from qrkit.widgets.job_progress import JobProgress, kind_of
from qrkit.widgets.labels import share
from qrkit.widgets.panel import Panel, close_parts, row, title
from qrkit.widgets.result_table import SelectableTable
from qrkit.words import counted, local_time
from qrkit.workspace import Job, Workspace

_LOOK = 2.0
"""Seconds between two reads of all users' jobs; nothing is sent if nothing has changed."""

_SHOWN = ("created", "user", "node", "state", "reason", "error", "job_id")

_ITEMS_SHOWN = 100
_ITEM_ORDER = (
    JobState.RUNNING,
    JobState.FAILED,
    JobState.PARTIAL,
    JobState.CANCELLED,
    JobState.PAUSED,
    JobState.QUEUED,
)

_NAMED_BY = {
    "StudyInstanceUID": ("StudyDate", "StudyDescription", "PatientID"),
    "SeriesInstanceUID": ("SeriesDescription",),
}


class JobsPage(Panel):
    """A table of jobs, with actions on the selected ones."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._error = ""
        self.table = SelectableTable(first=_SHOWN, only=True, empty="No jobs yet.")
        acts: tuple[tuple[str, str, Callable[[Job], object]], ...] = (
            ("Pause", "Paused", Job.pause),
            ("Resume", "Resumed", Job.resume),
            ("Cancel", "Cancelled", Job.cancel),
            ("Retry failed", "Retried", Job.retry),
        )
        self.buttons = {
            "Refresh": self.notice.button("Refresh", self.refresh),
            "Open": self.notice.button("Open", lambda: self._show(self._jobs()), primary=True),
            **{label: self.notice.button(label, partial(self._act, done, act)) for label, done, act in acts},
        }
        self.opened = ipywidgets.VBox()
        self.children = (title("Jobs"), self.table, row(*self.buttons.values()), self.notice, self.opened)
        self.refresh()
        self.poller(self.tick, interval=_LOOK).wake()

    def refresh(self) -> None:
        """Show the current jobs; selected ones stay selected."""
        jobs = self._workspace.jobs.list(500)
        words = [
            state_in_words(JobState(state), proven=proven)
            for state, proven in zip(jobs["state"], jobs["proven"], strict=True)
        ]
        listed = jobs.assign(state=words)[list(_SHOWN)]
        has_changed = self.table.frame.empty or not listed.equals(self.table.frame)
        if has_changed:
            self.table.update_rows(listed, "job_id")
        for shown in self.opened.children:
            if isinstance(shown, JobItems):
                shown.tick()
            elif isinstance(shown, JobProgress) and has_changed:
                shown.follow()
            elif isinstance(shown, Charts) and has_changed:
                shown.renew()

    def tick(self) -> bool:
        """Read the jobs again; called by itself until the page is closed."""
        is_well = False
        with self.notice.shown_errors():
            self.refresh()
            is_well = True
        if is_well and self._error and self._error == self.notice.value:
            self.notice.say("")  # the error is over
        self._error = "" if is_well else self.notice.value
        return True

    def open_named(self, job_id: str) -> None:
        """Show a job with its items, such as one named by a link."""
        self._show([self._workspace.jobs[job_id]])

    def _jobs(self) -> list[Job]:
        selected = [self._workspace.jobs[job_id] for job_id in self.table.rows().get("job_id", [])]
        if not selected:
            self.notice.alert("Select a job in the table first.")
        return selected

    def _show(self, jobs: list[Job]) -> None:
        close_parts(self.opened)
        self.opened.children = [part for job in jobs for part in self._parts(job)]

    def _parts(self, job: Job) -> tuple[ipywidgets.Widget, ...]:
        status, charts = job.status, Charts()
        charts.offer(charts_of_job(self._workspace, status))
        items = JobItems(job, names=names_of(self._workspace, status.source))
        return (JobProgress(job), share("jobs", "job", job.job_id), items, charts)

    def _act(self, done: str, act: Callable[[Job], object]) -> None:
        jobs = self._jobs()
        for job in jobs:
            act(job)
        if jobs:
            self.refresh()
            self.notice.say(f"{done} {counted(len(jobs), 'job')}.")


class JobItems(ipywidgets.HTML):  # type: ignore[misc] # ipywidgets publishes no types
    """Shows the current items of a job at each `tick`: running and failed ones first."""

    def __init__(self, job: Job, *, names: Mapping[str, str]) -> None:
        super().__init__()
        self._job = job
        self._names = names
        self._has_ended = False
        self.tick()

    def tick(self) -> None:
        """Show the current items; nothing is sent if nothing has changed."""
        has_ended = self._job.state.is_final
        if has_ended and self._has_ended:
            return  # thousands of items take long to read; a retried job has not ended
        self.value = items_html(self._job.status, self._names)
        self._has_ended = has_ended


def items_html(job: JobRow, names: Mapping[str, str]) -> str:
    """Return the items of a job as HTML, with the names of its studies and series by Instance UID."""
    items = sorted(job.items, key=lambda item: (_place(item), item.position))
    shown = [
        [
            _what(item, names),
            item.outcome.state_in_words,
            f"{item.outcome.stored:,}" + ("" if item.outcome.expected is None else f" of {item.outcome.expected:,}"),
            str(item.attempts),
            local_time(item.not_before),
            item.outcome.error_text or item.outcome.doubt or item.outcome.note,
        ]
        for item in items[:_ITEMS_SHOWN]
    ]
    more = len(items) - _ITEMS_SHOWN
    heads = ["Item", "State", "Objects", "Tries", "Next try", "Error and advice"]
    rest = paragraph(f"and {counted(more, 'item')} more") if more > 0 else ""
    return str(grid(heads, shown) + rest)


def _place(item: ItemRow) -> int:
    state = item.outcome.state
    return _ITEM_ORDER.index(state) if state in _ITEM_ORDER else len(_ITEM_ORDER)


def _what(item: ItemRow, names: Mapping[str, str]) -> str:
    """Return the name of an item; its UID if no name is known."""
    request = item.request
    study = names.get(request.StudyInstanceUID, "" if request.SeriesInstanceUID else request.StudyInstanceUID)
    series = names.get(request.SeriesInstanceUID, request.SeriesInstanceUID)
    return f"{kind_of(request)} {': '.join(filter(None, (study, series)))}"


def names_of(workspace: Workspace, source: str) -> Mapping[str, str]:
    """Return the names of studies and series by Instance UID, from the query or plan of a job, if it has one."""
    names: dict[str, str] = {}
    for frame in _frames(workspace, source):
        for key, columns in _NAMED_BY.items():
            rows = frame.reindex(columns=[key, *columns]).astype("string").fillna("").drop_duplicates()
            for uid, *values in rows.itertuples(index=False):
                if any(values):
                    names.setdefault(uid, ", ".join(filter(None, values)))
    return names


def _frames(workspace: Workspace, source: str) -> Iterator[pd.DataFrame]:
    if not source:
        return
    with suppress(QrkitError):  # not a query, or its result is gone
        yield workspace.queries.read(source)
        return
    with suppress(QrkitError):
        plan = workspace.plans[source]
        yield from (plan.studies, plan.series)
