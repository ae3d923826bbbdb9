"""Filters of studies and series: what they drop, in which order, and what they keep for want of a value."""

import pytest

from qrkit.dose import PlanItem, Policy, count_steps, plan_tables, tally
from tests.dose.test_properties import found
from tests.dose.world import CT, RDSR, UID, Series, World, kept, one, policy_of, world_of

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax 1.0", station="CT1")
REPORT = Series(modality="SR", classes=(RDSR,), station="CT1")


def study(description: str = "CT Chest", station: str = "") -> World:
    return world_of(IMAGES, REPORT, StudyDescription=description, StationName=station)


@pytest.mark.parametrize(
    ("description", "include", "exclude", "rule"),
    [
        ("CT Chest", ("chest",), (), "RDSR"),
        ("CT Chest", ("HEAD", "ches"), (), "RDSR"),
        ("CT Head", ("chest",), (), "description include"),
        ("CT Chest imported", (), ("IMPORTED",), "description exclude"),
        ("CT Chest imported", ("chest",), ("imported",), "description exclude"),
        ("", ("chest",), ("imported",), "RDSR"),
    ],
)
def test_descriptions_are_substrings_in_any_case_and_include_comes_first(
    description: str, include: tuple[str, ...], exclude: tuple[str, ...], rule: str
) -> None:
    policy = policy_of("CT", description_include=include, description_exclude=exclude)
    item = one(study(description).judge(policy))
    assert (item.decision.rule, item.group) == (rule, "CT")


def test_the_first_reason_stands_and_later_ones_join_the_trail() -> None:
    policy = policy_of("CT", description_include=("head",), description_exclude=("chest",))
    item = one(world_of(IMAGES, modalities=["MR"], StudyDescription="CT Chest").judge(policy))
    assert item.decision.rule == "description include"
    assert [said.partition(":")[0] for said in item.decision.history] == [
        "description include",
        "description exclude",
        "modality",
    ]


def test_nothing_is_asked_of_a_study_that_a_filter_drops() -> None:
    world = study("imported")
    world.judge(policy_of("CT", description_exclude=("imported",)))
    assert world.asked == []


@pytest.mark.parametrize(("keep_blank", "kept_studies"), [(True, 1), (False, 0)])
def test_blank_says_what_include_filters_do_with_an_empty_value_and_how_many_is_told(
    *, keep_blank: bool, kept_studies: int
) -> None:
    policy = policy_of(
        "CT", description_include=("chest",), station_include=("ct1",), station_level="study", keep_blank=keep_blank
    )
    items = study(description="").judge(policy)
    assert sum(item.decision.keep for item in items) == kept_studies
    notes = list(tally(items, policy).notes(policy))
    assert [note.partition(" keeps ")[0] for note in notes] == (
        ["Filter description include", "Filter station include"] if keep_blank else []
    )
    by_series = policy_of("CT", station_include=("ct1",), keep_blank=keep_blank)
    nameless = world_of(Series(modality="SR", classes=(RDSR,)), IMAGES).judge(by_series)
    assert kept(nameless) == ({"1": ("SERIES", ())} if keep_blank else {})
    assert [note.split()[4] for note in tally(nameless, by_series).notes(by_series)] == ["1"] * keep_blank


def test_stations_are_those_of_the_series_unless_those_of_the_study_are_asked_for() -> None:
    by_series = policy_of("CT", station_exclude=("ct1",))
    item = one(study(station="CT2").judge(by_series))
    assert (item.decision.rule, {outcome.decision.rule for outcome in item.series}) == (
        "station exclude",
        {"station exclude"},
    )
    by_study = policy_of("CT", station_exclude=("ct1",), station_level="study")
    assert one(study(station="CT2").judge(by_study)).decision.rule == "RDSR"
    assert one(study(station="xCT1x").judge(by_study)).decision.rule == "station exclude"


def test_a_station_filter_comes_before_the_rules() -> None:
    world = world_of(IMAGES, Series(modality="SR", classes=(RDSR,), station="RIS"), REPORT)
    assert kept(world.judge(policy_of("CT", station_exclude=("ris",)))) == {"3": ("SERIES", ())}
    without = world_of(IMAGES, Series(modality="SR", classes=(RDSR,), station="RIS"))
    item = one(without.judge(policy_of("CT", station_include=("ct1",))))
    assert (item.decision.rule, [outcome.decision.rule for outcome in item.series]) == (
        "CT rules",
        ["station include", "CT rules"],
    )


def test_a_study_that_loses_its_last_series_to_a_station_filter_is_counted_there() -> None:
    policy = policy_of("CT", station_include=("ct",), station_exclude=("ct1",))
    elsewhere = Series(modality="CT", classes=(CT,), station="MR9")
    world = world_of(IMAGES, elsewhere)
    item = one(world.judge(policy))
    assert item.decision.rule == "station exclude"
    assert steps([item], world, policy) == [
        ("found", 1),
        ("modality", 1),
        ("station include", 1),
        ("station exclude", 0),
        ("CT rules", 0),
        ("unanswered", 0),
        ("held", 0),
        ("to fetch", 0),
    ]


def test_a_station_filter_and_sr_first_drop_the_same_as_all_series_do() -> None:
    for policy in (
        Policy(groups=("FL",), filters=policy_of("FL", station_exclude=("ct1",)).filters, sr_first=sr_first)
        for sr_first in (True, False)
    ):
        item = one(world_of(Series(modality="XA", classes=(CT,), station="CT1"), REPORT).judge(policy))
        assert item.decision.rule == "station exclude"
        other = one(world_of(Series(modality="XA", classes=(CT,), station="XA1"), REPORT).judge(policy))
        assert other.decision.rule == "FL rules"


def steps(items: list[PlanItem], world: World, policy: Policy) -> list[tuple[str, int]]:
    counted = count_steps(plan_tables(items, found(world)).studies, policy.steps())
    return [(step.step, step.studies) for step in counted]


def test_a_step_that_may_be_quiet_is_told_only_if_it_drops_something() -> None:
    tables = plan_tables(study().judge(policy_of("CT")), found(study()))
    counted = count_steps(tables.studies, policy_of("CT").steps(), quiet="unanswered")
    assert "unanswered" not in [step.step for step in counted]
    assert UID in tables.studies["StudyInstanceUID"].to_pylist()
