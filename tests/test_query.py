"""Queries as values: from what people give to what is asked at each level."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from qrkit.errors import InputError
from qrkit.find.hierarchy import Drilled, drill
from qrkit.find.modalities import MOST_STUDIES
from qrkit.find.parents import union
from qrkit.node import InformationModel
from qrkit.query import Query, Reliance, Request, answer_keywords, build_query, identifier
from qrkit.query.filters import select
from qrkit.tables import Level, schema, unique_key, unique_keys_above

TODAY = dt.date(2026, 2, 1)
STUDY_ROOT = InformationModel.STUDY_ROOT
PATIENT_ROOT = InformationModel.PATIENT_ROOT


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


def test_a_query_without_keys_and_dates_asks_for_the_whole_archive() -> None:
    assert built(modalities="CT").is_open
    assert not built(date="today").is_open


@pytest.mark.parametrize(
    "query",
    [
        built(),
        built(
            level="series",
            modalities=["CT", "MR"],
            date="2026-01-31",
            time=("8:00", "12:00:00.5"),
            patient_name="Dö*",
            study_uid=["1.2", "1.3"],
            description_include="a,b",
            station_exclude="c",
            station_level="study",
            blank="drop",
            return_keys=["0019100A", "KVP"],
        ),
    ],
)
def test_a_query_comes_back_from_its_json(query: Query) -> None:
    assert Query.from_json(json.loads(json.dumps(query.to_json()))) == query


@pytest.mark.parametrize(
    "kept",
    [
        {"level": "STUDY", "new": 1},
        {"filters": {"new": 1}},
        {"dates": ["2026-01-01"]},
        {"dates": ["x", "y"]},
        {"keys": ["PatientID"]},
        {"level": "X"},
    ],
)
def test_json_that_is_no_query_is_an_error(kept: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Query.from_json(kept)


# Requests


def test_an_identifier_has_level_character_set_keys_and_unique_keys_above() -> None:
    request = Request(
        level=Level.SERIES,
        keys=(("StudyInstanceUID", "1.2"), ("Modality", "CT")),
        return_keys=("SeriesNumber", "NumberOfSeriesRelatedInstances", "RequestAttributesSequence"),
    )
    asked = identifier(request, PATIENT_ROOT)
    assert {element.keyword: element.value for element in asked} == {
        "SpecificCharacterSet": "",
        "QueryRetrieveLevel": "SERIES",
        "Modality": "CT",
        "PatientID": "",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "",
        "SeriesNumber": "",
        "NumberOfSeriesRelatedInstances": "",
        "RequestAttributesSequence": [],
    }
    assert answer_keywords(request, PATIENT_ROOT)[:3] == ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")


@pytest.mark.parametrize(
    ("name", "character_set", "expected"),
    [
        ("Doe^J*", "ISO_IR 100", ""),
        ("Müller", "ISO_IR 100", "ISO_IR 100"),
        ("Müller", "ISO_IR 192", "ISO_IR 192"),
        ("Müller", "ISO_IR 6", "ISO_IR 192"),
        ("Müller", "", "ISO_IR 192"),
        ("Müller", "KLINGON", "ISO_IR 192"),
        ("Люд", "ISO_IR 100", "ISO_IR 192"),
        ("Люд", "ISO_IR 144", "ISO_IR 144"),
        ("山田", "\\ISO 2022 IR 87", ["", "ISO 2022 IR 87"]),
    ],
)
def test_the_character_set_fits_the_keys(name: str, character_set: str, expected: str | list[str]) -> None:
    request = Request(level=Level.STUDY, keys=(("PatientName", name),))
    asked = identifier(request, STUDY_ROOT, character_set=character_set)
    assert asked.SpecificCharacterSet == expected
    assert asked.PatientName == name
    assert written(asked)


@pytest.mark.parametrize("level", list(Level))
def test_everything_that_is_asked_by_default_can_be_written(level: Level) -> None:
    requests: list[Request] = []
    flow = drill(built(level=level, date="today"), STUDY_ROOT, select)
    step = next(flow)
    while True:
        requests += step
        try:
            step = flow.send([schema(one.level, answer_keywords(one, STUDY_ROOT)).empty_table() for one in step])
        except StopIteration:
            break
    assert all(written(identifier(one, STUDY_ROOT)) for one in requests)


def test_rows_below_that_did_not_come_at_first_are_asked_for_once_more() -> None:
    flow = drill(built(level="series", patient_id="Q1"), STUDY_ROOT, select)
    (studies,) = next(flow)
    above = schema(Level.STUDY, answer_keywords(studies, STUDY_ROOT))
    row = dict.fromkeys(above.names) | {"StudyInstanceUID": "1.2", "NumberOfStudyRelatedSeries": 2}
    (series,) = flow.send([pa.Table.from_pylist([row], schema=above)])
    below = schema(Level.SERIES, answer_keywords(series, STUDY_ROOT))

    def answer(*uids: str) -> pa.Table:
        rows = [dict.fromkeys(below.names) | {"StudyInstanceUID": "1.2", "SeriesInstanceUID": uid} for uid in uids]
        return pa.Table.from_pylist(rows, schema=below)

    assert flow.send([answer("1.2.1")]) == (series,)
    with pytest.raises(StopIteration) as end:
        flow.send([answer("1.2.2")])
    assert end.value.value.table["SeriesInstanceUID"].to_pylist() == ["1.2.1", "1.2.2"]
    assert (end.value.value.doubts, end.value.value.requests) == ((), 3)


def test_keys_of_every_kind_can_be_written() -> None:
    query = built(
        level="image",
        study_uid=["1.2", "1.3"],
        Rows=512,
        FrameIncrementPointer="00181063",
        **{"0019100A": "private", "00191010": None, "RecommendedDisplayFrameRateInFloat": 1.5},
    )
    request = Request(level=Level.IMAGE, keys=query.keys, return_keys=query.extra_keys)
    asked = identifier(request, STUDY_ROOT)
    assert (asked.Rows, asked.StudyInstanceUID, asked[0x0019100A].value) == (512, ["1.2", "1.3"], "private")
    assert written(asked)


def test_below_a_uid_against_the_standard_is_asked_without_a_python_warning() -> None:
    keys = (("StudyInstanceUID", "1.2.03"), ("SeriesInstanceUID", "1.2.04\\1.2..5"))
    asked = identifier(Request(level=Level.IMAGE, keys=keys), STUDY_ROOT)
    content = written(asked)
    assert b"1.2.03" in content
    assert b"1.2.04\\1.2..5" in content


def test_a_request_with_a_key_set_or_taken_away_is_another_request() -> None:
    request = Request(level=Level.STUDY, keys=(("StudyDate", "20260131"),))
    assert request.with_key("StudyTime", "08-12").value("StudyTime") == "08-12"
    without = request.with_key("StudyDate", "")
    assert (without.keys, without.return_keys) == ((), ("StudyDate",))
    assert request.value("StudyDate") == "20260131"


def written(asked: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_dataset(buffer, asked)
    return buffer.getvalue()


# Asking level by level

PATIENTS: dict[str, dict[str, Any]] = {
    "Q1": {"PatientName": "Doe^John", "PatientSex": "M"},
    "Q2": {"PatientName": "Roe^Jane", "PatientSex": "F"},
}
STUDIES: dict[str, dict[str, Any]] = {
    "1.1": {
        "PatientID": "Q1",
        "StudyDate": dt.date(2026, 1, 1),
        "ModalitiesInStudy": "CT\\SR",
        "StudyDescription": "A",
    },
    "1.2": {"PatientID": "Q1", "StudyDate": dt.date(2026, 1, 2), "ModalitiesInStudy": "MR", "StudyDescription": "B"},
    "1.3": {
        "PatientID": "Q2",
        "StudyDate": dt.date(2026, 1, 3),
        "ModalitiesInStudy": "CT\\MR",
        "StudyDescription": "C",
    },
}
SERIES: dict[str, dict[str, Any]] = {
    "2.1": {"StudyInstanceUID": "1.1", "Modality": "CT", "StationName": "CT1"},
    "2.2": {"StudyInstanceUID": "1.1", "Modality": "SR", "StationName": "CT1"},
    "2.3": {"StudyInstanceUID": "1.2", "Modality": "MR", "StationName": "MR1"},
    "2.4": {"StudyInstanceUID": "1.3", "Modality": "CT", "StationName": "CT2"},
    "2.5": {"StudyInstanceUID": "1.3", "Modality": "MR", "StationName": None},
}
IMAGES: dict[str, dict[str, Any]] = {
    f"3.{series[2:]}.{number}": {"SeriesInstanceUID": series, "InstanceNumber": number}
    for series in SERIES
    for number in (1, 2)
}


def rows_at(level: Level) -> list[dict[str, Any]]:
    """All rows of a level, with everything above them."""
    patients = [{"PatientID": uid, **row} for uid, row in PATIENTS.items()]
    studies = [{"StudyInstanceUID": uid, **PATIENTS[row["PatientID"]], **row} for uid, row in STUDIES.items()]
    by_study = {row["StudyInstanceUID"]: row for row in studies}
    series = [{**by_study[row["StudyInstanceUID"]], "SeriesInstanceUID": uid, **row} for uid, row in SERIES.items()]
    by_series = {row["SeriesInstanceUID"]: row for row in series}
    images = [{**by_series[row["SeriesInstanceUID"]], "SOPInstanceUID": uid, **row} for uid, row in IMAGES.items()]
    return {Level.PATIENT: patients, Level.STUDY: studies, Level.SERIES: series, Level.IMAGE: images}[level]


def matches(value: object, asked: str) -> bool:
    if isinstance(value, dt.date):
        first, _, last = asked.partition("-")
        return first <= f"{value:%Y%m%d}" <= (last or first)
    parts = str(value).split("\\")
    return any(fnmatch.fnmatchcase(part, one) for one in asked.split("\\") for part in parts)


def archive(request: Request, model: InformationModel) -> pa.Table:
    """A strict PACS: it wants single Unique Keys above the level, and answers nothing that is not of the level."""
    for keyword in unique_keys_above(request.level, model):
        assert request.value(keyword), f"{keyword} is missing"
        assert not set(request.value(keyword)) & set("*?\\"), f"{keyword} is no single value"
    found = [
        row
        for row in rows_at(request.level)
        if all(matches(row.get(keyword), value) for keyword, value in request.keys)
    ]
    names = answer_keywords(request, model)
    wanted = schema(request.level, names)
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in found], schema=wanted)


def ask(
    query: Query,
    model: InformationModel = STUDY_ROOT,
    *,
    reliance: Reliance | None = None,
    archive: Callable[[Request, InformationModel], pa.Table] = archive,
) -> tuple[Drilled, list[tuple[Request, ...]]]:
    """Drill, with the strict archive; the answer and the steps."""
    flow = drill(query, model, select, reliance)
    steps: list[tuple[Request, ...]] = []
    answers: Sequence[pa.Table] | None = None
    while True:
        try:
            step = next(flow) if answers is None else flow.send(answers)
        except StopIteration as end:
            drilled: Drilled = end.value
            return drilled, steps
        steps.append(step)
        answers = [archive(one, model) for one in step]


def uids(drilled: Drilled, level: Level) -> list[str]:
    column: list[str] = drilled.table[unique_key(level)].to_pylist()
    return column


def shape(steps: list[tuple[Request, ...]]) -> list[tuple[str, int]]:
    return [(step[0].level.value, len(step)) for step in steps]


def test_the_unique_key_above_stays_even_if_it_is_not_matched_as_the_query_has_it() -> None:
    query = built(patient_id="Q*", date_from="2026-01-01")
    drilled, steps = ask(query, PATIENT_ROOT, reliance=Reliance(unmatched=frozenset({"PatientID"})))
    assert [step[0].level for step in steps] == [Level.PATIENT, Level.STUDY]
    assert sorted(uids(drilled, Level.STUDY)) == ["1.1", "1.2", "1.3"]


def test_a_study_query_under_study_root_is_one_request() -> None:
    drilled, steps = ask(built(date=("2026-01-01", "2026-01-02"), patient_id="Q*"))
    assert shape(steps) == [("STUDY", 1)]
    assert dict(steps[0][0].keys) == {"PatientID": "Q*", "StudyDate": "20260101-20260102"}
    assert uids(drilled, Level.STUDY) == ["1.1", "1.2"]
    assert drilled.table.column_names == [*built().columns, "warnings"]


def test_studies_are_asked_once_per_modality_and_come_once() -> None:
    drilled, steps = ask(built(modalities=["CT", "MR"]))
    assert [one.value("ModalitiesInStudy") for step in steps for one in step] == ["CT", "MR"]
    assert uids(drilled, Level.STUDY) == ["1.1", "1.3", "1.2"]


def ignoring(*ignored: str, omitted: Sequence[str] = ()) -> Callable[[Request, InformationModel], pa.Table]:
    """The archive, which ignores keys, and leaves keys out of its answers."""

    def answer(request: Request, model: InformationModel) -> pa.Table:
        for keyword in ignored:
            request = request.with_key(keyword, "")
        table = archive(request, model)
        return table.drop_columns([name for name in omitted if name in table.column_names])

    return answer


def test_a_node_seen_to_ignore_modalities_is_asked_once_for_all_others() -> None:
    query = built(modalities=["MR", "SR", "PT", "MG"])
    drilled, steps = ask(query, archive=ignoring("ModalitiesInStudy"))
    assert [one.value("ModalitiesInStudy") for step in steps for one in step] == ["MR", ""]
    assert sorted(uids(drilled, Level.STUDY)) == ["1.1", "1.2", "1.3"]
    assert drilled.contradiction == "1 study came for ModalitiesInStudy MR without a series of MR"


def test_a_node_that_tells_one_modality_of_each_study_still_answers_all() -> None:
    def first_only(request: Request, model: InformationModel) -> pa.Table:
        table = archive(request, model)
        told = pa.array([(value or "").split("\\")[0] for value in table["ModalitiesInStudy"].to_pylist()])
        return table.set_column(table.column_names.index("ModalitiesInStudy"), "ModalitiesInStudy", told)

    drilled, steps = ask(built(modalities=["SR", "CT", "MR"]), archive=first_only)
    assert [one.value("ModalitiesInStudy") for step in steps for one in step] == ["SR", ""]
    assert sorted(uids(drilled, Level.STUDY)) == ["1.1", "1.2", "1.3"]


@pytest.mark.parametrize("level", ["study", "series"])
def test_a_node_known_to_ignore_modalities_is_asked_once(level: str) -> None:
    reliance = Reliance(unmatched=frozenset({"ModalitiesInStudy", "Modality"}))
    query = built(level=level, modalities=["SR", "PT"], date_from="2026-01-01")
    drilled, steps = ask(query, reliance=reliance, archive=ignoring("ModalitiesInStudy", "Modality"))
    assert shape(steps)[0] == ("STUDY", 1)
    assert all(one.value(key) == "" for step in steps for one in step for key in ("ModalitiesInStudy", "Modality"))
    assert drilled.contradiction == ""
    assert uids(drilled, query.level) == (["1.1"] if level == "study" else ["2.2"])


def test_a_key_that_is_not_matched_is_not_asked_unless_nothing_else_narrows_it_down() -> None:
    reliance = Reliance(unmatched=frozenset({"StudyDescription"}))
    _, steps = ask(built(date_from="2026-01-01", StudyDescription="A"), reliance=reliance)
    assert "StudyDescription" not in dict(steps[0][0].keys)
    assert "StudyDescription" in steps[0][0].return_keys
    _, steps = ask(built(StudyDescription="A"), reliance=reliance)
    assert dict(steps[0][0].keys) == {"StudyDescription": "A"}


@pytest.mark.parametrize("model", [STUDY_ROOT, PATIENT_ROOT])
def test_modalities_that_no_study_tells_are_taken_from_the_series(model: InformationModel) -> None:
    silent = ignoring("ModalitiesInStudy", omitted=["ModalitiesInStudy"])
    drilled, steps = ask(built(modalities="CT"), model, archive=silent)
    assert sum((kind == "SERIES" and count) or 0 for kind, count in shape(steps)) == 3
    assert drilled.table.select(["StudyInstanceUID", "ModalitiesInStudy"]).to_pylist() == [
        {"StudyInstanceUID": "1.1", "ModalitiesInStudy": "CT\\SR"},
        {"StudyInstanceUID": "1.3", "ModalitiesInStudy": "CT\\MR"},
    ]


def test_modalities_are_not_taken_from_the_series_unless_the_query_needs_them() -> None:
    silent = ignoring(omitted=["ModalitiesInStudy"])
    assert shape(ask(built(date_from="2026-01-01"), archive=silent)[1]) == [("STUDY", 1)]
    trusted = Reliance(honoured=frozenset({"ModalitiesInStudy"}))
    assert shape(ask(built(modalities="CT"), reliance=trusted, archive=silent)[1]) == [("STUDY", 1)]
    assert shape(ask(built(modalities="CT"))[1]) == [("STUDY", 1)]


def test_too_many_studies_without_modalities_are_a_doubt_and_no_flood() -> None:
    crowd = pa.table({"StudyInstanceUID": [f"1.{number}" for number in range(MOST_STUDIES + 1)]})
    drilled, steps = ask(built(modalities="CT"), archive=lambda *_: crowd)
    assert shape(steps) == [("STUDY", 1)]
    assert f"{MOST_STUDIES + 1} studies came without ModalitiesInStudy" in drilled.doubts[0]


def test_a_series_query_without_study_first_asks_for_the_studies() -> None:
    drilled, steps = ask(built(level="series", modalities="CT", date_from="2026-01-01"))
    assert shape(steps) == [("STUDY", 1), ("SERIES", 2)]
    assert [dict(one.keys) for one in steps[1]] == [
        {"StudyInstanceUID": "1.1", "Modality": "CT"},
        {"StudyInstanceUID": "1.3", "Modality": "CT"},
    ]
    assert uids(drilled, Level.SERIES) == ["2.1", "2.4"]
    assert drilled.table.select(["PatientName", "StudyDate", "StudyDescription"]).to_pylist() == [
        {"PatientName": "Doe^John", "StudyDate": dt.date(2026, 1, 1), "StudyDescription": "A"},
        {"PatientName": "Roe^Jane", "StudyDate": dt.date(2026, 1, 3), "StudyDescription": "C"},
    ]


def test_series_of_several_modalities_are_asked_once_per_study_and_filtered_here() -> None:
    drilled, steps = ask(built(level="series", modalities=["CT", "MR"]))
    assert shape(steps) == [("STUDY", 1), ("STUDY", 1), ("SERIES", 3)]
    assert sorted(uids(drilled, Level.SERIES)) == ["2.1", "2.3", "2.4", "2.5"]
    assert [(one.name, one.level, one.before, one.after) for one in drilled.reports] == [
        ("Modality", Level.SERIES, 5, 4)
    ]


def test_a_series_query_with_studies_asks_no_study_but_each_for_itself() -> None:
    drilled, steps = ask(built(level="series", study_uid=["1.1", "1.2"]))
    assert shape(steps) == [("SERIES", 2)]
    assert uids(drilled, Level.SERIES) == ["2.1", "2.2", "2.3"]
    assert drilled.table["StudyInstanceUID"].to_pylist() == ["1.1", "1.1", "1.2"]


def test_a_study_is_asked_although_its_uid_is_given_if_something_else_narrows_it_down() -> None:
    drilled, steps = ask(built(level="series", study_uid=["1.1", "1.2"], patient_id="Q1", date="2026-01-02"))
    assert shape(steps) == [("STUDY", 1), ("SERIES", 1)]
    assert uids(drilled, Level.SERIES) == ["2.3"]
    assert shape(ask(built(level="series", study_uid="1.1", description_include="A"))[1]) == [
        ("STUDY", 1),
        ("SERIES", 1),
    ]


def test_an_image_query_goes_down_through_studies_and_series() -> None:
    drilled, steps = ask(built(level="image", date="2026-01-01", Modality="CT", InstanceNumber=1))
    assert shape(steps) == [("STUDY", 1), ("SERIES", 1), ("IMAGE", 1)]
    assert dict(steps[2][0].keys) == {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "2.1", "InstanceNumber": "1"}
    (row,) = drilled.table.to_pylist()
    assert (row["SOPInstanceUID"], row["StationName"], row["PatientID"]) == ("3.1.1", "CT1", "Q1")


def test_an_image_query_with_study_and_series_is_one_request() -> None:
    drilled, steps = ask(built(level="image", study_uid="1.1", series_uid="2.2"))
    assert shape(steps) == [("IMAGE", 1)]
    assert uids(drilled, Level.IMAGE) == ["3.2.1", "3.2.2"]
    assert drilled.table["SeriesInstanceUID"].to_pylist() == ["2.2", "2.2"]


@pytest.mark.parametrize("given", [{"level": "series", "series_uid": "2.1"}, {"level": "image", "sop_uid": "3.1.1"}])
def test_a_uid_below_the_studies_alone_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Give study_uid too"):
        next(drill(built(**given), STUDY_ROOT, select))


def test_patient_root_asks_for_patients_first() -> None:
    drilled, steps = ask(built(patient_name="*Jane", date_from="2026-01-01"), PATIENT_ROOT)
    assert shape(steps) == [("PATIENT", 1), ("STUDY", 1)]
    assert dict(steps[1][0].keys) == {"PatientID": "Q2", "StudyDate": "20260101-20260201"}
    assert drilled.table.select(["PatientID", "PatientName", "StudyInstanceUID"]).to_pylist() == [
        {"PatientID": "Q2", "PatientName": "Roe^Jane", "StudyInstanceUID": "1.3"}
    ]


def test_patient_root_with_a_patient_asks_for_its_studies_at_once() -> None:
    drilled, steps = ask(built(level="series", patient_id="Q1"), PATIENT_ROOT)
    assert shape(steps) == [("STUDY", 1), ("SERIES", 2)]
    assert uids(drilled, Level.SERIES) == ["2.1", "2.2", "2.3"]
    assert shape(ask(built(patient_id="Q*"), PATIENT_ROOT)[1]) == [("PATIENT", 1), ("STUDY", 2)]


def test_patients_under_study_root_are_those_of_the_studies() -> None:
    drilled, steps = ask(built(level="patient", date_from="2026-01-01"))
    assert shape(steps) == [("STUDY", 1)]
    assert uids(drilled, Level.PATIENT) == ["Q1", "Q2"]


def test_patients_under_patient_root_are_asked_by_their_own_keys_only() -> None:
    drilled, _ = ask(built(level="patient", patient_name="Doe*"), PATIENT_ROOT)
    assert uids(drilled, Level.PATIENT) == ["Q1"]
    with pytest.raises(InputError, match="not asked by date"):
        next(drill(built(level="patient", date="today"), PATIENT_ROOT, select))


def test_a_level_that_the_information_model_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="no SERIES level"):
        next(drill(built(level="series", date="today"), InformationModel.PATIENT_STUDY_ONLY, select))


def test_descriptions_are_filtered_before_series_are_asked() -> None:
    drilled, steps = ask(
        built(level="series", date_from="2026-01-01", description_exclude="b,c", station_include="CT1")
    )
    assert shape(steps) == [("STUDY", 1), ("SERIES", 1)]
    assert [(one.name, one.level, one.before, one.after) for one in drilled.reports] == [
        ("description exclude", Level.STUDY, 3, 1),
        ("station include", Level.SERIES, 2, 2),
    ]
    assert drilled.requests == 2


def test_nothing_found_above_asks_nothing_below_and_gives_an_empty_table() -> None:
    drilled, steps = ask(built(level="image", date="2020-01-01"))
    assert shape(steps) == [("STUDY", 1)]
    assert drilled.table.num_rows == 0
    assert drilled.table.schema.equals(schema(Level.IMAGE, built(level="image").columns))


def test_rows_without_a_unique_key_are_kept_and_counted_where_nothing_can_be_asked_below() -> None:
    blank = pa.table({"StudyInstanceUID": ["1.1", None, None], "StudyDescription": ["a", "b", "c"]})
    flow = drill(built(), STUDY_ROOT, select)
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.send([blank])
    assert end.value.value.table["StudyDescription"].to_pylist() == ["a", "b", "c"]
    flow = drill(built(level="series"), STUDY_ROOT, select)
    next(flow)
    assert len(flow.send([blank])) == 1
    with pytest.raises(StopIteration) as end:
        flow.send([pa.table({"SeriesInstanceUID": ["2.1"]})])
    assert end.value.value.unasked == 2


def test_extra_keys_are_asked_where_they_belong_and_come_down() -> None:
    query = built(level="series", date="2026-01-01", return_keys=["PatientComments", "KVP", "ReferringPhysicianName"])
    drilled, steps = ask(query)
    (study,), (series,) = steps
    assert {"PatientComments", "ReferringPhysicianName"} <= set(study.return_keys)
    assert "KVP" in series.return_keys
    assert not {"PatientComments", "ReferringPhysicianName"} & set(series.return_keys)
    assert {"PatientComments", "KVP", "ReferringPhysicianName"} <= set(drilled.table.column_names)


def test_a_union_keeps_the_first_of_each_and_fills_missing_columns() -> None:
    joined = union(
        [
            pa.table({"StudyInstanceUID": ["1.1"], "StudyDescription": ["first"]}),
            pa.table({"StudyInstanceUID": ["1.1", "1.2"], "StudyID": ["x", "y"]}),
        ],
        Level.STUDY,
    )
    assert joined.to_pylist() == [
        {"StudyInstanceUID": "1.1", "StudyDescription": "first", "StudyID": None},
        {"StudyInstanceUID": "1.2", "StudyDescription": None, "StudyID": "y"},
    ]


def test_the_same_patient_id_of_another_issuer_is_another_patient() -> None:
    both = pa.table({"PatientID": ["Q1", "Q1"], "IssuerOfPatientID": ["A", "B"]})
    assert union([both, both], Level.PATIENT).num_rows == 2


@given(
    level=st.sampled_from(list(Level)),
    model=st.sampled_from([STUDY_ROOT, PATIENT_ROOT]),
    modalities=st.lists(st.sampled_from(["CT", "MR", "SR"]), max_size=2, unique=True),
    patient=st.sampled_from([None, "Q1", "Q*"]),
    study=st.sampled_from([None, "1.1", ["1.1", "1.3"]]),
    date=st.sampled_from([None, "2026-01-01", ("2026-01-01", "2026-01-02")]),
    description=st.sampled_from([None, "a", "a,c"]),
)
def test_a_strict_archive_gives_what_a_flat_search_would(
    level: Level, model: InformationModel, **given: object
) -> None:
    """Whatever is asked, every request is valid under the information model and the answer is complete."""
    names = {"patient": "patient_id", "study": "study_uid", "description": "description_include"}
    if level is Level.PATIENT:
        given["study"] = None
    query = built(level=level, **{names.get(name, name): value for name, value in given.items()})
    if level is Level.PATIENT and model is PATIENT_ROOT:
        query = built(level=level, patient_id=given["patient"])
    drilled, _ = ask(query, model)
    unique = unique_key(level)
    assert sorted(uids(drilled, level)) == sorted({row[unique] for row in rows_at(Level.IMAGE) if fits(row, query)})


def fits(row: dict[str, Any], query: Query) -> bool:
    terms = query.filters.description_include
    codes = row["ModalitiesInStudy" if query.level in (Level.PATIENT, Level.STUDY) else "Modality"].split("\\")
    return (
        all(matches(row[keyword], value) for keyword, value in query.keys)
        and (query.dates is None or matches(row["StudyDate"], query.dates.matching))
        and (not query.modalities or not set(query.modalities).isdisjoint(codes))
        and (not terms or any(term in row["StudyDescription"].lower() for term in terms))
    )
