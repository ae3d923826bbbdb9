"""Charts by plotly: each function takes a table and returns a figure; nothing is loaded from the network.

A table without a column that the chart requires is an `InputError`.

No chart depends on colour alone: bars have patterns, tiles and boxes have text and numbers. Text of a PACS is not to
be trusted, and plotly treats ``<`` as HTML, so that all of it is escaped.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from qrkit.errors import InputError
from qrkit.query import Coverage
from qrkit.tables import modality_label
from qrkit.words import counted, step_label

__all__ = [
    "descriptions_treemap",
    "filter_steps",
    "funnel",
    "hours_of_day",
    "retrieve_rate",
    "studies_per_day",
    "write_chart",
]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777")
"""Okabe and Ito's palette, which people with any colour vision can distinguish."""

_PATTERNS = ("", "/", "x", ".", "\\", "+", "-", "|")
"""One for each colour, for grey printers and for people who see none."""

_INK = "#1a1a1a"

_UNKNOWN = "unknown"
"""Label of a missing or empty value."""

_MOST_BOXES = 30
"""Boxes in a modality; a thousand boxes of one study each would be useless."""

_BOX_WIDTH = 16
"""Letters in a line of a box."""

_WHITE_ON = {"#0072B2", "#777777"}
"""Colours dark enough for white text; on the others black has more contrast."""

_MOST_STATIONS = 24
_STATION_HEIGHT = 26
"""Pixels of one station."""

_HOURS = range(24)

_MOST_BARS = 120
_BAR_WIDTHS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 21_600, 86_400)
"""Widths of a bar in seconds; the shortest that needs at most 120 bars is used."""


def studies_per_day(studies: pd.DataFrame) -> go.Figure:
    """Return a bar chart of studies per day, a colour and pattern for each of the most frequent modalities.

    Parameters
    ----------
    studies
        One row per study, with StudyDate and ModalitiesInStudy. SR, PR, KO and the like are
        not shown, unless a study has nothing else; a PET/CT is ``CT+PT``.
    """
    _need(studies, "StudyDate", "ModalitiesInStudy", give="the result of a STUDY query")
    days = _days_of(studies["StudyDate"])
    counts = _largest(pd.crosstab(studies["ModalitiesInStudy"].map(modality_label), days), len(_COLOURS))
    bars = [
        go.Bar(
            x=counts.columns,
            y=counts.loc[kind],
            name=_plain(kind),
            marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": _INK, "fgopacity": 0.45}},
            hovertemplate="%{x|%a %d %b %Y}: %{y} %{fullData.name}<extra></extra>",
        )
        for kind, colour, pattern in zip(counts.index, _COLOURS, _PATTERNS, strict=False)
    ]
    undated = int(days.isna().sum())
    title = f"{counted(int(counts.to_numpy().sum()), 'study')} per day and modality"
    return _laid_out(
        go.Figure(bars),
        title + (f"; {undated} without StudyDate" if undated else ""),
        barmode="stack",
        bargap=0.15,
        xaxis={"title": "Day of the study"},
        yaxis={"title": "Studies", "rangemode": "tozero"},
        legend={"title": "Modality"},
        showlegend=True,
    )


def descriptions_treemap(studies: pd.DataFrame) -> go.Figure:
    """Return a treemap of modalities with their StudyDescriptions, sized by number of studies.

    Parameters
    ----------
    studies
        One row per study, with ModalitiesInStudy and StudyDescription. Descriptions that differ only in case and
        spaces share a box, in the most frequent spelling; so do those beyond the 30 most frequent of a modality.
    """
    _need(studies, "ModalitiesInStudy", "StudyDescription", give="the result of a STUDY query")
    boxes = _boxes(studies)
    kinds = list(boxes[boxes["parent"] == ""]["id"])
    colours = {kind: _COLOURS[place % len(_COLOURS)] for place, kind in enumerate(kinds)}
    fills = [colours[row.parent or row.id] for row in boxes.itertuples()]
    tree = go.Treemap(
        ids=boxes["id"],
        labels=[_plain(name) for name in boxes["name"]],
        parents=boxes["parent"],
        values=boxes["studies"],
        branchvalues="total",
        marker={"colors": fills, "line": {"color": "#ffffff", "width": 1}},
        textfont={"color": ["#ffffff" if fill in _WHITE_ON else _INK for fill in fills]},
        # Broken between words, so that a description stays readable in a narrow box.
        text=[
            "<br>".join(map(_plain, textwrap.wrap(name, _BOX_WIDTH, break_long_words=False)))
            for name in boxes["name"]
        ],
        texttemplate="%{text}<br>%{value}",
        hovertemplate="%{label}: %{value} studies, %{percentParent} of %{parent}<extra></extra>",
        pathbar={"visible": True},
        tiling={"pad": 1},
    )
    kind_count = counted(len(kinds), "modality", plural="modalities")
    title = f"{counted(len(studies), 'study')} by description, {kind_count}"
    return _laid_out(go.Figure(tree if len(boxes) else []), title, height=520)


def _boxes(studies: pd.DataFrame) -> pd.DataFrame:
    """Return one row per box: id, name, parent, studies; modalities first, the most frequent on top."""
    written = _names_of(studies["StudyDescription"])
    rows = pd.DataFrame(
        {"kind": studies["ModalitiesInStudy"].map(modality_label), "key": written.str.casefold(), "name": written}
    )
    names = rows.groupby("key")["name"].agg(lambda spellings: spellings.value_counts().index[0])
    names = names.replace(_UNKNOWN, "no description")
    found: list[tuple[str, str, str, int]] = []
    for kind, count in rows["kind"].value_counts().to_dict().items():
        found.append((str(kind), str(kind), "", int(count)))
        each = rows[rows["kind"] == kind]["key"].value_counts()
        shown = each if len(each) <= _MOST_BOXES else each.head(_MOST_BOXES - 1)
        found += [(f"{kind}/{key}", str(names[str(key)]), str(kind), int(number)) for key, number in shown.items()]
        if len(shown) < len(each):
            rest = int(each.sum() - shown.sum())
            found.append((f"{kind}//others", f"{len(each) - len(shown)} others", str(kind), rest))
    boxes = pd.DataFrame(found, columns=["id", "name", "parent", "studies"])
    return boxes.sort_values("parent", key=lambda parents: parents != "", kind="stable")


def hours_of_day(studies: pd.DataFrame) -> go.Figure:
    """Return a heat map with a row per station, a column per hour of the day, and the number of studies in each cell.

    Parameters
    ----------
    studies
        One row per study, with StudyTime and StationName. Many PACS return the station only for series: then pass the
        result of a SERIES query, in which a study counts once for each of its stations, at its earliest SeriesTime
        there, or else its StudyTime. Stations beyond the 24 with most studies share the last row.
    """
    _need(studies, "StudyTime", "StationName", give="the result of a STUDY or SERIES query")
    rows = _studies_by_station(studies)
    dated = rows.dropna(subset="hour")
    counts = pd.crosstab(dated["station"], dated["hour"]).reindex(columns=list(_HOURS), fill_value=0)
    shown = _largest(counts, _MOST_STATIONS)
    untimed = len(rows) - len(dated)
    title = f"{counted(len(dated), 'study')} by hour of the day and station"
    tiles = go.Heatmap(
        x=[f"{hour:02d}" for hour in _HOURS],
        y=[_plain(station) for station in shown.index],
        z=shown.to_numpy(),
        text=shown.map(lambda count: str(count) if count else "").to_numpy(),
        texttemplate="%{text}",
        colorscale=[[0, "rgba(255,255,255,0)"], [1e-9, "#e6f1f9"], [1, "#0072B2"]],
        xgap=1,
        ygap=1,
        colorbar={"title": "Studies"},
        hovertemplate="%{y}, %{x}:00 to %{x}:59: %{z}<extra></extra>",
    )
    return _laid_out(
        go.Figure(tiles if len(shown) else []),
        title + (f"; {untimed} without a time" if untimed else ""),
        height=150 + _STATION_HEIGHT * max(4, len(shown)),
        xaxis={"title": "Hour of the day", "type": "category", "showgrid": False},
        yaxis={"title": "Station", "type": "category", "autorange": "reversed", "showgrid": False},
    )


def _studies_by_station(studies: pd.DataFrame) -> pd.DataFrame:
    """Return station and hour, a row for each study at a station."""
    hours = _hours(studies["StudyTime"])
    if "SeriesTime" in studies.columns:
        own = _hours(studies["SeriesTime"])
        hours = own.where(own.notna(), hours)
    rows = pd.DataFrame({"station": _names_of(studies["StationName"]), "hour": hours})
    if "SeriesInstanceUID" not in studies.columns or "StudyInstanceUID" not in studies.columns:
        return rows
    rows["study"] = studies["StudyInstanceUID"]
    return rows.sort_values("hour").drop_duplicates(["study", "station"])


def _hours(times: pd.Series[Any]) -> pd.Series[Any]:
    """Return the hour of times, or of DICOM or ISO texts; NA if it is not a time."""
    numbers = pd.to_numeric(_texts_of(times).str.strip().str.slice(0, 2), errors="coerce").astype("Int64")
    return numbers.where(numbers.between(0, 23))


def retrieve_rate(files: pd.DataFrame, *, zone: tzinfo | None = None) -> go.Figure:
    """Return bars of megabytes per second over the time in which files arrived.

    Parameters
    ----------
    files
        One row per file, with `received` (UTC) and `size` (bytes): ``ws.files.list()``, or of one job
        ``ws.files.list({"job_id": job.job_id})``.
    zone
        Time zone of the axis; local time if not given.
    """
    _need(files, "received", "size", give="ws.files.list()")
    arrived = pd.to_datetime(files["received"], utc=True, errors="coerce", format="ISO8601").dropna()
    sizes = pd.to_numeric(files.loc[arrived.index, "size"], errors="coerce").fillna(0).to_numpy(dtype=float)
    title, bars, step = "No files received yet", [], 1.0
    if len(arrived):
        seconds = (arrived - arrived.min()).dt.total_seconds().to_numpy()
        step = next((step for step in _BAR_WIDTHS if seconds.max() < step * _MOST_BARS), _BAR_WIDTHS[-1])
        rates = np.bincount((seconds // step).astype(int), weights=sizes) / step / 1e6
        local = arrived.min().tz_convert(zone or datetime.now().astimezone().tzinfo).tz_localize(None)
        bars = go.Bar(
            x=local + pd.to_timedelta((np.arange(len(rates)) + 0.5) * step, unit="s"),
            y=rates,
            width=step * 1000,
            marker={"color": _COLOURS[0], "line": {"width": 0}},
            hovertemplate="%{x|%H:%M:%S}: %{y:.2f} MB/s<extra></extra>",
        )
        mean = sizes.sum() / max(seconds.max(), step) / 1e6
        title = f"{counted(len(arrived), 'file')}, {sizes.sum() / 1e6:,.1f} MB; {mean:.2f} MB/s on average"
    over = f"{step:g} s" if step < 60 else f"{step // 60:g} min"
    return _laid_out(
        go.Figure(bars),
        title,
        height=340,
        xaxis={"title": "Time of arrival (local)"},
        yaxis={"title": f"MB per second (mean of {over})", "rangemode": "tozero"},
    )


def funnel(steps: pd.DataFrame, *, what: str = "studies") -> go.Figure:
    """Return a funnel: a bar for each step from the top, with its number and its share of the first.

    Parameters
    ----------
    steps
        One row per step in their order, with `step` and `studies`: the funnel of a dose plan, or `filter_steps` of
        a result.
    what
        The counted things, for the title.
    """
    _need(steps, "step", "studies", give="the funnel of a plan, or filter_steps(coverage)")
    numbers = pd.to_numeric(steps["studies"], errors="coerce").fillna(0).astype(int).tolist()
    # Plotly puts bars of one name on one place; a filter may well be applied at two levels.
    places = list(range(len(numbers)))
    bars = go.Bar(
        x=numbers,
        y=places,
        orientation="h",
        marker={"color": _COLOURS[0]},
        text=[_bar_label(number, before, numbers[0]) for number, before in zip(numbers, [0, *numbers], strict=False)],
        textposition="auto",
        insidetextanchor="start",
        textfont={"size": 13},
        hoverinfo="none",
    )
    return _laid_out(
        go.Figure(bars if numbers else []),
        f"{numbers[-1]:,} of {numbers[0]:,} {what} remaining" if numbers else "No selection steps",
        height=130 + 36 * max(2, len(numbers)),
        xaxis={"title": "Remaining after each step", "rangemode": "tozero"},
        yaxis={
            "tickvals": places,
            "ticktext": [_plain(step_label(step)) for step in steps["step"]],
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


def _bar_label(number: int, before: int, first: int) -> str:
    lost = before - number
    share = f"{number / first:.0%}" if first else "0%"
    return f"{number:,} ({share}" + (f", {lost:,} removed)" if lost > 0 else ")")


def write_chart(figure: go.Figure, path: Path) -> Path:
    """Write a chart as one HTML file, as wide as its window, that needs no network; return its path."""
    config = {"responsive": True, "displaylogo": False}
    figure.write_html(path, include_plotlyjs=True, full_html=True, config=config)
    return path


def _laid_out(figure: go.Figure, title: str, *, height: int = 400, **layout: object) -> go.Figure:
    """Return the figure with its title and the common style; it takes the width of its container."""
    figure.update_layout(
        title={"text": title, "x": 0, "xref": "container", "pad": {"l": 8}, "font": {"size": 16}},
        template="plotly_white",
        font={"color": _INK, "size": 13},
        height=height,
        autosize=True,
        margin={"l": 8, "r": 8, "t": 56, "b": 8},
        **layout,
    )
    # Room for axis titles and labels, however long a station's name is.
    figure.update_xaxes(automargin=True, title_standoff=8)
    figure.update_yaxes(automargin=True, title_standoff=8)
    return figure


def _need(frame: pd.DataFrame, *columns: str, give: str) -> None:
    """Check that a table has the columns of a chart; the error names the missing ones and the table to pass."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        word = "column" if len(missing) == 1 else "columns"
        raise InputError(f"The chart requires the {word} {' and '.join(missing)}. Pass {give}.")


def _plain(text: object) -> str:
    """Return a text that plotly shows unchanged: it treats ``<`` as HTML, and text of a PACS is not to be trusted.

    >>> _plain("<a href='x'>Thorax</a> & Abdomen")
    "&lt;a href='x'&gt;Thorax&lt;/a&gt; &amp; Abdomen"
    """
    return html.escape(str(text), quote=False)


def _days_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return dates from dates, timestamps or texts; NaT for anything else."""
    if pd.api.types.is_datetime64_any_dtype(column):
        days: pd.Series[Any] = column.dt.normalize()
        return days
    texts = _texts_of(column).str.slice(0, 10).str.replace("-", "")
    return pd.to_datetime(texts, format="%Y%m%d", errors="coerce")


def _names_of(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts with single spaces; `_UNKNOWN` for empty ones."""
    texts = _texts_of(column).str.split().str.join(" ")
    return texts.where(texts != "", _UNKNOWN)


def _texts_of(column: pd.Series[Any]) -> pd.Series[str]:
    """Return values as texts; empty for missing ones."""
    return column.astype("object").where(column.notna(), "").astype("str")


def _largest(counts: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the rows of counts, the largest first; those beyond `most` are summed in the last one."""
    order = counts.sum(axis="columns").sort_values(ascending=False, kind="stable").index
    if len(order) <= most:
        return counts.loc[order]
    rest = counts.loc[order[most - 1 :]]
    return pd.concat([counts.loc[order[: most - 1]], rest.sum().to_frame(f"{len(rest)} others").T])
