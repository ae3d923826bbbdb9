"""The chart of megabytes per second during a retrieve."""

from __future__ import annotations

from datetime import datetime, tzinfo

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from qrkit.report.charts.style import COLOURS, laid_out, need
from qrkit.words import counted

_BINS = 120
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 21_600, 86_400)
"""Widths of a bar in seconds; the shortest that needs at most 120 bars is used."""


def retrieve_rate(files: pd.DataFrame, *, zone: tzinfo | None = None) -> go.Figure:
    """Return bars of megabytes per second over the time in which files arrived.

    Parameters
    ----------
    files
        One row per file, with `received` (UTC) and `size` (bytes): ``ws.files.list()``, or of one job
        ``ws.files.list({"job_id": job.job_id})``.
    zone
        Time zone of the axis; local time if not given.

    Raises
    ------
    InputError
        If one of the two columns is missing.
    """
    need(files, "received", "size", give="ws.files.list()")
    arrived = pd.to_datetime(files["received"], utc=True, errors="coerce", format="ISO8601").dropna()
    sizes = pd.to_numeric(files.loc[arrived.index, "size"], errors="coerce").fillna(0).to_numpy(dtype=float)
    if arrived.empty:
        return _drawn(go.Figure(), "No files received yet", 1)
    seconds = (arrived - arrived.min()).dt.total_seconds().to_numpy()
    step = next((step for step in _STEPS if seconds.max() < step * _BINS), _STEPS[-1])
    bins = (seconds // step).astype(int)
    rates = np.bincount(bins, weights=sizes) / step / 1e6
    local = arrived.min().tz_convert(zone or datetime.now().astimezone().tzinfo).tz_localize(None)
    bars = go.Bar(
        x=local + pd.to_timedelta((np.arange(len(rates)) + 0.5) * step, unit="s"),
        y=rates,
        width=step * 1000,
        marker={"color": COLOURS[0], "line": {"width": 0}},
        hovertemplate="%{x|%H:%M:%S}: %{y:.2f} MB/s<extra></extra>",
    )
    mean = sizes.sum() / max(seconds.max(), step) / 1e6
    title = f"{counted(len(arrived), 'file')}, {sizes.sum() / 1e6:,.1f} MB; {mean:.2f} MB/s on average"
    return _drawn(go.Figure(bars), title, step)


def _drawn(figure: go.Figure, title: str, step: float) -> go.Figure:
    over = f"{step:g} s" if step < 60 else f"{step // 60} min"
    return laid_out(
        figure,
        title,
        height=340,
        xaxis={"title": "Time of arrival (local)"},
        yaxis={"title": f"MB per second (mean of {over})", "rangemode": "tozero"},
    )
