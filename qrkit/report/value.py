"""A report as a value: sections with text, tables and charts, and the commands to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pandas as pd
import plotly.graph_objects as go

from qrkit.markup import Markup

Part: TypeAlias = Markup | pd.DataFrame | go.Figure
"""A piece of HTML, a table, or a chart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportSection:
    """A section of a report, with a heading."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """The content of a report.

    Attributes
    ----------
    facts
        Subject, node, time and user, shown at the top.
    again
        Commands that repeat the query and the report.
    made
        Time and user of the report.
    versions
        Versions of qrkit and the libraries used.
    with_patients
        Whether it identifies patients; the top of the report states it either way.
    """

    title: str
    facts: Mapping[str, object]
    sections: tuple[ReportSection, ...]
    again: tuple[str, ...] = ()
    made: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    with_patients: bool = False
