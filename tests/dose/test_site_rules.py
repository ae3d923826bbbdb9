"""A site's own rules and classes, as its `qrkit.toml` has them."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest

from qrkit.dose import Budget, Policy, site_budget, site_policy
from qrkit.errors import InputError
from tests.dose.world import CAPTURE, CT, UID, Series, kept, world_of

PRIVATE = "1.3.12.2.1107.5.9.1"
IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax 1.0", station="CT1")
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
