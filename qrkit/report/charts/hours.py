"""The chart of studies per station and hour of the day."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from qrkit.report.charts.style import laid_out, names_of, need, plain, texts_of
from qrkit.words import counted

_STATIONS = 24
_ROW = 26
"""Pixels of one station."""

_HOURS = range(24)


def hours_of_day(studies: pd.DataFrame) -> go.Figure:
    """Return a heat map with a row per station, a column per hour of the day, and the number of studies in each cell.

    Parameters
    ----------
    studies
        One row per study, with StudyTime and StationName. Many PACS return the station only for series: then pass the
        result of a SERIES query, in which a study counts once for each of its stations, at its earliest SeriesTime
        there, or else its StudyTime. Stations beyond the 24 with most studies share the last row.

    Raises
    ------
    InputError
        If one of the two columns is missing.
    """
    need(studies, "StudyTime", "StationName", give="the result of a STUDY or SERIES query")
    rows = _studies_by_station(studies)
    dated = rows.dropna(subset="hour")
    counts = pd.crosstab(dated["station"], dated["hour"]).reindex(columns=list(_HOURS), fill_value=0)
    shown = _busiest(counts)
    untimed = len(rows) - len(dated)
    title = f"{counted(len(dated), 'study')} by hour of the day and station"
    tiles = go.Heatmap(
        x=[f"{hour:02d}" for hour in _HOURS],
        y=[plain(station) for station in shown.index],
        z=shown.to_numpy(),
        text=shown.map(lambda count: str(count) if count else "").to_numpy(),
        texttemplate="%{text}",
        colorscale=[[0, "rgba(255,255,255,0)"], [1e-9, "#e6f1f9"], [1, "#0072B2"]],
        xgap=1,
        ygap=1,
        colorbar={"title": "Studies"},
        hovertemplate="%{y}, %{x}:00 to %{x}:59: %{z}<extra></extra>",
    )
    return laid_out(
        go.Figure(tiles if len(shown) else []),
        title + (f"; {untimed} without a time" if untimed else ""),
        height=150 + _ROW * max(4, len(shown)),
        xaxis={"title": "Hour of the day", "type": "category", "showgrid": False},
        yaxis={"title": "Station", "type": "category", "autorange": "reversed", "showgrid": False},
    )


def _studies_by_station(studies: pd.DataFrame) -> pd.DataFrame:
    """Return station and hour, a row for each study at a station."""
    hours = _hours(studies["StudyTime"])
    if "SeriesTime" in studies.columns:
        own = _hours(studies["SeriesTime"])
        hours = own.where(own.notna(), hours)
    rows = pd.DataFrame({"station": names_of(studies["StationName"]), "hour": hours})
    if "SeriesInstanceUID" not in studies.columns or "StudyInstanceUID" not in studies.columns:
        return rows
    rows["study"] = studies["StudyInstanceUID"]
    return rows.sort_values("hour").drop_duplicates(["study", "station"])


def _hours(times: pd.Series[Any]) -> pd.Series[Any]:
    """Return the hour of times, or of DICOM or ISO texts; NA if it is not a time."""
    numbers = pd.to_numeric(texts_of(times).str.strip().str.slice(0, 2), errors="coerce").astype("Int64")
    return numbers.where(numbers.between(0, 23))


def _busiest(counts: pd.DataFrame) -> pd.DataFrame:
    order = counts.sum(axis="columns").sort_values(ascending=False, kind="stable").index
    if len(order) <= _STATIONS:
        return counts.loc[order]
    rest = counts.loc[order[_STATIONS - 1 :]]
    return pd.concat([counts.loc[order[: _STATIONS - 1]], rest.sum().to_frame(f"{len(rest)} others").T])
