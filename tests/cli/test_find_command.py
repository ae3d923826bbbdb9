"""``qrkit find``, ``qrkit queries``, ``qrkit sql`` and ``qrkit instances``: tables that come out."""

import io
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from qrkit.cli.output import columns_that_fit
from qrkit.simulator import Quirks
from tests.cli.commands import Here
from tests.workspace.opened import Linked, all_studies

DAY = "2026-06-30"


def test_json_is_the_rows_with_dates_in_iso_and_words_go_to_stderr(hospital_here: Here, linked: Linked) -> None:
    ran = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    assert ran.status == 0
    studies = {one.StudyInstanceUID: one for one in all_studies(linked.hospital) if one.StudyDate == "20260630"}
    assert {row["StudyInstanceUID"] for row in ran.json} == set(studies)
    for row in ran.json:
        study = studies[row["StudyInstanceUID"]]
        assert row["StudyDate"] == DAY
        assert row["StudyTime"].replace(":", "") == study.StudyTime
        assert row["PatientName"] == study.patient.PatientName
        assert row["NumberOfStudyRelatedInstances"] == study.NumberOfStudyRelatedInstances
        assert row["AccessionNumber"] == (study.AccessionNumber or None)
    assert f"{len(studies)} rows from pacs, 1 request; stored as query" in ran.err
    assert "To retrieve everything: about " in ran.err
    assert "Complete." in ran.err.splitlines()


@pytest.mark.slow
def test_csv_and_parquet_have_the_same_rows(hospital_here: Here, tmp_path: Path) -> None:
    csv = hospital_here("find", "pacs", "--date", DAY, "--format", "csv")
    by_csv = pd.read_csv(io.StringIO(csv.out), dtype="str")
    file = tmp_path / "found.parquet"
    ran = hospital_here("find", "pacs", "--date", DAY, "--format", "parquet", "--output", str(file))
    assert (ran.status, ran.out) == (0, "")
    by_parquet = pd.read_parquet(file)
    assert by_csv["StudyInstanceUID"].tolist() == by_parquet["StudyInstanceUID"].tolist()
    assert by_csv["StudyDate"].tolist() == [DAY] * len(by_csv)
    again = hospital_here("find", "pacs", "--date", DAY, "--format", "csv", "-o", str(tmp_path / "no" / "folder"))
    assert again.status == 2
    assert "cannot be written" in again.err


@pytest.mark.slow
def test_all_filters_reach_the_query(hospital_here: Here, linked: Linked) -> None:
    ran = hospital_here(
        *("find", "pacs", "--level", "series", "--from", "2026-06-20", "--until", "2026-06-30"),
        *("--modality", "CT,MR", "--patient-id", "Q1*", "--key", "PatientSex=F", "--return-key", "PatientAge"),
        *("--description-include", "ct,mr", "--description-exclude", "imported", "--blank", "drop"),
        *("--station-exclude", "vct", "--station-level", "series", "--format", "json"),
    )
    assert ran.status == 0, ran.err
    wanted = {
        series.SeriesInstanceUID
        for study in all_studies(linked.hospital)
        for series in study.series
        if study.patient.PatientSex == "F"
        and study.StudyDate >= "20260620"
        and series.Modality in ("CT", "MR")
        and any(term in study.StudyDescription.lower() for term in ("ct", "mr"))
        and "imported" not in study.StudyDescription.lower()
        and "vct" not in series.station.StationName.lower()
    }
    assert wanted
    assert {row["SeriesInstanceUID"] for row in ran.json} == wanted
    assert "Local filter, description exclude:" in ran.err


@pytest.mark.slow
def test_several_uids_and_a_time_window_can_be_given(hospital_here: Here, linked: Linked) -> None:
    some = [study.StudyInstanceUID for study in all_studies(linked.hospital)[:2]]
    found = hospital_here("find", "pacs", "--study-uid", ",".join(some), "--format", "json").json
    assert sorted(row["StudyInstanceUID"] for row in found) == sorted(some)
    window = ("--time-from", "0800", "--time-until", "1200")
    assert hospital_here("find", "pacs", "--date", DAY, *window).status == 0
    assert hospital_here("find", "pacs", *window).status == 2


@pytest.mark.slow
def test_a_comma_separates_values_in_every_list_option(hospital_here: Here, linked: Linked) -> None:
    studies = [study for study in all_studies(linked.hospital) if study.AccessionNumber]
    numbers = [study.AccessionNumber for study in studies[:2]]
    for option in (("--accession", ",".join(numbers)), ("--key", f"AccessionNumber={','.join(numbers)}")):
        ran = hospital_here("find", "pacs", *option, "--return-key", "PatientAge,PatientSize", "--format", "json")
        assert sorted(row["AccessionNumber"] for row in ran.json) == sorted(numbers)
        assert {"PatientAge", "PatientSize"} <= set(ran.json[0])
        assert (ran.status, "Nothing found" in ran.err) == (0, False)
    patients = {study.patient.PatientID for study in studies[:2]}
    ran = hospital_here("find", "pacs", "--patient-id", ",".join((*patients, "NOSUCH")), "--format", "json")
    assert {row["PatientID"] for row in ran.json} == patients
    assert "Nothing found for PatientID NOSUCH." in ran.err
    number = next(one.AccessionNumber for one in studies if "XA" not in one.ModalitiesInStudy)
    ran = hospital_here("find", "pacs", "--accession", f"{number},NOSUCH", "--modality", "XA")
    said = " ".join(ran.err.split())
    assert "Nothing found for AccessionNumber NOSUCH with these filters." in said
    assert f"exclude all studies of AccessionNumber {number}." in said


@pytest.mark.slow
def test_a_list_key_that_is_given_twice_is_asked_for_both_values(hospital_here: Here, linked: Linked) -> None:
    patients = list(dict.fromkeys(study.patient.PatientID for study in all_studies(linked.hospital)))[:2]
    for twice in (("--key", "PatientID={}"), ("--patient-id", "{}")):
        options = [text.format(patient) for patient in patients for text in twice]
        ran = hospital_here("find", "pacs", *options, "--format", "json")
        assert (ran.status, {row["PatientID"] for row in ran.json}) == (0, set(patients))
    mixed = hospital_here("find", "pacs", "--patient-id", patients[0], "--key", f"PatientID={patients[1]}")
    assert (mixed.status, mixed.out) == (2, "")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--key", "PatientSex=F", "--key", "PatientSex=M"),
        ("--patient-name", "A*", "--patient-name", "B*"),
        ("--date", "today", "--date", "yesterday"),
        ("--accession", "A1", "--accession", ""),
        ("--date", "yesteryear"),
        ("--accession", ","),
        ("--key", "ModalitiesInStudy=CT,MR"),
        ("--level", "object"),
        ("--key", "PatientSecks=F"),
        ("--key", "PatientSex"),
        ("--modality", "C*"),
        ("--blank", "maybe"),
    ],
)
def test_a_wrong_filter_is_status_2_in_one_line_and_nothing_is_sent(
    hospital_here: Here, linked: Linked, wrong: tuple[str, ...]
) -> None:
    ran = hospital_here("find", "pacs", *wrong)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("qrkit: ")
    assert len(ran.err.splitlines()) == 1
    assert linked.pacs.requests == []


@pytest.mark.slow
def test_a_failure_of_the_node_is_status_1_and_an_answer_that_may_be_cut_off_status_3(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(find_status=0xC001, find_comment="broken")
    failed = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    assert (failed.status, failed.out) == (1, "")
    assert "0xC001" in failed.err
    assert len(failed.err.splitlines()) == 1
    linked.pacs.quirks = Quirks(cap=100, ignore_keys=("StudyDate",))
    capped = hospital_here("find", "pacs", "--until", DAY, "--format", "json")
    assert capped.status == 3
    assert len(capped.json) == 100
    assert "May be incomplete" in capped.err


def test_odd_values_are_told_by_key_and_reason_on_stderr_and_without_a_patient(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(wrong_charset=True, decimal_integers=True)
    ran = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    studies = [one for one in all_studies(linked.hospital) if one.StudyDate == "20260630"]
    foreign = [one.patient.PatientName for one in studies if not one.patient.PatientName.isascii()]
    assert foreign
    assert (ran.status, len(ran.json)) == (0, len(studies))
    assert f"Invalid values: PatientName of {len(foreign)} rows: not in the character set ascii." in ran.err
    whole = f"NumberOfStudyRelatedSeries of {len(studies)} rows: a whole number written as a decimal."
    assert f"Invalid values: {whole}" in ran.err
    assert "values as received" in ran.err
    assert not any(name.split("^")[0] in ran.err for name in foreign)


@pytest.mark.slow
def test_a_table_of_eighty_columns_breaks_no_word(hospital_here: Here) -> None:
    for level in ("patient", "study", "series", "image"):
        what = ("--patient-id", "Q10000*") if level == "patient" else ("--date", DAY)
        ran = hospital_here("find", "pacs", "--level", level, *what)
        lines = ran.out.splitlines()
        assert max(map(len, lines)) <= 80
        header = lines[1].split()
        assert len(header) >= 4, header
        shown = hospital_here("queries", "list", "--format", "json").json[0]["query_id"]
        columns = hospital_here("queries", "show", shown, "--format", "json").json[0]
        assert set(header) <= set(columns)
        hidden = [line for line in ran.err.splitlines() if line.startswith("Columns that do not fit:")]
        assert hidden or level == "patient"


def test_what_fits_is_chosen_by_use_and_shown_in_order() -> None:
    cells = {
        "StudyInstanceUID": ["1.2.840.113619.2.55.3.604688119.969.1268071029.320"],
        "PatientName": ["Doe^Jane"],
        "StudyDate": ["2026-01-31"],
        "StudyDescription": ["CT CHEST"],
    }
    assert columns_that_fit(cells, 20) == ("StudyDate",)
    assert columns_that_fit(cells, 80) == ("PatientName", "StudyDate", "StudyDescription")
    assert columns_that_fit(cells, 200) == tuple(cells)
    assert columns_that_fit(cells, 20, requested=("PatientName",)) == ("PatientName",)
    assert columns_that_fit(cells, 1) == ("StudyDate",)
    assert columns_that_fit({}, 80) == ()


@pytest.mark.slow
def test_the_history_is_listed_shown_by_page_asked_again_and_compared(hospital_here: Here) -> None:
    first = hospital_here("find", "pacs", "--date", DAY, "--format", "json").json
    (listed,) = hospital_here("queries", "list", "--format", "json").json
    query = listed["query_id"]
    assert (listed["node"], listed["row_count"], listed["complete"]) == ("pacs", len(first), True)
    assert hospital_here("queries", "show", query, "--format", "json").json == first
    page = hospital_here("queries", "show", query, "--page", "2", "--rows", "3", "--format", "json")
    assert page.json == first[3:6]
    assert "Page 2 of" in page.err
    about = hospital_here("queries", "show", query, "--about").json
    assert about["request"]["dates"] == [DAY, DAY]
    again = hospital_here("queries", "rerun", query, "--format", "json")
    assert again.json == first
    other = hospital_here("queries", "list", "--format", "json").json[0]["query_id"]
    assert hospital_here("queries", "diff", query, other, "--format", "json").json == []
    assert hospital_here("queries", "show", "nonsense").status == 1


@pytest.mark.slow
def test_sql_and_instances_come_out_in_every_format(hospital_here: Here) -> None:
    hospital_here("find", "pacs", "--date", DAY)
    counted = hospital_here("sql", "SELECT count(*) AS n FROM studies", "--format", "json")
    assert counted.json[0]["n"] > 0
    assert hospital_here("sql", "SELECT 1 AS one, NULL AS none", "--format", "csv").out == "one,none\n1,\n"
    wrong = hospital_here("sql", "SELECT nothing FROM nowhere")
    assert (wrong.status, wrong.out) == (2, "")
    assert len(wrong.err.splitlines()) == 1
    assert hospital_here("instances", "list", "--format", "json").json == []
    assert "0 files in" in hospital_here("instances", "list").err


def test_nothing_found_is_an_empty_table_and_no_error(hospital_here: Here) -> None:
    ran = hospital_here("find", "pacs", "--patient-id", "NOBODY", "--format", "json")
    assert (ran.status, ran.json) == (0, [])
    assert hospital_here("find", "pacs", "--patient-id", "NOBODY").status == 0


@pytest.mark.slow
def test_what_breaks_off_or_says_too_much_comes_out_whole_and_what_hangs_is_one_line(
    hospital_here: Here, linked: Linked
) -> None:
    month = ("find", "pacs", "--from", "2026-06-01", "--until", DAY, "--format", "json")
    for quirks in (Quirks(find_abort_after=9), Quirks(cap=50, cap_mode="status")):
        linked.pacs.quirks = quirks
        ran = hospital_here(*month)
        assert (ran.status, len(ran.json)) == (0, 120), ran.err
    linked.workspace.nodes.edit("pacs", timeouts={"response": 0.3, "inactivity": 0.3})
    linked.pacs.quirks = Quirks(find_hang=True)
    hung = hospital_here(*month)
    assert (hung.status, hung.out, len(hung.err.splitlines())) == (1, "", 1)


@pytest.mark.slow
def test_assumptions_are_told_apart_from_doubts(hospital_here: Here, linked: Linked) -> None:
    linked.pacs.quirks = Quirks(cap=5, cap_mode="status")
    ran = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    assert ran.status == 0
    assert "Assumed: no study of 2026-06-30 lacks both StudyTime and PatientBirthDate" in ran.err
    assert "Not proven" not in ran.err


@pytest.mark.slow
def test_dates_in_reverse_order_are_reported(hospital_here: Here) -> None:
    sentence = "The dates are in reverse order: used as 2026-06-29 to 2026-06-30."
    reversed_ends = ("--from", DAY, "--until", "2026-06-29")
    found = hospital_here("find", "pacs", *reversed_ends)
    assert (found.status, sentence in found.err) == (0, True)
    planned = hospital_here("plan", "pacs", "--dose", "CT", *reversed_ends)
    assert (planned.status, sentence in planned.err) == (0, True)
    assert "reverse order" not in hospital_here("find", "pacs", "--date", DAY).err


_NESTED = """SELECT [1, 2] AS l, [['x', NULL], NULL] AS deep, {'x': 1, 'y': [DATE '2026-01-31']} AS s,
    map {'k': [1.5::DOUBLE]} AS m, [INTERVAL 3 DAY] AS i, 'a'::BLOB AS b, ['nan'::DOUBLE] AS n,
    union_value(u := 1) AS u, 2 AS l, [3] AS l"""


def test_lists_structs_and_repeated_names_come_out_of_sql_in_every_format(here: Here, tmp_path: Path) -> None:
    ran = here("sql", _NESTED, "--format", "json")
    assert ran.json == [
        {
            "l": [1, 2],
            "deep": [["x", None], None],
            "s": {"x": 1, "y": ["2026-01-31"]},
            "m": {"k": [1.5]},
            "i": ["0 months 3 days 0 s"],
            "b": "61",
            "n": [None],
            "u": 1,
            "l_1": 2,
            "l_2": [3],
        }
    ]
    assert '"[[""x"", null], null]"' in here("sql", _NESTED, "--format", "csv").out
    written = tmp_path / "nested.parquet"
    assert here("sql", _NESTED, "--format", "parquet", "-o", str(written)).status == 0
    assert pq.read_table(written)["l"].to_pylist() == [[1, 2]]
    shown = here("sql", "SELECT {'x': [1]} AS s, [1] AS l, * FROM job_items")
    assert shown.status == 0, shown.err
