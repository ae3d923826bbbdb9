"""What is held already is left out, object by object, whatever the modality."""

import pytest

from qrkit.dose import NeedKind
from tests.dose.world import CT, ESR, MG, PET, RDSR, UID, Series, kept, one, policy_of, with_classes, world_of

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax")
REPORT = Series(modality="SR", classes=(RDSR,))


def test_a_series_of_which_nothing_is_held_is_fetched_whole_without_being_listed() -> None:
    world = with_classes(world_of(IMAGES, REPORT))
    item = one(world.judge(policy_of("CT"), {f"{UID}.1": [f"{UID}.1.1"]}))
    assert kept([item]) == {"2": ("SERIES", ())}
    assert NeedKind.OBJECTS not in {need.kind for need in world.asked}
    assert item.series[-1].count == 1


def test_a_series_that_is_held_whole_drops_its_study_as_held() -> None:
    item = one(world_of(IMAGES, REPORT).judge(policy_of("CT"), {f"{UID}.2": [f"{UID}.2.1"]}))
    assert (item.decision.keep, item.decision.rule) == (False, "held")
    assert [said.partition(":")[0] for said in item.decision.history] == ["RDSR", "held"]
    assert item.series[1].decision.rule == "held"
    assert item.series[0].decision.rule == "RDSR"


@pytest.mark.parametrize("modality", ["MG", "DX", "CR"])
def test_of_a_series_that_is_held_in_part_the_rest_is_fetched_by_image(modality: str) -> None:
    world = world_of(Series(modality=modality, classes=(MG,) * 4))
    group = "MG" if modality == "MG" else "DX"
    item = one(world.judge(policy_of(group), {f"{UID}.1": [f"{UID}.1.1", f"{UID}.1.3"]}))
    assert kept([item]) == {"1": ("IMAGE", (f"{UID}.1.2", f"{UID}.1.4"))}
    assert [known.decision.rule for known in item.series[0].objects] == ["held", "images"] * 2


def test_what_is_held_is_told_by_uid_and_not_by_number() -> None:
    world = world_of(Series(modality="MG", classes=(MG,) * 2))
    assert kept(world.judge(policy_of("MG"), {f"{UID}.1": ["9.1", "9.2"]})) == {"1": ("SERIES", ())}


def test_single_images_and_winning_objects_that_are_held_are_left_out_too() -> None:
    mixed = Series(modality="SR", classes=(RDSR, ESR, RDSR))
    some = world_of(IMAGES, mixed).judge(policy_of("CT"), {f"{UID}.2": [f"{UID}.2.1"]})
    assert kept(some) == {"2": ("IMAGE", (f"{UID}.2.3",))}
    pet = world_of(Series(modality="PT", classes=(PET,) * 3))
    assert one(pet.judge(policy_of("NM"), {f"{UID}.1": [f"{UID}.1.1"]})).decision.rule == "held"
    assert kept(pet.judge(policy_of("NM"), {f"{UID}.1": [f"{UID}.1.2"]})) == {"1": ("IMAGE", (f"{UID}.1.1",))}


def test_a_series_whose_objects_the_node_does_not_list_is_fetched_whole() -> None:
    world = with_classes(world_of(IMAGES, REPORT))
    world.silent = frozenset({NeedKind.OBJECTS})
    assert kept(world.judge(policy_of("CT"), {f"{UID}.2": ["9.9"]})) == {"2": ("SERIES", ())}
