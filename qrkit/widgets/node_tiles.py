"""`NodeTiles`: every node and the worker, as they are: asked by C-ECHO when the page opens, and again on a button."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import pandas as pd

from qrkit.advice import Surface
from qrkit.widgets.background import Background, Pump
from qrkit.widgets.notice import Notice, error_on_page
from qrkit.worker.health import Health
from qrkit.workspace import Workspace

_WORKER = "Worker and Storage SCP"

_LOOK = 10.0
"""Seconds between two looks at the worker."""


class NodeTiles(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """A tile for each node: whether it answers, how quickly, and if not, what to do; and one for the worker.

    The worker's follows what becomes of it; nodes are asked again only when somebody says so.
    """

    def __init__(self, *, workspace: Workspace) -> None:
        self._workspace = workspace
        self._nodes: list[str] = []
        self.background = Background()
        self.notice = Notice()
        self.tiles = ipywidgets.HTML('<div role="status">Asking the nodes …</div>')
        again = self.notice.button("Check again", self.check, tip="Send C-ECHO to every node")
        super().__init__([self.tiles, ipywidgets.HBox([again, self.notice])])
        self._pump = Pump(self._look_again, interval=_LOOK)
        self.check()
        self._pump.wake()

    def check(self) -> None:
        """Ask every node; return at once."""
        self.background.run(
            lambda _: (self._workspace.echo(), self._workspace.health()), self._show, self.notice.failed
        )

    def close(self) -> None:
        """Ask no more."""
        self._pump.stop()
        self.background.close()
        super().close()

    def _look_again(self) -> bool:
        """Look how the worker is, unless that is being asked."""
        if not self.background.is_busy:
            self.background.run(lambda _: self._workspace.health(), self._show_worker, self._show_trouble)
        return True

    def _show(self, found: tuple[pd.DataFrame, Health]) -> None:
        answers, health = found
        self._nodes = [_tile(row) for row in answers.to_dict("records")]
        self._show_worker(health)

    def _show_worker(self, health: Health) -> None:
        self._draw(_worker_tile(health, self._workspace.settings.ae_title))

    def _show_trouble(self, error: BaseException) -> None:
        self._draw(_html("bad", _WORKER, "Status unknown.", error_on_page(error)))

    def _draw(self, worker: str) -> None:
        self.tiles.value = f'<div class="qrkit-tiles" role="status">{"".join(self._nodes)}{worker}</div>'


def answers_in(milliseconds: float) -> str:
    """Return what is said of a node that has answered C-ECHO.

    >>> answers_in(0.2), answers_in(12.4)
    ('answers in 1 ms', 'answers in 12 ms')
    """
    return f"answers in {max(1, round(milliseconds))} ms"


def _worker_tile(health: Health, ae_title: str) -> str:
    """Return the worker's tile; that there is none is no trouble, since one starts with the next retrieve."""
    if health.worker_id is None:
        told, problems = "Starts by itself with the next retrieve.", health.troubles[1:]
    else:
        told, problems = f"Runs; receives as {ae_title} on port {health.port}.", health.troubles
        if not health.port:
            told = "Runs."
    kind = "bad" if problems else "ok" if health.worker_id else ""
    return _html(kind, _WORKER, told, " ".join(problem.on(Surface.PAGE) for problem in problems))


def _tile(row: dict[Any, Any]) -> str:
    if row["ok"]:
        return _html("ok", str(row["node"]), answers_in(row["round_trip_ms"]), "")
    return _html("bad", str(row["node"]), str(row["error"]), str(row["advice"]))


def _html(kind: str, title: str, told: str, advice: str) -> str:
    return (
        f'<div class="qrkit-tile {kind}"><strong>{escape(title)}</strong><br>{escape(told)}'
        f"{'<br>' if advice else ''}{escape(advice)}</div>"
    )
