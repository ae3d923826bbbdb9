"""Queries as values: from what people give to a checked query."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from qrkit.errors import InputError
from qrkit.query import Query, build_query
from qrkit.tables import Level

TODAY = dt.date(2026, 2, 1)


def built(**given: object) -> Query:
    return build_query(today=TODAY, **given)


@pytest.mark.parametrize("given", [{}, {"date": ("2026-01-01", "2026-01-02")}])
def test_a_time_window_needs_a_single_day(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="single day"):
        built(time_from="08:00", **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"level": "instance"}, "patient, study, series or image"),
        ({"patientid": "Q1"}, "Did you mean patient_id"),
        ({"PatientId": "Q1"}, "Did you mean PatientID"),
        ({"patient_id": "Q1", "PatientID": "Q2"}, "given twice"),
        ({"date": "today", "StudyDate": "20260101"}, "given twice"),
        ({"date": "today", "date_from": "today"}, "not both"),
        ({"modalities": "C*"}, "not a modality code"),
        ({"modalities": 3}, "list of texts"),
        ({"study_uid": "1.2.*"}, "without wildcards"),
        ({"study_uid": ["1.2", "x"]}, "not 'x'"),
        ({"study_uid": "1.2..3"}, "not '1.2..3'. Write numbers with single dots between"),
        ({"study_uid": "1.2,1.3."}, "not '1.3.'"),
        ({"study_uid": ".1"}, "not '.1'"),
        ({"study_uid": []}, "empty list"),
        ({"accession": "A\\B"}, "backslash"),
        ({"patient_name": "Doe\r\nX"}, "control characters"),
        ({"patient_name": "x\x1b$B"}, "control characters"),
        ({"patient_id": "x" * 65}, "at most 64"),
        ({"accession": "x" * 17}, "at most 16"),
        ({"PatientsName": "Doe"}, "Did you mean PatientName"),
        ({"studyinstanceuid": "1.2"}, "Did you mean StudyInstanceUID"),
        ({"modality": "CT"}, "Did you mean modalities"),
        ({"acession": "A1"}, "Did you mean accession"),
        ({"qqq": "A1"}, "Use level, modalities, date"),
        ({"patient_name": ["Doe", "Roe"]}, "takes one value"),
        ({"accession": []}, "empty list"),
        ({"accession": ","}, "empty list"),
        ({"accession": ""}, "accession is empty. Give a value, or leave it out."),
        ({"study_uid": " "}, "study_uid is empty"),
        ({"patient_name": ""}, "patient_name is empty"),
        ({"PatientID": ""}, "PatientID is empty"),
        ({"date": ""}, "date is empty"),
        ({"modalities": []}, "modalities is an empty list"),
        ({"modalities": ""}, "modalities is empty"),
        ({"accession_number": ""}, "'accession_number' is not a query argument."),
        ({"acession": None}, "Did you mean accession?"),
        ({"dates": ""}, "Did you mean date?"),
        ({"accession": [""]}, "1 of 1 values are empty"),
        ({"accession": ["*"]}, "asks for everything"),
        ({"study_uid": ["*"]}, "asks for everything"),
        ({"accession": pd.DataFrame({"AccessionNumber": ["A1"]})}, "accession cannot be a table. Give a column"),
        ({"accession": [pd.DataFrame({"AccessionNumber": ["A1"]})]}, "takes a text or a number"),
        ({"accession": {"A1": 1}}, "takes a text or a number"),
        ({"date": pd.DataFrame()}, "date cannot be a table"),
        ({"blank": pd.DataFrame()}, "blank cannot be a table"),
        ({"accession": ["A1", "*"]}, "asks for everything"),
        ({"accession": ["A1", ""]}, "1 of 2 values are empty"),
        ({"accession": ["A1", "", None]}, "2 of 3 values are missing or empty"),
        ({"patient_id": pd.Series(["Q1", None])}, "dropna()"),
        ({"accession": ["A1", "x" * 17]}, "at most 16"),
        ({"StationName": pd.NA}, "missing"),
        ({"PatientBirthDate": pd.NaT}, "missing"),
        ({"ModalitiesInStudy": "CT,MR"}, "takes one code"),
        ({"StudyDate": "2026*"}, "20260131, or a range"),
        ({"StudyTime": "8 o'clock"}, "083000, or a range"),
        ({"StudyDate": "20260230"}, "'20260230' is not a day that exists. Enter 20260131"),
        ({"StudyDate": "2026-02-30"}, "is not a day that exists"),
        ({"StudyDate": "20260101-20260230"}, "'20260230' is not a day that exists"),
        ({"PatientBirthDate": "00000101"}, "is not a day that exists"),
        ({"StudyDate": "20260131-20260101"}, "ends before it begins"),
        ({"StudyTime": "99"}, "'99' is not a time of day that exists. Enter 083000"),
        ({"StudyTime": "0861"}, "is not a time of day that exists"),
        ({"StudyTime": "08-2500"}, "'2500' is not a time of day that exists"),
        ({"level": "series", "AcquisitionDateTime": "20260230083000"}, "is not a date and time that exists"),
        ({"level": "series", "AcquisitionDateTime": "20260131-2026013125"}, "is not a date and time that exists"),
        ({"time": ("23:00", "01:00"), "date": "today"}, "over midnight"),
        ({"level": "series", "SeriesNumber": "*1"}, "whole number"),
        ({"level": "series", "Modality": "CÄ"}, "plain ASCII"),
        ({"Modality": "CT"}, "Use modalities"),
        ({"SeriesDescription": "x"}, "level='series'"),
        ({"ProcedureCodeSequence": "x"}, "cannot be matched"),
        ({"blank": "maybe"}, "keep or drop"),
        ({"station_include": "x", "station_level": "image"}, "study or series"),
        ({"return_keys": ["StudyDat"]}, "Did you mean StudyDate"),
        ({"time": "08:00", "date": "today"}, "pair"),
        ({"time": ("8", "9"), "time_from": "8", "date": "today"}, "not both"),
        ({"time_from": "25:00", "date": "today"}, "not a time of day"),
        ({"StudyTime": "2200-0600"}, "query 2200-235959.999999 and 000000-0600 separately"),
        ({"level": "series", "SeriesTime": "235959.5-0000"}, "ends before it begins"),
        ({"level": "series", "PerformedProcedureStepStartTime": "10-09"}, "ends before it begins"),
        ({"level": "series", "AcquisitionDateTime": "20260131-20260130"}, "Give the earlier one first"),
        ({"StudyTime": dt.date(2026, 1, 31)}, "does not fit"),
        ({"study_uid": 12}, "needs UIDs"),
        ({"patient_name": "x" * 65}, "each component group"),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(given: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as raised:
        built(**given)
    assert says in str(raised.value)
    assert str(raised.value).endswith((".", "?"))


@pytest.mark.parametrize(
    "several",
    ["A2, A1,A2", ["A2", "A1"], ("A2", "A1", "A2"), pd.Series(["A2", "A1"], index=[7, 9]), pd.Index(["A2", "A1"])],
    ids=["text", "list", "tuple", "column", "index"],
)
@pytest.mark.parametrize("name", ["accession", "AccessionNumber", "patient_id", "PatientID"])
def test_accession_numbers_and_patient_ids_are_lists(name: str, several: object) -> None:
    assert list(dict(built(**{name: several}).keys).values()) == ["A2\\A1"]


@pytest.mark.parametrize(
    ("level", "keyword", "value"),
    [
        ("study", "StudyDate", "20240229"),
        ("study", "StudyDate", "-20260131"),
        ("study", "StudyTime", "08"),
        ("study", "StudyTime", "235960"),
        ("study", "StudyTime", "0830-08"),
        ("series", "AcquisitionDateTime", "2026"),
        ("series", "AcquisitionDateTime", "202602-2026031508"),
        ("series", "AcquisitionDateTime", "20260131083000.5-0500"),
        ("series", "AcquisitionDateTime", "20260131083000+0100-"),
        ("study", "StudyInstanceUID", "1.02.3"),
    ],
)
def test_what_exists_is_sent_as_it_is_given(level: str, keyword: str, value: str) -> None:
    assert dict(built(level=level, **{keyword: value}).keys) == {keyword: value}


def test_sets_are_lists_in_a_fixed_order_and_numbers_are_their_digits() -> None:
    assert dict(built(accession={"B", "A"}, patient_id=[7, 8.0]).keys) == {
        "AccessionNumber": "A\\B",
        "PatientID": "7\\8",
    }
    assert dict(built(study_uid="1.2, 1.3").keys) == {"StudyInstanceUID": "1.2\\1.3"}


def test_a_comma_is_part_of_a_name_and_of_a_value_that_is_in_a_list() -> None:
    query = built(patient_name="DOE,JOHN", accession=["A,1"], StudyID="a,b")
    assert dict(query.keys) == {"PatientName": "DOE,JOHN", "AccessionNumber": "A,1", "StudyID": "a,b"}


def test_lists_of_codes_terms_and_columns_may_be_columns_of_a_table() -> None:
    query = built(
        modalities=pd.Series(["CT", "MR"]),
        description_exclude=pd.Series(["a,b"]),
        return_keys=pd.Index(["PatientAge"]),
        study_uid=pd.Series(["1.2"]),
    )
    assert (query.modalities, query.filters.description_exclude) == (("CT", "MR"), ("a,b",))
    assert query.extra_keys == ("PatientAge",)


def test_keys_are_known_by_keyword_tag_or_name_and_universal_ones_are_returned() -> None:
    query = built(patient_id=" Q* ", **{"(0008,0050)": "A1", "StudyID": "*", "0019100A": None})
    assert dict(query.keys) == {"PatientID": "Q*", "AccessionNumber": "A1"}
    assert query.extra_keys == ("StudyID",)
    assert query.columns.count("StudyID") == 1


def test_values_that_python_has_become_matching_values() -> None:
    query = built(level="series", SeriesNumber=3, SeriesDate=dt.date(2026, 1, 31), PatientBirthDate="1970-01-01")
    assert dict(query.keys) == {"SeriesNumber": "3", "SeriesDate": "20260131", "PatientBirthDate": "19700101"}
    moment = dt.datetime(2026, 1, 31, 8, 30)  # noqa: DTZ001 - DICOM's times have no zone here
    query = built(level="series", SeriesTime=moment.time(), AcquisitionDateTime=moment, StudyInstanceUID=None)
    assert dict(query.keys) == {"SeriesTime": "083000", "AcquisitionDateTime": "20260131083000"}


def test_a_star_alone_returns_a_key_and_lists_of_terms_may_be_empty() -> None:
    query = built(accession="*", study_uid="*", description_exclude=[], station_include="", return_keys="")
    assert query == Query(extra_keys=("AccessionNumber", "StudyInstanceUID"))


def test_station_filters_look_at_studies_when_studies_are_asked() -> None:
    assert built(station_include="x").filters.station_level is Level.STUDY
    assert built(station_include="x", level="image").filters.station_level is Level.SERIES
    assert built(station_include="x", station_level="series").filters.station_level is Level.SERIES


@pytest.mark.parametrize("name", ["accession", "patient_id", "modalities", "description_include"])
def test_a_list_may_come_from_any_iterable_that_is_not_a_text(name: str) -> None:
    values = ["A1", "B2"]
    expected = build_query(today=TODAY, **{name: values})
    for given in ((one for one in values), map(str, values), dict.fromkeys(values), {1: "A1", 2: "B2"}.values()):
        if not isinstance(given, dict):
            assert build_query(today=TODAY, **{name: given}) == expected
    with pytest.raises(InputError):
        build_query(today=TODAY, **{name: iter(())} if name != "description_include" else {name: {1: "A"}})


def test_what_has_no_readable_text_is_named_by_its_type() -> None:
    with pytest.raises(InputError) as raised:
        build_query(today=TODAY, patient_name=object())
    assert str(raised.value) == "PatientName takes a text or a number, not a value of type object."
