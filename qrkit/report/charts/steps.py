"""The funnel: the number of remaining studies after each step of a selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from qrkit.query import Coverage
from qrkit.report.charts.style import COLOURS, laid_out, need, plain
from qrkit.words import step_label


def funnel(steps: pd.DataFrame, *, what: str = "studies") -> go.Figure:
    """Return a funnel: a bar for each step from the top, with its number and its share of the first.

    Parameters
    ----------
    steps
        One row per step in their order, with `step` and `studies`: the funnel of a dose plan, or `filter_steps` of
        a result.
    what
        The counted things, for the title.

    Raises
    ------
    InputError
        If one of the two columns is missing.
    """
    need(steps, "step", "studies", give="the funnel of a plan, or filter_steps(coverage)")
    numbers = pd.to_numeric(steps["studies"], errors="coerce").fillna(0).astype(int).tolist()
    # Plotly puts bars of one name on one place; a filter may well be applied at two levels.
    places = list(range(len(numbers)))
    bars = go.Bar(
        x=numbers,
        y=places,
        orientation="h",
        marker={"color": COLOURS[0]},
        text=[_label(number, before, numbers[0]) for number, before in zip(numbers, [0, *numbers], strict=False)],
        textposition="auto",
        insidetextanchor="start",
        textfont={"size": 13},
        hoverinfo="none",
    )
    return laid_out(
        go.Figure(bars if numbers else []),
        f"{numbers[-1]:,} of {numbers[0]:,} {what} remaining" if numbers else "No selection steps",
        height=130 + 36 * max(2, len(numbers)),
        xaxis={"title": "Remaining after each step", "rangemode": "tozero"},
        yaxis={
            "tickvals": places,
            "ticktext": [plain(step_label(step)) for step in steps["step"]],
            "autorange": "reversed",
            "title": "",
        },
    )


def filter_steps(coverage: Mapping[str, Any]) -> pd.DataFrame:
    """Return the remaining rows after each filter of a result, for `funnel`; the coverage is that of `attrs`.

    >>> coverage = {"filters": [{"filter": "description exclude", "level": "STUDY", "before": 9, "after": 7}]}
    >>> filter_steps(coverage).to_dict("list")
    {'step': ['found', 'description exclude'], 'studies': [9, 7]}
    """
    rows: list[tuple[str, int]] = []
    for report in Coverage.from_json(coverage).filters:
        if not rows:
            rows.append(("found", report.before))
        rows.append((report.name, report.after))
    return pd.DataFrame(rows, columns=["step", "studies"])


def _label(number: int, before: int, first: int) -> str:
    lost = before - number
    share = f"{number / first:.0%}" if first else "0%"
    return f"{number:,} ({share}" + (f", {lost:,} removed)" if lost > 0 else ")")
