"""A plan as a value: its requests, its JSON, how it is shown."""

from qrkit.dose import Budget, Plan, build_dose_query, cost_of, count_steps, plan_tables, with_bytes
from qrkit.jobs.estimate import Estimate, NodeHistory, SizeSample
from qrkit.query import Coverage
from tests.dose.test_properties import found
from tests.dose.test_query import TODAY
from tests.dose.world import CT, PET, RDSR, RRDSR, UID, Series, World, policy_of, world_of

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="<b>Thorax</b>")
PET_SERIES = Series(modality="PT", classes=(PET,) * 3)


def plan_of(world: World, *groups: str) -> Plan:
    policy = policy_of(*groups)
    tables = plan_tables(world.judge(policy), found(world))
    history = NodeHistory(node="pacs", samples=(SizeSample(node="pacs", modality="SR", objects=2, bytes=20_000),))
    tables = type(tables)(
        studies=tables.studies, series=with_bytes(tables.series, history), instances=tables.instances
    )
    return Plan(
        plan_id="p1",
        node="<pacs>",
        asked=build_dose_query(today=TODAY, dose=list(groups), date="today"),
        coverage=Coverage(why=("<cut> off",), requests=4),
        funnel=count_steps(tables.studies, policy.steps()),
        cost=cost_of(tables.series, history),
        tables=tables,
    )


def test_requests_are_of_series_or_images_with_what_is_expected_and_never_of_a_study() -> None:
    plan = plan_of(world_of(IMAGES, PET_SERIES, Series(modality="SR", classes=(RDSR,))), "CT", "NM")
    told = [(one.level, one.SeriesInstanceUID, one.sop_instance_uids, one.expected) for one in plan.requests()]
    assert told == [
        ("SERIES", f"{UID}.3", (), (f"{UID}.3.1",)),
        ("IMAGE", f"{UID}.2", (f"{UID}.2.1",), (f"{UID}.2.1",)),
    ]


def test_a_series_that_both_items_of_a_pet_ct_want_is_asked_for_once() -> None:
    plan = plan_of(world_of(IMAGES, PET_SERIES, Series(modality="SR", classes=(RDSR, RRDSR))), "CT", "NM")
    of_sr = [one for one in plan.requests() if one.SeriesInstanceUID == f"{UID}.3"]
    assert [(one.level, one.sop_instance_uids) for one in of_sr] == [("IMAGE", (f"{UID}.3.1", f"{UID}.3.2"))]


def test_the_json_has_a_study_per_work_item_and_its_own_series() -> None:
    told = plan_of(world_of(IMAGES, PET_SERIES, Series(modality="SR", classes=(RDSR,))), "CT", "NM").to_json()
    assert list(told["coverage"]) == ["complete", "why", "windows", "requests"]
    assert [(study["group"], len(study["series"])) for study in told["studies"]] == [("CT", 2), ("NM", 2)]
    assert told["studies"][1]["series"][0] == {
        "SeriesInstanceUID": f"{UID}.2",
        "keep": True,
        "rule": "PET",
        "reason": "PET series; its first image contains the radiopharmaceutical",
        "level": "IMAGE",
        "instances": [f"{UID}.2.1"],
    }
    assert told["studies"][0]["series"][0]["level"] is None


def test_what_comes_from_a_node_is_escaped_where_it_is_shown() -> None:
    shown = plan_of(world_of(IMAGES, Series(modality="SR", classes=(RDSR,))), "CT")._repr_html_()
    assert "&lt;pacs&gt;" in shown
    assert "&lt;cut&gt; off" in shown
    assert "<pacs>" not in shown
    assert "may be incomplete" in shown


def test_the_cost_is_counted_and_estimated_from_what_came_before() -> None:
    plan = plan_of(world_of(IMAGES, Series(modality="SR", classes=(RDSR,))), "CT")
    assert (plan.cost.objects, plan.cost.bytes, plan.series["bytes"].dropna().tolist()) == (1, 10_000, [10_000])
    assert plan.cost_in_words == "1 object, about 10 kB"
    nothing = plan_of(world_of(IMAGES), "CT")
    assert (nothing.cost, nothing.requests()) == (Estimate(objects=0, bytes=0, seconds=None), ())
    Budget().check(Estimate(objects=10**9, bytes=10**12, seconds=None))
    assert plan.confirmed().is_confirmed
    assert not plan.is_confirmed
