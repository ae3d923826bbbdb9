"""`HistoryPage`: what was asked before; an answer is opened again, asked again, compared with another."""

from __future__ import annotations

import ipywidgets

from qrkit.errors import InputError
from qrkit.widgets.background import Background
from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.telling import Notice
from qrkit.workspace import Workspace

_SHOWN = ("started", "user", "node", "level", "asked", "state", "row_count", "complete", "error", "query_id")


class HistoryPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A table of queries, and the answer of the chosen one, or the difference of two."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.background = Background()
        self.notice = Notice()
        self.table = ChoiceTable(first=_SHOWN)
        self.answer = ChoiceTable(first=("change", "columns", "StudyDate", "ModalitiesInStudy", "StudyDescription"))
        self.buttons = {
            "Refresh": self.notice.button("Refresh", self.refresh),
            "Open": self.notice.button("Open", self._open, primary=True, tip="Show the kept answer"),
            "Run again": self.notice.button("Run again", self._rerun, tip="Ask the same node the same thing"),
            "Compare": self.notice.button("Compare", self._difference, tip="Show what differs between two answers"),
        }
        row = ipywidgets.HBox(list(self.buttons.values()), layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__([ipywidgets.HTML("<h2>History</h2>"), self.table, row, self.notice, self.answer])
        self.refresh()

    def refresh(self) -> None:
        """Show the queries as they are now."""
        listed = self._workspace.queries.list(500)
        self.table.show(listed[[name for name in _SHOWN if name in listed.columns]])

    def close(self) -> None:
        """Ask no more."""
        self.background.close()
        super().close()

    def _chosen(self, number: int) -> list[str]:
        ids = [str(one) for one in self.table.rows().get("query_id", [])]
        if len(ids) != number:
            what = "one query" if number == 1 else f"{number} queries"
            raise InputError(f"Choose {what} in the table first.")
        return ids

    def _open(self) -> None:
        self.answer.show(self._workspace.queries.read(self._chosen(1)[0]))
        self.notice.say(f"{len(self.answer.frame):,} rows.")

    def _rerun(self) -> None:
        (query_id,) = self._chosen(1)
        self.notice.say("Asking again …")
        self.background.run(
            lambda _: self._workspace.queries.rerun(query_id), lambda _: self._asked_again(), self.notice.failed
        )

    def _asked_again(self) -> None:
        self.refresh()
        self.notice.say("Asked again; the newest query is first.")

    def _difference(self) -> None:
        after, before = self._chosen(2)  # newest first
        self.answer.show(self._workspace.queries.diff(before, after))
        self.notice.say(f"{len(self.answer.frame):,} rows came, went or changed.")
