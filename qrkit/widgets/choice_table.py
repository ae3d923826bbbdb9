"""`ChoiceTable`: a table of which rows can be chosen, by mouse or keyboard, under any sort and search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import time
from typing import Any

import ipywidgets
import pandas as pd
import traitlets

from qrkit.errors import InputError
from qrkit.widgets.answer_grid import AnswerGrid
from qrkit.widgets.answer_table import SHOWN, as_shown, choosing
from qrkit.widgets.labels import headings, legend
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
"""Columns of times in UTC, shown by the user's own clock."""


class ChoiceTable(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Shows `frame`, or some of its rows; `chosen` has the positions in `frame` of the rows that are chosen.

    What is chosen stays chosen when the table is sorted, searched or narrowed; order, search and page stay as they
    are when it is narrowed or renewed.

    Parameters
    ----------
    first
        Columns that come first.
    only
        Whether there are no others.
    empty
        What stands there if there are no rows.
    can_choose
        Whether rows can be chosen; where nothing is done with them, that would mislead.
    """

    chosen = traitlets.Tuple()

    def __init__(
        self,
        *,
        frame: pd.DataFrame | None = None,
        first: tuple[str, ...] = _FIRST,
        only: bool = False,
        empty: str = "",
        can_choose: bool = True,
    ) -> None:
        super().__init__()
        self._look: dict[str, Any] = {"empty": empty, "can_choose": can_choose}
        self._first = first
        self._only = only
        self._shown: AnswerGrid | None = None
        self._at: list[int] = []
        self._sent: list[int] = []
        self._drawing = False
        self._columns: dict[str, str] = {}
        self.frame = pd.DataFrame()
        if frame is not None:
            self.show(frame)

    def show(self, frame: pd.DataFrame, *, chosen: Sequence[int] = ()) -> None:
        """Show another table, of which nothing is chosen but what is said."""
        self._columns = headings(self._names(frame))
        self.frame = frame
        self._at = list(range(len(frame)))
        self.chosen = tuple(chosen)
        before, self._shown = self._shown, None
        self._draw()
        if before is not None:
            before.close()

    def narrow(self, positions: Sequence[int]) -> None:
        """Show only these rows of the table; where the browser has them all, only the positions go there."""
        if list(positions) == self._at:
            return
        self._at = list(positions)
        if self._shown is None or len(self.frame) > SHOWN:
            self._draw()
        else:
            self._shown.shown = None if len(self._at) == len(self.frame) else self._at

    def renew(self, frame: pd.DataFrame, key: str) -> None:
        """Show the same table as it is now; rows that were chosen stay chosen, by their `key`."""
        before = set(self.rows()[key]) if key in self.frame.columns else set()
        chosen = [place for place, value in enumerate(frame[key]) if value in before]
        if self._names(frame) != list(self._columns) or self._shown is None:
            self.show(frame, chosen=chosen)
            return
        self.frame, self._at, self.chosen = frame, list(range(len(frame))), tuple(chosen)
        self._draw()

    def choose(self, positions: Sequence[int]) -> None:
        """Choose these rows, and no others."""
        self.chosen = tuple(positions)
        self._mark()

    def rows(self) -> pd.DataFrame:
        """Return the chosen rows, as they are in `frame`."""
        chosen = self.frame.iloc[list(self.chosen)]
        chosen.attrs = dict(self.frame.attrs)
        return chosen

    def pick(self, column: str, what: str, *, number: int = 1, plural: str = "") -> list[str]:
        """Return the values of a column in the chosen rows.

        Raises
        ------
        InputError
            If more or fewer rows are chosen.
        """
        chosen = [str(one) for one in self.rows().get(column, [])]
        if len(chosen) != number:
            wanted = f"one {what}" if number == 1 else counted(number, what, plural=plural)
            raise InputError(f"Choose {wanted} in the table first.")
        return chosen

    @property
    def hidden(self) -> int:
        """How many of the chosen rows are not shown."""
        return len(set(self.chosen) - set(self._at))

    @property
    def shown(self) -> pd.DataFrame:
        """The rows that are shown, as they are in `frame`."""
        return self.frame.iloc[self._at]

    def _names(self, frame: pd.DataFrame) -> list[str]:
        """Return the columns to show, in their order: of those that seldom have a value, the ones that have."""
        names = [name for name in self._first if name in frame.columns]
        if not self._only:
            names += [name for name in frame.columns if name not in names and frame[name].notna().any()]
        return [name for name in names if name not in _SELDOM or frame[name].astype(bool).any()]

    def _draw(self) -> None:
        """Send the rows: all of them, or if they are too many those that are shown."""
        self._sent = list(range(len(self.frame))) if len(self.frame) <= SHOWN else self._at[:SHOWN]
        rows = self.frame.iloc[self._sent][list(self._columns)]
        shown = as_shown(_in_words(rows)).rename(columns=self._columns)
        with self._quietly():
            if self._shown is None:
                self._shown = choosing(shown, self._marked(), **self._look)
                self._shown.observe(self._choose, "selected_rows")
                self.children = (self._shown, ipywidgets.HTML(legend(self._columns)))
            else:
                choosing(shown, self._marked(), **self._look, into=self._shown)

    def _mark(self) -> None:
        with self._quietly():
            if self._shown is not None:
                self._shown.selected_rows = self._marked()

    def _marked(self) -> list[int]:
        places = {position: place for place, position in enumerate(self._sent)}
        return [places[position] for position in self.chosen if position in places]

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Do something that is no choice of whoever looks."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False

    def _choose(self, change: dict[str, list[int]]) -> None:
        if self._drawing:
            return
        here = {self._sent[row] for row in change["new"] if 0 <= row < len(self._sent)}  # a browser may send anything
        self.chosen = tuple(sorted(here | (set(self.chosen) - set(self._sent))))


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with times by the user's clock, sizes in MB, several values with commas, and yes and no."""
    told = frame.copy()
    for name in told.columns:
        if name in _MOMENTS:
            told[name] = told[name].map(local_time, na_action="ignore")
        elif name == "bytes":
            told[name] = (told[name] / 1e6).round(1)
        elif name in _WORDED:
            told[name] = told[name].map(_WORDED[name], na_action="ignore")
        elif pd.api.types.is_bool_dtype(told[name]) or name == "complete":
            told[name] = told[name].map({True: "yes", False: "no"})
        elif told[name].dtype == object:
            told[name] = told[name].map(_short, na_action="ignore")
    return told


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
"""Columns whose values are not told as they are."""
