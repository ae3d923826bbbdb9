"""Charts: what they count, what they say of what they cannot count, and that nothing depends on colour."""

from collections.abc import Callable
from datetime import UTC, time
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from qrkit.errors import InputError
from qrkit.report.charts import (
    descriptions_treemap,
    filter_steps,
    funnel,
    hours_of_day,
    retrieve_rate,
    studies_per_day,
    write_chart,
)

STUDIES = pd.DataFrame(
    {
        "StudyDate": pd.to_datetime(["2026-01-30", "2026-01-31", "2026-01-31", "2026-01-31", "NaT"]),
        "ModalitiesInStudy": ["CT\\SR", "SR\\CT", "PT\\CT", None, "MR"],
    }
)


def test_each_kind_of_study_is_a_bar_with_its_counts_per_day() -> None:
    bars = {bar.name: list(bar.y) for bar in studies_per_day(STUDIES).data}
    assert bars == {"CT": [1, 1], "CT+PT": [0, 1], "unknown": [0, 1]}


def test_rare_kinds_share_a_bar_so_that_no_colour_means_two_things() -> None:
    codes = ["CT", "CT", *(f"K{number}" for number in range(9))]
    day = pd.to_datetime(["2026-01-31"] * len(codes))
    figure = studies_per_day(pd.DataFrame({"StudyDate": day, "ModalitiesInStudy": codes}))
    assert figure.data[0].name == "CT"
    assert (len(figure.data), figure.data[-1].name, sum(figure.data[-1].y)) == (8, "3 others", 3)
    assert len({bar.marker.color for bar in figure.data}) == 8


def test_studies_without_a_date_are_told_in_the_title() -> None:
    assert studies_per_day(STUDIES).layout.title.text == "4 studies per day and modality; 1 without StudyDate"


def test_bars_are_told_apart_without_colours() -> None:
    patterns = [bar.marker.pattern.shape for bar in studies_per_day(STUDIES).data]
    assert len(set(patterns)) == len(patterns)


def test_days_may_be_texts_as_dicom_or_iso_writes_them() -> None:
    texts = pd.DataFrame({"StudyDate": ["20260130", "2026-01-31", "soon", None], "ModalitiesInStudy": "CT"})
    (bar,) = studies_per_day(texts).data
    assert [str(day.date()) for day in pd.to_datetime(bar.x)] == ["2026-01-30", "2026-01-31"]


def test_hours_are_counted_for_each_station_the_busiest_first() -> None:
    studies = pd.DataFrame(
        {
            "StudyTime": [time(8, 5), time(8, 59), time(23), None, time(9)],
            "StationName": ["CT1", "CT1 ", "CT1", "CT1", None],
        }
    )
    figure = hours_of_day(studies)
    (tiles,) = figure.data
    assert list(tiles.y) == ["CT1", "unknown"]
    assert (tiles.z[0][8], tiles.z[0][23], tiles.z[1][9], tiles.z.sum()) == (2, 1, 1, 4)
    assert tiles.text[0][8] == "2"
    assert figure.layout.title.text == "4 studies by hour of the day and station; 1 without a time"


def test_of_series_a_study_counts_once_for_each_station_at_its_earliest_time() -> None:
    found = pd.DataFrame(
        {
            "StudyInstanceUID": ["1", "1", "1", "2"],
            "SeriesInstanceUID": ["1.1", "1.2", "1.3", "2.1"],
            "StudyTime": [time(7)] * 4,
            "SeriesTime": [time(10), time(9), time(11), None],
            "StationName": ["CT1", "CT1", "CT2", "CT1"],
        }
    )
    (tiles,) = hours_of_day(found).data
    counts = dict(zip(tiles.y, tiles.z, strict=True))
    assert [hour for hour in range(24) if counts["CT1"][hour]] == [7, 9]
    assert [hour for hour in range(24) if counts["CT2"][hour]] == [11]


@pytest.mark.slow
def test_stations_beyond_what_can_be_read_share_a_row() -> None:
    stations = [f"ROOM{number:02d}" for number in range(30)]
    (tiles,) = hours_of_day(pd.DataFrame({"StudyTime": time(8), "StationName": stations})).data
    assert (len(tiles.y), tiles.y[-1], tiles.z.sum()) == (24, "7 others", 30)


@pytest.mark.slow
def test_descriptions_are_boxes_in_their_modality() -> None:
    studies = pd.DataFrame(
        {
            "ModalitiesInStudy": ["CT", "CT\\SR", "CT", "MR", "CT"],
            "StudyDescription": ["CT Thorax", "ct  thorax", "CT Thorax", None, "CT Head"],
        }
    )
    (tree,) = descriptions_treemap(studies).data
    boxes = dict(zip(zip(tree.parents, tree.labels, strict=True), tree["values"], strict=True))
    assert boxes == {
        ("", "CT"): 4,
        ("", "MR"): 1,
        ("CT", "CT Thorax"): 3,
        ("CT", "CT Head"): 1,
        ("MR", "no description"): 1,
    }
    assert len(set(tree.ids)) == 5


def test_a_thousand_rare_descriptions_share_a_box() -> None:
    written = [f"Study {number}" for number in range(1000)]
    (tree,) = descriptions_treemap(pd.DataFrame({"ModalitiesInStudy": "MR", "StudyDescription": written})).data
    assert (len(tree.ids), tree.labels[-1], tree["values"][-1]) == (31, "971 others", 971)


def test_a_funnel_says_what_each_step_left_and_took() -> None:
    steps = pd.DataFrame({"step": ["found", "exclude", "exclude"], "studies": [120, 90, 90]})
    figure = funnel(steps)
    assert list(figure.data[0].text) == ["120 (100%)", "90 (75%, 30 removed)", "90 (75%)"]
    assert len(set(figure.data[0].y)) == 3
    assert figure.layout.title.text == "90 of 120 studies remaining"


def test_the_funnel_of_nothing_has_no_shares() -> None:
    assert list(funnel(pd.DataFrame({"step": ["found"], "studies": [0]})).data[0].text) == ["0 (0%)"]
    assert len(funnel(filter_steps({"filters": []})).data) == 0


def test_the_rate_of_a_short_retrieve_is_taken_over_tenths_of_a_second() -> None:
    files = pd.DataFrame(
        {
            "received": [f"2026-01-31T10:00:{second}+00:00" for second in ("00.5", "01.2", "01.9", "04.6")],
            "size": [1e6, 2e6, 2e6, 3e6],
        }
    )
    figure = retrieve_rate(files, zone=UTC)
    (bars,) = figure.data
    assert bars.y[0] == pytest.approx(10.0)  # 1 MB in a tenth of a second
    assert sum(bars.y) * 0.1 == pytest.approx(8.0)
    assert str(pd.to_datetime(bars.x)[0]) == "2026-01-31 10:00:00.550000"
    assert figure.layout.title.text == "4 files, 8.0 MB; 1.95 MB/s on average"


def test_a_long_retrieve_is_taken_over_longer_times() -> None:
    times = pd.date_range("2026-01-31", periods=1000, freq="min")
    figure = retrieve_rate(pd.DataFrame({"received": times, "size": 6e6}))
    assert figure.layout.yaxis.title.text == "MB per second (mean of 10 min)"
    assert figure.data[0].y[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("chart", "columns"),
    [
        (studies_per_day, ["StudyDate", "ModalitiesInStudy"]),
        (hours_of_day, ["StudyTime", "StationName"]),
        (descriptions_treemap, ["ModalitiesInStudy", "StudyDescription"]),
        (funnel, ["step", "studies"]),
        (retrieve_rate, ["received", "size"]),
    ],
)
def test_an_empty_table_is_an_empty_chart_and_a_missing_column_an_error(
    chart: Callable[[pd.DataFrame], go.Figure], columns: list[str]
) -> None:
    empty = pd.DataFrame({name: pd.Series([], dtype="object") for name in columns})
    assert len(chart(empty).data) == 0
    assert chart(empty).layout.title.text
    blank = pd.DataFrame({name: [pd.NA, None] for name in columns})
    chart(blank).to_json()
    with pytest.raises(InputError, match=f"requires the column {columns[0]}. Pass "):
        chart(empty[columns[1:]])
    with pytest.raises(InputError, match=f"columns {columns[0]} and {columns[1]}"):
        chart(empty[[]])


def test_what_a_peer_wrote_is_text_in_every_chart() -> None:
    link = "<a href='//x'>Q</a>"
    studies = pd.DataFrame(
        {
            "StudyDate": pd.to_datetime(["2026-01-31"]),
            "StudyTime": [time(8)],
            "ModalitiesInStudy": [link],
            "StudyDescription": [link],
            "StationName": [link],
        }
    )
    steps = pd.DataFrame({"step": [link], "studies": [1]})
    for figure in (studies_per_day(studies), hours_of_day(studies), descriptions_treemap(studies), funnel(steps)):
        shown = figure.to_dict()
        for trace in shown["data"]:
            for words in (trace.get("name", ""), *(trace.get("labels") or ()), *map(str, trace.get("y", ()))):
                assert "<a" not in words
        assert "<a" not in str(shown["layout"].get("yaxis", ""))


def test_a_chart_is_one_file_that_asks_the_network_for_nothing(tmp_path: Path) -> None:
    page = write_chart(studies_per_day(STUDIES), tmp_path / "chart.html").read_text(encoding="utf-8")
    assert "studies per day and modality" in page
    assert "<script src=" not in page
