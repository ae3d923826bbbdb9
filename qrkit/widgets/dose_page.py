"""`DosePage`: plan the least that carries dose, see why each study is kept or not and what it costs, retrieve it."""

from __future__ import annotations

import ipywidgets

from qrkit.dose import Plan
from qrkit.errors import InputError, NotFound
from qrkit.widgets.charts import Charts, charts_of_plan
from qrkit.widgets.job_progress import JobProgress, running_jobs
from qrkit.widgets.labels import field, fields
from qrkit.widgets.panel import Panel, row, title
from qrkit.widgets.query_form import QueryForm, nodes_to_query
from qrkit.widgets.result_table import SelectableTable
from qrkit.workspace import Workspace
from qrkit.workspace.retrieve import check_budget

_SHOWN = ("keep", "group", "reason", "StudyDate", "StudyDescription", "rule")
_WANTED = "Accession number, or UID of a study, series or object."


class DosePage(Panel):
    """A form, the steps of the plan, its studies with reasons, and its retrieve."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._plan: Plan | None = None
        self.form = QueryForm(nodes=nodes_to_query(workspace), dose=True)
        self.make, self.stop = self.work_buttons(
            "Plan",
            self._make,
            tip="Find the objects that contain dose, without retrieving them",
            stop_tip="Stop planning; results so far are kept",
        )
        self.summary = ipywidgets.HTML()
        self.charts = Charts()
        self.studies = SelectableTable(first=_SHOWN, can_select=False)
        self.retrieve = self.notice.button("Retrieve this plan", self._retrieve, primary=True)
        self.retrieve.disabled = True
        self.confirmed = ipywidgets.Checkbox(
            description="Retrieve although it exceeds the budget",
            indent=False,
            layout=ipywidgets.Layout(width="auto", display="none"),
        )
        self.jobs = ipywidgets.VBox(running_jobs(workspace))
        self.wanted = ipywidgets.Text(description="Study, series or object", placeholder="accession number, or UID")
        self.ask = self.notice.button("Show reason", self._why, tip="Show the decision of the newest plan")
        self.reasons = ipywidgets.HTML()
        self.children = (
            title("Dose objects"),
            self.form,
            ipywidgets.HBox([self.make, self.stop, self.notice]),
            self.summary,
            row(self.retrieve, self.confirmed),
            self.jobs,
            self.studies,
            self.charts,
            title("Why was a study not retrieved?", level=3),
            fields([field(self.wanted, _WANTED)]),
            ipywidgets.HBox([self.ask]),
            self.reasons,
        )

    def _make(self) -> None:
        node, given = self.form.node.value, self.form.given
        self.retrieve.disabled = True
        self.notice.say(f"Querying {node} …")
        self.work(lambda stop: self._workspace.plan(node, stop=stop, **given), self._planned)

    def _planned(self, plan: Plan) -> None:
        self._plan = plan
        self.retrieve.disabled = not plan.requests()
        self.notice.say("Plan ready. Nothing has been retrieved yet.")
        self._ask_to_confirm(plan)
        self.summary.value = plan._repr_html_()
        self.charts.offer(charts_of_plan(plan))
        self.studies.show(plan.studies.drop(columns="trail", errors="ignore"))

    def _ask_to_confirm(self, plan: Plan) -> None:
        """Show that a plan exceeds the site's budget, with a box to confirm it."""
        self.confirmed.value, self.confirmed.layout.display = False, "none"
        try:
            check_budget(self._workspace.settings, plan)
        except InputError as error:
            self.confirmed.layout.display = ""
            self.notice.failed(error)

    def _why(self) -> None:
        what = self.wanted.value.strip()
        if not what:
            self.notice.alert("Enter an accession number or the UID of a study, series or object.")
            return
        try:
            rows = self._workspace.why(what)
        except NotFound:
            rows = None
        if rows is None or rows.empty:
            self.reasons.value = (
                "<p>No plan includes this item. Create a plan for its study date, then try again.</p>"
            )
            return
        shown = rows.drop(columns="trail", errors="ignore")
        self.reasons.value = str(shown.to_html(index=False, escape=True, na_rep=""))

    def _retrieve(self) -> None:
        if self._plan is None:
            self.notice.alert("Create a plan first.")
            return
        job = self._workspace.retrieve(self._plan.confirmed() if self.confirmed.value else self._plan)
        self.jobs.children = (JobProgress(job), *self.jobs.children)
