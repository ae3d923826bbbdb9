"""C-FIND over the wire: models, levels, keys, character sets, and the record of what was asked."""

from datetime import timedelta

import pytest
from pydicom.dataset import Dataset

from qrkit.simulator import Simulator, large_hospital
from qrkit.simulator.facts import Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.simulator.conftest import StartSimulator
from tests.simulator.scu import FIND, PATIENT_FIND, association, find, identifier

A_WEEK = "20260601-20260607"


def studies_between(hospital: GeneratedHospital, first: str, last: str) -> list[Study]:
    day, end = hospital.days
    found: list[Study] = []
    while day <= end:
        found += [study for study in hospital.on_day(day) if first <= study.StudyDate <= last]
        day += timedelta(days=1)
    return found


def uids(answers: list[Dataset], keyword: str = "StudyInstanceUID") -> list[str]:
    return [str(answer[keyword].value) for answer in answers]


def test_a_date_range_gives_exactly_its_studies(pacs: Simulator, hospital: GeneratedHospital) -> None:
    outcome = find(pacs, "STUDY", StudyInstanceUID="", StudyDate=A_WEEK)
    expected = studies_between(hospital, "20260601", "20260607")
    assert outcome.status == 0x0000
    assert uids(outcome.answers) == [study.StudyInstanceUID for study in expected]


def test_an_answer_holds_what_the_archive_knows(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = hospital.study(40)
    outcome = find(
        pacs,
        "STUDY",
        StudyInstanceUID=study.StudyInstanceUID,
        PatientName="",
        PatientID="",
        PatientBirthDate="",
        StudyDate="",
        StudyTime="",
        AccessionNumber="",
        StudyDescription="",
        ReferringPhysicianName="",
        ModalitiesInStudy="",
        SOPClassesInStudy="",
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
        RetrieveAETitle="",
        InstanceAvailability="",
        StationName="",
    )
    (answer,) = outcome.answers
    assert answer.QueryRetrieveLevel == "STUDY"
    assert str(answer.PatientName) == study.patient.PatientName
    assert answer.PatientID == study.patient.PatientID
    assert answer.StudyTime == study.StudyTime
    assert answer.StudyDescription == study.StudyDescription
    assert str(answer.ReferringPhysicianName) == study.ReferringPhysicianName
    assert sorted(
        [answer.ModalitiesInStudy] if answer["ModalitiesInStudy"].VM == 1 else answer.ModalitiesInStudy
    ) == (sorted(study.ModalitiesInStudy))
    assert answer.NumberOfStudyRelatedSeries == study.NumberOfStudyRelatedSeries
    assert answer.NumberOfStudyRelatedInstances == study.NumberOfStudyRelatedInstances
    assert answer.RetrieveAETitle == "SIMPACS"
    assert answer.InstanceAvailability == "ONLINE"
    assert answer.StationName == study.series[0].station.StationName


def test_keys_that_the_archive_does_not_know_are_not_returned(pacs: Simulator) -> None:
    outcome = find(pacs, "STUDY", StudyInstanceUID="", StudyDate="20260602", Occupation="", ContrastBolusAgent="x")
    assert outcome.answers
    assert all("Occupation" not in answer for answer in outcome.answers)


@pytest.mark.parametrize("modality", ["CT", "MG", "PT", "OCT"])
def test_modalities_in_study_matches_any_of_its_values(
    pacs: Simulator, hospital: GeneratedHospital, modality: str
) -> None:
    outcome = find(pacs, "STUDY", StudyInstanceUID="", StudyDate="20260501-20260630", ModalitiesInStudy=modality)
    expected = studies_between(hospital, "20260501", "20260630")
    assert uids(outcome.answers) == [
        study.StudyInstanceUID for study in expected if modality in study.ModalitiesInStudy
    ]
    assert outcome.answers


def test_wildcards_match_descriptions(pacs: Simulator) -> None:
    outcome = find(pacs, "STUDY", StudyDescription="imported*")
    assert outcome.answers
    assert all(answer.StudyDescription.startswith("imported") for answer in outcome.answers)


@pytest.mark.parametrize("name", ["MÜLLER*", "Łukaszewicz*", "山田*", "Yamada*", "*吉洞"])
def test_names_beyond_ascii_are_found_and_returned_whole(
    pacs: Simulator, hospital: GeneratedHospital, name: str
) -> None:
    outcome = find(pacs, "STUDY", PatientName=name, PatientID="")
    assert outcome.answers
    for answer in outcome.answers:
        (study, *_) = hospital.of_patient(answer.PatientID)
        assert str(answer.PatientName) == study.patient.PatientName
        stated = answer.SpecificCharacterSet
        assert stated == study.patient.SpecificCharacterSet[-1] or list(stated) == list(
            study.patient.SpecificCharacterSet
        )


def test_an_answer_in_ascii_states_no_character_set(pacs: Simulator) -> None:
    outcome = find(pacs, "STUDY", PatientName="Smith*", StudyDate="")
    assert outcome.answers
    assert all("SpecificCharacterSet" not in answer for answer in outcome.answers)


def test_a_list_of_uids_gives_those_studies(pacs: Simulator, hospital: GeneratedHospital) -> None:
    wanted = [hospital.study(number).StudyInstanceUID for number in (3, 77, 150)]
    outcome = find(pacs, "STUDY", StudyInstanceUID=[*wanted, "1.2.3"], StudyDate="")
    assert sorted(uids(outcome.answers)) == sorted(wanted)


def test_an_accession_number_and_a_patient_id_are_found(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = next(study for study in map(hospital.study, range(50)) if study.AccessionNumber)
    by_accession = find(pacs, "STUDY", AccessionNumber=study.AccessionNumber, StudyInstanceUID="")
    by_patient = find(pacs, "STUDY", PatientID=study.patient.PatientID, StudyInstanceUID="")
    assert uids(by_accession.answers) == [study.StudyInstanceUID]
    assert study.StudyInstanceUID in uids(by_patient.answers)
    assert len(find(pacs, "STUDY", PatientID="Q10000*", StudyInstanceUID="").answers) > 1


def test_times_narrow_a_day_down(pacs: Simulator, hospital: GeneratedHospital) -> None:
    outcome = find(pacs, "STUDY", StudyDate="20260602", StudyTime="090000-110000", StudyInstanceUID="")
    expected = [
        study.StudyInstanceUID
        for study in studies_between(hospital, "20260602", "20260602")
        if "090000" <= study.StudyTime <= "110000"
    ]
    assert uids(outcome.answers) == expected


def test_series_and_images_of_a_study(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = hospital.study(12)
    series = find(
        pacs,
        "SERIES",
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID="",
        Modality="",
        NumberOfSeriesRelatedInstances="",
    )
    assert uids(series.answers, "SeriesInstanceUID") == [one.SeriesInstanceUID for one in study.series]
    assert [answer.NumberOfSeriesRelatedInstances for answer in series.answers] == [
        len(one.instances) for one in study.series
    ]
    first = study.series[0]
    images = find(
        pacs,
        "IMAGE",
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID=first.SeriesInstanceUID,
        SOPInstanceUID="",
        SOPClassUID="",
        InstanceNumber="",
    )
    assert uids(images.answers, "SOPInstanceUID") == [one.SOPInstanceUID for one in first.instances]
    assert {answer.SOPClassUID for answer in images.answers} == set(first.sop_classes)


def test_relational_queries_find_all_sr_series_of_a_day(pacs: Simulator, hospital: GeneratedHospital) -> None:
    outcome = find(pacs, "SERIES", StudyDate="20260602", Modality="SR", StudyInstanceUID="", SeriesInstanceUID="")
    expected = [
        series.SeriesInstanceUID
        for study in studies_between(hospital, "20260602", "20260602")
        for series in study.series
        if series.Modality == "SR"
    ]
    assert uids(outcome.answers, "SeriesInstanceUID") == expected
    by_class = find(pacs, "IMAGE", StudyDate=A_WEEK, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67", SOPInstanceUID="")
    assert by_class.answers


def test_an_instance_is_found_by_its_uid_alone(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = hospital.study(60)
    instance = study.series[-1].instances[0]
    outcome = find(pacs, "IMAGE", SOPInstanceUID=instance.SOPInstanceUID, StudyInstanceUID="")
    assert uids(outcome.answers) == [study.StudyInstanceUID]


def test_patient_root_gives_each_patient_once(pacs: Simulator) -> None:
    outcome = find(pacs, "PATIENT", model=PATIENT_FIND, PatientID="", PatientName="")
    patients = [answer.PatientID for answer in outcome.answers]
    assert len(patients) == len(set(patients)) == 100


def test_study_root_has_no_patient_level(pacs: Simulator) -> None:
    outcome = find(pacs, "PATIENT", PatientID="")
    assert outcome.status == 0xA900
    assert "PATIENT" in outcome.final.ErrorComment


def test_an_unknown_level_is_refused(pacs: Simulator) -> None:
    assert find(pacs, "WARD", PatientID="").status == 0xA900


def test_nothing_found_is_success_without_answers(pacs: Simulator) -> None:
    outcome = find(pacs, "STUDY", StudyDate="19000101", StudyInstanceUID="")
    assert (outcome.status, outcome.answers) == (0x0000, [])


def test_a_find_can_be_cancelled(start_simulator: StartSimulator) -> None:
    large = start_simulator(large_hospital(50_000, days=100))
    with association(large, [FIND]) as opened:
        responses = opened.send_c_find(identifier("STUDY", StudyInstanceUID=""), FIND, msg_id=9)
        status, _ = next(responses)
        opened.send_c_cancel(9, query_model=FIND)
        *_, (status, _) = responses
    assert status.Status == 0xFE00
    assert large.requests[-1].answers < 50_000


def test_every_request_is_on_record(pacs: Simulator) -> None:
    outcome = find(pacs, "STUDY", StudyDate=A_WEEK, StudyInstanceUID="", ModalitiesInStudy="CT")
    (request,) = pacs.requests
    assert (request.service, request.level, request.status) == ("C-FIND", "STUDY", 0x0000)
    assert request.answers == len(outcome.answers)
    assert request.keywords == ("StudyDate", "ModalitiesInStudy")
    assert request.calling_ae_title == "TESTSCU"
    assert 0 < request.seconds < 5


@pytest.mark.slow
def test_a_day_of_a_million_studies_is_answered_at_once(start_simulator: StartSimulator) -> None:
    large = start_simulator(large_hospital())
    outcome = find(large, "STUDY", StudyDate="20250303", StudyInstanceUID="", PatientName="", ModalitiesInStudy="")
    assert len(outcome.answers) > 300
    assert large.requests[-1].seconds < 2
