"""`HistoryPage`: earlier queries; their results are opened, run again, or compared."""

from __future__ import annotations

import ipywidgets
import pandas as pd

from qrkit.query import Query
from qrkit.widgets.charts import Charts, charts_of_studies
from qrkit.widgets.labels import share
from qrkit.widgets.panel import Panel, row, title
from qrkit.widgets.result_table import SelectableTable
from qrkit.words import counted
from qrkit.workspace import Workspace

_SHOWN = ("started", "user", "node", "asked", "row_count", "complete", "state", "error", "query_id")

_FIRST = ("change", "columns", "StudyDate", "ModalitiesInStudy", "StudyDescription")
_NONE_YET = "No queries yet. Use the Query and retrieve page."


class HistoryPage(Panel):
    """A table of queries, with the result of one or the differences between two."""

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.table = SelectableTable(first=_SHOWN, empty=_NONE_YET)
        self.results = SelectableTable(first=_FIRST, empty="No rows.", can_select=False)
        self.charts = Charts()
        rerun, stop = self.work_buttons(
            "Run again",
            self._rerun,
            primary=False,
            tip="Send the same query to the same node",
            stop_tip="Stop the query that runs again",
        )
        self.buttons = {
            "Refresh": self.notice.button("Refresh", self.refresh),
            "Open": self.notice.button("Open", self._open, primary=True, tip="Show the stored result"),
            "Run again": rerun,
            "Stop": stop,
            "Compare": self.notice.button("Compare", self._difference, tip="Show the differences of two results"),
        }
        self.link = ipywidgets.HBox()
        buttons = row(*self.buttons.values())
        self.children = (title("History"), self.table, buttons, self.notice, self.link, self.results, self.charts)
        self.refresh()

    def refresh(self) -> None:
        """Show the current queries."""
        listed = self._workspace.queries.list(500)
        self.table.update_rows(listed[list(_SHOWN)], "query_id")

    def open_named(self, query_id: str) -> None:
        """Show the stored result of a query, such as one named by a link."""
        self.results.show(self._workspace.queries.read(query_id))
        self.charts.offer(charts_of_studies(lambda: self.results.shown))
        self.link.children = [share("history", "query", query_id)]
        query = self._workspace.queries.show(query_id)
        self.notice.say(f"{query.question} from {query.node}: {counted(len(self.results.frame), 'row')}.")

    def _selected(self, number: int) -> list[str]:
        return self.table.pick("query_id", "query", number=number, plural="queries")

    def _open(self) -> None:
        self.open_named(self._selected(1)[0])

    def _rerun(self) -> None:
        earlier = self._workspace.queries.show(self._selected(1)[0])
        query = Query.from_json(earlier.request)
        self.notice.say("Running the query again …")
        self.work(lambda stop: self._workspace.ask(earlier.node, query, stop=stop), self._rerun_done)

    def _rerun_done(self, _: object) -> None:
        self.refresh()
        self.notice.say("Done. The new query is first in the table.")

    def _difference(self) -> None:
        after, before = self._selected(2)  # newest first
        found = self._workspace.queries.diff(before, after)
        self.results.show(
            _with_attributes(found, [self._workspace.queries.read(query_id) for query_id in (after, before)])
        )
        self.charts.offer({})
        self.link.children = []
        parts = [f"{int((found['change'] == change).sum()):,} {change}" for change in ("added", "removed", "changed")]
        self.notice.say(f"{counted(len(found), 'difference')}: {', '.join(parts)}.")


def _with_attributes(found: pd.DataFrame, results: list[pd.DataFrame]) -> pd.DataFrame:
    """Return differences with the other columns of their rows, from the newer result or else the older."""
    key = str(found.columns[0])
    rows = pd.concat(results).drop_duplicates(key).drop(columns=["change", "columns"], errors="ignore")
    return found.merge(rows, on=key, how="left")
