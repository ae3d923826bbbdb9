"""`NodeTiles`: the state of the worker and of all nodes, which C-ECHO checks when the page opens and on request."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from qrkit.advice import Surface
from qrkit.widgets.panel import Panel, error_on_page
from qrkit.worker.health import Health
from qrkit.workspace import Workspace

_WORKER = "Worker and Storage SCP"

_LOOK = 10.0
"""Seconds between two checks of the worker."""


class NodeTiles(Panel):
    """A tile for each node with its response time, or its error and advice; and one for the worker.

    The tile of the worker updates itself. Nodes are checked again only on request.
    """

    def __init__(self, *, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._nodes: list[str] = []
        self.tiles = ipywidgets.HTML('<div role="status">Checking nodes …</div>')
        again = self.notice.button("Check again", self.check, tip="Send C-ECHO to every node")
        self.children = (self.tiles, ipywidgets.HBox([again, self.notice]))
        self.check()
        self.poller(self._check_worker, interval=_LOOK).wake()

    def check(self) -> None:
        """Check all nodes; return at once."""
        self.work(lambda _: (self._workspace.echo(), self._workspace.health()), self._show)

    def _check_worker(self) -> bool:
        """Check the worker, unless a check is running."""
        if not self.background.is_busy:
            self.background.run(lambda _: self._workspace.health(), self._show_worker, self._show_error)
        return True

    def _show(self, found: tuple[pd.DataFrame, Health]) -> None:
        answers, health = found
        self._nodes = [_tile(row) for row in answers.to_dict("records")]
        self._show_worker(health)

    def _show_worker(self, health: Health) -> None:
        self._draw(_worker_tile(health, self._workspace.settings.ae_title))

    def _show_error(self, error: BaseException) -> None:
        self._draw(_html("bad", _WORKER, "Status unknown.", error_on_page(error)))

    def _draw(self, worker: str) -> None:
        self.tiles.value = f'<div class="qrkit-tiles" role="status">{"".join(self._nodes)}{worker}</div>'


def responds_in(milliseconds: float) -> str:
    """Return the text for a node that has answered C-ECHO.

    >>> responds_in(0.2), responds_in(12.4)
    ('responds in 1 ms', 'responds in 12 ms')
    """
    return f"responds in {max(1, round(milliseconds))} ms"


def _worker_tile(health: Health, ae_title: str) -> str:
    """Return the tile of the worker; a missing worker is not an error, since one starts with the next retrieve."""
    if health.worker_id is None:
        text, problems = "Not running. Starts with the next retrieve.", health.troubles[1:]
    else:
        text, problems = f"Running. Receives as {ae_title} on port {health.port}.", health.troubles
        if not health.port:
            text = "Running."
    kind = "bad" if problems else "ok" if health.worker_id else ""
    return _html(kind, _WORKER, text, " ".join(problem.on(Surface.PAGE) for problem in problems))


def _tile(row: dict[Any, Any]) -> str:
    if row["ok"]:
        return _html("ok", str(row["node"]), responds_in(row["round_trip_ms"]), "")
    return _html("bad", str(row["node"]), str(row["error"]), str(row["advice"]))


def _html(kind: str, title: str, text: str, advice: str) -> str:
    return (
        f'<div class="qrkit-tile {kind}"><strong>{escape(title)}</strong><br>{escape(text)}'
        f"{'<br>' if advice else ''}{escape(advice)}</div>"
    )
