"""Dose reports: valid content trees whose totals are the sums of their events."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts  # the only place where pydicom keeps PS3.16's meanings

from qrkit.simulator import small_hospital
from qrkit.simulator.facts import Instance, Kind, Series, Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.dcmtk import run_dcmtk
from tests.simulator.made import made

DOSE_KINDS = (Kind.RDSR, Kind.ENHANCED_SR, Kind.RRDSR)
REPORT_KINDS = (*DOSE_KINDS, Kind.REPORT, Kind.CAD, Kind.KEY_OBJECTS)


@lru_cache(maxsize=1)
def _hospital() -> GeneratedHospital:
    return small_hospital(seed=2, studies=115)


@lru_cache(maxsize=1)
def reports() -> list[tuple[Study, Kind, Dataset]]:
    """Every report of the hospital."""
    studies = [_hospital().study(number) for number in range(_hospital().size)]
    return [
        (study, instance.kind, _read(study, series, instance))
        for study in studies
        for series in study.series
        for instance in series.instances
        if instance.kind in REPORT_KINDS
    ]


def _read(study: Study, series: Series, instance: Instance) -> Dataset:
    return made(_hospital(), (study, series, instance))


def items(data_set: Dataset) -> Iterator[Dataset]:
    """Every content item below a data set."""
    for item in data_set.get("ContentSequence", []):
        yield item
        yield from items(item)


def concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    return str(names[0].get("CodeValue", ""))


def children(data_set: Dataset, code: str) -> list[Dataset]:
    """The content items below with this concept name."""
    return [item for item in items(data_set) if concept(item) == code]


def value(data_set: Dataset, code: str) -> float:
    """The value of the only NUM with this concept name."""
    (item,) = children(data_set, code)
    return float(item.MeasuredValueSequence[0].NumericValue)


def values(data_set: Dataset, code: str) -> list[float]:
    return [float(item.MeasuredValueSequence[0].NumericValue) for item in children(data_set, code)]


def templates(template: str) -> list[tuple[Study, Dataset]]:
    return [
        (study, report)
        for study, kind, report in reports()
        if kind in DOSE_KINDS
        and report.get("ContentTemplateSequence")
        and report.ContentTemplateSequence[0].TemplateIdentifier == template
    ]


def test_ct_totals_are_the_sums_of_the_events() -> None:
    for _, report in templates("10011"):
        events = children(report, "113819")
        assert value(report, "113812") == len(events)
        assert value(report, "113813") == pytest.approx(sum(values(report, "113838")), abs=0.005)
        assert len({str(item.UID) for item in children(report, "113769")}) == len(events)


def test_a_ct_dose_length_product_is_ctdi_times_length() -> None:
    for _, report in templates("10011"):
        for event in children(report, "113819"):
            if children(event, "113829"):
                product = value(event, "113830") * value(event, "113825") / 10
                assert value(event, "113838") == pytest.approx(product, abs=0.006)


def test_ct_doses_follow_the_body_region() -> None:
    heads = [values(report, "113830") for study, report in templates("10011") if study.StudyDescription == "CT HEAD"]
    chests = [
        values(report, "113830") for study, report in templates("10011") if study.StudyDescription == "CT CHEST"
    ]
    assert all(30 < dose < 70 for doses in heads for dose in doses)
    assert all(2 < dose < 25 for doses in chests for dose in doses)


def test_heads_are_measured_in_the_head_phantom() -> None:
    for study, report in templates("10011"):
        phantoms = {item.ConceptCodeSequence[0].CodeValue for item in children(report, "113835")}
        head = study.StudyDescription in {"CT HEAD", "imported CT HEAD", "PET/CT Brain FDG"}
        assert phantoms == {"113690" if head else "113691"}


@pytest.mark.parametrize(
    ("total", "event"), [("113722", "122130"), ("113725", "113738")], ids=["dose area product", "dose (RP)"]
)
def test_projection_totals_are_the_sums_of_the_events(total: str, event: str) -> None:
    for study, report in templates("10001"):
        if study.procedure and study.procedure.body_part != "BREAST":
            assert value(report, total) == pytest.approx(sum(values(report, event)), rel=1e-6)


def test_fluoroscopy_and_acquisition_add_up_to_the_total() -> None:
    screened = [report for _, report in templates("10001") if children(report, "113726")]
    assert screened
    for report in screened:
        assert value(report, "113722") == pytest.approx(value(report, "113726") + value(report, "113727"), rel=1e-6)


def test_glandular_doses_add_up_for_each_breast() -> None:
    mammograms = [report for study, report in templates("10001") if "MG" in study.ModalitiesInStudy]
    assert mammograms
    for report in mammograms:
        accumulated = sum(values(report, "111637"))
        assert accumulated == pytest.approx(sum(values(report, "111631")), abs=1e-6)
        assert not children(report, "113722")


def test_activities_are_those_of_clinical_practice() -> None:
    activities = [value(report, "113507") for _, report in templates("10021")]
    assert activities
    assert all(40 < activity < 1200 for activity in activities)


def test_images_and_report_tell_the_same_activity() -> None:
    seen = 0
    for number in range(_hospital().size):
        study = _hospital().study(number)
        series = {one.instances[0].kind: one for one in study.series}
        image = series.get(Kind.PET_IMAGE) or series.get(Kind.NM_IMAGE)
        if image and Kind.RRDSR in series:
            picture = _read(study, image, image.instances[0])
            dose = float(picture.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose)
            report = _read(study, series[Kind.RRDSR], series[Kind.RRDSR].instances[0])
            assert value(report, "113507") * 1e6 == pytest.approx(dose)
            seen += 1
    assert seen


def test_the_device_observer_is_the_station() -> None:
    for study, report in (*templates("10011"), *templates("10001")):
        (serial,) = children(report, "121016")
        assert serial.TextValue in {one.station.DeviceSerialNumber for one in study.series}


def test_every_report_has_its_study_in_scope() -> None:
    for study, report in (*templates("10011"), *templates("10001")):
        (scope,) = children(report, "110180")
        assert study.StudyInstanceUID == scope.UID


def test_dicom_concepts_carry_their_standard_meaning() -> None:
    meanings: dict[str, set[str]] = {}
    by_keyword: Any = concepts["DCM"]
    for codes in by_keyword.values():
        for code, (meaning, _) in codes.items():
            meanings.setdefault(code, set()).add(meaning.lower())
    used = {
        (code.CodeValue, code.CodeMeaning.lower())
        for _, _, report in reports()
        for item in (report, *items(report))
        for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence")
        for code in item.get(keyword, [])
        if code.CodingSchemeDesignator == "DCM"
    }
    # a shorter meaning than pydicom's, which adds "(mammo)" to tell two codes apart
    wrong = [(code, meaning) for code, meaning in used if meaning not in meanings.get(code, {meaning})]
    assert wrong == [("111637", "accumulated average glandular dose")]


def test_dcmtk_reads_every_report_without_complaint(tmp_path: Path) -> None:
    paths = []
    for number, (_, _, report) in enumerate(reports()):
        path = tmp_path / f"{number}.dcm"
        report.save_as(path, enforce_file_format=True)
        paths.append(path)
    dumped = run_dcmtk("dsrdump", ["--print-filename", *paths], check=True)
    complaints = [line for line in dumped.stdout.splitlines() if line.startswith(("E: ", "W: ", "F: "))]
    # DCMTK's own limits: it checks neither these templates nor text in UTF-8 and Japanese
    limits = ("not yet supported", "does not support this Specific Character Set", "unsupported SpecificCharacterSet")
    assert [line for line in complaints if not any(limit in line for limit in limits)] == []
