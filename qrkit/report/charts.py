"""Pictures of answers, by plotly; nothing is loaded from outside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from qrkit.errors import InputError

# Okabe and Ito's palette, which people with any colour vision can tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
_ACCOMPANYING = {"SR", "PR", "KO", "SEG", "REG", "DOC", "OT"}


def studies_per_day(studies: pd.DataFrame) -> go.Figure:
    """Return a bar chart of studies per day, a colour for each of the most frequent modalities.

    Parameters
    ----------
    studies
        One row per study, with StudyDate and ModalitiesInStudy. SR, PR, KO and the like go without saying, unless a
        study has nothing else; a PET/CT is ``CT+PT``.

    Raises
    ------
    InputError
        If one of the two columns is missing.
    """
    missing = [name for name in ("StudyDate", "ModalitiesInStudy") if name not in studies.columns]
    if missing:
        raise InputError(f"The chart needs the column {' and '.join(missing)}; give the answer of a STUDY query.")
    kinds = studies["ModalitiesInStudy"].map(modality_label)
    counts = _rare_together(pd.crosstab(studies["StudyDate"], kinds))
    bars = [
        go.Bar(x=counts.index, y=counts[kind], name=str(kind), marker_color=colour)
        for kind, colour in zip(counts.columns, _COLOURS, strict=False)
    ]
    figure = go.Figure(bars)
    figure.update_layout(
        barmode="stack",
        title=_title(int(counts.to_numpy().sum()), int(studies["StudyDate"].isna().sum())),
        xaxis_title="StudyDate",
        yaxis_title="Studies",
        legend_title="Modality",
        template="plotly_white",
        bargap=0.15,
    )
    return figure


def _rare_together(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of counts, most frequent first; those that no colour is left for are one column."""
    order = list(counts.sum().sort_values(ascending=False, kind="stable").index)
    if len(order) <= len(_COLOURS):
        return counts[order]
    frequent, rare = order[: len(_COLOURS) - 1], order[len(_COLOURS) - 1 :]
    return counts[frequent].assign(**{f"{len(rare)} others": counts[rare].sum(axis="columns")})


def _title(shown: int, undated: int) -> str:
    return f"{shown} studies per day and modality" + (f"; {undated} without StudyDate" if undated else "")


def modality_label(modalities_in_study: object) -> str:
    r"""Return what a study is called by its modalities.

    >>> modality_label("SR\\CT"), modality_label("PT\\CT\\SR"), modality_label("SR"), modality_label(None)
    ('CT', 'CT+PT', 'SR', 'unknown')
    """
    if not isinstance(modalities_in_study, str) or not modalities_in_study.strip():
        return "unknown"
    codes = {code.strip() for code in modalities_in_study.split("\\") if code.strip()}
    return "+".join(sorted(codes - _ACCOMPANYING or codes))


def write_chart(figure: go.Figure, path: Path) -> Path:
    """Write a chart as one HTML file that needs no network, and return its path."""
    figure.write_html(path, include_plotlyjs=True, full_html=True, config={"responsive": True})
    return path
