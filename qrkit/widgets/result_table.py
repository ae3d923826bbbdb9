"""Tables that are sorted, searched and read with the keyboard, without a network.

`ResultGrid` is itables' widget, changed so that order, search, page and selection survive new rows and filters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ipywidgets
import itables
import pandas as pd
import traitlets
from itables.widget import ITable

from qrkit.errors import InputError, QrkitError
from qrkit.tables import dates_as_text
from qrkit.widgets.labels import headings, legend
from qrkit.words import counted, local_time

SHOWN = 10_000
"""Rows that a browser handles with ease."""

# All rows that pass the search and the filters, selected or not. Text of a PACS must not become a formula.
_DOWNLOAD: dict[str, Any] = {
    "filename": "qrkit",
    "footer": False,
    "exportOptions": {"modifier": {"selected": None}, "escapeExcelFormula": True},
}

# All are always set: by default itables hides rows beyond 64 kB and treats text as HTML, and text of a PACS is not
# to be trusted.
_OPTIONS: dict[str, Any] = {
    "maxBytes": 0,
    "maxRows": 0,
    "maxColumns": 0,
    "allow_html": False,
    "showIndex": False,
    "format_floats_in_python": False,
    "text_in_header_can_be_selected": False,  # a click on the whole heading sorts
    "classes": "display compact nowrap",
    "style": "width:100%",
    "scrollX": True,
    "pageLength": 10,
    "lengthMenu": [10, 25, 50, 100],
    "order": [],
    "select": {"style": "multi", "keys": True},
    "buttons": [
        {"extend": "colvis", "text": "Columns", "background": False},
        {
            "extend": "collection",
            "text": "Download",
            "background": False,
            "buttons": [
                {"extend": "csvHtml5", "text": "CSV", "charset": "utf-8", "bom": True, **_DOWNLOAD},
                {"extend": "excelHtml5", "text": "Excel (xlsx)", "title": None, **_DOWNLOAD},
            ],
        },
    ],
    "layout": {
        "topStart": "buttons",
        "topEnd": "search",
        "bottomStart": ["info", "pageLength"],
        "bottomEnd": "paging",
    },
    "language": {
        "search": "Search:",
        "info": "Rows _START_ to _END_ of _TOTAL_",
        "infoEmpty": "No rows",
        "infoFiltered": "(filtered from _MAX_)",
        "lengthMenu": "_MENU_ rows per page",
        "emptyTable": "No rows.",
        "zeroRecords": "No matching rows.",
        "select": {"rows": {"0": "", "1": "1 selected", "_": "%d selected"}},
    },
}

_SELECT: list[dict[str, Any]] = [
    {"extend": "selectAll", "text": "Select all matching", "selectorModifier": {"search": "applied"}},
    {"extend": "selectNone", "text": "Clear selection"},
]
"""Buttons of a table whose rows can be selected; matching rows pass the search and the filters."""

_BUNDLE = Path(itables.__file__).parent / "html" / "dt_bundle.js"

_STYLE = Path(itables.__file__).parent / "widget" / "static" / "widget.css"

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


def _script(bundle: Path = _BUNDLE) -> str:
    """Return our module with itables' bundle in it as text; of the bundle only its exports are used.

    The file is not part of itables' public interface: `QrkitError` if the installed version has no such file.
    """
    ours = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    try:
        text = json.dumps(bundle.read_text(encoding="utf-8"))
    except OSError as error:
        raise QrkitError(
            f"itables {version('itables')} has no file {bundle.name}, which the tables of the pages are built on.",
            advice="Install the version of itables that pyproject.toml allows.",
        ) from error
    return f"const VERSION = {json.dumps(version('itables'))};\nconst BUNDLE = {text};\n{ours}"


class ResultGrid(ITable):  # type: ignore[misc] # itables publishes no types
    """A table: the browser holds all rows, and shows those of `shown`.

    itables builds its own table anew for each change: the reader would lose the order and the page, and five thousand
    rows would be sent again for each letter of a filter. `shown` has the positions of the rows to show; None: all.
    """

    _esm = _script()
    _css = _STYLE.read_text(encoding="utf-8") + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    # typed Any: a typed list would check thousands of positions at each letter of a filter
    shown: Any = traitlets.List(default_value=None, allow_none=True).tag(sync=True)


def table(frame: pd.DataFrame, *, limit: int = SHOWN) -> ResultGrid:
    """Return a widget that shows a table; its `selected_rows` are positions in `frame`.

    Parameters
    ----------
    limit
        Rows that are shown; if there are more, the caption gives the number.
    """
    return ResultGrid(as_shown(frame.head(limit)), caption=_caption(limit, len(frame)), **_OPTIONS)


def _caption(shown: int, total: int) -> str:
    return f"The first {shown:,} of {total:,} rows" if shown < total else ""


def as_shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the texts to show: ISO dates, lists with commas, empty cells for missing values."""
    shown = frame.reset_index(drop=True)
    return shown.apply(_column_as_shown) if len(shown.columns) else shown


def _column_as_shown(column: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        column = dates_as_text(column)
    if pd.api.types.is_numeric_dtype(column) and not column.hasnans:
        return column
    return column.astype(object).map(_as_text).where(column.notna(), "")


def _as_text(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


class SelectableTable(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """Shows `frame`, or some of its rows; `selected` has the positions in `frame` of the selected rows.

    Selected rows stay selected when the table is sorted, searched or filtered. Order, search and page stay when it is
    filtered or updated. Rows can be selected only where a button uses the selection: elsewhere that would mislead.
    """

    selected = traitlets.Tuple()

    def __init__(
        self,
        *,
        first: tuple[str, ...] = _FIRST,
        only: bool = False,
        empty: str = "",
        can_select: bool = True,
    ) -> None:
        super().__init__()
        buttons = {"buttons": [*_SELECT, *_OPTIONS["buttons"]]} if can_select else {"select": False}
        language = _OPTIONS["language"] | ({"emptyTable": empty} if empty else {})
        self._options: dict[str, Any] = _OPTIONS | buttons | {"language": language}
        self._first = first
        self._only = only
        self._shown: ResultGrid | None = None
        self._at: list[int] = []
        self._sent: list[int] = []
        self._drawing = False
        self._columns: dict[str, str] = {}
        self.frame = pd.DataFrame()

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
        """Return the values of a column in the selected rows; an error if more or fewer rows are selected."""
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
        places = {position: place for place, position in enumerate(self._sent)}
        selected = [places[position] for position in self.selected if position in places]
        options = self._options | {"caption": _caption(len(self._sent), len(self._at)), "selected_rows": selected}
        self._drawing = True  # what changes now was not selected by the user
        try:
            if self._shown is None:
                self._shown = ResultGrid(shown, **options)
                self._shown.observe(self._select, "selected_rows")
                self.children = (self._shown, ipywidgets.HTML(legend(self._columns)))
                return
            with self._shown.hold_sync():  # rows and selection belong together
                self._shown.shown = None
                self._shown.update(shown, **options)
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
