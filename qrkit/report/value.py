"""A report as a value: sections of words, tables and pictures, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pandas as pd
import plotly.graph_objects as go

from qrkit.markup import Markup

Part: TypeAlias = Markup | pd.DataFrame | go.Figure
"""A piece of HTML, a table, or a picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """A headed part of a report."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """What is reported.

    Attributes
    ----------
    facts
        What, of whom, when, by whom; shown on top.
    again
        Commands that ask the same again, and make the same report again.
    made
        When and by whom the report was made.
    versions
        Of qrkit and of what the figures depend on.
    with_patients
        Whether it tells who the patients are; said on top either way.
    """

    title: str
    facts: Mapping[str, object]
    sections: tuple[Section, ...]
    again: tuple[str, ...] = ()
    made: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    with_patients: bool = False
