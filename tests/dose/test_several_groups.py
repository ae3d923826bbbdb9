"""Studies that fit several groups, and reports that may be of another modality than the images."""

import pytest

from qrkit.dose import NeedKind, Policy, Tally, cost_of, plan_tables, tally
from qrkit.jobs.estimate import NodeHistory
from tests.dose.test_properties import found
from tests.dose.world import (
    CAPTURE,
    CT,
    ESR,
    KEY_OBJECTS,
    MG,
    RDSR,
    REPORT,
    STATES,
    UID,
    Series,
    kept,
    policy_of,
    with_classes,
    world_of,
)

MAMMOGRAM = Series(modality="MG", classes=(MG,) * 4)
TOMOGRAMS = Series(modality="CT", classes=(CT,) * 9, description="Thorax")
RADIOGRAPH = Series(modality="DX", classes=(MG,))
RUNS = Series(modality="XA", classes=(MG,) * 2)
DOSE = Series(modality="SR", classes=(RDSR,))
WHOLE = ("SERIES", ())
OF_ANOTHER = "the report may be of another modality, so the images are kept too"

OTHERS = (
    Series(modality="US", classes=(CAPTURE,)),
    Series(modality="MR", classes=(CAPTURE,)),
    Series(modality="CT", classes=(CT,)),
    Series(modality="OT", classes=(CAPTURE,)),
    Series(modality="KO", classes=(KEY_OBJECTS,)),
    Series(modality="PR", classes=(STATES,)),
)


@pytest.mark.parametrize(("group", "codes"), [("MG", ("MG",)), ("DX", ("DX", "CR", "PX"))])
def test_only_images_of_the_group_stand_in_for_a_report(group: str, codes: tuple[str, ...]) -> None:
    own = tuple(Series(modality=code, classes=(MG,)) for code in codes)
    (item,) = world_of(*own, *OTHERS).judge(policy_of(group))
    assert kept([item]) == {str(place): WHOLE for place in range(1, len(codes) + 1)}
    reasons = {one.row.Modality: one.decision.reason for one in item.series if not one.decision.keep}
    assert list(reasons) == ["US", "MR", "CT", "OT", "KO", "PR"]
    assert reasons["US"] == f"not an image series of {' or '.join(codes)}, but US" if group == "MG" else reasons["US"]
    assert reasons["KO"] == "KO series, which contains no images"


def test_a_series_of_unknown_modality_may_contain_images_of_the_group() -> None:
    unknown = Series(modality="", classes=("",))
    ultrasound = Series(modality="", classes=("1.2.840.10008.5.1.4.1.1.6.1",))
    (item,) = world_of(MAMMOGRAM, unknown, ultrasound, modalities=["MG"]).judge(policy_of("MG"))
    assert kept([item]) == {"1": WHOLE, "2": WHOLE}
    assert item.series[1].decision.reason == "series of unknown Modality, so it may contain images of the group"


@pytest.mark.parametrize("modalities", [None, (), ("DX",), ("SR", "XA")])
def test_each_requested_group_of_a_study_is_an_item_and_a_report_belongs_to_all(
    modalities: tuple[str, ...] | None,
) -> None:
    items = world_of(RADIOGRAPH, RUNS, TOMOGRAMS, DOSE, modalities=modalities).judge(policy_of("CT", "FL", "DX"))
    assert [item.group for item in items] == ["DX", "FL", "CT"]
    assert [kept([item]) for item in items] == [{"1": WHOLE, "4": WHOLE}, {"4": WHOLE}, {"4": WHOLE}]
    seen = [[outcome.row.Modality for outcome in item.series] for item in items]
    assert seen == [["DX", "SR"], ["XA", "SR"], ["CT", "SR"]]


@pytest.mark.parametrize("other", [TOMOGRAMS, RUNS, RADIOGRAPH])
@pytest.mark.parametrize("classes_are_known", [True, False])
@pytest.mark.parametrize("sr_first", [True, False])
def test_a_report_replaces_images_only_without_another_x_ray_modality(
    other: Series, *, classes_are_known: bool, sr_first: bool
) -> None:
    policy = Policy(groups=("MG",), sr_first=sr_first)
    alone, both = world_of(MAMMOGRAM, DOSE, *OTHERS[4:]), world_of(MAMMOGRAM, other, DOSE, OTHERS[0])
    if classes_are_known:
        alone, both = with_classes(alone), with_classes(both)
    assert kept(alone.judge(policy)) == {"2": WHOLE}
    (item,) = both.judge(policy)
    assert kept([item]) == {"1": WHOLE, "3": WHOLE}
    assert item.decision.reason == f"Radiation Dose SR; {OF_ANOTHER}"
    assert (item.series[0].decision.rule, item.series[0].decision.reason) == ("images", OF_ANOTHER)
    assert item.series[1].decision.reason == "not needed: the study has a Radiation Dose SR"


def test_codes_of_one_group_and_modalities_without_x_rays_are_no_second_modality() -> None:
    for others in ((Series(modality="CR", classes=(MG,)),), OTHERS[:2]):
        assert kept(world_of(RADIOGRAPH, DOSE, *others).judge(policy_of("DX"))) == {"2": WHOLE}


def test_an_enhanced_sr_counts_for_each_group_whose_rule_knows_it() -> None:
    enhanced = Series(modality="SR", classes=(ESR,))
    items = world_of(RADIOGRAPH, RUNS, TOMOGRAMS, enhanced).judge(policy_of("CT", "FL", "DX"))
    assert {item.group: kept([item]) for item in items} == {
        "DX": {"1": WHOLE},
        "FL": {"4": WHOLE},
        "CT": {"4": WHOLE},
    }


def test_several_groups_share_one_list_of_series_and_each_list_of_objects() -> None:
    world = world_of(RADIOGRAPH, TOMOGRAMS, DOSE)
    world.judge(policy_of("CT", "DX"))
    assert [need.kind for need in world.asked] == [NeedKind.SERIES, NeedKind.DOSE_OBJECTS]
    world = with_classes(world_of(RUNS, TOMOGRAMS, DOSE))
    world.judge(policy_of("CT", "FL"))
    assert [need.kind for need in world.asked] == [NeedKind.SR_SERIES]


def test_a_study_without_a_group_or_dropped_by_a_filter_stays_one_item() -> None:
    world = world_of(RADIOGRAPH, TOMOGRAMS, DOSE, StudyDescription="imported")
    (item,) = world.judge(policy_of("CT", "DX", description_exclude=("imported",)))
    assert (item.group, item.decision.rule) == ("DX", "description exclude")
    (item,) = world_of(OTHERS[0]).judge(policy_of("CT", "DX"))
    assert (item.group, item.decision.rule) == ("", "modality")


def test_what_several_items_share_counts_once() -> None:
    policy = policy_of("CT", "DX", "FL")
    world = world_of(RADIOGRAPH, RUNS, TOMOGRAMS, DOSE)
    items = world.judge(policy)
    tables = plan_tables(items, found(world))
    assert cost_of(tables.series, NodeHistory(node="pacs")).objects == 2
    hidden = world_of(RADIOGRAPH, RUNS, Series(modality="SR", classes=(REPORT,), count=None, listed=False))
    counted: Tally = tally(hidden.judge(policy), policy)
    assert (counted.empty_sr, sum(counted.doubtful.values())) == (1, 1)
    silent = world_of(RADIOGRAPH, TOMOGRAMS, DOSE)
    silent.silent = frozenset({NeedKind.SERIES})
    assert tally(silent.judge(policy), policy).unanswered.total() == 1
    mixed = world_of(TOMOGRAMS, Series(modality="PT", classes=(CT,)), Series(modality="SR", classes=(RDSR, REPORT)))
    assert kept(mixed.judge(policy_of("CT", "NM"))) == {"3": ("IMAGE", (f"{UID}.3.1",))}
