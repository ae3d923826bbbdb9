"""`NodeTiles`: every node and the worker, as they are: asked by C-ECHO when the page opens, and again on a button."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from qrkit.widgets.background import Background
from qrkit.widgets.telling import Notice
from qrkit.workspace import Workspace


class NodeTiles(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A tile for each node: whether it answers, how quickly, and if not, what to do."""

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self.background = Background()
        self.notice = Notice()
        self.tiles = ipywidgets.HTML('<div role="status">Asking the nodes …</div>')
        again = self.notice.button("Check again", self.check, tip="Send C-ECHO to every node")
        super().__init__([self.tiles, ipywidgets.HBox([again, self.notice])])
        self.check()

    def check(self) -> None:
        """Ask every node; return at once."""
        self.background.run(
            lambda _: (self._workspace.echo(), _workers(self._workspace)), self._show, self.notice.failed
        )

    def close(self) -> None:
        """Ask no more."""
        self.background.close()
        super().close()

    def _show(self, found: tuple[pd.DataFrame, int]) -> None:
        answers, workers = found
        tiles = [_tile(row) for row in answers.to_dict("records")]
        settings = self._workspace.settings
        told = "Runs" if workers else "Starts by itself with the next retrieve"
        where = f"receives as {settings.ae_title} on port {settings.port}"
        tiles.append(_html("ok" if workers else "", "Worker and Storage SCP", f"{told}; {where}.", ""))
        self.tiles.value = f'<div class="qrkit-tiles" role="status">{"".join(tiles)}</div>'


def _workers(workspace: Workspace) -> int:
    return int(workspace.sql("SELECT count(*) AS n FROM workers WHERE state = 'running'")["n"][0])


def _tile(row: dict[Any, Any]) -> str:
    if row["ok"]:
        return _html("ok", str(row["node"]), f"answers in {max(1, round(row['round_trip_ms']))} ms", "")
    return _html("bad", str(row["node"]), str(row["error"]), str(row["advice"]))


def _html(kind: str, title: str, told: str, advice: str) -> str:
    return (
        f'<div class="qrkit-tile {kind}"><strong>{escape(title)}</strong><br>{escape(told)}'
        f"{'<br>' if advice else ''}{escape(advice)}</div>"
    )
