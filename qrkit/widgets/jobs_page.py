"""`JobsPage`: the jobs of the workspace, with buttons to open, pause, resume, cancel and retry them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ipywidgets

from qrkit.jobs import JobState, state_in_words
from qrkit.widgets.background import Poller
from qrkit.widgets.charts import Charts, charts_of_job
from qrkit.widgets.job_items import JobItems, names_of
from qrkit.widgets.job_progress import JobProgress
from qrkit.widgets.links import share
from qrkit.widgets.notice import Notice
from qrkit.widgets.selectable_table import SelectableTable
from qrkit.words import counted
from qrkit.workspace import Job, Workspace

_LOOK = 2.0
"""Seconds between two reads of all users' jobs; nothing is sent if nothing has changed."""

_SHOWN = ("created", "user", "node", "state", "reason", "error", "job_id")


class JobsPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A table of jobs, with actions on the selected ones."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.notice = Notice()
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
            "Open": self.notice.button("Open", self._open, primary=True),
            **{label: self.notice.button(label, partial(self._act, done, act)) for label, done, act in acts},
        }
        self.opened = ipywidgets.VBox()
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__([ipywidgets.HTML("<h2>Jobs</h2>"), self.table, row, self.notice, self.opened])
        self._poller = Poller(self.tick, interval=_LOOK)
        self.refresh()
        self._poller.wake()

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

    def close(self) -> None:
        """Stop reading; jobs continue."""
        self._poller.stop()
        self._show([])
        super().close()

    def _jobs(self) -> list[Job]:
        selected = [self._workspace.jobs[job_id] for job_id in self.table.rows().get("job_id", [])]
        if not selected:
            self.notice.alert("Select a job in the table first.")
        return selected

    def _open(self) -> None:
        self._show(self._jobs())

    def _show(self, jobs: list[Job]) -> None:
        for shown in self.opened.children:
            shown.close()
        self.opened.children = [part for job in jobs for part in self._parts(job)]

    def _parts(self, job: Job) -> tuple[ipywidgets.Widget, ...]:
        items = JobItems(job, names=names_of(self._workspace, job.status.source))
        return (JobProgress(job), share("jobs", "job", job.job_id), items, self._charts(job))

    def _charts(self, job: Job) -> Charts:
        charts = Charts()
        charts.offer(charts_of_job(self._workspace, job.status))
        return charts

    def _act(self, done: str, act: Callable[[Job], object]) -> None:
        jobs = self._jobs()
        for job in jobs:
            act(job)
        if jobs:
            self.refresh()
            self.notice.say(f"{done} {counted(len(jobs), 'job')}.")
