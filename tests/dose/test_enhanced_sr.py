"""Enhanced SR that were read: a document without dose makes its study fall to the next rule."""

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom import uid as pydicom_uid
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from qrkit.dose import NeedKind
from qrkit.dose.content import content_items, may_contain_dose
from tests.dose.world import (
    CAPTURE,
    CT,
    ESR,
    RDSR,
    RRDSR,
    UID,
    Series,
    kept,
    one,
    policy_of,
    with_classes,
    world_of,
)

IMAGES = Series(modality="CT", classes=(CT,) * 9, description="Thorax")
SHEET = Series(modality="CT", classes=(CAPTURE,), description="Dose Info")
ENHANCED = Series(modality="SR", classes=(ESR,))
DOCUMENT = f"{UID}.1.1"
WITHOUT = "the Enhanced SR is stored and contains no dose"
WHOLE = ("SERIES", ())
READ = {"stored": {f"{UID}.1": [DOCUMENT]}, "without_dose": {f"{UID}.1": [DOCUMENT]}}


@pytest.mark.parametrize("classes_are_known", [True, False])
def test_a_document_without_dose_makes_its_study_fall_to_the_next_rule(*, classes_are_known: bool) -> None:
    world = world_of(ENHANCED, IMAGES, SHEET)
    if classes_are_known:
        world = with_classes(world)
    assert kept(world.judge(policy_of("CT"))) == {"1": WHOLE}
    assert one(world.judge(policy_of("CT"), READ["stored"])).decision.rule == "held"
    item = one(world.judge(policy_of("CT"), **READ))
    assert (item.decision.rule, kept([item])) == ("Philips dose info", {"3": WHOLE})
    assert item.decision.reason == f'the description is "dose info"; {WITHOUT}'
    assert item.series[0].decision.reason == WITHOUT


def test_without_a_next_rule_the_study_is_dropped_with_that_reason() -> None:
    for group, series in (("CT", IMAGES), ("FL", Series(modality="XA", classes=(CT,) * 9))):
        item = one(world_of(ENHANCED, series).judge(policy_of(group), **READ))
        assert (item.decision.keep, item.decision.rule) == (False, f"{group} rules")
        assert item.decision.reason == f"no series contains dose according to the {group} rules; {WITHOUT}"
    item = one(world_of(ENHANCED).judge(policy_of(sr_only=True), **READ))
    assert (item.decision.rule, item.series[0].decision.reason) == ("SR rules", WITHOUT)


def test_another_document_that_may_contain_dose_still_counts() -> None:
    two = world_of(Series(modality="SR", classes=(ESR, ESR)), IMAGES, SHEET)
    assert kept(two.judge(policy_of("CT"), **READ)) == {"1": ("IMAGE", (f"{UID}.1.2",))}
    for other in (ESR, RDSR):
        item = one(world_of(ENHANCED, Series(modality="SR", classes=(other,)), SHEET).judge(policy_of("CT"), **READ))
        assert kept([item]) == {"2": WHOLE}
    item = one(world_of(ENHANCED, Series(modality="SR", classes=(RRDSR,))).judge(policy_of(sr_only=True), **READ))
    assert (item.decision.rule, kept([item])) == ("RRDSR", {"2": WHOLE})


def test_nothing_more_is_asked_of_studies_whose_documents_contain_dose() -> None:
    world = with_classes(world_of(ENHANCED, IMAGES))
    world.judge(policy_of("CT"))
    assert [need.kind for need in world.asked] == [NeedKind.SR_SERIES]


# What a file contains


def item(kind: str, *names: tuple[str, str, str], unit: str = "", items: tuple[Dataset, ...] = ()) -> Dataset:
    """A content item with a code, scheme and meaning."""

    def code(value: str, scheme: str, meaning: str) -> Dataset:
        made = Dataset()
        made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
        return made

    made = Dataset()
    made.ValueType = kind
    made.ConceptNameCodeSequence = [code(*name) for name in names]
    if unit:
        value = Dataset()
        value.NumericValue, value.MeasurementUnitsCodeSequence = "1.5", [code(unit, "UCUM", unit)]
        made.MeasuredValueSequence = [value]
    if items:
        made.ContentSequence = list(items)
    return made


def saved(path: Path, root: Dataset, syntax: pydicom_uid.UID = ExplicitVRLittleEndian) -> Path:
    root.SOPClassUID, root.SOPInstanceUID = ESR, "1.2.3.4"
    root.file_meta = FileMetaDataset()
    root.file_meta.TransferSyntaxUID = syntax
    root.save_as(path, enforce_file_format=True)
    return path


REPORT = ("18748-4", "LN", "Diagnostic Imaging Report")
FINDING = item("TEXT", ("121071", "DCM", "Finding"))
LENGTH = item("NUM", ("113825", "DCM", "Scanning Length"), unit="mm")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("added", "expected"),
    [
        (FINDING, False),
        (LENGTH, False),
        (item("TEXT", ("121106", "DCM", "Comment about dose")), False),
        (item("CONTAINER", ("113811", "DCM", "CT Accumulated Dose Data")), True),
        (item("NUM", ("113813", "DCM", "CT Dose Length Product Total")), True),
        (item("NUM", ("C-204", "99SMS_RADSUM", "Cumulative dose area product"), unit="dGy.cm2"), True),
        (item("NUM", ("X-1", "99PRIVATE", "Summe"), unit="mGycm"), True),
        (item("NUM", ("X-2", "99PRIVATE", "Aktivität"), unit="MBq"), True),
        (item("CONTAINER", ("X-3", "99", "Block"), items=(item("NUM", ("X-4", "99", "E"), unit="mSv"),)), True),
    ],
)
def test_dose_is_found_by_code_name_or_unit_at_any_depth(
    tmp_path: Path, added: Dataset, syntax: pydicom_uid.UID, *, expected: bool
) -> None:
    root = item("CONTAINER", REPORT, items=(FINDING, item("CONTAINER", REPORT, items=(LENGTH, added))))
    assert len(list(content_items(root))) >= 5
    root.SpecificCharacterSet = "ISO_IR 192"
    assert may_contain_dose(saved(tmp_path / "report.dcm", root, syntax)) is expected


def test_what_cannot_be_read_may_contain_dose(tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.dcm", tmp_path / "empty.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04")
    saved(empty, Dataset())
    assert may_contain_dose(broken)
    assert may_contain_dose(empty)
    assert may_contain_dose(tmp_path / "missing.dcm")


def test_the_enhanced_sr_of_vendors_are_told_apart(samples: list[Path]) -> None:
    documents = {path.stem: may_contain_dose(path) for path in samples if dcmread(path).SOPClassUID == ESR}
    assert documents == {"CT-ESR-GE_VCT": True, "RF-ESR-Siemens-Varic": True, "ESR_non-dose": False}
