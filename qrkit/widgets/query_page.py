"""`QueryPage`: ask a node, look through the answer, choose, retrieve, watch it come."""

from __future__ import annotations

from datetime import date
from html import escape

import ipywidgets
import pandas as pd

from qrkit.query import Coverage, build_query
from qrkit.widgets.background import Background
from qrkit.widgets.charts import Pictures, pictures_of_studies
from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.cost import cost_in_words, kinds_in_words
from qrkit.widgets.filter_panel import Narrowing
from qrkit.widgets.job_progress import JobProgress
from qrkit.widgets.node_tiles import NodeTiles
from qrkit.widgets.notice import Notice
from qrkit.widgets.query_form import QueryForm
from qrkit.words import counted
from qrkit.workspace import Job, Workspace

_NEXT = {
    True: "Choose rows, then retrieve them.",
    False: "Take more days, or leave something out of the question, and ask again.",
}
"""What to do with an answer, and with one that has nothing."""


class QueryPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """The whole way from a question to files; a retrieve goes on without it."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.background = Background()
        self.notice = Notice()
        self.tiles = NodeTiles(workspace=workspace)
        self.form = QueryForm(nodes=_askable(workspace))
        self.ask = self.notice.button("Query", self._ask, primary=True, tip="Ask the node")
        self.cancel = self.notice.button("Stop", self.background.cancel, tip="Stop the query")
        self.cancel.disabled = True
        self.told = ipywidgets.HTML()
        self.answer = ChoiceTable(empty="Nothing was found.")
        self.filters = Narrowing(table=self.answer, told=self._narrowed)
        self.pictures = Pictures()
        self.retrieve = self.notice.button("Retrieve", self._retrieve, primary=True, tip="Fetch the chosen rows")
        self.retrieve.disabled = True
        self.cost = ipywidgets.HTML()
        self._told_cost = ""
        self.to = ipywidgets.Dropdown(
            options=_destinations(workspace),
            description="Deliver to",
            tooltip="This workspace, or a node that takes objects by C-MOVE",
            style={"description_width": "auto"},
            layout=ipywidgets.Layout(width="300px", max_width="100%"),
        )
        self.jobs = ipywidgets.VBox(running_jobs(workspace))
        buttons = ipywidgets.HBox(
            [self.ask, self.cancel, self.notice], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        fetch = ipywidgets.HBox([self.to, self.retrieve, self.cost], layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.found = ipywidgets.VBox(
            [ipywidgets.HTML("<h2>Answer</h2>"), self.told, self.filters, self.answer, fetch],
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
                self.pictures,
            ]
        )
        self.answer.observe(lambda _: self._show_choice(), "chosen")
        if not self.form.node.options:
            self.ask.disabled = True
            self.notice.alert("There is no node to ask yet. An administrator adds one on the page Nodes.")

    def show(self, frame: pd.DataFrame) -> None:
        """Show an answer, such as one of the history."""
        self.answer.show(frame)
        self.filters.show()
        self.pictures.offer(pictures_of_studies(lambda: self.answer.shown))
        self.found.layout.display = "" if len(frame) else "none"
        self.told.value = ""
        if len(frame):
            with self.notice.telling():
                kinds, cost = kinds_in_words(frame), cost_in_words(self._workspace.estimate(frame))
                self.told.value = escape(
                    f"{kinds}. To fetch all of it: {cost}." if kinds else f"To fetch all: {cost}."
                )
        self.notice.say(f"{_number(frame)}; {_verdict(frame)}. {_NEXT[bool(len(frame))]}")

    def close(self) -> None:
        """Stop asking; retrieves go on."""
        self.background.close()
        self.tiles.close()
        self.pictures.close()
        super().close()

    def _ask(self) -> None:
        # The question is a value from here on: what the form says later does not change it.
        node, query = self.form.node.value, build_query(today=date.today(), **self.form.given)
        self.ask.disabled, self.cancel.disabled = True, False
        self.notice.say(f"Asking {node} …")
        self.background.run(
            lambda stop: self._workspace.ask(node, query, should_stop=stop).frame(), self._answered, self._failed
        )

    def _answered(self, frame: pd.DataFrame) -> None:
        self.ask.disabled, self.cancel.disabled = False, True
        self.show(frame)

    def _failed(self, error: BaseException) -> None:
        self.ask.disabled, self.cancel.disabled = False, True
        self.notice.failed(error)

    def _narrowed(self) -> None:
        self.pictures.renew()
        self._tell_cost()  # the choice is the same

    def _show_choice(self) -> None:
        number = len(self.answer.chosen)
        self.retrieve.disabled = not number
        self.retrieve.description = f"Retrieve {counted(number, 'row')}" if number else "Retrieve"
        self._told_cost = ""
        if number:
            with self.notice.telling():
                self._told_cost = cost_in_words(self._workspace.estimate(self.answer.rows()))
        self._tell_cost()

    def _tell_cost(self) -> None:
        hidden = self.answer.hidden
        also = f"; {hidden:,} of them hidden by the filters" if hidden and self._told_cost else ""
        self.cost.value = escape(self._told_cost + also)

    def _retrieve(self) -> None:
        job = self._workspace.retrieve(self.answer.rows(), to=self.to.value)
        self.jobs.children = (JobProgress(job), *self.jobs.children)


def _number(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "Nothing found"
    one, several = ("series", "series") if "SeriesInstanceUID" in frame.columns else ("study", "studies")
    return counted(len(frame), one, plural=several)


def _verdict(frame: pd.DataFrame) -> str:
    carried = frame.attrs.get("qrkit", {}).get("coverage")
    return Coverage.from_json(carried).verdict if carried else "may be incomplete"


def running_jobs(workspace: Workspace) -> list[JobProgress]:
    """Return the progress of every job that has not ended: a page that is opened again finds them."""
    listed = workspace.jobs.list(50)
    active = listed[listed["state"].isin(["queued", "running", "paused"])]
    return [JobProgress(workspace.jobs[job_id]) for job_id in active["job_id"]]


def _askable(workspace: Workspace) -> list[str]:
    return [node.name for node in workspace.nodes if node.enabled and node.can_find]


def _destinations(workspace: Workspace) -> list[tuple[str, str]]:
    there = [(node.name, node.name) for node in workspace.nodes if node.enabled and node.can_store]
    return [("This workspace", ""), *there]


__all__ = ["Job", "QueryPage", "running_jobs"]
