"""Queries asked level by level of a strict archive."""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.errors import InputError
from qrkit.find.hierarchy import HierarchyResult, ask_by_level
from qrkit.find.modalities import MOST_STUDIES
from qrkit.find.united import union
from qrkit.node import InformationModel
from qrkit.query import Query, Reliance, Request, answer_keywords, build_query, identifier
from qrkit.query.filters import select
from qrkit.tables import Level, schema, unique_key, unique_keys_above
from tests.dimse.identifiers import encoded

TODAY = dt.date(2026, 2, 1)
STUDY_ROOT = InformationModel.STUDY_ROOT
PATIENT_ROOT = InformationModel.PATIENT_ROOT


def built(**given: object) -> Query:
    return build_query(today=TODAY, **given)


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
) -> tuple[HierarchyResult, list[tuple[Request, ...]]]:
    """Ask the strict archive; return the answer and the steps."""
    flow = ask_by_level(query, model, select, reliance)
    steps: list[tuple[Request, ...]] = []
    answers: Sequence[pa.Table] | None = None
    while True:
        try:
            step = next(flow) if answers is None else flow.send(answers)
        except StopIteration as end:
            result: HierarchyResult = end.value
            return result, steps
        steps.append(step)
        answers = [archive(one, model) for one in step]


def uids(result: HierarchyResult, level: Level) -> list[str]:
    column: list[str] = result.table[unique_key(level)].to_pylist()
    return column


def shape(steps: list[tuple[Request, ...]]) -> list[tuple[str, int]]:
    return [(step[0].level.value, len(step)) for step in steps]


def test_the_unique_key_above_stays_even_if_it_is_not_matched_as_the_query_has_it() -> None:
    query = built(patient_id="Q*", date_from="2026-01-01")
    result, steps = ask(query, PATIENT_ROOT, reliance=Reliance(unmatched=frozenset({"PatientID"})))
    assert [step[0].level for step in steps] == [Level.PATIENT, Level.STUDY]
    assert sorted(uids(result, Level.STUDY)) == ["1.1", "1.2", "1.3"]


def test_a_study_query_under_study_root_is_one_request() -> None:
    result, steps = ask(built(date=("2026-01-01", "2026-01-02"), patient_id="Q*"))
    assert shape(steps) == [("STUDY", 1)]
    assert dict(steps[0][0].keys) == {"PatientID": "Q*", "StudyDate": "20260101-20260102"}
    assert uids(result, Level.STUDY) == ["1.1", "1.2"]
    assert result.table.column_names == [*built().columns, "warnings"]


def test_studies_are_asked_once_per_modality_and_come_once() -> None:
    result, steps = ask(built(modalities=["CT", "MR"]))
    assert [one.value("ModalitiesInStudy") for step in steps for one in step] == ["CT", "MR"]
    assert uids(result, Level.STUDY) == ["1.1", "1.3", "1.2"]


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
    result, steps = ask(query, archive=ignoring("ModalitiesInStudy"))
    assert [one.value("ModalitiesInStudy") for step in steps for one in step] == ["MR", ""]
    assert sorted(uids(result, Level.STUDY)) == ["1.1", "1.2", "1.3"]
    assert result.contradiction == "ModalitiesInStudy MR returned 1 study without a series of MR"


def matching_none(request: Request, model: InformationModel) -> pa.Table:
    """The archive, which finds no study by ModalitiesInStudy."""
    table = archive(request, model)
    return table.slice(0, 0) if request.value("ModalitiesInStudy") else table


@pytest.mark.parametrize("level", ["study", "series", "image"])
def test_a_node_that_matches_no_study_by_its_modalities_is_asked_once_without_them(level: str) -> None:
    query = built(level=level, modalities=["SR", "PT"], date_from="2026-01-01")
    result, steps = ask(query, archive=matching_none)
    assert [one.value("ModalitiesInStudy") for step in steps for one in step if one.level is Level.STUDY] == [
        "SR",
        "PT",
        "",
    ]
    honest, _ = ask(query)
    assert uids(result, query.level) == uids(honest, query.level) != []
    assert result.contradiction == "ModalitiesInStudy returned no study, and 1 study without it"


def test_whether_there_is_no_study_of_a_modality_is_not_checked_without_dates_or_where_it_is_known() -> None:
    result, steps = ask(built(modalities=["SR"]), archive=matching_none)
    assert shape(steps) == [("STUDY", 1)]
    (doubt,) = result.doubts
    assert doubt.startswith("no study was returned for ModalitiesInStudy")
    result, steps = ask(
        built(modalities=["PT"], date_from="2026-01-01"), reliance=Reliance(honoured=frozenset({"ModalitiesInStudy"}))
    )
    assert (shape(steps), result.doubts) == ([("STUDY", 1)], ())
    result, steps = ask(built(modalities=["PT"], date_from="2026-01-01"))
    assert (shape(steps), result.doubts, result.contradiction) == ([("STUDY", 1), ("STUDY", 1)], (), "")


def test_a_node_that_tells_one_modality_of_each_study_still_answers_all() -> None:
    def first_only(request: Request, model: InformationModel) -> pa.Table:
        table = archive(request, model)
        told = pa.array([(value or "").split("\\")[0] for value in table["ModalitiesInStudy"].to_pylist()])
        return table.set_column(table.column_names.index("ModalitiesInStudy"), "ModalitiesInStudy", told)

    result, steps = ask(built(modalities=["SR", "CT", "MR"]), archive=first_only)
    assert [one.value("ModalitiesInStudy") for step in steps for one in step] == ["SR", ""]
    assert sorted(uids(result, Level.STUDY)) == ["1.1", "1.2", "1.3"]


@pytest.mark.parametrize("level", ["study", "series"])
def test_a_node_known_to_ignore_modalities_is_asked_once(level: str) -> None:
    reliance = Reliance(unmatched=frozenset({"ModalitiesInStudy", "Modality"}))
    query = built(level=level, modalities=["SR", "PT"], date_from="2026-01-01")
    result, steps = ask(query, reliance=reliance, archive=ignoring("ModalitiesInStudy", "Modality"))
    assert shape(steps)[0] == ("STUDY", 1)
    assert all(one.value(key) == "" for step in steps for one in step for key in ("ModalitiesInStudy", "Modality"))
    assert result.contradiction == ""
    assert uids(result, query.level) == (["1.1"] if level == "study" else ["2.2"])


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
    result, steps = ask(built(modalities="CT"), model, archive=silent)
    assert sum((kind == "SERIES" and count) or 0 for kind, count in shape(steps)) == 3
    assert result.table.select(["StudyInstanceUID", "ModalitiesInStudy"]).to_pylist() == [
        {"StudyInstanceUID": "1.1", "ModalitiesInStudy": "CT\\SR"},
        {"StudyInstanceUID": "1.3", "ModalitiesInStudy": "CT\\MR"},
    ]


def test_odd_modalities_lose_no_study_and_series_tell_what_cannot_be_read() -> None:
    written = {"CT\\SR": "ct/sr", "CT\\MR": "*"}

    def odd(request: Request, model: InformationModel) -> pa.Table:
        table = ignoring("ModalitiesInStudy")(request, model)
        if request.level is not Level.STUDY:
            return table
        column = [written.get(value, value) for value in table["ModalitiesInStudy"].to_pylist()]
        return table.set_column(table.column_names.index("ModalitiesInStudy"), "ModalitiesInStudy", pa.array(column))

    result, steps = ask(built(modalities="CT"), archive=odd)
    assert [(request.level.value, request.value("StudyInstanceUID")) for request in steps[-1]] == [("SERIES", "1.3")]
    assert result.table["ModalitiesInStudy"].to_pylist() == ["ct/sr", "CT\\MR"]
    (report,) = result.reports
    assert (report.before, report.after, report.unsure_kept, report.reread) == (3, 2, 0, 1)


def test_modalities_are_not_taken_from_the_series_unless_the_query_needs_them() -> None:
    silent = ignoring(omitted=["ModalitiesInStudy"])
    assert shape(ask(built(date_from="2026-01-01"), archive=silent)[1]) == [("STUDY", 1)]
    trusted = Reliance(honoured=frozenset({"ModalitiesInStudy"}))
    assert shape(ask(built(modalities="CT"), reliance=trusted, archive=silent)[1]) == [("STUDY", 1)]
    assert shape(ask(built(modalities="CT"))[1]) == [("STUDY", 1)]


def test_too_many_studies_without_modalities_are_a_doubt_and_no_flood() -> None:
    crowd = pa.table({"StudyInstanceUID": [f"1.{number}" for number in range(MOST_STUDIES + 1)]})
    result, steps = ask(built(modalities="CT"), archive=lambda *_: crowd)
    assert shape(steps) == [("STUDY", 1)]
    assert f"{MOST_STUDIES + 1} studies have no ModalitiesInStudy" in result.doubts[0]


def test_a_series_query_without_study_first_asks_for_the_studies() -> None:
    result, steps = ask(built(level="series", modalities="CT", date_from="2026-01-01"))
    assert shape(steps) == [("STUDY", 1), ("SERIES", 2)]
    assert [dict(one.keys) for one in steps[1]] == [
        {"StudyInstanceUID": "1.1", "Modality": "CT"},
        {"StudyInstanceUID": "1.3", "Modality": "CT"},
    ]
    assert uids(result, Level.SERIES) == ["2.1", "2.4"]
    assert result.table.select(["PatientName", "StudyDate", "StudyDescription"]).to_pylist() == [
        {"PatientName": "Doe^John", "StudyDate": dt.date(2026, 1, 1), "StudyDescription": "A"},
        {"PatientName": "Roe^Jane", "StudyDate": dt.date(2026, 1, 3), "StudyDescription": "C"},
    ]


def test_series_of_several_modalities_are_asked_once_per_study_and_filtered_here() -> None:
    result, steps = ask(built(level="series", modalities=["CT", "MR"]))
    assert shape(steps) == [("STUDY", 1), ("STUDY", 1), ("SERIES", 3)]
    assert sorted(uids(result, Level.SERIES)) == ["2.1", "2.3", "2.4", "2.5"]
    assert [(one.name, one.level, one.before, one.after) for one in result.reports] == [
        ("Modality", Level.SERIES, 5, 4)
    ]


def test_a_series_query_with_studies_asks_no_study_but_each_for_itself() -> None:
    result, steps = ask(built(level="series", study_uid=["1.1", "1.2"]))
    assert shape(steps) == [("SERIES", 2)]
    assert uids(result, Level.SERIES) == ["2.1", "2.2", "2.3"]
    assert result.table["StudyInstanceUID"].to_pylist() == ["1.1", "1.1", "1.2"]


def test_a_study_is_asked_although_its_uid_is_given_if_something_else_narrows_it_down() -> None:
    result, steps = ask(built(level="series", study_uid=["1.1", "1.2"], patient_id="Q1", date="2026-01-02"))
    assert shape(steps) == [("STUDY", 1), ("SERIES", 1)]
    assert uids(result, Level.SERIES) == ["2.3"]
    assert shape(ask(built(level="series", study_uid="1.1", description_include="A"))[1]) == [
        ("STUDY", 1),
        ("SERIES", 1),
    ]


def test_an_image_query_goes_down_through_studies_and_series() -> None:
    result, steps = ask(built(level="image", date="2026-01-01", Modality="CT", InstanceNumber=1))
    assert shape(steps) == [("STUDY", 1), ("SERIES", 1), ("IMAGE", 1)]
    assert dict(steps[2][0].keys) == {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "2.1", "InstanceNumber": "1"}
    (row,) = result.table.to_pylist()
    assert (row["SOPInstanceUID"], row["StationName"], row["PatientID"]) == ("3.1.1", "CT1", "Q1")


def test_an_image_query_with_study_and_series_is_one_request() -> None:
    result, steps = ask(built(level="image", study_uid="1.1", series_uid="2.2"))
    assert shape(steps) == [("IMAGE", 1)]
    assert uids(result, Level.IMAGE) == ["3.2.1", "3.2.2"]
    assert result.table["SeriesInstanceUID"].to_pylist() == ["2.2", "2.2"]


@pytest.mark.parametrize("given", [{"level": "series", "series_uid": "2.1"}, {"level": "image", "sop_uid": "3.1.1"}])
def test_a_uid_below_the_studies_alone_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="Give study_uid too"):
        next(ask_by_level(built(**given), STUDY_ROOT, select))


def test_patient_root_asks_for_patients_first() -> None:
    result, steps = ask(built(patient_name="*Jane", date_from="2026-01-01"), PATIENT_ROOT)
    assert shape(steps) == [("PATIENT", 1), ("STUDY", 1)]
    assert dict(steps[1][0].keys) == {"PatientID": "Q2", "StudyDate": "20260101-20260201"}
    assert result.table.select(["PatientID", "PatientName", "StudyInstanceUID"]).to_pylist() == [
        {"PatientID": "Q2", "PatientName": "Roe^Jane", "StudyInstanceUID": "1.3"}
    ]


def test_patient_root_with_a_patient_asks_for_its_studies_at_once() -> None:
    result, steps = ask(built(level="series", patient_id="Q1"), PATIENT_ROOT)
    assert shape(steps) == [("STUDY", 1), ("SERIES", 2)]
    assert uids(result, Level.SERIES) == ["2.1", "2.2", "2.3"]
    assert shape(ask(built(patient_id="Q*"), PATIENT_ROOT)[1]) == [("PATIENT", 1), ("STUDY", 2)]


def test_patients_under_study_root_are_those_of_the_studies() -> None:
    result, steps = ask(built(level="patient", date_from="2026-01-01"))
    assert shape(steps) == [("STUDY", 1)]
    assert uids(result, Level.PATIENT) == ["Q1", "Q2"]


def test_patients_under_patient_root_are_asked_by_their_own_keys_only() -> None:
    result, _ = ask(built(level="patient", patient_name="Doe*"), PATIENT_ROOT)
    assert uids(result, Level.PATIENT) == ["Q1"]
    with pytest.raises(InputError, match="not asked by date"):
        next(ask_by_level(built(level="patient", date="today"), PATIENT_ROOT, select))


def test_a_level_that_the_information_model_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="no SERIES level"):
        next(ask_by_level(built(level="series", date="today"), InformationModel.PATIENT_STUDY_ONLY, select))


def test_descriptions_are_filtered_before_series_are_asked() -> None:
    result, steps = ask(
        built(level="series", date_from="2026-01-01", description_exclude="b,c", station_include="CT1")
    )
    assert shape(steps) == [("STUDY", 1), ("SERIES", 1)]
    assert [(one.name, one.level, one.before, one.after) for one in result.reports] == [
        ("description exclude", Level.STUDY, 3, 1),
        ("station include", Level.SERIES, 2, 2),
    ]
    assert result.requests == 2


def test_nothing_found_above_asks_nothing_below_and_gives_an_empty_table() -> None:
    result, steps = ask(built(level="image", date="2020-01-01"))
    assert shape(steps) == [("STUDY", 1)]
    assert result.table.num_rows == 0
    assert result.table.schema.equals(schema(Level.IMAGE, built(level="image").columns))


def test_rows_without_a_unique_key_are_kept_and_counted_where_nothing_can_be_asked_below() -> None:
    blank = pa.table({"StudyInstanceUID": ["1.1", None, None], "StudyDescription": ["a", "b", "c"]})
    flow = ask_by_level(built(), STUDY_ROOT, select)
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.send([blank])
    assert end.value.value.table["StudyDescription"].to_pylist() == ["a", "b", "c"]
    flow = ask_by_level(built(level="series"), STUDY_ROOT, select)
    next(flow)
    assert len(flow.send([blank])) == 1
    with pytest.raises(StopIteration) as end:
        flow.send([pa.table({"SeriesInstanceUID": ["2.1"]})])
    assert end.value.value.unasked == 2


def test_extra_keys_are_asked_where_they_belong_and_come_down() -> None:
    query = built(level="series", date="2026-01-01", return_keys=["PatientComments", "KVP", "ReferringPhysicianName"])
    result, steps = ask(query)
    (study,), (series,) = steps
    assert {"PatientComments", "ReferringPhysicianName"} <= set(study.return_keys)
    assert "KVP" in series.return_keys
    assert not {"PatientComments", "ReferringPhysicianName"} & set(series.return_keys)
    assert {"PatientComments", "KVP", "ReferringPhysicianName"} <= set(result.table.column_names)


def test_a_union_has_one_row_of_each_and_fills_what_is_missing() -> None:
    joined = union(
        [
            pa.table({"StudyInstanceUID": ["1.1"], "StudyDescription": ["first"]}),
            pa.table({"StudyInstanceUID": ["1.1", "1.2"], "StudyID": ["x", "y"]}),
        ],
        Level.STUDY,
    )
    assert joined.to_pylist() == [
        {"StudyInstanceUID": "1.1", "StudyDescription": "first", "StudyID": "x"},
        {"StudyInstanceUID": "1.2", "StudyDescription": None, "StudyID": "y"},
    ]


def test_the_same_patient_id_of_another_issuer_is_another_patient() -> None:
    both = pa.table({"PatientID": ["Q1", "Q1"], "IssuerOfPatientID": ["A", "B"]})
    assert union([both, both], Level.PATIENT).num_rows == 2


@pytest.mark.slow
@given(
    level=st.sampled_from(list(Level)),
    model=st.sampled_from([STUDY_ROOT, PATIENT_ROOT]),
    modalities=st.none() | st.lists(st.sampled_from(["CT", "MR", "SR"]), min_size=1, max_size=2, unique=True),
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
    result, _ = ask(query, model)
    unique = unique_key(level)
    assert sorted(uids(result, level)) == sorted({row[unique] for row in rows_at(Level.IMAGE) if fits(row, query)})


def fits(row: dict[str, Any], query: Query) -> bool:
    terms = query.filters.description_include
    codes = row["ModalitiesInStudy" if query.level in (Level.PATIENT, Level.STUDY) else "Modality"].split("\\")
    return (
        all(matches(row[keyword], value) for keyword, value in query.keys)
        and (query.dates is None or matches(row["StudyDate"], query.dates.matching))
        and (not query.modalities or not set(query.modalities).isdisjoint(codes))
        and (not terms or any(term in row["StudyDescription"].lower() for term in terms))
    )


@pytest.mark.parametrize("level", list(Level))
def test_everything_that_is_asked_by_default_can_be_written(level: Level) -> None:
    requests: list[Request] = []
    flow = ask_by_level(built(level=level, date="today"), STUDY_ROOT, select)
    step = next(flow)
    while True:
        requests += step
        try:
            step = flow.send([schema(one.level, answer_keywords(one, STUDY_ROOT)).empty_table() for one in step])
        except StopIteration:
            break
    assert all(encoded(identifier(one, STUDY_ROOT), implicit=True) for one in requests)


def test_rows_below_that_did_not_come_at_first_are_asked_for_once_more() -> None:
    flow = ask_by_level(built(level="series", patient_id="Q1"), STUDY_ROOT, select)
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
