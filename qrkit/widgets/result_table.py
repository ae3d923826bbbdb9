"""Tables that are sorted, searched and read with the keyboard, without a network.

`ResultGrid` is itables' widget, changed so that order, search, page and selection survive new rows and filters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import itables
import pandas as pd
import traitlets
from itables.widget import ITable

from qrkit.errors import QrkitError

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


def _script(bundle: Path = _BUNDLE) -> str:
    """Return our module with itables' bundle in it as text; of the bundle only its exports are used.

    Raises
    ------
    QrkitError
        If the installed itables has no such bundle: the file is not part of its public interface.
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
    rows would be sent again for each letter of a filter.

    Attributes
    ----------
    shown
        Positions of the rows that are shown; None: all.
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
    caption = f"The first {limit:,} of {len(frame):,} rows" if len(frame) > limit else ""
    return ResultGrid(as_shown(frame.head(limit)), caption=caption, **_OPTIONS)


def selectable_grid(
    frame: pd.DataFrame,
    selected: Sequence[int] = (),
    *,
    empty: str = "",
    can_select: bool = True,
    into: ResultGrid | None = None,
) -> ResultGrid:
    """Return a widget in which rows are selected; `frame` holds the texts to show.

    Parameters
    ----------
    selected
        Positions of the rows that are already selected.
    empty
        Text of an empty table.
    can_select
        Whether rows can be selected.
    into
        An existing widget, which shows this table from now on; its order, search and page stay.
    """
    options = _OPTIONS | ({"buttons": [*_SELECT, *_OPTIONS["buttons"]]} if can_select else {"select": False})
    if empty:
        options["language"] = _OPTIONS["language"] | {"emptyTable": empty}
    caption = f"The first {SHOWN:,} of {len(frame):,} rows" if len(frame) > SHOWN else ""
    if into is None:
        return ResultGrid(frame.head(SHOWN), caption=caption, **options, selected_rows=list(selected))
    with into.hold_sync():  # rows and selection belong together
        into.shown = None
        into.update(frame.head(SHOWN), caption=caption, **options, selected_rows=list(selected))
    return into


def as_shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the texts to show: ISO dates, lists with commas, empty cells for missing values."""
    shown = frame.reset_index(drop=True)
    return shown.apply(_column_as_shown) if len(shown.columns) else shown


def _column_as_shown(column: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_datetime64_any_dtype(column):
        has_time = bool((column.dropna() != column.dropna().dt.normalize()).any())
        column = column.dt.strftime("%Y-%m-%d %H:%M:%S" if has_time else "%Y-%m-%d")
    if pd.api.types.is_numeric_dtype(column) and not column.hasnans:
        return column
    return column.astype(object).map(_as_text).where(column.notna(), "")


def _as_text(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
