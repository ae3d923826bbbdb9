"""``qrkit plan``, ``qrkit plans`` and ``qrkit retrieve --plan``."""

import pytest

from qrkit.simulator import Quirks
from tests.cli.commands import Here
from tests.workspace.opened import Linked, files_of, worker_in_thread

DAY = ("--date", "2026-06-30")
SHAPE = ["plan_id", "node", "coverage", "funnel", "studies"]
STUDY = ["StudyInstanceUID", "group", "keep", "rule", "reason", "series"]
SERIES = ["SeriesInstanceUID", "keep", "rule", "reason", "level", "instances"]


@pytest.mark.slow
def test_a_plan_has_the_documented_json_and_is_fetched_by_its_id(hospital_here: Here, linked: Linked) -> None:
    ran = hospital_here("plan", "pacs", "--dose", "CT,NM", *DAY, "--format", "json")
    assert ran.status == 0, ran.err
    assert list(ran.json) == SHAPE
    assert list(ran.json["coverage"]) == ["complete", "why", "windows", "requests"]
    assert ran.json["funnel"][0]["step"] == "found"
    assert all(list(study) == STUDY for study in ran.json["studies"])
    series = [one for study in ran.json["studies"] for one in study["series"]]
    assert all(list(one) == SERIES for one in series)
    assert {one["level"] for one in series if one["keep"]} == {"SERIES", "IMAGE"}
    assert all(bool(one["instances"]) == (one["level"] == "IMAGE") for one in series)
    with worker_in_thread(linked.workspace):
        done = hospital_here("retrieve", "pacs", "--plan", ran.json["plan_id"], "--format", "json")
        whole = [one["SeriesInstanceUID"] for one in series if one["keep"] and one["level"] == "SERIES"][:2]
        again = hospital_here("retrieve", "pacs", "--series", *whole, "--detach", "--format", "json")
        assert [item["SeriesInstanceUID"] for item in again.json["items"]] == whole
    assert (done.status, done.json["state"]) == (0, "complete")
    assert len(files_of(linked.workspace)) == done.json["stored"]
    nothing_new = hospital_here("plan", "pacs", "--dose", "CT,NM", *DAY, "--format", "json").json["plan_id"]
    nothing = hospital_here("retrieve", "pacs", "--plan", nothing_new, "--format", "json")
    assert (nothing.status, nothing.json["state"], list(nothing.json)) == (0, "complete", list(done.json))
    shown = hospital_here("plans", "show", ran.json["plan_id"], "--format", "json")
    assert shown.json == ran.json
    listed = hospital_here("plans", "list", "--format", "json").json
    assert [one["plan_id"] for one in listed] == [nothing_new, ran.json["plan_id"]]


def test_a_plan_as_a_table_says_what_it_costs_and_how_to_fetch_it(hospital_here: Here) -> None:
    ran = hospital_here("plan", "pacs", "--dose", "CT", *DAY)
    assert ran.status == 0
    assert "to retrieve" in ran.out
    assert "objects" in ran.err
    assert "qrkit retrieve pacs --plan" in ran.err
    rows = hospital_here("plan", "pacs", "--dose", "CT", *DAY, "--format", "csv").out.splitlines()
    assert rows[0].startswith("StudyInstanceUID,")
    assert len(rows) > 10


def test_a_plan_that_may_lack_studies_is_status_3(hospital_here: Here, linked: Linked) -> None:
    linked.pacs.quirks = Quirks(ignore_keys=("StudyDate", "StudyTime", "ModalitiesInStudy"), cap=100)
    capped = hospital_here("plan", "pacs", "--dose", "CT", *DAY)
    assert capped.status == 3
    assert "May be incomplete" in capped.err


@pytest.mark.slow
def test_sr_series_without_objects_are_told_once(hospital_here: Here, linked: Linked) -> None:
    linked.pacs.quirks = Quirks(no_instances_of=("SR",), omit_keys=("SOPClassesInStudy",))
    ran = hospital_here("plan", "pacs", "--dose", "CT", *DAY)
    assert (ran.status, " ".join(ran.err.split()).count("Include them: --empty-sr.")) == (3, 1)
    assert "May be incomplete: the node counts more objects than it lists in" in " ".join(ran.err.split())
    more = hospital_here("plan", "pacs", "--dose", "CT", *DAY, "--empty-sr", "--format", "json")
    assert "unknown-SR" in {study["rule"] for study in more.json["studies"]}
    assert "--empty-sr" not in more.err


def test_a_wrong_plan_is_status_2_in_one_line(hospital_here: Here) -> None:
    for wrong in (("--dose", "CT"), ("--dose", "CT", "--sr-only", *DAY), ("--dose", "OCT", *DAY), DAY):
        ran = hospital_here("plan", "pacs", *wrong)
        assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert hospital_here("retrieve", "pacs", "--plan", "nonsense").status == 1


@pytest.mark.slow
def test_a_plan_with_nothing_to_retrieve_does_not_advise_to_retrieve_it(hospital_here: Here) -> None:
    made = hospital_here("plan", "pacs", "--dose", "CT", "--date", "1999-01-01")
    assert made.status == 0
    assert "Nothing to retrieve." in made.err.splitlines()
    assert "Retrieve it" not in made.err


@pytest.mark.slow
def test_why_is_told_in_words_and_as_json(hospital_here: Here) -> None:
    made = hospital_here("plan", "pacs", "--dose", "CT", *DAY, "--format", "json").json
    study = next(one for one in made["studies"] if one["keep"])
    ran = hospital_here("plans", "why", study["StudyInstanceUID"])
    assert (ran.status, study["reason"] in ran.out, ": retrieve" in ran.out) == (0, True, True)
    told = hospital_here("plans", "why", study["StudyInstanceUID"], "--format", "json").json
    assert (told[0]["plan_id"], told[0]["rule"]) == (made["plan_id"], study["rule"])
    unknown = hospital_here("plans", "why", "A1")
    assert (unknown.status, len(unknown.err.splitlines())) == (1, 1)


@pytest.mark.slow
def test_a_plan_that_passes_the_budget_is_refused_in_one_line_unless_it_is_meant(
    hospital_here: Here, linked: Linked
) -> None:
    plan = hospital_here("plan", "pacs", "--dose", "CT", *DAY, "--format", "json").json["plan_id"]
    refused = hospital_here("retrieve", "pacs", "--plan", plan, "--most-objects", "1")
    assert (refused.status, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    assert "the budget is 1 object." in refused.err
    with worker_in_thread(linked.workspace):
        assert hospital_here("retrieve", "pacs", "--plan", plan, "--most-objects", "1", "--yes").status == 0


def test_two_plans_are_compared(hospital_here: Here) -> None:
    ids = [
        hospital_here("plan", "pacs", "--dose", "CT", *DAY, *more, "--format", "json").json["plan_id"]
        for more in ((), ("--description-exclude", "ct"))
    ]
    differences = hospital_here("plans", "diff", *ids, "--format", "json").json
    assert {one["change"] for one in differences} == {"removed"}
    assert hospital_here("plans", "diff", ids[0], ids[0], "--format", "json").json == []
