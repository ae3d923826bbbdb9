"""Filters of a result: the rows that are shown, and the rows that stay selected."""

import json

import pandas as pd
import pytest

from qrkit.widgets.query_page import FilterPanel
from qrkit.widgets.result_table import SelectableTable

_ANSWER = pd.DataFrame(
    {
        "StudyInstanceUID": ["1.1", "1.2", "1.3", "1.4"],
        "StudyDescription": ["CT Chest", "imported CHEST", None, "MR Head"],
        "ModalitiesInStudy": ["CT\\SR", "CT", "CT", "MR"],
        "created": ["2026-01-31T12:00:00+00:00"] * 4,
    }
)


@pytest.fixture
def table() -> SelectableTable:
    made = SelectableTable()
    made.show(_ANSWER)
    return made


@pytest.fixture
def filters(table: SelectableTable) -> FilterPanel:
    made = FilterPanel(table=table, on_change=lambda: None)
    made.show()
    return made


def shown(table: SelectableTable) -> list[str]:
    """Return the UIDs that a browser shows."""
    place, grid = list(table._columns).index("StudyInstanceUID"), table.children[0]
    rows = [row[place] for row in json.loads(grid._dt_args["data_json"])]
    return rows if grid.shown is None else [rows[position] for position in grid.shown]


def test_words_and_modalities_filter_at_once(table: SelectableTable, filters: FilterPanel) -> None:
    assert [box.description for box in filters.modalities.children] == ["CT", "MR", "SR"]
    filters.include.value = "chest, head"
    assert shown(table) == ["1.1", "1.2", "1.4"]
    filters.exclude.value = "IMPORT"
    filters.modalities.children[0].value = True
    assert shown(table) == ["1.1"]
    assert "1 of 4 rows shown. Filters apply to these results only." in filters.count.value
    filters.include.value = filters.exclude.value = ""
    assert shown(table) == ["1.1", "1.2", "1.3"]


def test_modalities_are_read_whatever_separates_them_and_unknown_ones_have_a_box(
    table: SelectableTable, filters: FilterPanel
) -> None:
    table.show(_ANSWER.assign(ModalitiesInStudy=["ct/sr", "*", "", "MR\\QQ"]))
    filters.show()
    boxes = {box.description: box for box in filters.modalities.children}
    assert list(boxes) == ["CT", "MR", "QQ", "SR", "unknown"]
    boxes["CT"].value = True
    assert shown(table) == ["1.1"]
    boxes["unknown"].value = True
    assert shown(table) == ["1.1", "1.2", "1.3"]


def test_selected_rows_stay_selected_and_hidden_are_counted(table: SelectableTable, filters: FilterPanel) -> None:
    table.children[0].selected_rows = [1, 3]
    filters.modalities.children[1].value = True
    assert shown(table) == ["1.4"]
    assert list(table.selected) == [1, 3]
    assert "1 selected row hidden" in filters.count.value
    filters.modalities.children[1].value = False
    assert list(table.rows()["StudyInstanceUID"]) == ["1.2", "1.4"]
    table.children[0].selected_rows = []
    assert list(table.selected) == []


def test_a_filter_sends_no_rows_and_the_table_is_not_made_anew(table: SelectableTable, filters: FilterPanel) -> None:
    grid, sent = table.children[0], table.children[0]._dt_args
    filters.include.value = "chest"
    assert table.children[0] is grid
    assert grid._dt_args is sent
    table.update_rows(pd.concat([_ANSWER, _ANSWER.head(1)], ignore_index=True), "StudyInstanceUID")
    assert table.children[0] is grid
    assert grid.shown is None


def test_of_too_many_rows_those_that_are_shown_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrkit.widgets.result_table.SHOWN", 2)
    table = SelectableTable()
    table.show(_ANSWER)
    assert shown(table) == ["1.1", "1.2"]
    assert table.children[0].caption == "The first 2 of 4 rows"
    table.filter_rows([1, 3])
    assert table.children[0].caption == ""
    assert shown(table) == ["1.2", "1.4"]
    table.children[0].selected_rows = [1]
    assert list(table.rows()["StudyInstanceUID"]) == ["1.4"]


def test_several_modalities_stand_with_commas(table: SelectableTable) -> None:
    first = json.loads(table.children[0]._dt_args["data_json"])[0]
    assert first[list(table._columns).index("ModalitiesInStudy")] == "CT, SR"


def test_selected_rows_stay_selected_in_a_newer_table(table: SelectableTable) -> None:
    table.children[0].selected_rows = [1]
    newer = pd.concat([_ANSWER.tail(1).assign(StudyInstanceUID="1.0"), _ANSWER], ignore_index=True)
    table.update_rows(newer, "StudyInstanceUID")
    assert list(table.selected) == [2]
    assert table.children[0].selected_rows == [2]
    table.update_rows(newer.drop(2), "StudyInstanceUID")
    assert list(table.selected) == []


def test_headings_are_words_and_the_keyword_is_kept_beside_them(table: SelectableTable) -> None:
    assert table._columns["ModalitiesInStudy"] == "Modalities"
    assert 'data-heading="Modalities" data-keyword="ModalitiesInStudy"' in table.children[1].value


def test_five_thousand_rows_are_filtered() -> None:
    many = pd.concat([_ANSWER] * 1_250, ignore_index=True)
    table = SelectableTable()
    table.show(many)
    filters = FilterPanel(table=table, on_change=lambda: None)
    filters.show()
    filters.include.value = "chest"
    assert len(shown(table)) == 2_500
