"""`QueryPage`: query a node, review and filter the results, select rows, and retrieve them."""

from __future__ import annotations

from datetime import date
from html import escape

import ipywidgets
import pandas as pd

from qrkit.jobs.estimate import cost_in_words
from qrkit.query import Coverage, build_query
from qrkit.widgets.background import Background
from qrkit.widgets.charts import Charts, charts_of_studies
from qrkit.widgets.filter_panel import FilterPanel
from qrkit.widgets.job_progress import JobProgress, running_jobs
from qrkit.widgets.labels import modalities_in_words
from qrkit.widgets.node_tiles import NodeTiles
from qrkit.widgets.notice import Notice
from qrkit.widgets.query_form import QueryForm
from qrkit.widgets.selectable_table import SelectableTable
from qrkit.words import counted
from qrkit.workspace import Workspace


class QueryPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """The page from a query to its files; retrieves continue without it."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.background = Background()
        self.notice = Notice()
        self.tiles = NodeTiles(workspace=workspace)
        self.form = QueryForm(nodes=_queried(workspace))
        self.ask = self.notice.button("Query", self._ask, primary=True, tip="Send the query to the node")
        self.cancel = self.notice.button("Stop", self.background.cancel, tip="Stop the query")
        self.cancel.disabled = True
        self.summary = ipywidgets.HTML()
        self.results = SelectableTable(empty="No rows found.")
        self.filters = FilterPanel(table=self.results, on_change=self._filtered)
        self.charts = Charts()
        self.retrieve = self.notice.button("Retrieve", self._retrieve, primary=True, tip="Retrieve the selected rows")
        self.retrieve.disabled = True
        self.cost = ipywidgets.HTML()
        self._cost_text = ""
        self.to = ipywidgets.Dropdown(
            options=_destinations(workspace),
            description="Deliver to",
            tooltip="This workspace, or a node that receives objects by C-MOVE",
            style={"description_width": "auto"},
            layout=ipywidgets.Layout(width="300px", max_width="100%"),
        )
        self.jobs = ipywidgets.VBox(running_jobs(workspace))
        buttons = ipywidgets.HBox(
            [self.ask, self.cancel, self.notice], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        deliver = ipywidgets.HBox([self.to, self.retrieve, self.cost], layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.found = ipywidgets.VBox(
            [ipywidgets.HTML("<h2>Results</h2>"), self.summary, self.filters, self.results, deliver],
            layout=ipywidgets.Layout(display="none"),
        )
        super().__init__(
            [
                ipywidgets.HTML("<h2>Nodes</h2>"),
                self.tiles,
                ipywidgets.HTML("<h2>Query</h2>"),
                self.form,
                buttons,
                self.found,
                self.jobs,
                self.charts,
            ]
        )
        self.results.observe(lambda _: self._show_selection(), "selected")
        if not self.form.node.options:
            self.ask.disabled = True
            self.notice.alert("No nodes yet. An administrator can add one on the Nodes page.")

    def show(self, frame: pd.DataFrame) -> None:
        """Show a result, such as one of the history."""
        self.results.show(frame)
        self.filters.show()
        self.charts.offer(charts_of_studies(lambda: self.results.shown))
        self.found.layout.display = "" if len(frame) else "none"
        self.summary.value = ""
        if len(frame):
            with self.notice.shown_errors():
                modalities, cost = modalities_in_words(frame), cost_in_words(self._workspace.estimate(frame))
                sentences = [modalities and f"{modalities}.", f"To retrieve everything: {cost}."]
                self.summary.value = escape(" ".join(filter(None, sentences)))
        self.notice.say(_outcome(frame))

    def close(self) -> None:
        """Stop the query; retrieves continue."""
        self.background.close()
        self.tiles.close()
        self.charts.close()
        super().close()

    def _ask(self) -> None:
        # The query is a value from here on: later changes of the form do not affect it.
        node, query = self.form.node.value, build_query(today=date.today(), **self.form.given)
        self.ask.disabled, self.cancel.disabled = True, False
        self.notice.say(f"Querying {node} …")
        self.background.run(
            lambda stop: self._workspace.ask(node, query, stop=stop).frame(), self._answered, self._failed
        )

    def _answered(self, frame: pd.DataFrame) -> None:
        self.ask.disabled, self.cancel.disabled = False, True
        self.show(frame)

    def _failed(self, error: BaseException) -> None:
        self.ask.disabled, self.cancel.disabled = False, True
        self.notice.failed(error)

    def _filtered(self) -> None:
        self.charts.renew()
        self._show_cost()  # the selection is the same

    def _show_selection(self) -> None:
        number = len(self.results.selected)
        self.retrieve.disabled = not number
        self.retrieve.description = f"Retrieve {counted(number, 'row')}" if number else "Retrieve"
        self._cost_text = ""
        if number:
            with self.notice.shown_errors():
                self._cost_text = cost_in_words(self._workspace.estimate(self.results.rows()))
        self._show_cost()

    def _show_cost(self) -> None:
        hidden = self.results.hidden
        also = f"; {counted(hidden, 'selected row')} hidden by filters" if hidden and self._cost_text else ""
        self.cost.value = escape(self._cost_text + also)

    def _retrieve(self) -> None:
        job = self._workspace.retrieve(self.results.rows(), to=self.to.value)
        self.jobs.children = (JobProgress(job), *self.jobs.children)


def _outcome(frame: pd.DataFrame) -> str:
    """Return the number of rows, whether the result is complete, and what to do next."""
    carried = frame.attrs.get("qrkit", {}).get("coverage")
    coverage = Coverage.from_json(carried) if carried else None
    verdict = coverage.verdict if coverage else "may be incomplete"
    notes = "".join(f" {note}" for note in coverage.notes) if coverage else ""
    what, several = ("series", "series") if "SeriesInstanceUID" in frame.columns else ("study", "studies")
    if frame.empty:
        found = f"No {several} found" + (f"; {verdict}" if verdict != "complete" else "")
        return f"{found}. Widen the date range or remove a filter.{notes}"
    return f"{counted(len(frame), what)}; {verdict}. Select rows to retrieve.{notes}"


def _queried(workspace: Workspace) -> list[str]:
    return [node.name for node in workspace.nodes if node.enabled and node.can_find]


def _destinations(workspace: Workspace) -> list[tuple[str, str]]:
    nodes = [(node.name, node.name) for node in workspace.nodes if node.enabled and node.can_store]
    return [("This workspace", ""), *nodes]
