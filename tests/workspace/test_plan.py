"""`Workspace.plan` against the simulator, whose hospital tells what the right plan is."""

import json
from datetime import date
from typing import Any

import pytest

from qrkit.dose import Plan
from qrkit.errors import Cancelled, InputError, NodeError, NotFound
from qrkit.jobs import JobState
from qrkit.profile import Profile, Statement, Subject, Verdict
from qrkit.settings import load_settings
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Series, Study
from qrkit.stop import Stop
from qrkit.store.nodes import ProfileTable
from qrkit.workspace import Workspace
from tests.dose.world import ESR, RDSR
from tests.workspace.opened import Linked, all_studies, files_of, worker_in_thread

FIRST, LAST = "2026-06-19", "2026-06-30"
OTHER_SHEETS = ("Dose Report", "Patient Dose Summary")
"""Descriptions of the dose sheets of other vendors than Philips."""
ALL: dict[str, Any] = {"date": (FIRST, LAST)}


def ct_studies(linked: Linked) -> list[Study]:
    return [study for study in all_studies(linked.hospital) if "CT" in study.ModalitiesInStudy]


def dose_series(study: Study) -> set[str]:
    """The series that a CT study is fetched by, as the hospital knows it."""
    reports = {
        sop_class: {one.SeriesInstanceUID for one in study.series if sop_class in one.sop_classes}
        for sop_class in (RDSR, ESR)
    }
    if reports[RDSR] or reports[ESR]:
        return reports[RDSR] or reports[ESR]
    sheets = {one.SeriesInstanceUID for one in study.series if one.SeriesDescription.lower() == "dose info"}
    others = {one.SeriesInstanceUID for one in study.series if one.SeriesDescription in OTHER_SHEETS}
    sheets = sheets or others
    if any(one.SeriesDescription for one in study.series):
        return sheets
    return {one.SeriesInstanceUID for one in study.series if len(one.instances) <= 5}


def planned(plan: Plan) -> set[str]:
    return {request.SeriesInstanceUID for request in plan.requests()}


def right(linked: Linked) -> set[str]:
    """What a plan for CT has to fetch, of a hospital that has every kind of study."""
    found = set().union(*(dose_series(study) for study in ct_studies(linked)))
    assert found
    return found


def series_of(linked: Linked) -> dict[str, Series]:
    return {one.SeriesInstanceUID: one for study in all_studies(linked.hospital) for one in study.series}


def test_the_plan_for_ct_is_what_the_hospital_says(linked: Linked) -> None:
    plan = linked.workspace.plan("pacs", "CT", **ALL)
    assert planned(plan) == right(linked)
    assert plan.coverage["complete"]
    assert plan.funnel[0].studies == len(ct_studies(linked))
    assert plan.funnel[-1].studies == len({request.StudyInstanceUID for request in plan.requests()})
    assert sum(one.dropped for one in plan.funnel) == plan.funnel[0].studies - plan.funnel[-1].studies
    assert plan.studies["reason"].ne("").all()
    assert {request.level for request in plan.requests()} == {"SERIES", "IMAGE"}
    assert plan.cost.objects == sum(
        len(request.sop_instance_uids) or len(series_of(linked)[request.SeriesInstanceUID].instances)
        for request in plan.requests()
    )


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(no_modalities_in_study=True),
        Quirks(ignore_keys=("ModalitiesInStudy",)),
        Quirks(no_sop_class=False, omit_keys=("SOPClassesInStudy",)),
        Quirks(omit_keys=("SOPClassesInStudy", "NumberOfSeriesRelatedInstances"), relational=False),
        Quirks(refuse_uid_lists=True, relational=False, ignore_keys=("Modality",)),
        Quirks(duplicate_answers=True, decimal_integers=True),
        Quirks(missing_modality=True, omit_keys=("SOPClassesInStudy",)),
        Quirks(missing_modality=True),
    ],
    ids=[
        "nothing of modalities",
        "key ignored",
        "no classes",
        "strict",
        "stricter",
        "odd",
        "nameless",
        "nameless too",
    ],
)
def test_a_pacs_that_misbehaves_gets_the_same_plan(linked: Linked, quirks: Quirks) -> None:
    linked.pacs.quirks = quirks
    without_counts = "NumberOfSeriesRelatedInstances" in quirks.omit_keys
    plan = linked.workspace.plan("pacs", "CT", date=LAST, description_exclude="a study without descriptions")
    wanted = [study for study in ct_studies(linked) if study.StudyDate == "20260630"]
    described = [one for one in wanted if any(series.SeriesDescription for series in one.series)]
    chosen = described if without_counts else wanted
    known = {one.StudyInstanceUID for one in chosen}
    assert {
        request.SeriesInstanceUID for request in plan.requests() if request.StudyInstanceUID in known
    } == set().union(*(dose_series(study) for study in chosen))


def test_a_plan_is_kept_and_read_again_as_it_was(linked: Linked) -> None:
    plan = linked.workspace.plan("pacs", ["CT", "NM"], **ALL)
    again = linked.workspace.plans[plan.plan_id]
    assert again.to_json() == plan.to_json()
    assert again.requests() == plan.requests()
    assert (again.asked, again.cost, again.funnel) == (plan.asked, plan.cost, plan.funnel)
    listed = linked.workspace.plans.list()
    assert listed[["plan_id", "dose", "studies"]].values.tolist() == [[plan.plan_id, "CT,NM", plan.funnel[0].studies]]
    assert json.dumps(plan.to_json())
    assert plan.plan_id in plan._repr_html_()


@pytest.mark.slow
def test_a_plan_is_retrieved_and_then_there_is_nothing_left_to_fetch(linked: Linked) -> None:
    workspace = linked.workspace
    plan = workspace.plan("pacs", "CT", date=LAST)
    with worker_in_thread(workspace):
        job = workspace.retrieve(plan)
        done = job.wait(timeout=60)
    assert (done.state, done.source) == (JobState.COMPLETE, plan.plan_id)
    assert {item.request.level for item in done.items} <= {"SERIES", "IMAGE"}
    assert len(files_of(workspace)) == done.stored == plan.cost.objects
    second = workspace.plan("pacs", "CT", date=LAST)
    assert (second.requests(), second.funnel[-1].studies) == ((), 0)
    assert set(second.studies[second.studies["rule"] == "held"]["StudyInstanceUID"]) == set(
        plan.studies[plan.studies["keep"]]["StudyInstanceUID"]
    )
    changes = workspace.plans.diff(plan.plan_id, second.plan_id)
    assert set(changes["change"]) == {"removed"}
    assert planned(workspace.plan("pacs", "CT", date=LAST, refetch=True)) == planned(plan)


@pytest.mark.slow
def test_filters_drop_studies_and_series_with_their_reason(linked: Linked) -> None:
    workspace = linked.workspace
    plan = workspace.plan("pacs", "CT", description_exclude="IMPORTED, brain", **ALL)
    gone = plan.studies[plan.studies["rule"] == "description exclude"]
    assert set(gone["StudyInstanceUID"]) == {
        study.StudyInstanceUID
        for study in ct_studies(linked)
        if any(term in study.StudyDescription.lower() for term in ("imported", "brain"))
    }
    assert [one.step for one in plan.funnel][:2] == ["found", "description exclude"]
    at_station = workspace.plan("pacs", "CT", station_include="ctawp", blank="drop", **ALL)
    stations = {one.station.StationName for uid, one in series_of(linked).items() if uid in planned(at_station)}
    assert {name[:5] for name in stations} == {"CTAWP"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dose": "CT"}, "whole archive"),
        ({"date": LAST}, "The plan has no dose group"),
        ({"dose": "CT", "sr_only": True, "date": LAST}, "both dose groups and SR only"),
        ({"dose": "XX", "date": LAST}, "There is no dose group XX"),
        ({"dose": "CT", "date": LAST, "modalities": "MR"}, "modalities is not an argument of a plan"),
        ({"dose": "CT", "date": LAST, "colour": "red"}, "'colour' is not a query argument"),
    ],
)
def test_what_is_not_a_plan_is_refused_before_anything_is_sent(
    linked: Linked, given: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        linked.workspace.plan("pacs", **given)  # type: ignore[arg-type]  # wrong on purpose
    assert linked.pacs.requests == []
    assert len(linked.workspace.plans.list()) == 0


def test_a_node_that_does_not_find_studies_is_an_error_and_leaves_no_plan(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(find_status=0xC001)
    with pytest.raises(NodeError, match="0xC001"):
        linked.workspace.plan("pacs", "CT", date=date(2026, 6, 30))
    assert len(linked.workspace.plans.list()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("is_probed", [False, True])
def test_a_node_that_ignores_modalities_gets_the_same_plan_of_a_group_of_several_codes(
    linked: Linked, *, is_probed: bool
) -> None:
    honest = linked.workspace.plan("pacs", "DX", **ALL).to_json()["studies"]
    linked.pacs.quirks = Quirks(ignore_keys=("ModalitiesInStudy",))
    if is_probed:
        assert linked.workspace.probe("pacs").verdict("ModalitiesInStudy").value == "ignored"
    again = linked.workspace.plan("pacs", "DX", **ALL).to_json()["studies"]
    assert {study["StudyInstanceUID"]: study for study in honest if study["keep"]} == {
        study["StudyInstanceUID"]: study for study in again if study["keep"]
    }


@pytest.mark.slow
def test_planning_again_asks_for_the_studies_only_and_finds_the_same(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(omit_keys=("SOPClassesInStudy",))
    first = linked.workspace.plan("pacs", "CT,NM", **ALL)
    sent = len(linked.pacs.requests)
    again = linked.workspace.plan("pacs", "CT,NM", **ALL)
    assert {request.level for request in linked.pacs.requests[sent:]} == {"STUDY"}
    assert again.coverage["requests"] == len(linked.pacs.requests) - sent < first.coverage["requests"] / 10
    assert again.to_json()["studies"] == first.to_json()["studies"]
    fresh = linked.workspace.plan("pacs", "CT,NM", refresh=True, **ALL)
    halves = 2  # of the first answer of more than 20, which is proven since
    assert fresh.coverage["requests"] == first.coverage["requests"] - halves


@pytest.mark.slow
@pytest.mark.parametrize("omitted", [(), ("SOPClassesInStudy",), ("SOPClassesInStudy", "ModalitiesInStudy")])
def test_what_the_profile_has_seen_is_used_and_finds_the_same_in_few_requests(
    linked: Linked, omitted: tuple[str, ...]
) -> None:
    linked.pacs.quirks = Quirks(omit_keys=omitted)
    careful = linked.workspace.plan("pacs", "CT,FL,MG", **ALL)
    seen = (
        Subject.SERIES_OF_STUDIES,
        Subject.MODALITY,
        Subject.SERIES_BY_DATE_AND_MODALITY,
        Subject.IMAGES_BY_DATE_AND_CLASS,
    )
    statements = tuple(Statement(subject=subject, verdict=Verdict.HONOURED, evidence="seen") for subject in seen)
    ProfileTable(linked.workspace._state).add(
        Profile(node="pacs", probed="2026-07-01T08:00:00+00:00", statements=statements), "test"
    )
    quick = linked.workspace.plan("pacs", "CT,FL,MG", refresh=True, **ALL)
    assert quick.requests() == careful.requests()
    assert quick.coverage["requests"] < careful.coverage["requests"] / 3
    again = linked.workspace.plan("pacs", "CT,FL,MG", refresh=True, **ALL)
    assert again.requests() == careful.requests()
    if not omitted:
        halves = 4  # of the first large answers at STUDY and IMAGE level, which are proven since
        assert again.coverage["requests"] == quick.coverage["requests"] - halves < 10


@pytest.mark.slow
def test_why_something_was_not_fetched_is_told_by_accession_and_every_uid(
    linked: Linked, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = linked.workspace
    workspace.plan("pacs", "CT", description_exclude="imported", **ALL)
    plan = workspace.plan("pacs", "CT", **ALL)
    study = next(one for one in ct_studies(linked) if one.AccessionNumber and "SR" in one.ModalitiesInStudy)
    (told,) = workspace.why(study.AccessionNumber).to_dict("records")
    assert (told["level"], told["StudyInstanceUID"]) == ("STUDY", study.StudyInstanceUID)
    assert (told["plan_id"], told["here"]) == (plan.plan_id, False)
    assert told["trail"][-1] == f"{told['rule']}: {told['reason']}"
    assert workspace.why(study.StudyInstanceUID)["keep"].tolist() == [told["keep"]]
    uid = next(iter(planned(plan)))
    assert workspace.why(uid)[["level", "keep"]].values.tolist() == [["SERIES", True]]
    assert len(workspace.why("1.2.3")) == 0
    assert caplog.messages[-1].startswith("No plan includes '1.2.3'. Create a plan for its study date: ")
    with pytest.raises(NotFound, match=r"No plan includes 'zzz'\. Create a plan for its study date"):
        workspace.why("zzz")
    (dropped,) = plan.series[plan.series["rule"] == "Philips dose info"].query("not keep").head(1).to_dict("records")
    image = series_of(linked)[dropped["SeriesInstanceUID"]].instances[0].SOPInstanceUID
    assert len(workspace.why(image)) == 0
    workspace.find("pacs", level="IMAGE", study_uid=dropped["StudyInstanceUID"])
    (of_image,) = workspace.why(image).to_dict("records")
    assert (of_image["level"], of_image["reason"]) == ("SERIES", dropped["reason"])


@pytest.mark.slow
def test_a_plan_that_passes_the_budget_is_refused_until_it_is_meant(linked: Linked) -> None:
    workspace = linked.workspace
    (workspace.settings.workspace / "qrkit.toml").write_text("[plan]\nmost_objects = 2\n", encoding="utf-8")
    settings = load_settings(workspace.settings.workspace, {"QRKIT_PORT": str(workspace.settings.port)})
    with Workspace(settings, workspace._state, access=workspace.access) as limited:
        plan = limited.plan("pacs", "CT", date=LAST)
        with pytest.raises(InputError, match=rf"has {plan.cost.objects} objects.*budget is 2 objects.*[Cc]onfirm"):
            limited.retrieve(plan)
        assert len(limited.jobs.list()) == 0
        assert limited.plans[plan.plan_id].confirmed().is_confirmed
        job = limited.retrieve(plan.confirmed())
        job.cancel()


@pytest.mark.slow
def test_a_sites_own_rule_decides_and_a_wrong_one_is_named_before_anything_is_sent(linked: Linked) -> None:
    workspace = linked.workspace
    file = workspace.settings.workspace / "qrkit.toml"
    file.write_text(SITE_RULE, encoding="utf-8")
    with Workspace(load_settings(file.parent, {}), workspace._state, access=workspace.access) as own:
        plan = own.plan("pacs", "CT", **ALL)
    assert set(plan.series[plan.series["keep"] & (plan.series["rule"] == "scouts")]["SeriesDescription"]) == {
        "Topogram"
    }
    file.write_text("[plan]\nrule = 5\n", encoding="utf-8")
    sent = len(linked.pacs.requests)
    with (
        Workspace(load_settings(file.parent, {}), workspace._state, access=workspace.access) as wrong,
        pytest.raises(InputError, match="rule is not a setting"),
    ):
        wrong.plan("pacs", "CT", **ALL)
    assert len(linked.pacs.requests) == sent


SITE_RULE = """
[[plan.rules]]
name = "scouts"
groups = ["CT"]
before = "RDSR"
description = ["topogram"]
"""


@pytest.mark.slow
def test_a_file_that_was_deleted_is_not_here(linked: Linked) -> None:
    workspace = linked.workspace
    plan = workspace.plan("pacs", "MG", **ALL)
    with worker_in_thread(workspace):
        workspace.retrieve(plan).wait(timeout=60)
    assert workspace.plan("pacs", "MG", **ALL).requests() == ()
    file = next(iter(sorted(workspace.settings.files.rglob("*.dcm"))))
    file.unlink()
    again = workspace.plan("pacs", "MG", **ALL)
    assert planned(again) == {file.parent.name}


def test_a_plan_can_be_cancelled_and_leaves_nothing(linked: Linked) -> None:
    with pytest.raises(Cancelled):
        linked.workspace.plan("pacs", "CT", stop=Stop(lambda: True), **ALL)
    assert len(linked.workspace.plans.list()) == 0


def test_plans_can_be_asked_by_sql(linked: Linked) -> None:
    plan = linked.workspace.plan("pacs", "CT", date=LAST)
    found = linked.workspace.sql("SELECT plan_id, node FROM plans")
    assert found.values.tolist() == [[plan.plan_id, "pacs"]]


def test_a_pacs_that_cuts_its_answers_off_is_asked_in_windows_and_the_plan_is_whole(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(cap=20)
    ProfileTable(linked.workspace._state).add(
        Profile(node="pacs", probed="2026-07-01T08:00:00+00:00", cap=20, most_answers=20), "test"
    )
    plan = linked.workspace.plan("pacs", "CT", **ALL)
    assert planned(plan) == right(linked)
    assert plan.coverage["windows"] > 1


def test_a_plan_for_a_study_of_which_fewer_series_are_listed_than_counted_is_not_proven(linked: Linked) -> None:
    study = next(
        one for one in all_studies(linked.hospital) if one.ModalitiesInStudy == ("DX",) and len(one.series) > 1
    )
    linked.pacs.quirks = Quirks(cap=1)
    plan = linked.workspace.plan("pacs", dose=["DX"], StudyInstanceUID=study.StudyInstanceUID)
    assert len(plan.requests()) < len(study.series)
    assert plan.coverage.why == ("the node counts more series than it lists in 1 study: 1 listed, the node counts 2",)
