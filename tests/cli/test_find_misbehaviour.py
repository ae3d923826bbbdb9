"""The lines that people see of ``qrkit find`` when a PACS misbehaves."""

import pytest

from qrkit.simulator import Quirks
from tests.cli.commands import Here
from tests.workspace.opened import Linked, all_studies

DAY = "2026-06-30"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("quirks", "said"),
    [
        (
            Quirks(find_status=0xC000, find_comment="index is rebuilt"),
            'ended C-FIND with status 0xC000 (unable to process) and the comment "index is rebuilt". Ask',
        ),
        (Quirks(find_abort_after=0), "aborted the association (by its application). Try again"),
        (Quirks(find_hang=True), "sent nothing for 0.5 seconds. Try again; if the node is known to be slow, raise"),
    ],
    ids=["0xC000", "abort", "hang"],
)
def test_a_query_that_brings_nothing_is_one_line_and_status_1(
    hospital_here: Here, linked: Linked, quirks: Quirks, said: str
) -> None:
    linked.workspace.nodes.edit("pacs", timeouts={"response": 0.5, "inactivity": 0.5})
    linked.pacs.quirks = quirks
    ran = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("qrkit: pacs (SIMPACS at ")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_query_that_is_aborted_half_way_is_asked_again_in_parts_until_all_is_there(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(find_abort_after=5)
    ran = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    wanted = {study.StudyInstanceUID for study in all_studies(linked.hospital) if study.StudyDate == "20260630"}
    assert len(wanted) > 5
    assert {row["StudyInstanceUID"] for row in ran.json} == wanted
    assert ran.status == 0
    assert f"{len(wanted)} rows from pacs" in ran.err


def test_windows_that_break_off_whatever_their_size_are_named_and_status_3(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(find_abort_after=10, ignore_keys=("StudyTime", "PatientBirthDate"))
    ran = hospital_here("find", "pacs", "--from", "2026-06-27", "--until", DAY, "--format", "json")
    assert ran.status == 3
    assert ran.json
    assert "May be incomplete: " in ran.err


@pytest.mark.slow
def test_an_incomplete_query_has_status_3_also_where_it_is_shown_repeated_or_compared(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(pending_without_identifier=2)
    found = hospital_here("find", "pacs", "--date", DAY, "--format", "json")
    query = hospital_here.workspace.queries.records().rows[0]["query_id"]
    for words in (("show", query), ("show", query, "--about"), ("rerun", query), ("diff", query, query)):
        ran = hospital_here("queries", *words, "--format", "json")
        assert (found.status, ran.status) == (3, 3), words
        assert "May be incomplete: " in ran.err, words


@pytest.mark.slow
def test_a_node_without_the_image_level_returns_an_error_and_the_advice_says_what_to_do(
    hospital_here: Here, linked: Linked
) -> None:
    linked.pacs.quirks = Quirks(image_level_status=0xA900)
    image = hospital_here("find", "pacs", "--level", "image", "--date", DAY)
    assert (image.status, image.out) == (1, "")
    assert image.err.rstrip().endswith(
        "Query another level and retrieve whole series, or choose another information model."
    )
    plan = " ".join(hospital_here("plan", "pacs", "--dose", "CT,MG,FL,DX,NM", "--date", DAY).err.split())
    assert "could not be judged: the node returned an error: pacs (" in plan
    assert "with the rule unanswered. Retrieve them whole." in plan
    plan_id = linked.workspace.plans.list()["plan_id"][0]
    for words in (("show", plan_id), ("diff", plan_id, plan_id)):
        shown = hospital_here("plans", *words)
        assert (shown.status, "May be incomplete: " in shown.err) == (3, True), words
