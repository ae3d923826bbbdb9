"""The rules of each group, on studies of a few rows."""

from dataclasses import replace

import pytest

from qrkit.dose import NeedKind, Policy, tally
from tests.dose.world import (
    CAPTURE,
    CT,
    ENHANCED_PET,
    ENHANCED_RDSR,
    ESR,
    KEY_OBJECTS,
    LEGACY_PET,
    MG,
    NM,
    PATIENT_RDSR,
    PET,
    RDSR,
    REPORT,
    RRDSR,
    STATES,
    UID,
    Series,
    World,
    kept,
    one,
    policy_of,
    with_classes,
    world_of,
)

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax 1.0")
WHOLE = ("SERIES", ())


def sr(*classes: str, **more: object) -> Series:
    return Series(modality="SR", classes=classes, **more)  # type: ignore[arg-type]  # fields by name


# Dose reports


@pytest.mark.parametrize("sop_class", [RDSR, ENHANCED_RDSR, PATIENT_RDSR])
@pytest.mark.parametrize("group", ["CT", "MG", "DX", "FL"])
def test_each_radiation_dose_sr_is_kept_and_everything_else_dropped(group: str, sop_class: str) -> None:
    code = {"CT": "CT", "MG": "MG", "DX": "CR", "FL": "XA"}[group]
    world = world_of(Series(modality=code, classes=(CT,) * 3), sr(sop_class), sr(REPORT))
    item = one(world.judge(policy_of(group)))
    assert (item.group, item.decision.keep, item.decision.rule) == (group, True, "RDSR")
    assert kept([item]) == {"2": WHOLE}
    assert [outcome.decision.rule for outcome in item.series] == ["RDSR"] * 3


@pytest.mark.parametrize("group", ["MG", "DX"])
def test_without_a_dose_report_images_of_mg_and_dx_are_kept_and_sr_dropped(group: str) -> None:
    images = Series(modality=group, classes=(MG,) * 4)
    states, key_objects = Series(modality="PR", classes=(STATES,)), Series(modality="KO", classes=(KEY_OBJECTS,))
    item = one(world_of(images, images, sr(REPORT), sr(ESR), states, key_objects).judge(policy_of(group)))
    assert item.decision.rule == "images"
    assert kept([item]) == {"1": WHOLE, "2": WHOLE}


def test_mg_and_dx_take_no_enhanced_sr_but_fl_and_ct_do() -> None:
    for group, code in (("FL", "RF"), ("CT", "CT")):
        item = one(world_of(Series(modality=code, classes=(CT,)), sr(ESR)).judge(policy_of(group)))
        assert (item.decision.rule, kept([item])) == ("ESR", {"2": WHOLE})


def test_rdsr_anywhere_wins_over_esr() -> None:
    item = one(world_of(IMAGES, sr(ESR), sr(RDSR)).judge(policy_of("CT")))
    assert kept([item]) == {"3": WHOLE}
    assert item.series[1].decision.reason == "SR series without Radiation Dose SR; another series has it"


def test_a_series_of_mixed_classes_keeps_the_winning_objects_at_image_level() -> None:
    item = one(world_of(IMAGES, sr(ESR, RDSR, REPORT, RDSR)).judge(policy_of("CT")))
    assert kept([item]) == {"2": ("IMAGE", (f"{UID}.2.2", f"{UID}.2.4"))}
    assert [known.decision.keep for known in item.series[1].objects] == [False, True, False, True]


def test_fluoroscopy_without_a_dose_report_is_dropped() -> None:
    item = one(world_of(Series(modality="XA", classes=(CT,) * 3), sr(REPORT)).judge(policy_of("FL")))
    assert (item.decision.keep, item.decision.rule, kept([item])) == (False, "FL rules", {})
    assert all(outcome.decision.reason for outcome in item.series)


# SR series without listed objects


@pytest.mark.parametrize("hidden", [sr(RDSR, listed=False), sr(count=0)])
@pytest.mark.parametrize(("group", "code"), [("CT", "CT"), ("FL", "RF"), ("MG", "MG"), ("DX", "DX")])
def test_with_empty_sr_an_sr_series_without_objects_is_kept_and_no_sr_dropped(
    group: str, code: str, hidden: Series
) -> None:
    world = world_of(Series(modality=code, classes=(CT,) * 9, description="x"), hidden, sr(REPORT))
    item = one(world.judge(policy_of(group, options=["empty_sr"])))
    assert (item.decision.rule, kept([item])) == ("unknown-SR", {"2": WHOLE, "3": WHOLE})
    without = one(world.judge(policy_of(group)))
    assert without.empty_sr == 1
    assert "2" not in kept([without])


def test_a_dose_report_wins_over_an_sr_series_without_objects() -> None:
    for winner in (RDSR, ESR):
        world = world_of(IMAGES, sr(RDSR, listed=False), sr(winner))
        item = one(world.judge(policy_of("CT", options=["empty_sr"])))
        assert kept([item]) == {"3": WHOLE}
        assert one(world.judge(policy_of("CT"))).empty_sr == 0


# Objects whose SOP Class the node does not return


@pytest.mark.parametrize(
    ("group", "code", "expected"),
    [("CT", "CT", {"2"}), ("FL", "RF", {"2"}), ("MG", "MG", {"1", "2"}), ("DX", "DX", {"1", "2"})],
)
@pytest.mark.parametrize("count", [-1, None])
@pytest.mark.parametrize("options", [(), ("empty_sr",)])
def test_an_sr_of_unknown_class_is_kept_and_replaces_no_images(
    group: str, code: str, expected: set[str], count: int | None, options: tuple[str, ...]
) -> None:
    images = Series(modality=code, classes=("",) * 9, description="x")
    items = world_of(images, sr("", count=count)).judge(policy_of(group, options=options))
    assert set(kept(items)) == expected
    assert one(items).series[1].decision.reason == (
        "SR series whose SOP Class the node does not return, so it may be a dose report"
    )
    assert list(tally(items, policy_of(group)).notes(policy_of(group))) == []
    assert set(kept(world_of(sr(""), sr("", "")).judge(policy_of(sr_only=True)))) == {"1", "2"}


def test_pet_and_nm_images_of_unknown_class_are_kept_by_their_modality() -> None:
    pet, nuclear = Series(modality="PT", classes=("",) * 3), Series(modality="NM", classes=("", ""))
    item = one(world_of(nuclear, pet, sr("")).judge(policy_of("NM")))
    assert kept([item]) == {"2": ("IMAGE", (f"{UID}.2.1",)), "3": WHOLE}
    assert item.series[1].decision.reason == "PT series; the node does not return the SOP Class of its first image"
    item = one(world_of(nuclear, sr("")).judge(policy_of("NM")))
    assert kept([item]) == {"1": WHOLE, "2": WHOLE}
    assert "does not return the SOP Class" in item.series[0].decision.reason


def test_a_dose_sheet_is_kept_beside_an_sr_of_unknown_class() -> None:
    sheet = Series(modality="CT", classes=("",), description="dose info")
    item = one(world_of(IMAGES, sheet, sr("")).judge(policy_of("CT")))
    assert (item.decision.rule, kept([item])) == ("Philips dose info", {"2": WHOLE, "3": WHOLE})
    toshiba = one(world_of(replace(sheet, description="x"), sr(REPORT)).judge(policy_of("CT", options=["toshiba"])))
    assert kept([toshiba]) == {"1": WHOLE}


def test_an_object_of_unknown_class_is_kept_beside_a_report_of_its_series() -> None:
    item = one(world_of(IMAGES, sr(REPORT, RDSR, "")).judge(policy_of("CT")))
    assert kept([item]) == {"2": ("IMAGE", (f"{UID}.2.2", f"{UID}.2.3"))}


@pytest.mark.parametrize(("other", "expected"), [(REPORT, set()), (RDSR, {"2"})])
@pytest.mark.parametrize("group", ["CT", "FL", "MG"])
def test_an_object_of_unknown_class_is_kept_at_a_node_that_names_the_class_of_others(
    group: str, other: str, expected: set[str]
) -> None:
    code = {"CT": "CT", "FL": "RF", "MG": "MG"}[group]
    images = Series(modality=code, classes=(CT,) * 9, description="x")
    item = one(world_of(images, sr(other), sr("", REPORT), sr("")).judge(policy_of(group)))
    found = kept([item])
    assert (found["3"], found["4"]) == (("IMAGE", (f"{UID}.3.1",)), WHOLE)
    assert set(found) - {"1", "3", "4"} == expected
    assert item.doubts == ()


@pytest.mark.parametrize("group", ["CT", "FL", "MG"])
def test_an_sr_series_that_is_counted_as_empty_is_asked_all_the_same(group: str) -> None:
    code = {"CT": "CT", "FL": "RF", "MG": "MG"}[group]
    world = world_of(Series(modality=code, classes=(CT,) * 9, description="x"), sr(REPORT), sr(RDSR, count=0))
    assert kept(world.judge(policy_of(group))) == {"3": WHOLE}
    two = world_of(Series(modality="NM", classes=(NM,)), sr(RRDSR, count=0), sr(RRDSR, count=0))
    assert kept(two.judge(policy_of("NM"))) == {"2": WHOLE, "3": WHOLE}


# CT without a dose report


def test_philips_keeps_exactly_the_series_described_as_dose_info() -> None:
    sheet = Series(modality="CT", classes=(CAPTURE,), description=" DOSE Info ")
    other = Series(modality="CT", classes=(CAPTURE,), description="Dose Info 2")
    item = one(world_of(IMAGES, sheet, other, sr(REPORT)).judge(policy_of("CT")))
    assert (item.decision.rule, kept([item])) == ("Philips dose info", {"2": WHOLE})


@pytest.mark.parametrize(("count", "stays"), [(5, True), (6, False), (None, True), (0, True)])
def test_without_any_description_series_of_at_most_five_or_unknown_number_are_kept(
    count: int | None, *, stays: bool
) -> None:
    world = world_of(Series(modality="CT", classes=(CT,) * 40), Series(modality="CT", count=count))
    item = one(world.judge(policy_of("CT")))
    assert item.decision.keep is stays
    assert kept([item]) == ({"2": WHOLE} if stays else {})


def test_one_description_is_enough_for_few_images_not_to_count() -> None:
    item = one(world_of(IMAGES, Series(modality="CT", classes=(CAPTURE,))).judge(policy_of("CT")))
    assert (item.decision.keep, item.decision.rule) == (False, "CT rules")


def test_with_toshiba_few_images_do_not_count_either() -> None:
    world = world_of(Series(modality="CT", classes=(CT,) * 3), Series(modality="CT", classes=(CAPTURE,) * 2))
    item = one(world.judge(policy_of("CT", options=["toshiba"])))
    assert item.decision.rule == "Toshiba"
    assert kept([item]) == {"1": ("IMAGE", (f"{UID}.1.1",)), "2": WHOLE}


def test_toshiba_takes_captures_whole_and_one_image_of_others_whatever_their_numbers() -> None:
    world = world_of(
        IMAGES,
        Series(modality="CT", classes=(CT, CT), first=0),
        Series(modality="CT", classes=(CT, CT), first=7),
        Series(modality="CT", classes=(CAPTURE, CAPTURE)),
        sr(REPORT),
        Series(modality="CT", classes=(CT, CT), listed=False),
    )
    item = one(world.judge(policy_of("CT", options=["toshiba"])))
    assert kept([item]) == {
        "1": ("IMAGE", (f"{UID}.1.1",)),
        "2": ("IMAGE", (f"{UID}.2.2",)),
        "3": ("IMAGE", (f"{UID}.3.1",)),
        "4": WHOLE,
    }
    assert item.series[5].decision.reason == "the node lists no image in the series"
    assert [(short.uid, short.listed, short.counted) for short in item.short] == [(f"{UID}.6", 0, 2)]
    assert one(world.judge(policy_of("CT"))).decision.rule == "CT rules"


def test_philips_comes_before_toshiba_and_dose_reports_before_both() -> None:
    sheet = Series(modality="CT", classes=(CAPTURE,), description="Dose Info")
    assert (
        one(world_of(IMAGES, sheet).judge(policy_of("CT", options=["toshiba"]))).decision.rule == "Philips dose info"
    )
    world = world_of(IMAGES, sheet, sr(ESR))
    assert one(world.judge(policy_of("CT", options=["toshiba"]))).decision.rule == "ESR"
    assert all(need.kind is not NeedKind.FIRST_IMAGE for need in world.asked)


# Nuclear medicine

NM_SERIES = Series(modality="NM", classes=(NM, NM), number=4)
PET_SERIES = Series(modality="PT", classes=(PET,) * 3)


def test_nuclear_medicine_keeps_rrdsr_whole_and_pet_by_the_first_image() -> None:
    world = world_of(PET_SERIES, sr(RRDSR), sr(RDSR), NM_SERIES, PET_SERIES, IMAGES)
    item = one(world.judge(policy_of("NM")))
    assert kept([item]) == {
        "1": ("IMAGE", (f"{UID}.1.1",)),
        "2": WHOLE,
        "5": ("IMAGE", (f"{UID}.5.1",)),
    }
    assert item.decision.rule == "RRDSR and PET"
    assert not [need for need in world.asked if need.SeriesInstanceUID == f"{UID}.4"]


@pytest.mark.parametrize("sop_class", [PET, ENHANCED_PET, LEGACY_PET])
def test_enhanced_pet_is_pet(sop_class: str) -> None:
    pet = Series(modality="PT", classes=(sop_class,) * 2)
    assert kept(world_of(pet, NM_SERIES).judge(policy_of("NM"))) == {"1": ("IMAGE", (f"{UID}.1.1",))}


def test_rrdsr_or_pet_alone_is_enough() -> None:
    assert kept(world_of(NM_SERIES, sr(RRDSR)).judge(policy_of("NM"))) == {"2": WHOLE}
    assert kept(world_of(NM_SERIES, PET_SERIES).judge(policy_of("NM"))) == {"2": ("IMAGE", (f"{UID}.2.1",))}


def test_the_first_nm_series_is_kept_whole_and_others_by_their_first_image() -> None:
    secondary = Series(modality="NM", classes=(CAPTURE,), number=1)
    stress = Series(modality="NM", classes=(NM,), number=2)
    world = world_of(NM_SERIES, secondary, stress, sr(RDSR), NM_SERIES)
    item = one(world.judge(policy_of("NM")))
    others = {place: ("IMAGE", (f"{UID}.{place}.1",)) for place in "15"}
    assert kept([item]) == {"3": WHOLE, **others}
    assert (
        item.series[0].decision.reason == "first image of another NM series, which may be of another administration"
    )
    assert [need.kind for need in world.asked].count(NeedKind.FIRST_IMAGE) == 4
    assert kept(world_of(NM_SERIES, NM_SERIES, sr(RRDSR)).judge(policy_of("NM"))) == {"3": WHOLE}


def test_a_first_image_that_the_node_does_not_return_is_a_doubt() -> None:
    world = world_of(NM_SERIES, replace(NM_SERIES, listed=False))
    item = one(world.judge(policy_of("NM")))
    assert kept([item]) == {"1": WHOLE}
    assert [(short.uid, short.listed, short.counted) for short in item.short] == [(f"{UID}.2", 0, 2)]
    not_counted = one(world_of(NM_SERIES, replace(NM_SERIES, listed=False, count=None)).judge(policy_of("NM")))
    assert not_counted.doubts == ("the node lists no objects in a series and does not count them",)


def test_a_pt_series_that_begins_with_another_class_is_no_pet() -> None:
    captures = Series(modality="PT", classes=(CAPTURE, PET))
    item = one(world_of(captures).judge(policy_of("NM")))
    assert (item.decision.keep, item.decision.rule) == (False, "NM rules")


# Studies


def test_a_pet_ct_becomes_two_work_items_that_share_the_sr() -> None:
    world = world_of(IMAGES, PET_SERIES, sr(RDSR), sr(RRDSR))
    ct, nuclear = world.judge(policy_of("CT", "NM"))
    assert (ct.group, nuclear.group) == ("CT", "NM")
    assert kept([ct]) == {"3": WHOLE}
    assert kept([nuclear]) == {"2": ("IMAGE", (f"{UID}.2.1",)), "4": WHOLE}
    seen = [[outcome.row.Modality for outcome in item.series] for item in (ct, nuclear)]
    assert seen == [["CT", "SR", "SR"], ["PT", "SR", "SR"]]
    assert one(world.judge(policy_of("CT"))).group == "CT"


@pytest.mark.parametrize("modalities", [(), ("CT",), ("PT",)])
def test_a_pet_ct_is_known_by_its_series_too(modalities: tuple[str, ...]) -> None:
    world = world_of(IMAGES, PET_SERIES, sr(REPORT), modalities=modalities)
    assert [item.group for item in world.judge(policy_of("CT", "NM"))] == ["CT", "NM"]


@pytest.mark.parametrize(
    ("codes", "groups"),
    [("CT NM", "CT"), ("MG CT", "MG CT"), ("DX XA CT", "DX FL CT"), ("RF CT", "FL CT"), ("DX MG", "MG DX")],
)
def test_several_groups_come_in_the_order_mg_dx_fl_ct_nm(codes: str, groups: str) -> None:
    world = world_of(*(Series(modality=code, classes=(CT,)) for code in codes.split()))
    assert [item.group for item in world.judge(policy_of("CT", "DX", "FL", "MG"))] == groups.split()


def test_missing_modalities_are_built_from_the_series_and_oct_is_not_ct() -> None:
    ct = one(world_of(IMAGES, sr(RDSR), modalities=()).judge(policy_of("CT")))
    assert (ct.group, ct.decision.rule) == ("CT", "RDSR")
    other = one(world_of(Series(modality="OCT", classes=(CT,)), sr(RDSR), modalities=()).judge(policy_of("CT")))
    assert (other.group, other.decision.keep, other.decision.rule) == ("", False, "modality")
    assert {outcome.decision.rule for outcome in other.series} == {"modality"}


def test_what_the_study_row_tells_is_not_asked_again() -> None:
    world = with_classes(world_of(IMAGES, sr(RDSR), Series(modality="KO", classes=(KEY_OBJECTS,))))
    assert kept(world.judge(policy_of("CT"))) == {"2": WHOLE}
    assert [need.kind for need in world.asked] == [NeedKind.SR_SERIES]
    none = with_classes(world_of(Series(modality="XA", classes=(CT,)), sr(REPORT)))
    assert one(none.judge(replace(policy_of("FL"), names_all_classes=True))).decision.rule == "FL rules"
    assert none.asked == []
    images = with_classes(world_of(Series(modality="XA", classes=(CT,))))
    assert one(images.judge(replace(policy_of("FL"), lists_values=True))).decision.rule == "FL rules"
    assert images.asked == []
    two = with_classes(world_of(IMAGES, sr(RDSR), sr(REPORT)))
    assert kept(two.judge(policy_of("CT"))) == {"2": WHOLE}
    assert NeedKind.DOSE_OBJECTS in {need.kind for need in two.asked}


def test_a_study_row_that_its_series_contradict_is_not_believed() -> None:
    row, series = with_classes(world_of(PET_SERIES)).studies[UID]
    world = World({UID: (row, (*series, sr(RRDSR)))})
    assert kept(world.judge(policy_of("NM"))) == {"1": ("IMAGE", (f"{UID}.1.1",)), "2": WHOLE}


def test_sr_first_settles_a_study_and_where_it_does_not_all_series_are_asked_for() -> None:
    policy = Policy(groups=("CT",), sr_first=True)
    world = world_of(IMAGES, sr(RDSR))
    assert kept(world.judge(policy)) == {"2": WHOLE}
    assert [need.kind for need in world.asked] == [NeedKind.SR_SERIES, NeedKind.DOSE_OBJECTS]
    sheet = Series(modality="CT", classes=(CAPTURE,), description="dose info")
    unsettled = world_of(IMAGES, sheet, sr(REPORT))
    assert kept(unsettled.judge(policy)) == {"2": WHOLE}
    assert [need.kind for need in unsettled.asked] == [NeedKind.SR_SERIES, NeedKind.DOSE_OBJECTS, NeedKind.SERIES]


def test_a_node_that_does_not_answer_leaves_the_study_unanswered_and_nothing_is_fetched_instead() -> None:
    for silent in (NeedKind.SERIES, NeedKind.DOSE_OBJECTS):
        world = world_of(Series(modality="MG", classes=(MG,) * 4), sr(RDSR))
        world.silent = frozenset({silent})
        item = one(world.judge(policy_of("MG")))
        assert (item.decision.keep, item.decision.rule, kept([item])) == (False, "unanswered", {})
        assert "0xC001" in item.decision.reason


def test_a_study_that_counts_more_series_than_are_listed_makes_the_plan_doubtful() -> None:
    for world in (world_of(IMAGES), world_of(IMAGES, sr(RDSR))):
        row, series = world.studies[UID]
        world.studies[UID] = (replace(row, series_count=4), series)
        items = world.judge(policy_of("CT"))
        listed = len(series)
        assert list(tally(items, policy_of("CT")).doubts()) == [
            f"the node counts more series than it lists in 1 study: {listed} listed, the node counts 4"
        ]
    assert list(tally(world_of(IMAGES).judge(policy_of("CT")), policy_of("CT")).doubts()) == []


# Series without a Modality


def unnamed(one: Series) -> Series:
    return replace(one, modality="")


@pytest.mark.parametrize("modalities", [("CT", "SR"), ()])
def test_a_series_without_modality_is_what_its_objects_are(modalities: tuple[str, ...]) -> None:
    report = unnamed(sr(RDSR, first=990))
    world = world_of(
        unnamed(IMAGES), report, unnamed(Series(modality="KO", classes=(KEY_OBJECTS,))), modalities=modalities
    )
    item = one(world.judge(policy_of("CT")))
    assert (item.group, item.decision.rule, kept([item])) == ("CT", "RDSR", {"2": WHOLE})
    assert [outcome.row.Modality for outcome in item.series] == ["CT", "SR", "KO"]
    assert [need.kind for need in world.asked if need.SeriesInstanceUID == f"{UID}.1"] == [NeedKind.FIRST_IMAGE]


def test_a_series_of_which_nobody_knows_the_modality_stays_without_one() -> None:
    world = world_of(Series(modality="", classes=("",)), IMAGES, modalities=["CT"])
    item = one(world.judge(policy_of("CT")))
    assert [outcome.row.Modality for outcome in item.series] == ["", "CT"]
    assert item.decision.rule == "CT rules"


def test_a_series_without_modality_and_class_is_a_doubt_unless_it_is_kept() -> None:
    doubt = ("the node does not return the Modality of all series, and their objects do not show it",)
    unknown = Series(modality="", classes=("",))
    assert one(world_of(unknown, unknown, modalities=["RF", "SR"]).judge(policy_of("FL"))).doubts == doubt
    assert one(world_of(unknown, modalities=()).judge(policy_of("FL"))).doubts == doubt
    nothing = Series(modality="", count=0)
    assert one(world_of(nothing, modalities=["RF", "SR"]).judge(policy_of("FL"))).doubts == doubt
    mammogram = one(world_of(unknown, modalities=["MG"]).judge(policy_of("MG")))
    assert (kept([mammogram]), mammogram.doubts) == ({"1": WHOLE}, ())
    other = one(world_of(Series(modality="", classes=(CAPTURE,)), IMAGES, modalities=["CT"]).judge(policy_of("CT")))
    assert other.doubts == ()


def test_a_large_series_without_modality_and_first_image_is_listed() -> None:
    world = world_of(
        unnamed(Series(modality="PT", classes=(PET,) * 9, first=7)), unnamed(sr(RRDSR)), modalities=["PT"]
    )
    item = one(world.judge(policy_of("NM")))
    assert ([outcome.row.Modality for outcome in item.series], item.doubts) == (["PT", "SR"], ())


@pytest.mark.parametrize("beside", [(IMAGES,), (IMAGES, sr(RDSR))])
def test_an_sr_series_that_is_counted_but_not_listed_is_a_doubt(beside: tuple[Series, ...]) -> None:
    hidden = one(world_of(*beside, sr(RDSR, ESR, listed=False)).judge(policy_of("CT")))
    assert [(short.listed, short.counted) for short in hidden.short] == [(0, 2)]
    not_counted = one(world_of(*beside, sr(RDSR, count=None, listed=False)).judge(policy_of("CT")))
    assert not_counted.doubts == ("the node lists no objects in a series and does not count them",)
    empty = one(world_of(*beside, sr(count=0)).judge(policy_of("CT")))
    assert (empty.short, empty.doubts) == ((), ())


def test_an_sr_series_that_is_kept_whole_without_listed_objects_is_no_doubt() -> None:
    kept_whole = one(world_of(IMAGES, sr(RDSR, listed=False)).judge(policy_of("CT", options=["empty_sr"])))
    assert (kept_whole.short, kept_whole.doubts) == ((), ())


# Studies of nothing but SR


@pytest.mark.parametrize("is_told", [True, False])
def test_sr_only_keeps_studies_of_sr_whatever_ko_and_pr_lie_beside(*, is_told: bool) -> None:
    beside = (Series(modality="KO", classes=(KEY_OBJECTS,)), Series(modality="PR", classes=(STATES,)))
    codes = None if is_told else ()
    policy = policy_of(sr_only=True)
    item = one(world_of(sr(ESR), *beside, modalities=codes).judge(policy))
    assert (item.group, item.decision.rule, kept([item])) == ("SR", "ESR", {"1": WHOLE})
    other = one(world_of(sr(RDSR), IMAGES, modalities=codes).judge(policy))
    assert (other.decision.keep, other.decision.rule) == (False, "SR only")
    assert one(world_of(sr(REPORT), modalities=codes).judge(policy)).decision.rule == "SR rules"
    hidden = one(world_of(sr(RDSR, listed=False), *beside, modalities=codes).judge(policy))
    assert (hidden.decision.keep, hidden.empty_sr) == (False, 1)
    assert kept(
        world_of(sr(RDSR, listed=False), *beside, modalities=codes).judge(
            policy_of(sr_only=True, options=["empty_sr"])
        )
    ) == {"1": WHOLE}


def test_sr_only_doubts_a_study_whose_sr_is_in_none_of_its_series() -> None:
    hidden = Series(modality="OT", classes=(RDSR,))
    item = one(world_of(hidden, modalities=("SR",)).judge(policy_of(sr_only=True)))
    assert item.doubts == ("the node returns SR in ModalitiesInStudy and no series of it",)
    assert one(world_of(hidden, modalities=("OT",)).judge(policy_of(sr_only=True))).doubts == ()


def test_sr_only_takes_a_radiopharmaceutical_report_alone_and_beside_any_other() -> None:
    policy = policy_of(sr_only=True)
    for tells_classes in (True, False):
        alone, beside = world_of(sr(RRDSR), sr(REPORT)), world_of(sr(RDSR), sr(RRDSR), sr(ESR))
        mixed, enhanced = world_of(sr(REPORT, RDSR, RRDSR)), world_of(sr(ESR), sr(RRDSR))
        worlds = [alone, beside, mixed, enhanced]
        one_by_one = [with_classes(world) if tells_classes else world for world in worlds]
        items = [one(world.judge(policy)) for world in one_by_one]
        assert [item.decision.rule for item in items] == ["RRDSR", "RDSR", "RDSR", "ESR"]
        assert [kept([item]) for item in items] == [
            {"1": WHOLE},
            {"1": WHOLE, "2": WHOLE},
            {"1": ("IMAGE", (f"{UID}.1.2", f"{UID}.1.3"))},
            {"1": WHOLE, "2": WHOLE},
        ]
        assert items[1].series[1].decision.reason == "Radiopharmaceutical Radiation Dose SR"


def test_sr_only_does_not_believe_modalities_that_the_series_contradict() -> None:
    item = one(world_of(sr(RDSR), IMAGES, modalities=["SR"]).judge(policy_of(sr_only=True)))
    assert item.decision.rule == "SR only"
