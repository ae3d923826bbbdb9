"""Dose sheets of CT scanners without a report: by SOP Class, number of instances and description."""

from dataclasses import replace

import pytest

from qrkit.dose import NeedKind
from tests.dose.world import CAPTURE, CT, ESR, RDSR, REPORT, UID, Series, kept, one, policy_of, with_classes, world_of

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax 1.0")
SHEET = Series(modality="CT", classes=(CAPTURE,) * 2, description="Dose Report")
WHOLE = ("SERIES", ())


@pytest.mark.parametrize(
    ("description", "vendor"),
    [
        ("Dose Report", "GE"),
        (" DOSE  REPORT ", "GE"),
        ("Dose_Report", "GE"),
        ("Patient Protocol", "Siemens"),
        ("Patientenprotokoll", "Siemens"),
        ("Patient Dose Summary", "Canon"),
        ("Dose Information", "Canon"),
    ],
)
@pytest.mark.parametrize("modality", ["CT", "OT", "SC", ""])
def test_a_sheet_of_each_vendor_is_kept_where_the_study_has_no_report(
    description: str, vendor: str, modality: str
) -> None:
    sheet = replace(SHEET, description=description, modality=modality)
    item = one(world_of(IMAGES, sheet, Series(modality="SR", classes=(REPORT,))).judge(policy_of("CT")))
    assert (item.decision.rule, kept([item])) == ("dose sheets", {"2": WHOLE})
    assert item.series[1].decision.reason == f"secondary capture with the description of {vendor} dose sheets"
    assert item.series[0].decision.reason == "not a dose sheet, but another series is"


@pytest.mark.parametrize(
    "other",
    [
        replace(SHEET, classes=(CT,) * 2),
        replace(SHEET, classes=(CAPTURE,) * 11),
        replace(SHEET, description="3D Report"),
        replace(SHEET, description=""),
        replace(SHEET, modality="SR"),
        replace(SHEET, listed=False),
    ],
    ids=["no capture", "many", "other description", "no description", "SR", "not listed"],
)
def test_class_number_and_description_must_all_fit(other: Series) -> None:
    item = one(world_of(IMAGES, other).judge(policy_of("CT")))
    assert (item.decision.keep, item.decision.rule) == (False, "CT rules")


@pytest.mark.parametrize("sop_class", [f"{CAPTURE}.1", f"{CAPTURE}.4", ""])
def test_multi_frame_captures_and_those_of_unknown_class_and_number_are_sheets_too(sop_class: str) -> None:
    sheet = replace(SHEET, classes=(sop_class,), count=None)
    assert kept(world_of(IMAGES, sheet).judge(policy_of("CT"))) == {"2": WHOLE}


def test_sheets_of_two_scanners_are_both_kept() -> None:
    protocol = replace(SHEET, description="Patient Protocol")
    assert kept(world_of(SHEET, IMAGES, protocol).judge(policy_of("CT"))) == {"1": WHOLE, "3": WHOLE}


@pytest.mark.parametrize("sop_class", [RDSR, ESR])
def test_a_report_and_the_sheet_of_philips_come_first_and_no_sheet_is_asked_for(sop_class: str) -> None:
    report = Series(modality="SR", classes=(sop_class,))
    for world in (world_of(IMAGES, SHEET, report), with_classes(world_of(IMAGES, SHEET, report))):
        assert kept(world.judge(policy_of("CT"))) == {"3": WHOLE}
        assert f"{UID}.2" not in {need.SeriesInstanceUID for need in world.asked}
    philips = world_of(IMAGES, SHEET, replace(SHEET, description="Dose Info"))
    assert kept(philips.judge(policy_of("CT"))) == {"3": WHOLE}


def test_only_the_objects_of_possible_sheets_are_asked_for() -> None:
    world = world_of(IMAGES, SHEET, IMAGES)
    world.judge(policy_of("CT"))
    assert [(need.kind, need.SeriesInstanceUID) for need in world.asked] == [
        (NeedKind.SERIES, ""),
        (NeedKind.OBJECTS, f"{UID}.2"),
    ]


def test_with_toshiba_the_sheet_and_one_image_of_each_other_series_are_kept() -> None:
    item = one(world_of(IMAGES, SHEET).judge(policy_of("CT", options=["toshiba"])))
    assert kept([item]) == {"1": ("IMAGE", (f"{UID}.1.1",)), "2": WHOLE}
