"""Several rows of one study, series or patient are one row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pyarrow as pa
import pytest

from qrkit.find.hierarchy import ask_by_level
from qrkit.find.parents import ROW
from qrkit.find.united import notes_on, united_rows
from qrkit.node import InformationModel
from qrkit.query import build_query
from qrkit.query.filters import select
from qrkit.tables import Level, schema, warnings_of


def studies(*rows: Mapping[str, object]) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    full = [{"StudyInstanceUID": "1.2", **row} for row in rows]
    return pa.Table.from_pylist(full, schema=schema(Level.STUDY, names))


def one(*rows: Mapping[str, object]) -> dict[str, object]:
    (row,) = united_rows([studies(*rows)], ROW[Level.STUDY]).table.to_pylist()
    return dict(row)


@pytest.mark.parametrize(
    ("keyword", "values", "united"),
    [
        ("ModalitiesInStudy", ["CT", "SR"], "CT\\SR"),
        ("ModalitiesInStudy", ["CT,SR", "sr", "PR"], "CT\\SR\\PR"),
        ("ModalitiesInStudy", ["CT,SR", None, "CT,SR"], "CT,SR"),
        ("ModalitiesInStudy", ["CT", "*"], "CT\\*"),
        ("AccessionNumber", ["A1", "A2", "A1"], "A1\\A2"),
        ("AccessionNumber", [None, "A2"], "A2"),
        ("SOPClassesInStudy", ["1.2\\1.3", "1.3\\1.4"], "1.2\\1.3\\1.4"),
        ("RetrieveAETitle", ["PACS1", "PACS2"], "PACS1\\PACS2"),
    ],
)
def test_modalities_accession_numbers_and_all_lists_are_sets(
    keyword: str, values: list[str | None], united: str
) -> None:
    assert one(*({keyword: value} for value in values))[keyword] == united


def test_counts_are_the_largest_and_other_values_the_first_with_a_warning() -> None:
    rows = (
        {"NumberOfStudyRelatedInstances": 3, "StudyDescription": None, "StudyDate": dt.date(2026, 1, 2)},
        {"NumberOfStudyRelatedInstances": 40, "StudyDescription": "Chest", "StudyDate": dt.date(2026, 1, 3)},
        {"NumberOfStudyRelatedInstances": None, "StudyDescription": "Thorax", "StudyDate": None},
    )
    united = united_rows([studies(*rows)], ROW[Level.STUDY])
    (row,) = united.table.to_pylist()
    assert (row["NumberOfStudyRelatedInstances"], row["StudyDescription"], row["StudyDate"]) == (
        40,
        "Chest",
        dt.date(2026, 1, 2),
    )
    assert united.differences == {"1.2": {"NumberOfStudyRelatedInstances", "StudyDescription", "StudyDate"}}
    why = "another row of the same study has this value"
    assert warnings_of(united.table) == [
        {"row": 0, "keyword": "NumberOfStudyRelatedInstances", "raw": "3", "why": why},
        {"row": 0, "keyword": "StudyDescription", "raw": "Thorax", "why": why},
        {"row": 0, "keyword": "StudyDate", "raw": "2026-01-03", "why": why},
    ]


def test_the_same_rows_are_one_without_a_word() -> None:
    row: dict[str, object] = {"AccessionNumber": "A1", "StudyDescription": "Chest"}
    united = united_rows([studies(row), studies(row, row)], ROW[Level.STUDY])
    assert united.table.equals(studies(row))
    assert not united.differences


def test_two_patients_of_a_study_are_two_rows_and_a_row_without_a_patient_belongs_to_the_only_one() -> None:
    assert one({"PatientID": "Q1", "AccessionNumber": "A"}, {"PatientID": None, "AccessionNumber": "B"}) == {
        "StudyInstanceUID": "1.2",
        "PatientID": "Q1",
        "AccessionNumber": "A\\B",
        "warnings": None,
    }
    two = studies({"PatientID": "Q1"}, {"PatientID": "Q2"}, {"PatientID": None}, {"PatientID": "Q1"})
    assert united_rows([two], ROW[Level.STUDY]).table["PatientID"].to_pylist() == ["Q1", "Q2", None]


def test_a_series_of_two_studies_is_two_rows_and_rows_without_a_uid_are_all_kept() -> None:
    series = pa.table(
        {"SeriesInstanceUID": ["2.1", "2.1", None, None], "StudyInstanceUID": ["1.1", "1.2", "1.1", "1.1"]}
    )
    assert united_rows([series], ROW[Level.SERIES]).table.equals(series)


def test_series_and_patients_are_united_alike() -> None:
    series = pa.table({"SeriesInstanceUID": ["2.1"] * 2, "Modality": ["PT", "CT"], "SeriesDescription": ["a", "b"]})
    one_series = united_rows([series], ROW[Level.SERIES])
    assert one_series.table["Modality"].to_pylist() == ["PT\\CT"]
    patients = pa.table({"PatientID": ["Q1"] * 2, "PatientName": ["Doe^Jane", "Roe^Jane"]})
    patient = united_rows([patients], ROW[Level.PATIENT])
    assert patient.table["PatientName"].to_pylist() == ["Doe^Jane"]
    differences = {Level.SERIES: one_series.differences, Level.PATIENT: patient.differences}
    assert list(notes_on(differences)) == [
        "1 series was returned in several rows, which are united; they differ in Modality and SeriesDescription.",
        "1 patient was returned in several rows, which are united; they differ in PatientName.",
    ]


def found(rows: pa.Table, **given: object) -> list[str]:
    steps = ask_by_level(build_query(today=dt.date(2026, 2, 1), **given), InformationModel.STUDY_ROOT, select)
    asked = next(steps)
    while True:
        try:
            asked = steps.send([rows if number == 0 else rows.slice(0, 0) for number, _ in enumerate(asked)])
        except StopIteration as end:
            uids: list[str] = end.value.table["StudyInstanceUID"].to_pylist()
            return uids


@pytest.mark.parametrize(
    "given",
    [
        {"accession": "A1"},
        {"accession": "A2"},
        {"modalities": "CT"},
        {"modalities": "SR"},
        {"StudyDescription": "Dose*"},
        {"station_include": "console", "blank": "drop"},
        {"date": "2026-01-03"},
        {"patient_name": "Roe*"},
    ],
)
def test_a_study_answers_by_any_of_its_rows(given: dict[str, object]) -> None:
    two = studies(
        {
            "AccessionNumber": "A1",
            "ModalitiesInStudy": "CT",
            "StudyDescription": "Chest",
            "StationName": "CT1",
            "StudyDate": dt.date(2026, 1, 2),
            "PatientName": "Doe^Jane",
        },
        {
            "AccessionNumber": "A2",
            "ModalitiesInStudy": "SR",
            "StudyDescription": "Dose Report",
            "StationName": "CONSOLE",
            "StudyDate": dt.date(2026, 1, 3),
            "PatientName": "Roe^Jane",
        },
    )
    assert found(two, **given) == ["1.2"]


def test_a_row_for_each_modality_does_not_make_the_key_unreliable() -> None:
    two = studies({"ModalitiesInStudy": "CT"}, {"ModalitiesInStudy": "SR"})
    steps = ask_by_level(build_query(today=dt.date(2026, 2, 1), modalities="SR"), InformationModel.STUDY_ROOT, select)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send([two])
    assert end.value.value.contradiction == ""
    assert end.value.value.table["ModalitiesInStudy"].to_pylist() == ["CT\\SR"]
