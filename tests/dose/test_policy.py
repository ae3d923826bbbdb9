"""The policy of a plan: filters, what they drop and keep, and the rules and classes of a site."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from qrkit.dose import Budget, PlanItem, Policy, count_steps, plan_tables, site_budget, site_policy, tally
from qrkit.errors import InputError
from tests.dose.test_properties import found
from tests.dose.world import CAPTURE, CT, RDSR, UID, Series, World, kept, one, policy_of, world_of

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
    images = replace(IMAGES, station="CT2")
    nameless = world_of(Series(modality="SR", classes=(RDSR,)), images).judge(by_series)
    assert kept(nameless) == ({"1": ("SERIES", ())} if keep_blank else {})
    assert [note.split()[4] for note in tally(nameless, by_series).notes(by_series)] == ["1"] * keep_blank


@pytest.mark.parametrize(
    ("term", "description"),
    [
        ("импорт", "ИМПОРТ из архива"),
        ("SCHÄDEL", "scha\u0308del nativ"),
        ("ct", "\uff23\uff34 Thorax"),
        ("straße", "STRASSE"),
    ],
)
def test_descriptions_are_compared_as_text_whatever_their_case_and_composition(term: str, description: str) -> None:
    policy = policy_of("CT", description_exclude=(term,))
    assert one(study(description).judge(policy)).decision.rule == "description exclude"
    assert one(study(description).judge(policy_of("CT", description_include=(term,)))).decision.rule == "RDSR"
    sheet = Series(modality="CT", classes=(CT,), description="\uff24ose Info")
    assert one(world_of(IMAGES, sheet).judge(policy_of("CT"))).decision.rule == "Philips dose info"


@pytest.mark.parametrize(
    ("filters", "is_kept"),
    [
        ({"description_include": ("chest",)}, True),
        ({"description_include": ("chest",), "keep_blank": False}, False),
        ({"description_exclude": ("chest",)}, True),
    ],
)
def test_a_description_that_cannot_be_decoded_is_blank_for_the_filter_and_counted(
    filters: dict[str, Any], *, is_kept: bool
) -> None:
    policy = policy_of("CT", **filters)
    items = study("chest \ufffd\ufffd").judge(policy)
    assert one(items).decision.keep is is_kept
    name = next(iter(filters)).replace("_", " ")
    expected = [f"Filter {name} keeps 1 study without a readable value."] if is_kept else []
    assert list(tally(items, policy).notes(policy)) == expected


def test_a_plan_says_how_many_modalities_were_read_or_are_unknown() -> None:
    world = world_of(IMAGES, REPORT)
    row, series = world.studies[UID]
    odd, unknown = replace(row, has_odd_modalities=True), replace(row, ModalitiesInStudy=frozenset())
    for study_row, said in ((row, []), (odd, ["it was read"]), (unknown, ["the series decided"])):
        items = World({UID: (study_row, series)}).judge(policy_of("CT"))
        notes = list(tally(items, policy_of("CT")).notes(policy_of("CT")))
        assert [note.rstrip(".").partition("; ")[2] for note in notes] == said


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
    sheet = Series(modality="CT", classes=(CT,), description="dose info", station="RIS")
    item = one(world_of(IMAGES, sheet).judge(policy_of("CT", station_include=("ct1",))))
    assert (item.decision.rule, [outcome.decision.rule for outcome in item.series]) == (
        "CT rules",
        ["station include", "CT rules"],
    )


@pytest.mark.parametrize(
    "filters", [{"station_include": ("ct1",)}, {"station_exclude": ("ris",)}], ids=["include", "exclude"]
)
def test_a_report_of_a_console_passes_a_station_filter_if_images_of_its_study_do(
    filters: dict[str, Any],
) -> None:
    of_console = Series(modality="SR", classes=(RDSR,), station="RIS")
    policy = policy_of("CT", **filters)
    item = one(world_of(IMAGES, of_console, REPORT).judge(policy))
    assert kept([item]) == {"2": ("SERIES", ()), "3": ("SERIES", ())}
    assert [outcome.decision.reason.partition("; ")[2] for outcome in item.series[1:]] == [
        f"its own StationName does not pass the filter, but that of image series {UID}.1 does",
        "its own StationName passes the filter",
    ]
    elsewhere = world_of(replace(IMAGES, station="RIS"), of_console)
    assert one(elsewhere.judge(policy)).decision.rule == next(iter(filters)).replace("_", " ")


def test_a_report_without_station_is_kept_as_blank_or_by_its_images() -> None:
    nameless = world_of(IMAGES, Series(modality="SR", classes=(RDSR,)))
    by_blank = one(nameless.judge(policy_of("CT", station_include=("ct1",)))).series[1].decision
    by_images = one(nameless.judge(policy_of("CT", station_include=("ct1",), keep_blank=False))).series[1].decision
    assert by_blank.reason == "Radiation Dose SR; it has no StationName, which the filter keeps"
    assert (by_images.keep, by_images.reason.endswith(f"that of image series {UID}.1 does")) == (True, True)


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
        assert (other.decision.rule, kept([other])) == ("RDSR", {"2": ("SERIES", ())})


def steps(items: list[PlanItem], world: World, policy: Policy) -> list[tuple[str, int]]:
    counted = count_steps(plan_tables(items, found(world)).studies, policy.steps())
    return [(step.step, step.studies) for step in counted]


def test_a_step_that_may_be_quiet_is_told_only_if_it_drops_something() -> None:
    tables = plan_tables(study().judge(policy_of("CT")), found(study()))
    counted = count_steps(tables.studies, policy_of("CT").steps(), quiet="unanswered")
    assert "unanswered" not in [step.step for step in counted]
    assert UID in tables.studies["StudyInstanceUID"].to_pylist()


PRIVATE = "1.3.12.2.1107.5.9.1"
PROTOCOL = Series(modality="CT", classes=(CAPTURE,), description="Patient Protocol", station="CT1")


def policy(text: str) -> Policy:
    return replace(site_policy(tomllib.loads(text)["plan"]), groups=("CT",))


def test_a_site_keeps_a_series_by_its_description_before_other_rules() -> None:
    rule = """
        [[plan.rules]]
        name = "Siemens protocol"
        groups = ["CT"]
        before = "Philips dose info"
        description = ["patient protocol"]
        reason = "the scanner writes the dose on its protocol"
    """
    sheet = Series(modality="CT", classes=(CAPTURE,), description="Dose Info")
    (item,) = world_of(IMAGES, PROTOCOL, sheet).judge(policy(rule))
    assert (item.decision.rule, kept([item])) == ("Siemens protocol", {"2": ("SERIES", ())})
    assert item.series[1].decision.reason == "the scanner writes the dose on its protocol"
    (other,) = world_of(IMAGES, sheet).judge(policy(rule))
    assert other.decision.rule == "Philips dose info"


def test_a_site_takes_the_first_image_of_a_class_at_a_station() -> None:
    rule = """
        [[plan.rules]]
        name = "sheet"
        groups = ["CT"]
        station_has = ["ct1"]
        at_most = 3
        first_image = ["1.2.840.10008.5.1.4.1.1.7"]
        take = "first image"
    """
    elsewhere = replace(PROTOCOL, station="CT2")
    (item,) = world_of(IMAGES, PROTOCOL, elsewhere).judge(policy(rule))
    assert kept([item]) == {"2": ("IMAGE", (f"{UID}.2.1",))}


def test_a_site_adds_a_class_that_counts_as_a_dose_report() -> None:
    report = Series(modality="SR", classes=(PRIVATE,))
    (item,) = world_of(IMAGES, report).judge(policy(f'[plan.classes]\nRDSR = ["{PRIVATE}"]'))
    assert (item.decision.rule, kept([item])) == ("RDSR", {"2": ("SERIES", ())})


def test_a_budget_is_read_from_the_same_table() -> None:
    assert site_budget({"most_bytes": 10**9}) == Budget(bytes=10**9)
    assert site_policy({"most_objects": 10}) == Policy()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([], "is not a table"),
        ({"rule": []}, "rule is not a setting"),
        ({"rules": {}}, r"\[\[plan.rules\]\]"),
        ({"rules": [{"groups": ["CT"]}]}, "has no name"),
        ({"rules": [{"name": "x"}]}, "'x' of .plan. has no valid groups"),
        ({"rules": [{"name": "x", "groups": ["XX"]}]}, "Use some of CT"),
        ({"rules": [{"name": "x", "groups": "CT"}]}, "list of texts"),
        ({"rules": [{"name": "x", "groups": ["CT"]}]}, "has no criterion"),
        ({"rules": [{"name": "x", "groups": ["CT"], "colour": "red"}]}, "colour is not a setting"),
        (
            {"rules": [{"name": "x", "groups": ["CT"], "modality": ["CT"], "take": "all"}]},
            "'all' is not a valid",
        ),
        ({"rules": [{"name": "x", "groups": ["CT"], "modality": ["CT"], "at_most": "5"}]}, "not a valid at_most"),
        ({"rules": [{"name": "x", "groups": ["CT"], "modality": ["CT"], "after": 5}]}, "not a valid after"),
        (
            {"rules": [{"name": "x", "groups": ["CT"], "modality": ["CT"], "after": "y"}]},
            "rule 'y'. Use RDSR",
        ),
        (
            {"rules": [{"name": "x", "groups": ["CT"], "modality": ["CT"], "after": "ESR", "before": "ESR"}]},
            "both before and after",
        ),
        ({"rules": [{"name": "ESR", "groups": ["CT"], "modality": ["CT"]}]}, "exists already"),
        ({"classes": {"XX": []}}, "lists of SOP Class UIDs for RDSR"),
        ({"classes": {"RDSR": ["no uid"]}}, "Use a list of SOP Class UIDs"),
        ({"classes": {"RDSR": "1.2"}}, "Use a list of SOP Class UIDs"),
    ],
)
def test_what_is_wrong_is_named(table: Any, said: str) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(InputError, match=said):
        site_policy(table)


@pytest.mark.parametrize("value", [-1, "5", True])
def test_a_budget_is_a_number(value: object) -> None:
    with pytest.raises(InputError, match="not a valid most_objects"):
        site_budget({"most_objects": value})
