"""`table`: an answer as a table that can be sorted, searched and read with the keyboard, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from qrkit.widgets.answer_grid import AnswerGrid

SHOWN = 10_000
"""Rows that a browser still handles with ease."""

# All rows that the search and the filters leave, chosen or not. What a PACS sends must not become a formula.
_DOWNLOAD: dict[str, Any] = {
    "filename": "qrkit",
    "footer": False,
    "exportOptions": {"modifier": {"selected": None}, "escapeExcelFormula": True},
}

# Each is given always: by default itables hides rows beyond 64 kB and takes text for HTML, and what comes from a
# PACS is not to be trusted.
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
                {"extend": "csvHtml5", "text": "For any program (CSV)", "charset": "utf-8", "bom": True, **_DOWNLOAD},
                {"extend": "excelHtml5", "text": "For Excel (xlsx)", "title": None, **_DOWNLOAD},
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
        "infoFiltered": "found among _MAX_",
        "lengthMenu": "_MENU_ rows per page",
        "emptyTable": "There are no rows.",
        "zeroRecords": "No row has what is searched or filtered for.",
        "select": {"rows": {"0": "", "1": "1 chosen", "_": "%d chosen"}},
    },
}

_CHOOSE: list[dict[str, Any]] = [
    {"extend": "selectAll", "text": "Choose all found", "selectorModifier": {"search": "applied"}},
    {"extend": "selectNone", "text": "Choose none"},
]
"""Buttons of a table of which rows are chosen; all found: those that the search and the filters leave."""


def table(frame: pd.DataFrame, *, limit: int = SHOWN) -> AnswerGrid:
    """Return a widget that shows a table; its `selected_rows` are positions in `frame`.

    Parameters
    ----------
    limit
        Rows that are shown; the caption says so if there are more.
    """
    caption = f"The first {limit:,} of {len(frame):,} rows" if len(frame) > limit else ""
    return AnswerGrid(as_shown(frame.head(limit)), caption=caption, **_OPTIONS)


def choosing(
    frame: pd.DataFrame,
    chosen: Sequence[int] = (),
    *,
    empty: str = "",
    can_choose: bool = True,
    into: AnswerGrid | None = None,
) -> AnswerGrid:
    """Return a widget from which rows are chosen; `frame` is as it is to be shown.

    Parameters
    ----------
    chosen
        Positions of those that are chosen already.
    empty
        What stands there if there are no rows.
    can_choose
        Whether rows can be chosen at all.
    into
        A widget that shows this table instead of what it has shown; its order, search and page stay as they are.
    """
    options = _OPTIONS | ({"buttons": [*_CHOOSE, *_OPTIONS["buttons"]]} if can_choose else {"select": False})
    if empty:
        options["language"] = _OPTIONS["language"] | {"emptyTable": empty}
    caption = f"The first {SHOWN:,} of {len(frame):,} rows" if len(frame) > SHOWN else ""
    if into is None:
        return AnswerGrid(frame.head(SHOWN), caption=caption, **options, selected_rows=list(chosen))
    with into.hold_sync():  # rows and choice belong together
        into.shown = None
        into.update(frame.head(SHOWN), caption=caption, **options, selected_rows=list(chosen))
    return into


def as_shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as people read it: dates as ISO, lists with commas, nothing where there is no value."""
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
