"""Charts: counts by day and kind of study, in one file that needs no network."""

from pathlib import Path

import pandas as pd
import pytest

from qrkit.errors import InputError
from qrkit.report.charts import studies_per_day, write_chart

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


def test_no_studies_are_an_empty_chart() -> None:
    assert len(studies_per_day(STUDIES.head(0)).data) == 0


def test_a_table_without_the_columns_is_refused() -> None:
    with pytest.raises(InputError, match="ModalitiesInStudy"):
        studies_per_day(STUDIES[["StudyDate"]])


def test_a_chart_is_one_file_that_asks_the_network_for_nothing(tmp_path: Path) -> None:
    page = write_chart(studies_per_day(STUDIES), tmp_path / "chart.html").read_text(encoding="utf-8")
    assert "studies per day and modality" in page
    assert "<script src=" not in page
