"""`QueryPage`: query a node, review and filter the results, select rows, and retrieve them.

Filters act at once and send nothing to the node.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from html import escape

import ipywidgets
import pandas as pd

from qrkit.jobs.estimate import cost_in_words
from qrkit.query import Coverage, build_query
from qrkit.tables import modality_labels
from qrkit.widgets.charts import Charts, charts_of_studies
from qrkit.widgets.job_progress import JobProgress, running_jobs
from qrkit.widgets.labels import field, fields, hint, modalities_in_words
from qrkit.widgets.nodes_page import NodeTiles
from qrkit.widgets.panel import Panel, close_parts, row, title
from qrkit.widgets.query_form import QueryForm, code_box, nodes_to_query
from qrkit.widgets.result_table import SelectableTable
from qrkit.words import comma_list, counted, out_of
from qrkit.workspace import Workspace

_WORDS = "Words in the description, separated by commas."
_DESCRIPTIONS = ("StudyDescription", "SeriesDescription")
_MODALITIES = ("ModalitiesInStudy", "Modality")


class QueryPage(Panel):
    """The page from a query to its files; retrieves continue without it."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.tiles = NodeTiles(workspace=workspace)
        self.form = QueryForm(nodes=nodes_to_query(workspace))
        self.ask, self.cancel = self.work_buttons(
            "Query", self._ask, tip="Send the query to the node", stop_tip="Stop the query"
        )
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
        deliver = row(self.to, self.retrieve, self.cost)
        self.found = ipywidgets.VBox(
            [title("Results"), self.summary, self.filters, self.results, deliver],
            layout=ipywidgets.Layout(display="none"),
        )
        self.children = (
            title("Nodes"),
            self.tiles,
            title("Query"),
            self.form,
            row(self.ask, self.cancel, self.notice),
            self.found,
            self.jobs,
            self.charts,
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

    def _ask(self) -> None:
        # The query is a value from here on: later changes of the form do not affect it.
        node, query = self.form.node.value, build_query(today=date.today(), **self.form.given)
        self.notice.say(f"Querying {node} …")
        self.work(lambda stop: self._workspace.ask(node, query, stop=stop).frame(), self.show)

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


def _destinations(workspace: Workspace) -> list[tuple[str, str]]:
    nodes = [(node.name, node.name) for node in workspace.nodes if node.enabled and node.can_store]
    return [("This workspace", ""), *nodes]


class FilterPanel(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Description and modality filters of a table, of which rows that pass all filters are shown."""

    def __init__(self, *, table: SelectableTable, on_change: Callable[[], object]) -> None:
        self._table = table
        self._on_change = on_change
        self._rows: list[tuple[str, frozenset[str]]] = []
        self.include = ipywidgets.Text(description="Show rows containing", placeholder="chest, abdomen")
        self.exclude = ipywidgets.Text(description="Hide rows containing", placeholder="imported")
        self.modalities = row()
        self.count = ipywidgets.HTML()
        self.modalities.add_class("qrkit-kinds")
        words = fields([field(self.include, _WORDS), field(self.exclude, _WORDS)])
        none_selected = hint("None selected = all modalities.")
        modalities = ipywidgets.VBox([self.modalities, none_selected])
        super().__init__([title("Filter these results", level=3), words, modalities, self.count])
        self.add_class("qrkit-form")
        self.layout.display = "none"
        for widget in (self.include, self.exclude):
            widget.observe(lambda _: self.apply(), "value")

    def show(self) -> None:
        """Offer the modalities of the table; nothing is filtered yet."""
        frame = self._table.frame
        # Once for each result: for five thousand rows this takes longer than a filter.
        words = [cell.casefold() for cell in _column(frame, _DESCRIPTIONS)]
        self._rows = list(zip(words, map(modality_labels, _column(frame, _MODALITIES)), strict=True))
        codes = sorted({code for _, own in self._rows for code in own})
        close_parts(self.modalities)
        self.modalities.children = [code_box(code, f"Show rows with {code}", width="72px") for code in codes]
        for box in self.modalities.children:
            box.observe(lambda _: self.apply(), "value")
        self.include.value = self.exclude.value = ""
        self.layout.display = "" if len(frame) else "none"
        self.apply()

    def apply(self) -> None:
        """Show the rows that pass the filters."""
        wanted, unwanted = _terms(self.include.value), _terms(self.exclude.value)
        codes = {box.description for box in self.modalities.children if box.value}
        kept = [
            place
            for place, (words, own) in enumerate(self._rows)
            if (not wanted or any(term in words for term in wanted))
            and not any(term in words for term in unwanted)
            and (not codes or not codes.isdisjoint(own))
        ]
        self._table.filter_rows(kept)
        hidden = self._table.hidden
        also = f" {counted(hidden, 'selected row')} hidden." if hidden else ""
        shown = out_of(len(kept), len(self._rows), "row")
        self.count.value = f'<div role="status">{shown} shown. Filters apply to these results only.{also}</div>'
        self._on_change()


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    """Return the texts of the existing columns, joined; empty if there is no such column."""
    there = [frame[name].astype(object).where(frame[name].notna(), "") for name in names if name in frame.columns]
    return (
        ["\\".join(filter(None, map(str, cells))) for cells in zip(*there, strict=True)]
        if there
        else [""] * len(frame)
    )


def _terms(text: str) -> list[str]:
    return [term.casefold() for term in comma_list(text)]
