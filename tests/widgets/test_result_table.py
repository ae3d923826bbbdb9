import json
from pathlib import Path

import pandas as pd
import pytest

from qrkit.errors import QrkitError
from qrkit.widgets import table
from qrkit.widgets.result_table import _BUNDLE, _OPTIONS, _script, as_shown

_STUDIES = pd.DataFrame(
    {
        "StudyDate": [pd.Timestamp("2026-01-31"), pd.NaT],
        "received": [pd.Timestamp("2026-01-31 08:15"), pd.NaT],
        "NumberOfStudyRelatedSeries": pd.array([3, None], dtype="Int64"),
        "size": [10, 200],
        "missing": [["1.2", "1.3"], []],
        "StudyDescription": ["<b>CT</b>", None],
    }
)


def test_dates_are_iso_and_what_is_not_known_stays_empty() -> None:
    assert as_shown(_STUDIES).to_dict("list") == {
        "StudyDate": ["2026-01-31", ""],
        "received": ["2026-01-31 08:15:00", ""],
        "NumberOfStudyRelatedSeries": [3, ""],
        "size": [10, 200],
        "missing": ["1.2, 1.3", ""],
        "StudyDescription": ["<b>CT</b>", ""],
    }


def test_what_is_downloaded_is_all_that_is_shown_and_no_formula() -> None:
    (download,) = [one for one in json.loads(json.dumps(_OPTIONS["buttons"])) if one["extend"] == "collection"]
    options = [one["exportOptions"] for one in download["buttons"]]
    assert options == [{"modifier": {"selected": None}, "escapeExcelFormula": True}] * 2


def test_the_table_that_was_given_stays_as_it_was() -> None:
    before = _STUDIES.copy(deep=True)
    table(_STUDIES)
    pd.testing.assert_frame_equal(_STUDIES, before)


def test_text_of_a_pacs_is_no_html() -> None:
    data = str(table(_STUDIES)._dt_args["data_json"])
    assert "<b>" not in data
    assert "&lt;b&gt;CT" in data


def test_no_row_is_dropped_because_the_table_is_large() -> None:
    many = pd.DataFrame({"StudyInstanceUID": [f"1.2.826.{number}" for number in range(9_000)]})
    shown = table(many)
    assert len(json.loads(shown._dt_args["data_json"])) == 9_000
    assert shown.caption == ""


def test_a_table_that_is_cut_says_so() -> None:
    shown = table(_STUDIES, limit=1)
    assert shown.caption == "The first 1 of 2 rows"
    assert len(json.loads(shown._dt_args["data_json"])) == 1


def test_an_empty_answer_is_shown_too() -> None:
    assert table(pd.DataFrame())._dt_args["data_json"] == "[]"


def test_itables_has_the_bundle_that_the_tables_are_built_on() -> None:
    assert _BUNDLE.is_file(), f"itables no longer has {_BUNDLE}: see the bound of itables in pyproject.toml"
    text = _BUNDLE.read_text(encoding="utf-8")
    assert "ITable" in text, f"{_BUNDLE} no longer exports ITable, which result_table.js imports"


def test_without_the_bundle_the_error_names_the_file_and_the_version(tmp_path: Path) -> None:
    with pytest.raises(QrkitError, match=r"itables [\d.]+ has no file dt_bundle.js.*pyproject.toml"):
        _script(tmp_path / "dt_bundle.js")
