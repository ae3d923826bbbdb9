"""Local filters on small tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from qrkit.query import Match, Query, Where, build_query, local_judge
from qrkit.query.filters import select
from qrkit.tables import Level, warnings_of

TODAY = date(2026, 2, 1)

STUDIES = pa.table(
    {
        "StudyInstanceUID": ["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"],
        "StudyDate": pa.array([date(2026, 1, day) for day in (1, 2, 3, 4, 5)] + [None], pa.date32()),
        "StudyDescription": ["CT Thorax", "Ct ABDOMEN", "imported CT", "", None, "MÄRZ"],
        "ModalitiesInStudy": ["CT\\SR", "CT", "MR", "OCT", None, "PT\\CT"],
        "StationName": ["CT1", "CT2", "MR1", "CT1", None, "PET"],
    }
)
SERIES = pa.table(
    {
        "SeriesInstanceUID": ["2.1", "2.2", "2.3"],
        "Modality": ["CT", "SR", None],
        "StationName": ["CT1", None, "CT2"],
    }
)


def kept(query: Query, level: Level = Level.STUDY) -> list[str]:
    table = select(query, level, STUDIES if level is Level.STUDY else SERIES).table
    uids: list[str] = table.column(0).to_pylist()
    return [uid[2:] for uid in uids]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"description_include": "ct"}, "12345"),
        ({"description_include": "ct", "blank": "drop"}, "123"),
        ({"description_include": " thorax , ,ABDOMEN", "blank": "drop"}, "12"),
        ({"description_exclude": "import"}, "12456"),
        ({"description_include": "märz", "blank": "drop"}, "6"),
        ({"description_include": " , "}, "123456"),
        ({"station_include": "ct1", "blank": "drop"}, "14"),
        ({"station_exclude": ["ct1", "pet"]}, "235"),
        ({"station_include": "ct1", "station_level": "series"}, "123456"),
        ({"description_include": "ct", "description_exclude": "imported", "station_include": "ct1"}, "145"),
    ],
)
def test_terms_are_sought_as_substrings_in_any_case(given: dict[str, object], expected: str) -> None:
    assert "".join(kept(build_query(today=TODAY, **given))) == expected


def test_modality_codes_are_members_not_substrings_and_an_unknown_modality_stays() -> None:
    assert kept(build_query(today=TODAY, modalities="CT")) == ["1", "2", "5", "6"]
    assert kept(build_query(today=TODAY, level="series", modalities=["CT", "MR"]), Level.SERIES) == ["1", "3"]


def test_modalities_are_read_whatever_separates_them_and_what_is_no_list_stays_marked() -> None:
    written = ["CT,SR", "ct/sr", "MR;SR", "*", "['OCT']", "CTSR"]
    studies = pa.table({"StudyInstanceUID": list("123456"), "ModalitiesInStudy": written})
    selected = select(build_query(today=TODAY, modalities="CT"), Level.STUDY, studies)
    assert selected.table["StudyInstanceUID"].to_pylist() == ["1", "2", "4", "6"]
    (report,) = selected.reports
    assert (report.after, report.blank_kept, report.unsure_kept, report.reread) == (4, 0, 2, 2)
    assert "2 of them because their value may match; 2 values not written as DICOM does" in report.sentence()
    assert "1 of them because its value may match; 2" in replace(report, unsure_kept=1).sentence()
    assert [(one["row"], one["keyword"], one["raw"]) for one in warnings_of(selected.table)] == [
        (2, "ModalitiesInStudy", "*"),
        (3, "ModalitiesInStudy", "CTSR"),
    ]


def test_station_filters_look_at_the_series_of_a_query_for_series() -> None:
    query = build_query(today=TODAY, level="series", station_include="ct1")
    assert kept(query, Level.SERIES) == ["1", "2"]
    assert len(kept(query)) == 6


def test_answers_outside_the_dates_that_were_asked_are_dropped_and_undated_ones_kept() -> None:
    selected = select(build_query(today=TODAY, date=("2026-01-02", "2026-01-03")), Level.STUDY, STUDIES)
    assert selected.table["StudyInstanceUID"].to_pylist() == ["1.2", "1.3", "1.6"]
    (report,) = selected.reports
    assert (report.name, report.before, report.after, report.blank_kept) == ("StudyDate", 6, 3, 1)


def test_answers_with_another_uid_than_asked_are_dropped() -> None:
    assert kept(build_query(today=TODAY, study_uid=["1.2", "1.9"])) == ["2"]


def test_what_the_node_did_itself_is_not_reported() -> None:
    query = build_query(today=TODAY, date="2026-01-01", study_uid="1.1", modalities="CT")
    assert select(query, Level.STUDY, STUDIES.slice(0, 1)).reports == ()


def test_a_filter_reports_rows_and_blanks_even_if_nothing_was_dropped() -> None:
    query = build_query(today=TODAY, description_include="ct", description_exclude="xyz")
    reports = select(query, Level.STUDY, STUDIES).reports
    assert [(one.name, one.level, one.terms, one.before, one.after, one.blank_kept) for one in reports] == [
        ("description include", Level.STUDY, ("ct",), 6, 5, 2),
        ("description exclude", Level.STUDY, ("xyz",), 5, 5, 2),
    ]


def test_a_table_without_the_column_counts_as_blank() -> None:
    bare = pa.table({"StudyInstanceUID": ["1.1"]})
    assert select(build_query(today=TODAY, description_include="ct"), Level.STUDY, bare).table.num_rows == 1
    dropped = select(build_query(today=TODAY, description_include="ct", blank="drop"), Level.STUDY, bare)
    assert dropped.table.num_rows == 0
    assert dropped.table.column_names == ["StudyInstanceUID"]


def test_the_table_that_is_filtered_stays_as_it_was() -> None:
    before = STUDIES.to_pydict()
    select(build_query(today=TODAY, description_include="thorax", blank="drop"), Level.STUDY, STUDIES)
    assert STUDIES.to_pydict() == before


def test_every_matching_key_is_matched_again_after_the_node() -> None:
    query = build_query(today=TODAY, StudyDescription="CT T*")
    selected = select(query, Level.STUDY, STUDIES)
    assert selected.table["StudyInstanceUID"].to_pylist() == ["1.1", "1.4", "1.5"]
    (report,) = selected.reports
    assert (report.name, report.terms, report.blank_kept, report.where) == (
        "StudyDescription",
        ("CT T*",),
        2,
        Where.BOTH,
    )


def returned(keyword: str, values: Sequence[str | None]) -> pa.Table:
    return pa.table({"StudyInstanceUID": [f"1.{row}" for row in range(len(values))], keyword: values})


@pytest.mark.parametrize(
    ("keyword", "asked", "values"),
    [
        ("PatientName", "Yamada^Tarou", ["=山田^太郎", "ヤマダ^タロウ", "YAMADA^TARO"]),
        ("PatientName", "Doe^Jane", ["Roe^Jane"]),  # a name before marriage
        ("PatientID", "Q1", ["Q2", "Q2", "Q2"]),  # merged patients
        ("PatientID", "Q1", ["Q1", "Q1", "Q1", "Q1", "q1", "Q2", "Q3"]),
        ("StudyDescription", "*CT*", ["CT Chest", "ct chest", "\u80f8\u90e8"]),
        ("StudyDescription", "Chest", ["CT Chest", "CHEST", "\x1b$B6;It\x1b(B"]),
    ],
)
def test_a_row_that_a_node_returned_stays_and_is_marked_unless_the_node_ignores_the_key(
    keyword: str, asked: str, values: list[str]
) -> None:
    rows = returned(keyword, values)
    selected = select(build_query(today=TODAY, **{keyword: asked}), Level.STUDY, rows)
    assert selected.table.num_rows == len(values)
    judge = local_judge(keyword, asked)
    assert judge is not None
    marked = [row for row, value in enumerate(values) if judge(value) is not Match.YES]
    assert [one["row"] for one in warnings_of(selected.table)] == marked
    assert selected.reports[0].unsure_kept == len(marked)


@pytest.mark.parametrize(
    ("keyword", "asked", "values", "kept"),
    [
        ("PatientID", "Q1", ["Q1", "q1", "Q2", "Q3", None], ["Q1", None]),
        ("PatientName", "Doe", ["Doe^A", "Roe^B", "Poe^C", "山田^太郎"], ["Doe^A", "山田^太郎"]),
        ("StudyDescription", "CT", ["CT", "CT Chest", "MR", "US"], ["CT"]),
        ("StudyDescription", "CT*", ["CT", "CT Chest", "Chest CT", "CT", "MR"], ["CT", "CT Chest", "Chest CT", "CT"]),
        ("PatientSex", "F", ["F", "F", "F", "F", "M"], ["F"] * 4),
        ("StationName", "CT2", ["CT1", "CT2"], ["CT2"]),
    ],
)
def test_where_a_node_ignores_a_key_what_surely_does_not_match_is_dropped(
    keyword: str, asked: str, values: list[str | None], kept: list[str | None]
) -> None:
    query = build_query(today=TODAY, **{keyword: asked})
    rows = returned(keyword, values)
    assert select(query, Level.STUDY, rows).table[keyword].to_pylist() == kept


def test_a_node_that_is_known_to_match_a_key_is_believed_unless_many_rows_speak_against_it() -> None:
    query = build_query(today=TODAY, modalities="SR")
    few, many = returned("ModalitiesInStudy", ["SR"] * 9 + ["CT"]), returned("ModalitiesInStudy", ["SR", "CT", "MR"])
    honoured = ("ModalitiesInStudy",)
    assert select(query, Level.STUDY, few, honoured=honoured).table.num_rows == 10
    assert select(query, Level.STUDY, few).table.num_rows == 9
    assert select(query, Level.STUDY, many, honoured=honoured).table.num_rows == 1


def test_a_text_that_could_not_be_decoded_is_blank_for_a_text_filter() -> None:
    rows = returned("StudyDescription", ["Sch\ufffddel", "\x1b$B6;It\x1b(B", "SCHA\u0308DEL", "Thorax"])
    selected = select(build_query(today=TODAY, description_include="schädel"), Level.STUDY, rows)
    assert (selected.table.num_rows, selected.reports[0].blank_kept) == (3, 2)
    dropped = select(build_query(today=TODAY, description_include="schädel", blank="drop"), Level.STUDY, rows)
    assert dropped.table["StudyDescription"].to_pylist() == ["SCHA\u0308DEL"]


def test_a_filter_says_where_it_ran() -> None:
    query = build_query(today=TODAY, modalities="CT", PatientID="Q1", StationName="CT*", description_exclude="import")

    def where(*local: str) -> dict[str, str]:
        return {one.name: one.where.value for one in select(query, Level.STUDY, STUDIES, local=local).reports}

    assert where() == {
        "ModalitiesInStudy": "both",
        "PatientID": "node",  # no row has any
        "StationName": "both",
        "description exclude": "local",
    }
    assert where("ModalitiesInStudy", "PatientID") == where() | dict.fromkeys(
        ("ModalitiesInStudy", "PatientID"), "local"
    )


def test_the_station_of_a_study_says_nothing_on_its_series() -> None:
    query = build_query(today=TODAY, level="series", date_from="2026-01-01", StationName="CT2")
    assert len(kept(query)) == 6
    assert kept(query, Level.SERIES) == ["2", "3"]
