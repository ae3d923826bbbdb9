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


def days(query: Query) -> str:
    return query.dates.matching if query.dates else ""


@pytest.mark.parametrize(
    ("given", "matching"),
    [
        ({}, ""),
        ({"date": "2026-01-31"}, "20260131"),
        ({"date": "20260131"}, "20260131"),
        ({"date": dt.date(2026, 1, 31)}, "20260131"),
        ({"date": dt.datetime(2026, 1, 31, 8)}, "20260131"),  # noqa: DTZ001 - DICOM's dates have no zone
        ({"date": pd.Timestamp(2026, 1, 31)}, "20260131"),
        ({"date": "today"}, "20260201"),
        ({"date": "Yesterday"}, "20260131"),
        ({"date": ("2026-01-01", "2026-01-31")}, "20260101-20260131"),
        ({"date": ["2026-01-31", "2026-01-01"]}, "20260101-20260131"),
        ({"date": ("2026-01-01", None)}, "20260101-20260201"),
        ({"date_from": "2026-01-05"}, "20260105-20260201"),
        ({"date_until": "2026-01-05"}, "19000101-20260105"),
        ({"date_from": "2026-03-01"}, "20260201-20260301"),
    ],
)
def test_dates_may_be_given_in_many_ways(given: dict[str, object], matching: str) -> None:
    assert days(built(**given)) == matching


@pytest.mark.parametrize("wrong", ["2026-02-30", "31.1.2026", "soon", 20260131, ("2026-01-01",), ("a", "b", "c")])
def test_what_is_no_date_is_an_error(wrong: object) -> None:
    with pytest.raises(InputError, match="date"):
        built(date=wrong)


@pytest.mark.parametrize(
    ("given", "matching"),
    [
        ({"time": ("08:00", "12:30")}, "080000-123000"),
        ({"time": ("1230", "8")}, "080000-123000"),
        ({"time_from": "0830"}, "083000-235959.999999"),
        ({"time_until": dt.time(8, 30, 0, 500)}, "000000-083000.000500"),
    ],
)
def test_times_may_be_given_in_many_ways(given: dict[str, object], matching: str) -> None:
    query = built(date="2026-01-31", **given)
    assert query.times is not None
    assert query.times.matching == matching


@pytest.mark.parametrize("given", [{}, {"date": ("2026-01-01", "2026-01-02")}])
def test_a_time_window_needs_a_single_day(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="single day"):
        built(time_from="08:00", **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"level": "instance"}, "patient, study, series, image"),
        ({"patientid": "Q1"}, "Did you mean patient_id"),
        ({"PatientId": "Q1"}, "Did you mean PatientID"),
        ({"patient_id": "Q1", "PatientID": "Q2"}, "given twice"),
        ({"date": "today", "StudyDate": "20260101"}, "given twice"),
        ({"date": "today", "date_from": "today"}, "not both"),
        ({"modalities": "C*"}, "no modality code"),
        ({"modalities": 3}, "list of texts"),
        ({"study_uid": "1.2.*"}, "without wildcards"),
        ({"study_uid": ["1.2", "x"]}, "not 'x'"),
        ({"study_uid": []}, "empty list"),
        ({"accession": "A\\B"}, "backslash"),
        ({"patient_name": "Doe\r\nX"}, "control characters"),
        ({"patient_name": "x\x1b$B"}, "control characters"),
        ({"patient_id": "x" * 65}, "at most 64"),
        ({"accession": "x" * 17}, "at most 16"),
        ({"patient_id": ["Q1", "Q2"]}, "only UIDs may be lists"),
        ({"StudyDate": "2026*"}, "20260131, or a range"),
        ({"StudyTime": "8 o'clock"}, "083000, or a range"),
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
        ({"time_from": "25:00", "date": "today"}, "no time of day"),
        ({"StudyTime": dt.date(2026, 1, 31)}, "does not fit"),
        ({"study_uid": 12}, "a UID or a list of UIDs"),
        ({"patient_name": "x" * 65}, "each component group"),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(given: dict[str, object], says: str) -> None:
    with pytest.raises(InputError) as raised:
        built(**given)
    assert says in str(raised.value)
    assert str(raised.value).endswith((".", "?"))


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


def test_station_filters_look_at_studies_when_studies_are_asked() -> None:
    assert built(station_include="x").filters.station_level is Level.STUDY
    assert built(station_include="x", level="image").filters.station_level is Level.SERIES
    assert built(station_include="x", station_level="series").filters.station_level is Level.SERIES
