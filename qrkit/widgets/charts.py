"""`Charts`: charts of a result, a plan or a job; each is drawn when it is opened."""

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
from qrkit.widgets.labels import DisclosureButtons
from qrkit.widgets.panel import Panel
from qrkit.workspace import Workspace

if TYPE_CHECKING:  # plotly loads slowly, and many pages never open a chart
    import plotly.graph_objects as go

Draw = Callable[[], "go.Figure"]

_PLOTLY = "application/vnd.plotly.v1+json"
# Without plotly's row of buttons, which neither the keyboard nor a screen reader can reach.
_CONFIG = {"responsive": True, "displayModeBar": False}
_REST = 0.4
"""Seconds without a change before an open chart is drawn again: not for each letter of a filter."""

_OF_STUDIES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Studies per day", ("StudyDate", "ModalitiesInStudy"), "studies_per_day"),
    ("Hours of the day", ("StudyTime", "StationName"), "hours_of_day"),
    ("Descriptions", ("ModalitiesInStudy", "StudyDescription"), "descriptions_treemap"),
)
"""Label, required columns and function of each chart."""


class Charts(Panel):
    """Buttons that each draw a chart below them; an open chart follows its rows."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._draws: dict[str, Draw] = {}
        self._clock = clock
        self._changed: float | None = None
        self.buttons = DisclosureButtons((), label="Charts")
        self.place = ipywidgets.Output()
        self.children = (self.buttons, self.notice, self.place)
        self.add_class("qrkit-charts")
        self.layout.display = "none"
        self.buttons.observe(lambda _: self._draw(), "opened")
        self._poller = self.poller(self.tick)

    def offer(self, draws: Mapping[str, Draw]) -> None:
        """Offer these charts by their names; the open one stays open, and is drawn again."""
        was = self.opened
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
        """The name of the open chart; empty: none."""
        return self.buttons.labels[self.buttons.opened] if self.buttons.opened >= 0 else ""

    def renew(self) -> None:
        """Draw the open chart again, once nothing has changed for a moment."""
        if self.opened:
            self._changed = self._clock()
            self._poller.wake()

    def tick(self) -> bool:
        """Draw the changed chart if it is time; return whether a chart is still waiting."""
        if self._changed is not None and self._clock() - self._changed >= _REST:
            self._draw()
        return self._changed is not None

    def _draw(self) -> None:
        self._changed = None
        name = self.opened
        self.notice.say("")
        if not name:
            self.place.outputs, self.buttons.description = (), ""
            return
        draw = self._draws[name]
        self.background.run(lambda _: _bundle(draw()), lambda drawn: self._show(name, drawn), self._failed)

    def _show(self, name: str, drawn: dict[str, Any]) -> None:
        if name != self.opened:
            return  # closed meanwhile
        self.buttons.description = unescape(drawn["text/plain"])
        self.place.outputs = ({"output_type": "display_data", "metadata": {}, "data": drawn},)

    def _failed(self, error: BaseException) -> None:
        self.place.outputs = ()
        self.notice.failed(error)


def charts_of_studies(rows: Callable[[], pd.DataFrame]) -> dict[str, Draw]:
    """Return the charts of a result: those whose columns it has; each takes the current rows when it is drawn."""
    frame = rows()
    return {
        name: partial(_chart, chart, rows)
        for name, columns, chart in _OF_STUDIES
        if len(frame) and all(column in frame.columns and frame[column].notna().any() for column in columns)
    }


def charts_of_plan(plan: Plan) -> dict[str, Draw]:
    """Return the charts of a dose plan: its steps, then those of its studies."""
    return {"Funnel": partial(_chart, "funnel", lambda: plan.steps), **charts_of_studies(lambda: plan.studies)}


def charts_of_job(workspace: Workspace, job: JobRow) -> dict[str, Draw]:
    """Return the charts of a retrieve: its rate; none if another node receives the objects."""
    if job.destination:
        return {}
    return {"Rate": partial(_chart, "retrieve_rate", lambda: workspace.files.list({"job_id": job.job_id}))}


def _chart(name: str, rows: Callable[[], pd.DataFrame]) -> go.Figure:
    from qrkit.report import charts

    figure: go.Figure = getattr(charts, name)(rows())
    return figure


def _bundle(figure: go.Figure) -> dict[str, Any]:
    """Return a chart as notebook output; its background is transparent, so that it fits light and dark."""
    clear = "rgba(0,0,0,0)"
    figure.update_layout(paper_bgcolor=clear, plot_bgcolor=clear)
    title = str(figure.layout.title.text or "Chart")
    return {_PLOTLY: json.loads(figure.to_json()) | {"config": _CONFIG}, "text/plain": title}
