"""A report as a value, and as one HTML file that needs no network: style, text, tables, charts, and plotly.js once.

Columns that identify patients or staff are left out unless requested.

`string.Template` fills the file: all values are HTML of `qrkit.markup`, which escapes them, so that no template
language is required. Unlike nbconvert it needs no kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from string import Template
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from qrkit.markup import Markup, bullets, code, facts, grid, html, paragraph
from qrkit.query import Query
from qrkit.tables import dates_as_text
from qrkit.words import counted

SHOWN_ROWS = 2_000
"""Rows of a table in a report; the report gives the number if there are more."""

_PRIVACY = {
    True: "This report identifies patients. Store it where patient data may be stored.",
    False: "Columns that identify people are left out.",
}
_LONG, _PIECES = re.compile(r"\S{25}"), re.compile(r"(?s).{1,16}")
"""Texts too long for a narrow column, such as UIDs, and their pieces between line breaks; a copy is unbroken."""
# Without plotly's buttons, which neither paper nor a screen reader can use.
_CONFIG = {"responsive": True, "displayModeBar": False}
# A chart as wide as the window would be cut on paper: A4 and Letter have space for 680 pixels.
_ON_PAPER = """for (const [event, width] of [["beforeprint", 680], ["afterprint", null]])
  addEventListener(event, () => document.querySelectorAll(".js-plotly-plot").forEach(
    (plot) => Plotly.relayout(plot, { width, autosize: width === null })));"""

_PEOPLE = frozenset(
    {
        "AccessionNumber",
        "AdditionalPatientHistory",
        "AdmittingDiagnosesDescription",
        "EthnicGroup",
        "IssuerOfPatientID",
        "NameOfPhysiciansReadingStudy",
        "Occupation",
        "OperatorsName",
        "OtherPatientIDs",
        "OtherPatientIDsSequence",
        "OtherPatientNames",
        "PerformingPhysicianName",
        "PhysiciansOfRecord",
        "ReferringPhysicianName",
        "StudyID",
    }
)
LEFT_OUT = "(left out)"

Part: TypeAlias = Markup | pd.DataFrame | go.Figure
"""A piece of HTML, a table, or a chart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportSection:
    """A section of a report, with a heading."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """The content of a report."""

    title: str
    facts: Mapping[str, object]  # subject, node, time and user, shown at the top
    sections: tuple[ReportSection, ...]
    again: tuple[str, ...] = ()  # commands that repeat the query and the report
    made: str = ""  # time and user of the report
    versions: Mapping[str, str] = field(default_factory=dict)  # versions of qrkit and the libraries used
    with_patients: bool = False  # whether it identifies patients; the top of the report states it either way


def is_about_people(keyword: str) -> bool:
    """Whether a column identifies people; all names that begin with Patient do.

    >>> is_about_people("PatientBirthDate"), is_about_people("StudyDate"), is_about_people("0010,0010")
    (True, False, True)
    """
    # A key without a name in PS3.6 may contain anything.
    return keyword.startswith("Patient") or keyword in _PEOPLE or not keyword[:1].isalpha()


def without_people(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the columns that identify people."""
    return frame.drop(columns=[name for name in frame.columns if is_about_people(str(name))])


def question_without_people(query: Query) -> Query:
    """Return a query for display, with values that identify people replaced."""
    keys = tuple((key, LEFT_OUT if is_about_people(key) else value) for key, value in query.keys)
    return replace(query, keys=keys)


def render(report: Report) -> str:
    """Return the page of a report."""
    content = "".join(_section(number, section) for number, section in enumerate(report.sections))
    has_charts = any(isinstance(part, go.Figure) for section in report.sections for part in section.parts)
    page = Template(files("qrkit.report").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html(report.title),
        facts=facts(report.facts),
        privacy=paragraph(_PRIVACY[report.with_patients]),
        content=content,
        again=bullets(code(command) for command in report.again),
        made=paragraph(
            f"Made {report.made} by ", ", ".join(f"{name} {version}" for name, version in report.versions.items())
        ),
        # plotly.js uses no </script>; plotly itself puts it into pages in the same way.
        plotly=f"<script>{get_plotlyjs()}</script><script>{_ON_PAPER}</script>" if has_charts else "",
    )


def _section(number: int, section: ReportSection) -> str:
    parts = "".join(_part(f"part-{number}-{place}", part, section.title) for place, part in enumerate(section.parts))
    return f"<section><h2>{html(section.title)}</h2>{parts}</section>"


def _part(place: str, part: Part, title: str) -> str:
    if isinstance(part, go.Figure):
        return _chart(place, part)
    return _table(part, title) if isinstance(part, pd.DataFrame) else html(part)


def _chart(place: str, figure: go.Figure) -> str:
    """Return a chart; screen readers get its title, and the tables have the numbers."""
    title = html(figure.layout.title.text or "Chart")  # escaped for plotly already; twice does no harm in a label
    drawn = figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG, div_id=place)
    return f'<figure><div role="img" aria-label="{title}">{drawn}</div></figure>'


def _table(frame: pd.DataFrame, title: str) -> str:
    filled = frame[[name for name in frame.columns if len(frame) == 0 or _has_values(frame[name])]]
    shown = filled.head(SHOWN_ROWS)
    table = grid([_head(str(name)) for name in shown.columns], zip(*map(_cells, _columns(shown)), strict=True))
    notes = [counted(len(frame), "row") + (f", the first {len(shown):,} shown" if len(shown) < len(frame) else "")]
    empty = [str(name) for name in frame.columns if name not in filled.columns]
    notes += [f"empty columns not shown: {', '.join(empty)}"] if empty else []
    # A scrolling region needs a name and must be reachable by keyboard.
    box = Markup('<div class="scroll" role="region" tabindex="0" aria-label="Table: {}">{}</div>').format(
        title, table
    )
    return box + paragraph(Markup("<small>"), "; ".join(notes), ".", Markup("</small>"))


def _columns(frame: pd.DataFrame) -> Iterator[pd.Series[Any]]:
    return (frame.iloc[:, place] for place in range(len(frame.columns)))


def _cells(column: pd.Series[Any]) -> list[object]:
    if pd.api.types.is_datetime64_any_dtype(column):
        return [_day(value) for value in dates_as_text(column).astype("object")]
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


def _day(value: Any) -> object:  # noqa: ANN401 - a text or a missing value
    return None if pd.isna(value) else Markup(f'<span class="day">{html(value)}</span>')


def _head(name: str) -> Markup:
    """Return a column's name, with possible line breaks between its words."""
    return Markup("<wbr>".join(map(html, re.split("(?<=[a-z])(?=[A-Z])", name))))


def _has_values(column: pd.Series[Any]) -> bool:
    return any(not isinstance(value, str | list) or bool(value) for value in column.dropna())
