"""`JobsPage`: the retrieves of the workspace; one is opened, paused, cancelled, tried again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ipywidgets

from qrkit.jobs import JobState, state_in_words
from qrkit.widgets.background import Pump
from qrkit.widgets.charts import Pictures, pictures_of_job
from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.job_items import JobItems, names_of
from qrkit.widgets.job_progress import JobProgress
from qrkit.widgets.links import share
from qrkit.widgets.notice import Notice
from qrkit.workspace import Job, Workspace

_LOOK = 2.0
"""Seconds between two looks at the jobs, of anybody: where nothing has changed, nothing is sent."""

_SHOWN = ("created", "user", "node", "state", "reason", "error", "job_id")


class JobsPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A table of jobs, and what can be done with the chosen one."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.notice = Notice()
        self._trouble = ""
        self.table = ChoiceTable(first=_SHOWN, only=True, empty="Nothing was retrieved yet.")
        acts: tuple[tuple[str, Callable[[Job], object]], ...] = (
            ("Pause", Job.pause),
            ("Resume", Job.resume),
            ("Cancel", Job.cancel),
            ("Retry failed", Job.retry),
        )
        self.buttons = {
            "Refresh": self.notice.button("Refresh", self.refresh),
            "Open": self.notice.button("Open", self._open, primary=True),
            **{label: self.notice.button(label, partial(self._act, act)) for label, act in acts},
        }
        self.opened = ipywidgets.VBox()
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__([ipywidgets.HTML("<h2>Jobs</h2>"), self.table, row, self.notice, self.opened])
        self._pump = Pump(self.tick, interval=_LOOK)
        self.refresh()
        self._pump.wake()

    def refresh(self) -> None:
        """Show the jobs as they are now; those that were chosen stay chosen."""
        jobs = self._workspace.jobs.list(500)
        words = [
            state_in_words(JobState(state), proven=proven)
            for state, proven in zip(jobs["state"], jobs["proven"], strict=True)
        ]
        listed = jobs.assign(state=words)[list(_SHOWN)]
        has_changed = self.table.frame.empty or not listed.equals(self.table.frame)
        if has_changed:
            self.table.renew(listed, "job_id")
        for shown in self.opened.children:
            if isinstance(shown, JobItems):
                shown.tick()
            elif isinstance(shown, JobProgress) and has_changed:
                shown.follow()
            elif isinstance(shown, Pictures) and has_changed:
                shown.renew()

    def tick(self) -> bool:
        """Look again, by itself; the page is followed until it is closed."""
        is_well = False
        with self.notice.telling():
            self.refresh()
            is_well = True
        if is_well and self._trouble and self._trouble == self.notice.value:
            self.notice.say("")  # it is over
        self._trouble = "" if is_well else self.notice.value
        return True

    def open_named(self, job_id: str) -> None:
        """Show a job with its items, such as the one that a link names."""
        self._show([self._workspace.jobs[job_id]])

    def close(self) -> None:
        """Look no more; jobs go on."""
        self._pump.stop()
        self._show([])
        super().close()

    def _jobs(self) -> list[Job]:
        chosen = [self._workspace.jobs[job_id] for job_id in self.table.rows().get("job_id", [])]
        if not chosen:
            self.notice.alert("Choose a job in the table first.")
        return chosen

    def _open(self) -> None:
        self._show(self._jobs())

    def _show(self, jobs: list[Job]) -> None:
        for shown in self.opened.children:
            shown.close()
        self.opened.children = [part for job in jobs for part in self._parts(job)]

    def _parts(self, job: Job) -> tuple[ipywidgets.Widget, ...]:
        items = JobItems(job, names=names_of(self._workspace, job.status.source))
        return (JobProgress(job), share("jobs", "job", job.job_id), items, self._pictures(job))

    def _pictures(self, job: Job) -> Pictures:
        pictures = Pictures()
        pictures.offer(pictures_of_job(self._workspace, job.status))
        return pictures

    def _act(self, act: Callable[[Job], object]) -> None:
        jobs = self._jobs()
        for job in jobs:
            act(job)
        if jobs:
            self.refresh()
            self.notice.say("Done.")
