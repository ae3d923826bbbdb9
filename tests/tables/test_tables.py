"""The columns of tables of answers."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from pydicom.datadict import keyword_dict

from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.tables import (
    Level,
    Records,
    arrow_type,
    belongs_to,
    canonical_keyword,
    keyword_tag,
    keyword_vr,
    levels_of,
    return_keys,
    schema,
    schemas,
    table_columns,
    to_frame,
    to_plain_frame,
    unique_key,
    unique_keys_above,
)


@pytest.mark.parametrize("model", InformationModel)
def test_every_key_that_is_asked_belongs_to_its_level(model: InformationModel) -> None:
    for level in levels_of(model):
        asked = return_keys(level, model)
        assert len(set(asked)) == len(asked)
        assert unique_key(level) in asked
        for keyword in asked:
            assert level in belongs_to(keyword) or (level is Level.STUDY and Level.PATIENT in belongs_to(keyword))


def test_every_column_of_a_table_is_asked_somewhere_above_or_at_its_level() -> None:
    order = list(Level)
    for level in Level:
        for keyword in table_columns(level):
            assert order.index(belongs_to(keyword)[0]) <= order.index(level)


def test_a_table_has_the_unique_keys_of_the_levels_above() -> None:
    for level in levels_of(InformationModel.PATIENT_ROOT):
        assert set(unique_keys_above(level, InformationModel.PATIENT_ROOT)) < set(table_columns(level))


def test_a_level_that_the_information_model_lacks_is_an_error_that_names_the_others() -> None:
    with pytest.raises(InputError, match="has no SERIES level, only PATIENT, STUDY"):
        unique_keys_above(Level.SERIES, InformationModel.PATIENT_STUDY_ONLY)


@pytest.mark.parametrize("level", ["study", "STUDY", " Study ", Level.STUDY])
def test_a_level_may_be_written_in_any_case(level: str | Level) -> None:
    assert Level.parse(level) is Level.STUDY


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("PatientId", "PatientID"), ("Study Date", "StudyDate"), ("NumberOfStudyRelatedImages", "NumberOf")],
)
def test_an_unknown_keyword_is_an_error_with_a_suggestion(wrong: str, right: str) -> None:
    with pytest.raises(InputError, match=right):
        canonical_keyword(wrong)


def test_something_unlike_any_keyword_is_told_what_a_keyword_is() -> None:
    with pytest.raises(InputError, match=r"PS3\.6"):
        canonical_keyword("§§")


def test_a_tag_goes_by_its_keyword_where_it_has_one() -> None:
    assert [canonical_keyword(text) for text in ("(0020,000D)", "0020000d", "0019 100a", "0019100A")] == [
        "StudyInstanceUID",
        "StudyInstanceUID",
        "0019100A",
        "0019100A",
    ]
    assert (keyword_tag("0019100A"), keyword_vr("0019100A")) == (0x0019100A, "UN")


def test_every_keyword_of_the_dictionary_has_a_type() -> None:
    assert {str(arrow_type(keyword)) for keyword in keyword_dict if keyword} == {
        "string",
        "int64",
        "double",
        "date32[day]",
        "time64[us]",
    }


def test_a_schema_has_the_unique_key_each_keyword_once_and_the_warnings_last() -> None:
    assert schema(Level.SERIES, ["Modality", "(0008,0060)", "0019100A"]).names == [
        "SeriesInstanceUID",
        "Modality",
        "0019100A",
        "warnings",
    ]


def test_there_is_a_schema_of_each_level() -> None:
    assert list(schemas()) == ["PATIENT", "STUDY", "SERIES", "IMAGE"]
    assert schemas()["STUDY"].field("StudyDate").type == pa.date32()


def test_a_frame_is_plain_pandas() -> None:
    table = pa.table(
        {
            "StudyDate": pa.array([dt.date(2026, 1, 31), None], pa.date32()),
            "StudyTime": pa.array([dt.time(8, 30), None], pa.time64("us")),
            "NumberOfStudyRelatedSeries": pa.array([3, None], pa.int64()),
            "PatientSize": pa.array([1.8, None], pa.float64()),
            "StudyDescription": pa.array(["Thorax", None]),
            "0019100A": pa.array([None, None], pa.string()),
            "query_id": ["q", "q"],
            "node": ["pacs", "pacs"],
            "warnings": [None, json.dumps([{"keyword": "StudyDate", "raw": "abc", "why": "no date"}])],
        }
    )
    frame = to_frame(table)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "StudyDate": "datetime64[us]",
        "StudyTime": "object",
        "NumberOfStudyRelatedSeries": "Int64",
        "PatientSize": "float64",
        "StudyDescription": "str",
        "0019100A": "str",
    }
    assert frame["StudyDate"].iloc[0] == pd.Timestamp(2026, 1, 31)
    assert frame["StudyTime"].iloc[0] == dt.time(8, 30)
    assert frame.iloc[1].isna().all()
    assert frame.attrs["qrkit"]["warnings"] == [{"row": 1, "keyword": "StudyDate", "raw": "abc", "why": "no date"}]


@pytest.mark.parametrize("level", Level)
def test_a_frame_without_rows_has_all_columns_with_their_types(level: Level) -> None:
    table = schema(level, table_columns(level)).empty_table()
    frame = to_frame(table)
    assert tuple(frame.columns) == table_columns(level)
    if level is Level.STUDY:
        assert str(frame["NumberOfStudyRelatedSeries"].dtype) == "Int64"
        assert str(frame["StudyDescription"].dtype) == "str"


def test_dates_beyond_what_nanoseconds_hold_survive() -> None:
    frame = to_frame(pa.table({"PatientBirthDate": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)])}))
    assert frame["PatientBirthDate"].dt.year.tolist() == [1, 9999]


def test_whole_numbers_stay_whole_where_some_are_missing() -> None:
    rows: list[dict[str, float | None]] = [{"InstanceNumber": 1, "share": 0.5}, {"InstanceNumber": None, "share": 1}]
    frame = Records.of(rows, ["InstanceNumber", "share"]).frame()
    assert frame["InstanceNumber"].dtype == "Int64"
    assert frame["share"].dtype == "float64"
    assert frame["InstanceNumber"].isna().tolist() == [False, True]


@pytest.mark.parametrize(("number", "dtype"), [(7, "Int64"), (10**30, "object")])
def test_sums_in_128_bits_are_whole_numbers(number: int, dtype: str) -> None:
    sums = pa.table({"sum": pa.array([Decimal(number), None], pa.decimal128(38, 0))})
    column = to_plain_frame(sums)["sum"]
    assert (str(column.dtype), column[0]) == (dtype, number)
