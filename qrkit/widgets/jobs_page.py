"""`JobsPage`: the retrieves of the workspace; one is opened, paused, cancelled, tried again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ipywidgets

from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.job_progress import JobProgress
from qrkit.widgets.telling import Notice
from qrkit.workspace import Job, Workspace

_SHOWN = ("created", "user", "node", "state", "stored", "expected", "bytes", "error", "job_id")


class JobsPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A table of jobs, and what can be done with the chosen one."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.notice = Notice()
        self.table = ChoiceTable(first=_SHOWN)
        acts: tuple[tuple[str, Callable[[Job], object]], ...] = (
            ("Pause", Job.pause),
            ("Go on", Job.resume),
            ("Cancel", Job.cancel),
            ("Try again what failed", Job.retry),
        )
        self.buttons = {
            "Refresh": self.notice.button("Refresh", self.refresh),
            "Open": self.notice.button("Open", self._open, primary=True),
            **{label: self.notice.button(label, partial(self._act, act)) for label, act in acts},
        }
        self.opened = ipywidgets.VBox()
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__([ipywidgets.HTML("<h2>Jobs</h2>"), self.table, row, self.notice, self.opened])
        self.refresh()

    def refresh(self) -> None:
        """Show the jobs as they are now."""
        listed = self._workspace.jobs.list(500)
        self.table.show(listed[[name for name in _SHOWN if name in listed.columns]])

    def _jobs(self) -> list[Job]:
        chosen = [self._workspace.jobs[job_id] for job_id in self.table.rows().get("job_id", [])]
        if not chosen:
            self.notice.alert("Choose a job in the table first.")
        return chosen

    def _open(self) -> None:
        for shown in self.opened.children:
            shown.close()
        self.opened.children = [JobProgress(job) for job in self._jobs()]

    def _act(self, act: Callable[[Job], object]) -> None:
        jobs = self._jobs()
        for job in jobs:
            act(job)
        if jobs:
            self.refresh()
            self.notice.say("Done.")
