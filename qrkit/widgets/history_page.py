"""`HistoryPage`: what was asked before; an answer is opened again, asked again, compared with another."""

from __future__ import annotations

import ipywidgets
import pandas as pd

from qrkit.query import Query
from qrkit.widgets.background import Background
from qrkit.widgets.charts import Pictures, pictures_of_studies
from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.links import share
from qrkit.widgets.notice import Notice
from qrkit.words import counted
from qrkit.workspace import Workspace

_SHOWN = ("started", "user", "node", "asked", "row_count", "complete", "state", "error", "query_id")

_FIRST = ("change", "columns", "StudyDate", "ModalitiesInStudy", "StudyDescription")
_NONE_YET = "Nothing was asked yet. Ask on the page Query and retrieve."


class HistoryPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A table of queries, and the answer of the chosen one, or the difference of two."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.background = Background()
        self.notice = Notice()
        self.table = ChoiceTable(first=_SHOWN, empty=_NONE_YET)
        self.answer = ChoiceTable(first=_FIRST, empty="There is nothing in it.", can_choose=False)
        self.pictures = Pictures()
        self.buttons = {
            "Refresh": self.notice.button("Refresh", self.refresh),
            "Open": self.notice.button("Open", self._open, primary=True, tip="Show the kept answer"),
            "Run again": self.notice.button("Run again", self._rerun, tip="Ask the same node the same thing"),
            "Stop": self.notice.button("Stop", self.background.cancel, tip="Stop the query that runs again"),
            "Compare": self.notice.button("Compare", self._difference, tip="Show what differs between two answers"),
        }
        self.link = ipywidgets.HBox()
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        self.buttons["Stop"].disabled = True
        head = [ipywidgets.HTML("<h2>History</h2>"), self.table, row, self.notice]
        super().__init__([*head, self.link, self.answer, self.pictures])
        self.refresh()

    def refresh(self) -> None:
        """Show the queries as they are now."""
        listed = self._workspace.queries.list(500)
        self.table.renew(listed[list(_SHOWN)], "query_id")

    def open_named(self, query_id: str) -> None:
        """Show the kept answer of a query, such as the one that a link names."""
        self.answer.show(self._workspace.queries.read(query_id))
        self.pictures.offer(pictures_of_studies(lambda: self.answer.shown))
        self.link.children = [share("history", "query", query_id)]
        asked = self._workspace.queries.show(query_id)
        self.notice.say(f"{asked.question} from {asked.node}: {counted(len(self.answer.frame), 'row')}.")

    def close(self) -> None:
        """Ask no more."""
        self.background.close()
        self.pictures.close()
        super().close()

    def _chosen(self, number: int) -> list[str]:
        return self.table.pick("query_id", "query", number=number, plural="queries")

    def _open(self) -> None:
        self.open_named(self._chosen(1)[0])

    def _rerun(self) -> None:
        row = self._workspace.queries.show(self._chosen(1)[0])
        query = Query.from_json(row.request)
        self.notice.say("Asking again …")
        self.background.run(
            lambda stop: self._workspace.ask(row.node, query, should_stop=stop),
            lambda _: self._asked_again(),
            self._failed,
        )
        self._is_asking(asking=True)

    def _is_asking(self, *, asking: bool) -> None:
        self.buttons["Stop"].disabled, self.buttons["Run again"].disabled = not asking, asking

    def _failed(self, error: BaseException) -> None:
        self._is_asking(asking=False)
        self.notice.failed(error)

    def _asked_again(self) -> None:
        self._is_asking(asking=False)
        self.refresh()
        self.notice.say("Asked again; the newest query is first.")

    def _difference(self) -> None:
        after, before = self._chosen(2)  # newest first
        found = self._workspace.queries.diff(before, after)
        self.answer.show(_with_what_they_are(found, [self._workspace.queries.read(one) for one in (after, before)]))
        self.pictures.offer({})
        self.link.children = []
        new, gone, changed = (int((found["change"] == one).sum()) for one in ("added", "removed", "changed"))
        self.notice.say(
            f"{counted(len(found), 'row')} came, went or changed: {new:,} new, {gone:,} gone, {changed:,} changed."
        )


def _with_what_they_are(found: pd.DataFrame, answers: list[pd.DataFrame]) -> pd.DataFrame:
    """Return differences with the columns of what differs, as the newer answer has it, or else the older."""
    key = str(found.columns[0])
    told = pd.concat(answers).drop_duplicates(key).drop(columns=["change", "columns"], errors="ignore")
    return found.merge(told, on=key, how="left")
