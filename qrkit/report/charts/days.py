"""The chart of studies per day."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from qrkit.report.charts.style import COLOURS, INK, PATTERNS, days_of, laid_out, need, plain
from qrkit.words import counted, modality_label


def studies_per_day(studies: pd.DataFrame) -> go.Figure:
    """Return a bar chart of studies per day, a colour and pattern for each of the most frequent modalities.

    Parameters
    ----------
    studies
        One row per study, with StudyDate and ModalitiesInStudy. SR, PR, KO and the like are
        not shown, unless a study has nothing else; a PET/CT is ``CT+PT``.

    Raises
    ------
    InputError
        If one of the two columns is missing.
    """
    need(studies, "StudyDate", "ModalitiesInStudy", give="the result of a STUDY query")
    days = days_of(studies["StudyDate"])
    counts = _rare_together(pd.crosstab(days, studies["ModalitiesInStudy"].map(modality_label)))
    bars = [
        go.Bar(
            x=counts.index,
            y=counts[kind],
            name=plain(kind),
            marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": INK, "fgopacity": 0.45}},
            hovertemplate="%{x|%a %d %b %Y}: %{y} %{fullData.name}<extra></extra>",
        )
        for kind, colour, pattern in zip(counts.columns, COLOURS, PATTERNS, strict=False)
    ]
    return laid_out(
        go.Figure(bars),
        _title(int(counts.to_numpy().sum()), int(days.isna().sum())),
        barmode="stack",
        bargap=0.15,
        xaxis={"title": "Day of the study"},
        yaxis={"title": "Studies", "rangemode": "tozero"},
        legend={"title": "Modality"},
        showlegend=True,
    )


def _rare_together(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of counts, most frequent first; columns beyond the colours are summed in one."""
    order = list(counts.sum().sort_values(ascending=False, kind="stable").index)
    if len(order) <= len(COLOURS):
        return counts[order]
    frequent, rare = order[: len(COLOURS) - 1], order[len(COLOURS) - 1 :]
    return counts[frequent].assign(**{f"{len(rare)} others": counts[rare].sum(axis="columns")})


def _title(shown: int, undated: int) -> str:
    return f"{counted(shown, 'study')} per day and modality" + (f"; {undated} without StudyDate" if undated else "")
