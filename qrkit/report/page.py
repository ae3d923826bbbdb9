"""A report as one HTML file that asks nothing of any network: style, words, tables, pictures, plotly.js once.

The file is filled by `string.Template`: everything in it is HTML of `qrkit.markup`, which escapes, so that a
template language has nothing left to do; and no kernel has to run, as nbconvert would need one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from string import Template
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from qrkit.markup import Markup, bullets, code, facts, grid, html, paragraph
from qrkit.report.value import Part, Report, Section
from qrkit.words import counted

SHOWN_ROWS = 2_000
"""Rows of a table in a report; it says so if there are more, and where they are."""

_PRIVACY = {
    True: "This report tells who the patients are. Keep it where patient data belong.",
    False: "Columns that tell who somebody is are left out.",
}
_LONG, _PIECES = re.compile(r"\S{25}"), re.compile(r"(?s).{1,16}")
"""What a narrow column has no room for, such as a UID, and where it may be broken: a copy of it is whole."""
# Without plotly's row of buttons, which neither paper nor a screen reader has a use for.
_CONFIG = {"responsive": True, "displayModeBar": False}
# What was drawn as wide as a window would be cut on paper: 680 pixels are what A4 and Letter have room for.
_ON_PAPER = """for (const [event, width] of [["beforeprint", 680], ["afterprint", null]])
  addEventListener(event, () => document.querySelectorAll(".js-plotly-plot").forEach(
    (plot) => Plotly.relayout(plot, { width, autosize: width === null })));"""


def render(report: Report) -> str:
    """Return the page of a report."""
    content = "".join(_section(number, section) for number, section in enumerate(report.sections))
    has_pictures = any(isinstance(part, go.Figure) for section in report.sections for part in section.parts)
    page = Template(files("qrkit.report").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html(report.title),
        facts=facts(report.facts),
        privacy=paragraph(_PRIVACY[report.with_patients]),
        content=content,
        again=bullets(code(command) for command in report.again),
        made=paragraph(
            f"Made {report.made} by ", ", ".join(f"{name} {one}" for name, one in report.versions.items())
        ),
        # plotly.js uses no </script>; plotly itself puts it into pages in the same way.
        plotly=f"<script>{get_plotlyjs()}</script><script>{_ON_PAPER}</script>" if has_pictures else "",
    )


def _section(number: int, section: Section) -> str:
    parts = "".join(_part(f"part-{number}-{place}", part, section.title) for place, part in enumerate(section.parts))
    return f"<section><h2>{html(section.title)}</h2>{parts}</section>"


def _part(place: str, part: Part, title: str) -> str:
    if isinstance(part, go.Figure):
        return _picture(place, part)
    return _table(part, title) if isinstance(part, pd.DataFrame) else html(part)


def _picture(place: str, figure: go.Figure) -> str:
    """Return a picture; a screen reader hears its title, the numbers are in the tables."""
    told = html(figure.layout.title.text or "Picture")  # escaped for plotly already; twice does no harm in a label
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG, div_id=place)
    return f'<figure><div role="img" aria-label="{told}">{drawn}</div></figure>'


def _table(frame: pd.DataFrame, title: str) -> str:
    filled = frame[[name for name in frame.columns if len(frame) == 0 or _has_values(frame[name])]]
    shown = filled.head(SHOWN_ROWS)
    table = grid([_head(str(name)) for name in shown.columns], zip(*map(_cells, _columns(shown)), strict=True))
    notes = [counted(len(frame), "row") + (f", the first {len(shown):,} shown" if len(shown) < len(frame) else "")]
    empty = [str(name) for name in frame.columns if name not in filled.columns]
    notes += [f"empty columns not shown: {', '.join(empty)}"] if empty else []
    # What scrolls must be reached by the keyboard, and have a name.
    box = Markup('<div class="scroll" role="region" tabindex="0" aria-label="Table: {}">{}</div>').format(
        title, table
    )
    return box + paragraph(Markup("<small>"), "; ".join(notes), ".", Markup("</small>"))


def _columns(frame: pd.DataFrame) -> Iterator[pd.Series[Any]]:
    return (frame.iloc[:, place] for place in range(len(frame.columns)))


def _cells(column: pd.Series[Any]) -> list[object]:
    if pd.api.types.is_datetime64_any_dtype(column):
        is_day = bool((column.dropna() == column.dropna().dt.normalize()).all())
        column = column.dt.strftime("%Y-%m-%d" if is_day else "%Y-%m-%d %H:%M:%S")
        return [_day(value) for value in column.astype("object")]
    return [_cell(value) for value in column.astype("object")]


def _cell(value: Any) -> object:  # noqa: ANN401 - whatever a table holds
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if pd.isna(value):
        return None
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, str) and _LONG.search(plain):
        return Markup("<wbr>".join(map(html, _PIECES.findall(plain))))
    return round(plain, 3) if isinstance(plain, float) else plain


def _day(value: Any) -> object:  # noqa: ANN401 - a text, or what stands for none
    return None if pd.isna(value) else Markup(f'<span class="day">{html(value)}</span>')


def _head(name: str) -> Markup:
    """Return a column's name, which may be broken where a word of it begins."""
    return Markup("<wbr>".join(map(html, re.split("(?<=[a-z])(?=[A-Z])", name))))


def _has_values(column: pd.Series[Any]) -> bool:
    return any(not isinstance(value, str | list) or bool(value) for value in column.dropna())
