"""What all charts have in common: colours, patterns, the look, what a column must be, and text of a peer."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from qrkit.errors import InputError

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

PATTERNS = ("", "/", "x", ".", "\\", "+", "-", "|")
"""One for each colour, for grey printers and for people who see none."""

INK = "#1a1a1a"
GRID = "#d9d9d9"

CONFIG = {"responsive": True, "displaylogo": False}
"""How a browser shows a chart: as wide as the page, without an advertisement."""

UNKNOWN = "unknown"
"""What a missing or empty value is called."""


def laid_out(figure: go.Figure, title: str, *, height: int = 400, **layout: object) -> go.Figure:
    """Return the figure with its title and the look of all charts; it is as wide as its place."""
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
        If one is missing; the message names all that are, and what table to give.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        word = "column" if len(missing) == 1 else "columns"
        raise InputError(f"The chart needs the {word} {' and '.join(missing)}; give {give}.")


def plain(text: object) -> str:
    """Return a text that plotly shows as it is: it takes ``<`` for HTML, and what a PACS sends is not to be trusted.

    >>> plain("<a href='x'>Thorax</a> & Abdomen")
    "&lt;a href='x'&gt;Thorax&lt;/a&gt; &amp; Abdomen"
    """
    return html.escape(str(text), quote=False)


def days_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return dates, whatever they were: dates, timestamps or texts; NaT where it is none."""
    if pd.api.types.is_datetime64_any_dtype(column):
        days: pd.Series[Any] = column.dt.normalize()
        return days
    texts = texts_of(column).str.slice(0, 10).str.replace("-", "")
    return pd.to_datetime(texts, format="%Y%m%d", errors="coerce")


def names_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts without blanks around and in a row; where there is nothing, `UNKNOWN`."""
    texts = texts_of(column).str.split().str.join(" ")
    return texts.where(texts != "", UNKNOWN)


def texts_of(column: pd.Series[Any]) -> pd.Series[str]:
    """Return values as texts; empty where there is none."""
    return column.astype("object").where(column.notna(), "").astype("str")


def write_chart(figure: go.Figure, path: Path) -> Path:
    """Write a chart as one HTML file that needs no network, and return its path."""
    figure.write_html(path, include_plotlyjs=True, full_html=True, config=CONFIG)
    return path
