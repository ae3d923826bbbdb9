"""The common style of all charts, with checks of columns and escaping of text from nodes."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from qrkit.errors import InputError

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
"""Okabe and Ito's palette, which people with any colour vision can distinguish."""

PATTERNS = ("", "/", "x", ".", "\\", "+", "-", "|")
"""One for each colour, for grey printers and for people who see none."""

INK = "#1a1a1a"
GRID = "#d9d9d9"

CONFIG = {"responsive": True, "displaylogo": False}
"""How a browser shows a chart: as wide as the page, without an advertisement."""

UNKNOWN = "unknown"
"""Label of a missing or empty value."""


def laid_out(figure: go.Figure, title: str, *, height: int = 400, **layout: object) -> go.Figure:
    """Return the figure with its title and the common style; it takes the width of its container."""
    figure.update_layout(
        title={"text": title, "x": 0, "xref": "container", "pad": {"l": 8}, "font": {"size": 16}},
        template="plotly_white",
        font={"color": INK, "size": 13},
        height=height,
        autosize=True,
        margin={"l": 8, "r": 8, "t": 56, "b": 8},
        **layout,
    )
    # Room for axis titles and labels, however long a station's name is.
    figure.update_xaxes(automargin=True, title_standoff=8)
    figure.update_yaxes(automargin=True, title_standoff=8)
    return figure


def need(frame: pd.DataFrame, *columns: str, give: str) -> None:
    """Check that a table has the columns of a chart.

    Raises
    ------
    InputError
        If any is missing; the message names all missing ones and the table to pass.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        word = "column" if len(missing) == 1 else "columns"
        raise InputError(f"The chart requires the {word} {' and '.join(missing)}. Pass {give}.")


def plain(text: object) -> str:
    """Return a text that plotly shows unchanged: it treats ``<`` as HTML, and text of a PACS is not to be trusted.

    >>> plain("<a href='x'>Thorax</a> & Abdomen")
    "&lt;a href='x'&gt;Thorax&lt;/a&gt; &amp; Abdomen"
    """
    return html.escape(str(text), quote=False)


def days_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return dates from dates, timestamps or texts; NaT for anything else."""
    if pd.api.types.is_datetime64_any_dtype(column):
        days: pd.Series[Any] = column.dt.normalize()
        return days
    texts = texts_of(column).str.slice(0, 10).str.replace("-", "")
    return pd.to_datetime(texts, format="%Y%m%d", errors="coerce")


def names_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts with single spaces; `UNKNOWN` for empty ones."""
    texts = texts_of(column).str.split().str.join(" ")
    return texts.where(texts != "", UNKNOWN)


def texts_of(column: pd.Series[Any]) -> pd.Series[str]:
    """Return values as texts; empty for missing ones."""
    return column.astype("object").where(column.notna(), "").astype("str")


def write_chart(figure: go.Figure, path: Path) -> Path:
    """Write a chart as one HTML file that needs no network, and return its path."""
    figure.write_html(path, include_plotlyjs=True, full_html=True, config=CONFIG)
    return path
