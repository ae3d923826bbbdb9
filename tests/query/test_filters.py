"""Local filters on small tables."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from qrkit.query import Query, Where, build_query
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
    query = build_query(today=TODAY, StudyDescription="*CT*")
    selected = select(query, Level.STUDY, STUDIES)
    assert selected.table["StudyInstanceUID"].to_pylist() == ["1.1", "1.3", "1.4", "1.5"]
    (report,) = selected.reports
    assert (report.name, report.terms, report.blank_kept, report.where) == (
        "StudyDescription",
        ("*CT*",),
        2,
        Where.BOTH,
    )


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
