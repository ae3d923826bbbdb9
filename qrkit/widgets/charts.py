"""`Pictures`: an answer as people would rather look at it; drawn when it is opened, and only then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from html import unescape
from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd

from qrkit.dose import Plan
from qrkit.jobs import JobRow
from qrkit.widgets.background import Background, Pump
from qrkit.widgets.disclosure import DisclosureButtons
from qrkit.widgets.notice import Notice
from qrkit.workspace import Workspace

if TYPE_CHECKING:  # plotly takes a while to load, and many pages are never looked at as pictures
    import plotly.graph_objects as go

Draw = Callable[[], "go.Figure"]

_PLOTLY = "application/vnd.plotly.v1+json"
# Without plotly's row of buttons, which neither the keyboard nor a screen reader can reach.
_CONFIG = {"responsive": True, "displayModeBar": False}
_REST = 0.4
"""Seconds without a change after which an open picture is drawn again: not for each letter of a filter."""

_OF_STUDIES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Studies per day", ("StudyDate", "ModalitiesInStudy"), "studies_per_day"),
    ("Hours of the day", ("StudyTime", "StationName"), "hours_of_day"),
    ("Descriptions", ("ModalitiesInStudy", "StudyDescription"), "descriptions_treemap"),
)
"""What each is called, the columns that it needs, and the chart."""


class Pictures(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Buttons, each of which draws a picture below; it follows what it is of as long as it is open."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._draws: dict[str, Draw] = {}
        self._clock = clock
        self._changed: float | None = None
        self.background = Background()
        self.notice = Notice()
        self.buttons = DisclosureButtons((), label="Pictures")
        self.place = ipywidgets.Output()
        super().__init__([self.buttons, self.notice, self.place])
        self.add_class("qrkit-pictures")
        self.layout.display = "none"
        self.buttons.observe(lambda _: self._draw(), "opened")
        self._pump = Pump(self.tick)

    def offer(self, draws: Mapping[str, Draw], *, opened: str = "") -> None:
        """Offer these pictures by their names; the one that is open stays open, as it is now.

        Parameters
        ----------
        opened
            What is opened if nothing is.
        """
        was = self.opened or opened
        self._draws = dict(draws)
        self.layout.display = "" if draws else "none"
        names = list(draws)
        if names != self.buttons.labels:
            self.buttons.opened = -1
            self.buttons.labels = names
        place = names.index(was) if was in names else -1
        if place != self.buttons.opened:
            self.buttons.opened = place
        else:
            self.renew()

    @property
    def opened(self) -> str:
        """The name of the picture that is open; empty: none."""
        return self.buttons.labels[self.buttons.opened] if self.buttons.opened >= 0 else ""

    def renew(self) -> None:
        """Draw the open picture again, once nothing has changed for a moment."""
        if self.opened:
            self._changed = self._clock()
            self._pump.wake()

    def tick(self) -> bool:
        """Draw what is to be drawn again, if it is time; say whether anything is left to do."""
        if self._changed is not None and self._clock() - self._changed >= _REST:
            self._draw()
        return self._changed is not None

    def close(self) -> None:
        """Draw no more."""
        self._pump.stop()
        self.background.close()
        super().close()

    def _draw(self) -> None:
        self._changed = None
        name = self.opened
        self.notice.say("")
        if not name:
            self.place.outputs, self.buttons.told = (), ""
            return
        draw = self._draws[name]
        self.background.run(lambda _: _bundle(draw()), lambda drawn: self._show(name, drawn), self._failed)

    def _show(self, name: str, drawn: dict[str, Any]) -> None:
        if name != self.opened:
            return  # closed meanwhile
        self.buttons.told = unescape(drawn["text/plain"])
        self.place.outputs = ({"output_type": "display_data", "metadata": {}, "data": drawn},)

    def _failed(self, error: BaseException) -> None:
        self.place.outputs = ()
        self.notice.failed(error)


def pictures_of_studies(rows: Callable[[], pd.DataFrame]) -> dict[str, Draw]:
    """Return the pictures of an answer: those for which it has the columns.

    Parameters
    ----------
    rows
        Gives the rows as they are when a picture is drawn.
    """
    frame = rows()
    return {
        name: partial(_chart, chart, rows)
        for name, columns, chart in _OF_STUDIES
        if len(frame) and all(column in frame.columns and frame[column].notna().any() for column in columns)
    }


def pictures_of_plan(plan: Plan) -> dict[str, Draw]:
    """Return the pictures of a dose plan: what each step leaves, then those of its studies."""
    return {"Funnel": partial(_chart, "funnel", lambda: plan.steps), **pictures_of_studies(lambda: plan.studies)}


def pictures_of_job(workspace: Workspace, job: JobRow) -> dict[str, Draw]:
    """Return the pictures of a retrieve: how fast its objects came; none where they went to another node."""
    if job.destination:
        return {}
    return {"Rate": partial(_chart, "retrieve_rate", lambda: workspace.files.list({"job_id": job.job_id}))}


def _chart(name: str, rows: Callable[[], pd.DataFrame]) -> go.Figure:
    from qrkit.report import charts

    figure: go.Figure = getattr(charts, name)(rows())
    return figure


def _bundle(figure: go.Figure) -> dict[str, Any]:
    """Return a picture as an output has it; it has no colour behind it, so that it fits light and dark."""
    clear = "rgba(0,0,0,0)"
    figure.update_layout(paper_bgcolor=clear, plot_bgcolor=clear)
    told = str(figure.layout.title.text or "Picture")
    return {_PLOTLY: json.loads(figure.to_json()) | {"config": _CONFIG}, "text/plain": told}
