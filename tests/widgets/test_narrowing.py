"""Filters of an answer that is there: what a person types and ticks, and what is shown and stays chosen."""

import json

import pandas as pd
import pytest

from qrkit.widgets.choice_table import ChoiceTable
from qrkit.widgets.filter_panel import Narrowing

_ANSWER = pd.DataFrame(
    {
        "StudyInstanceUID": ["1.1", "1.2", "1.3", "1.4"],
        "StudyDescription": ["CT Chest", "imported CHEST", None, "MR Head"],
        "ModalitiesInStudy": ["CT\\SR", "CT", "CT", "MR"],
        "created": ["2026-01-31T12:00:00+00:00"] * 4,
    }
)


@pytest.fixture
def table() -> ChoiceTable:
    return ChoiceTable(frame=_ANSWER)


@pytest.fixture
def filters(table: ChoiceTable) -> Narrowing:
    made = Narrowing(table=table, told=lambda: None)
    made.show()
    return made


def shown(table: ChoiceTable) -> list[str]:
    """Return the UIDs that a browser shows."""
    place, grid = list(table._columns).index("StudyInstanceUID"), table.children[0]
    rows = [row[place] for row in json.loads(grid._dt_args["data_json"])]
    return rows if grid.shown is None else [rows[position] for position in grid.shown]


def test_words_and_kinds_act_at_once(table: ChoiceTable, filters: Narrowing) -> None:
    assert [box.description for box in filters.modalities.children] == ["CT", "MR", "SR"]
    filters.include.value = "chest, head"
    assert shown(table) == ["1.1", "1.2", "1.4"]
    filters.exclude.value = "IMPORT"
    filters.modalities.children[0].value = True
    assert shown(table) == ["1.1"]
    assert "1 of 4 shown; filters apply to this answer" in filters.count.value
    filters.include.value = filters.exclude.value = ""
    assert shown(table) == ["1.1", "1.2", "1.3"]


def test_what_is_chosen_stays_chosen_and_what_is_hidden_is_told(table: ChoiceTable, filters: Narrowing) -> None:
    table.children[0].selected_rows = [1, 3]
    filters.modalities.children[1].value = True
    assert shown(table) == ["1.4"]
    assert list(table.chosen) == [1, 3]
    assert "1 of the chosen rows is hidden" in filters.count.value
    filters.modalities.children[1].value = False
    assert list(table.rows()["StudyInstanceUID"]) == ["1.2", "1.4"]
    table.children[0].selected_rows = []
    assert list(table.chosen) == []


def test_a_filter_sends_no_rows_and_the_table_is_not_made_anew(table: ChoiceTable, filters: Narrowing) -> None:
    grid, sent = table.children[0], table.children[0]._dt_args
    filters.include.value = "chest"
    assert table.children[0] is grid
    assert grid._dt_args is sent
    table.renew(pd.concat([_ANSWER, _ANSWER.head(1)], ignore_index=True), "StudyInstanceUID")
    assert table.children[0] is grid
    assert grid.shown is None


def test_of_too_many_rows_those_that_are_shown_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrkit.widgets.choice_table.SHOWN", 2)
    monkeypatch.setattr("qrkit.widgets.answer_table.SHOWN", 2)
    table = ChoiceTable(frame=_ANSWER)
    assert shown(table) == ["1.1", "1.2"]
    table.narrow([1, 3])
    assert shown(table) == ["1.2", "1.4"]
    table.children[0].selected_rows = [1]
    assert list(table.rows()["StudyInstanceUID"]) == ["1.4"]


def test_several_modalities_stand_with_commas(table: ChoiceTable) -> None:
    first = json.loads(table.children[0]._dt_args["data_json"])[0]
    assert first[list(table._columns).index("ModalitiesInStudy")] == "CT, SR"


def test_rows_that_are_chosen_are_found_again_in_a_newer_table(table: ChoiceTable) -> None:
    table.children[0].selected_rows = [1]
    newer = pd.concat([_ANSWER.tail(1).assign(StudyInstanceUID="1.0"), _ANSWER], ignore_index=True)
    table.renew(newer, "StudyInstanceUID")
    assert list(table.chosen) == [2]
    assert table.children[0].selected_rows == [2]
    table.renew(newer.drop(2), "StudyInstanceUID")
    assert list(table.chosen) == []


def test_headings_are_words_and_the_keyword_is_kept_beside_them(table: ChoiceTable) -> None:
    assert table._columns["ModalitiesInStudy"] == "Modalities"
    assert 'data-heading="Modalities" data-keyword="ModalitiesInStudy"' in table.children[1].value


def test_five_thousand_rows_are_narrowed_while_somebody_types() -> None:
    many = pd.concat([_ANSWER] * 1_250, ignore_index=True)
    table = ChoiceTable(frame=many)
    filters = Narrowing(table=table, told=lambda: None)
    filters.show()
    filters.include.value = "chest"
    assert len(shown(table)) == 2_500
