"""`SelectableTable`: a table whose rows are selected by mouse or keyboard, under any sort and search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import time
from typing import Any

import ipywidgets
import pandas as pd
import traitlets

from qrkit.errors import InputError
from qrkit.widgets.labels import headings, legend
from qrkit.widgets.result_table import SHOWN, ResultGrid, as_shown, selectable_grid
from qrkit.words import counted, local_time

_FIRST = (
    "StudyDate",
    "StudyTime",
    "PatientID",
    "ModalitiesInStudy",
    "Modality",
    "StudyDescription",
    "SeriesDescription",
    "StationName",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "AccessionNumber",
    "PatientName",
)
_SELDOM = ("error", "reason", "description")
_MOMENTS = ("created", "started", "finished", "changed", "not_before")
"""Columns of times in UTC, shown in local time."""


class SelectableTable(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Shows `frame`, or some of its rows; `selected` has the positions in `frame` of the selected rows.

    Selected rows stay selected when the table is sorted, searched or filtered. Order, search and page stay when it is
    filtered or updated.

    Parameters
    ----------
    first
        The first columns.
    only
        Whether there are no others.
    empty
        Text of an empty table.
    can_select
        Whether rows can be selected; where no button uses the selection, that would mislead.
    """

    selected = traitlets.Tuple()

    def __init__(
        self,
        *,
        frame: pd.DataFrame | None = None,
        first: tuple[str, ...] = _FIRST,
        only: bool = False,
        empty: str = "",
        can_select: bool = True,
    ) -> None:
        super().__init__()
        self._look: dict[str, Any] = {"empty": empty, "can_select": can_select}
        self._first = first
        self._only = only
        self._shown: ResultGrid | None = None
        self._at: list[int] = []
        self._sent: list[int] = []
        self._drawing = False
        self._columns: dict[str, str] = {}
        self.frame = pd.DataFrame()
        if frame is not None:
            self.show(frame)

    def show(self, frame: pd.DataFrame, *, selected: Sequence[int] = ()) -> None:
        """Show another table, with only these rows selected."""
        self._columns = headings(self._names(frame))
        self.frame = frame
        self._at = list(range(len(frame)))
        self.selected = tuple(selected)
        before, self._shown = self._shown, None
        self._draw()
        if before is not None:
            before.close()

    def filter_rows(self, positions: Sequence[int]) -> None:
        """Show only these rows; if the browser holds all rows, only the positions are sent."""
        if list(positions) == self._at:
            return
        self._at = list(positions)
        if self._shown is None or len(self.frame) > SHOWN:
            self._draw()
        else:
            self._shown.shown = None if len(self._at) == len(self.frame) else self._at

    def update_rows(self, frame: pd.DataFrame, key: str) -> None:
        """Show the current rows of the same table; selected rows stay selected, by their `key`."""
        before = set(self.rows()[key]) if key in self.frame.columns else set()
        selected = [place for place, value in enumerate(frame[key]) if value in before]
        if self._names(frame) != list(self._columns) or self._shown is None:
            self.show(frame, selected=selected)
            return
        self.frame, self._at, self.selected = frame, list(range(len(frame))), tuple(selected)
        self._draw()

    def rows(self) -> pd.DataFrame:
        """Return the selected rows of `frame`."""
        selected = self.frame.iloc[list(self.selected)]
        selected.attrs = dict(self.frame.attrs)
        return selected

    def pick(self, column: str, what: str, *, number: int = 1, plural: str = "") -> list[str]:
        """Return the values of a column in the selected rows.

        Raises
        ------
        InputError
            If more or fewer rows are selected.
        """
        values = [str(value) for value in self.rows().get(column, [])]
        if len(values) != number:
            wanted = f"one {what}" if number == 1 else counted(number, what, plural=plural)
            raise InputError(f"Select {wanted} in the table first.")
        return values

    @property
    def hidden(self) -> int:
        """How many of the selected rows are not shown."""
        return len(set(self.selected) - set(self._at))

    @property
    def shown(self) -> pd.DataFrame:
        """The rows of `frame` that are shown."""
        return self.frame.iloc[self._at]

    def _names(self, frame: pd.DataFrame) -> list[str]:
        """Return the columns to show, in order; columns that are often empty only if they have a value."""
        names = [name for name in self._first if name in frame.columns]
        if not self._only:
            names += [name for name in frame.columns if name not in names and frame[name].notna().any()]
        return [name for name in names if name not in _SELDOM or frame[name].astype(bool).any()]

    def _draw(self) -> None:
        """Send all rows, or the shown rows if there are too many."""
        self._sent = list(range(len(self.frame))) if len(self.frame) <= SHOWN else self._at[:SHOWN]
        rows = self.frame.iloc[self._sent][list(self._columns)]
        shown = as_shown(_in_words(rows)).rename(columns=self._columns)
        with self._quietly():
            if self._shown is None:
                self._shown = selectable_grid(shown, self._marked(), **self._look)
                self._shown.observe(self._select, "selected_rows")
                self.children = (self._shown, ipywidgets.HTML(legend(self._columns)))
            else:
                selectable_grid(shown, self._marked(), **self._look, into=self._shown)

    def _marked(self) -> list[int]:
        places = {position: place for place, position in enumerate(self._sent)}
        return [places[position] for position in self.selected if position in places]

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Change the widget without treating it as a selection by the user."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False

    def _select(self, change: dict[str, list[int]]) -> None:
        if self._drawing:
            return
        here = {self._sent[row] for row in change["new"] if 0 <= row < len(self._sent)}  # a browser may send anything
        self.selected = tuple(sorted(here | (set(self.selected) - set(self._sent))))


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with times in local time, sizes in MB, several values with commas, and yes or no."""
    worded = frame.copy()
    for name in worded.columns:
        if name in _MOMENTS:
            worded[name] = worded[name].map(local_time, na_action="ignore")
        elif name == "bytes":
            worded[name] = (worded[name] / 1e6).round(1)
        elif name in _WORDED:
            worded[name] = worded[name].map(_WORDED[name], na_action="ignore")
        elif pd.api.types.is_bool_dtype(worded[name]) or name == "complete":
            worded[name] = worded[name].map({True: "yes", False: "no"})
        elif worded[name].dtype == object:
            worded[name] = worded[name].map(_short, na_action="ignore")
    return worded


def _short(value: object) -> object:
    return value.strftime("%H:%M:%S") if isinstance(value, time) else value


def _several(value: object) -> object:
    return value.replace("\\", ", ") if isinstance(value, str) else value


def _person(value: object) -> object:
    """Return a person name as it is written: ``Doe^Jane^^Dr`` is Doe, Jane, Dr (PS3.5 6.2.1)."""
    return ", ".join(filter(None, value.partition("=")[0].split("^"))) if isinstance(value, str) else value


_WORDED: dict[str, Callable[[object], object]] = {
    "ModalitiesInStudy": _several,
    "PatientName": _person,
}
"""Columns whose values are reworded."""
