"""The hospital's facts: the same from the same seed, believable, and with everything dose selection needs."""

from collections import Counter
from datetime import date, timedelta

import pytest
from pydicom.charset import convert_encodings, encode_string
from pydicom.uid import UID

from qrkit.simulator import empty_hospital, large_hospital, small_hospital
from qrkit.simulator.facts import Kind, Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.simulator.hospital.recipes import DECK


def all_studies(hospital: GeneratedHospital) -> list[Study]:
    first, last = hospital.days
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    return [study for day in days for study in hospital.on_day(day)]


@pytest.fixture(scope="module")
def studies(hospital: GeneratedHospital) -> list[Study]:
    return all_studies(hospital)


def kinds_of(study: Study) -> set[Kind]:
    return {instance.kind for series in study.series for instance in series.instances}


def test_the_same_seed_gives_the_same_hospital() -> None:
    assert all_studies(small_hospital(seed=5, studies=50)) == all_studies(small_hospital(seed=5, studies=50))


def test_another_seed_gives_another_hospital() -> None:
    first, second = (all_studies(small_hospital(seed=seed, studies=50)) for seed in (5, 6))
    assert not {one.StudyInstanceUID for one in first} & {one.StudyInstanceUID for one in second}


def test_the_studies_fall_on_the_days_asked_for() -> None:
    hospital = small_hospital(until=date(2026, 3, 31), days=31, studies=120)
    found = all_studies(hospital)
    assert hospital.days == (date(2026, 3, 1), date(2026, 3, 31))
    assert len(found) == 120
    assert {study.StudyDate[:6] for study in found} == {"202603"}


def test_there_are_fewer_studies_on_sundays(studies: list[Study]) -> None:
    by_weekday = Counter(date.fromisoformat(study.StudyDate).weekday() for study in studies)
    assert by_weekday[6] < by_weekday[1] / 2


def test_every_modality_group_is_there(studies: list[Study]) -> None:
    modalities = {modality for study in studies for modality in study.ModalitiesInStudy}
    assert modalities >= {"CT", "MR", "MG", "DX", "CR", "PX", "RF", "XA", "NM", "PT", "SR", "PR", "KO", "OCT"}


def test_every_kind_of_object_is_there_in_any_run_of_studies_as_long_as_the_deck() -> None:
    hospital = small_hospital(seed=3, studies=len(DECK))
    kinds = set.union(*(kinds_of(study) for study in all_studies(hospital)))
    assert kinds == set(Kind) - {Kind.RECEIVED}


def test_most_ct_studies_have_a_radiation_dose_sr(studies: list[Study]) -> None:
    ct = [study for study in studies if "CT" in study.ModalitiesInStudy]
    with_report = [study for study in ct if Kind.RDSR in kinds_of(study)]
    assert 0.6 < len(with_report) / len(ct) < 0.95


@pytest.mark.parametrize(
    "wanted",
    [
        {Kind.CT_IMAGE, Kind.ENHANCED_SR},
        {Kind.RDSR, Kind.ENHANCED_SR},
        {Kind.CT_IMAGE, Kind.REPORT},
        {Kind.PET_IMAGE, Kind.CT_IMAGE, Kind.RDSR, Kind.RRDSR},
        {Kind.NM_IMAGE, Kind.RRDSR},
        {Kind.MG_PRESENTATION, Kind.RDSR},
        {Kind.RF_IMAGE, Kind.ENHANCED_SR},
    ],
)
def test_a_study_holds_kinds_that_selection_must_tell_apart(studies: list[Study], wanted: set[Kind]) -> None:
    assert any(wanted <= kinds_of(study) for study in studies)


def test_one_sr_series_mixes_two_dose_classes(studies: list[Study]) -> None:
    mixed = [one for study in studies for one in study.series if len(one.sop_classes) > 1]
    assert mixed
    assert all(one.Modality == "SR" for one in mixed)


def test_philips_ct_has_dose_info_series_or_no_descriptions_at_all(studies: list[Study]) -> None:
    philips = [
        study
        for study in studies
        if "CT" in study.ModalitiesInStudy and study.series[0].station.Manufacturer == "Philips"
    ]
    descriptions = [{one.SeriesDescription for one in study.series} for study in philips]
    assert any("Dose Info" in some for some in descriptions)
    assert any(some == {""} for some in descriptions)


def test_some_studies_are_imported_and_some_stations_nameless(studies: list[Study]) -> None:
    imported = [study for study in studies if study.StudyDescription.startswith("imported")]
    assert {study.series[0].station.InstitutionName for study in imported} - {"St. Elsewhere Hospital"}
    assert any(not study.series[0].station.StationName for study in imported)
    assert len(imported) < len(studies) / 10


def test_a_study_can_have_only_its_dose_report(studies: list[Study]) -> None:
    assert any(set(study.ModalitiesInStudy) == {"SR", "KO"} for study in studies)


def test_every_uid_is_valid_and_unique(studies: list[Study]) -> None:
    uids = [study.StudyInstanceUID for study in studies]
    uids += [series.SeriesInstanceUID for study in studies for series in study.series]
    uids += [one.SOPInstanceUID for study in studies for series in study.series for one in series.instances]
    assert len(set(uids)) == len(uids)
    assert all(UID(uid).is_valid for uid in uids)


def test_names_can_be_written_in_the_patient_s_character_set(studies: list[Study]) -> None:
    character_sets = {study.patient.SpecificCharacterSet for study in studies}
    assert character_sets == {(), ("ISO_IR 100",), ("ISO_IR 192",), ("", "ISO 2022 IR 87")}
    for study in studies:
        encodings = convert_encodings(list(study.patient.SpecificCharacterSet) or ["ISO_IR 6"])
        for group in (*study.patient.PatientName.split("="), study.ReferringPhysicianName):
            encode_string(group, encodings)


def test_a_study_is_found_by_any_of_its_keys(hospital: GeneratedHospital, studies: list[Study]) -> None:
    for study in studies[::7]:
        series = study.series[-1]
        for uid in (study.StudyInstanceUID, series.SeriesInstanceUID, series.instances[-1].SOPInstanceUID):
            assert hospital.study_holding(uid) == study
        assert study in hospital.of_patient(study.patient.PatientID)
        if study.AccessionNumber:
            assert list(hospital.with_accession(study.AccessionNumber)) == [study]


@pytest.mark.parametrize("text", ["", "A1", "A10000300", "Z10000001", "A-1", "Q99", "Q0100000", "1.2.3"])
def test_nothing_is_found_by_a_foreign_key(hospital: GeneratedHospital, text: str) -> None:
    assert hospital.study_holding(text) is None
    assert list(hospital.with_accession(text)) == []
    assert list(hospital.of_patient(text)) == []


def test_instances_behave_as_a_sequence(studies: list[Study]) -> None:
    instances = max((one for study in studies for one in study.series), key=lambda one: len(one.instances)).instances
    assert list(instances) == [instances[place] for place in range(len(instances))]
    assert instances[-1] == list(instances)[-1]
    assert instances[1:3] == list(instances)[1:3]
    with pytest.raises(IndexError):
        instances[len(instances)]


def test_an_empty_hospital_has_no_days() -> None:
    first, last = empty_hospital().days
    assert last < first


def test_a_large_hospital_makes_only_the_day_it_is_asked_for() -> None:
    hospital = large_hospital()
    day = date(2025, 3, 3)
    studies = hospital.on_day(day)
    assert 300 < len(studies) < 1000
    assert {study.StudyDate for study in studies} == {"20250303"}
    assert hospital.study_holding(studies[5].series[0].instances[0].SOPInstanceUID) == studies[5]
    assert studies[9] in hospital.of_patient(studies[9].patient.PatientID)


def test_the_days_of_a_large_hospital_hold_all_its_studies() -> None:
    hospital = large_hospital(12_345, days=400)
    numbers = [hospital.calendar.numbers_on(hospital.days[0] + timedelta(days=offset)) for offset in range(400)]
    assert [number for some in numbers for number in some] == list(range(12_345))
    assert all(hospital.calendar.day_of(number) == hospital.days[0] for number in numbers[0])
