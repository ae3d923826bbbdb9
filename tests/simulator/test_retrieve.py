"""C-GET and C-MOVE over the wire: what arrives, the counters, and the statuses."""

from itertools import pairwise

import pytest

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Kind, Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.waiting import free_port
from tests.simulator.conftest import StartSimulator
from tests.simulator.scu import EXPLICIT_VR, GET, IMPLICIT_VR, MOVE, STORAGE, association, get, identifier, move

RLE = "1.2.840.10008.1.2.5"


def instances_of(study: Study) -> list[str]:
    return [one.SOPInstanceUID for series in study.series for one in series.instances]


def counters(outcome_final: object) -> tuple[int, int, int]:
    final = outcome_final
    return (
        int(getattr(final, "NumberOfCompletedSuboperations", -1)),
        int(getattr(final, "NumberOfFailedSuboperations", -1)),
        int(getattr(final, "NumberOfWarningSuboperations", -1)),
    )


def test_a_study_comes_whole_by_get(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = hospital.study(8)
    outcome = get(pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    expected = instances_of(study)
    assert outcome.status == 0x0000
    assert [str(one.SOPInstanceUID) for one in outcome.objects] == expected
    assert counters(outcome.final) == (len(expected), 0, 0)
    remaining = [int(status.NumberOfRemainingSuboperations) for status, _ in outcome.responses[:-1]]
    assert remaining == list(range(len(expected) - 1, 0, -1))


def test_a_series_and_an_instance_come_alone_by_get(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = next(study for study in map(hospital.study, range(50)) if len(study.series) > 1)
    series = study.series[1]
    one = get(
        pacs,
        "SERIES",
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID=series.SeriesInstanceUID,
    )
    assert {str(each.SeriesInstanceUID) for each in one.objects} == {series.SeriesInstanceUID}
    wanted = series.instances[0].SOPInstanceUID
    single = get(
        pacs,
        "IMAGE",
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID=series.SeriesInstanceUID,
        SOPInstanceUID=wanted,
    )
    assert [str(each.SOPInstanceUID) for each in single.objects] == [wanted]


def test_a_list_of_instances_comes_by_get(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = next(study for study in map(hospital.study, range(50)) if len(study.series[0].instances) > 2)
    wanted = instances_of(study)[:2]
    outcome = get(
        pacs,
        "IMAGE",
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID=study.series[0].SeriesInstanceUID,
        SOPInstanceUID=wanted,
    )
    assert sorted(str(one.SOPInstanceUID) for one in outcome.objects) == sorted(wanted)


def test_nothing_is_fetched_of_a_study_that_is_not_there(pacs: Simulator) -> None:
    outcome = get(pacs, "STUDY", StudyInstanceUID="1.2.3")
    assert (outcome.status, outcome.objects, counters(outcome.final)) == (0x0000, [], (0, 0, 0))


def test_a_retrieve_without_its_unique_key_is_refused(pacs: Simulator) -> None:
    assert get(pacs, "SERIES", StudyInstanceUID="1.2.3").status == 0xA900


@pytest.mark.slow
def test_objects_come_in_the_transfer_syntax_that_was_accepted(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = next(
        study for study in map(hospital.study, range(100)) if study.series[0].instances[0].kind is Kind.MR_IMAGE
    )
    fetched = {
        syntax: get(
            pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID, transfer_syntaxes=[syntax, "1.2.840.10008.1.2"]
        )
        for syntax in (EXPLICIT_VR, IMPLICIT_VR)
    }
    for syntax, outcome in fetched.items():
        assert {str(one.file_meta.TransferSyntaxUID) for one in outcome.objects} == {syntax}
    assert fetched[EXPLICIT_VR].objects == fetched[IMPLICIT_VR].objects


def test_images_come_compressed_to_those_who_prefer_it(
    hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    pacs = start_simulator(hospital, quirks=Quirks(transfer_syntaxes=(RLE,)))
    study = next(
        study for study in map(hospital.study, range(100)) if study.series[0].instances[0].kind is Kind.CT_LOCALIZER
    )
    outcome = get(
        pacs,
        "SERIES",
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID=study.series[0].SeriesInstanceUID,
        transfer_syntaxes=[EXPLICIT_VR, RLE, IMPLICIT_VR],
    )
    (first, *_) = outcome.objects
    assert first.file_meta.TransferSyntaxUID == RLE
    assert first.pixel_array.shape == (64, 64)


def test_objects_without_a_presentation_context_count_as_failed(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = next(study for study in map(hospital.study, range(100)) if {"CT", "SR"} <= set(study.ModalitiesInStudy))
    reports = sum(len(series.instances) for series in study.series if series.Modality == "SR")
    storage = [uid for uid in STORAGE if ".88." not in uid]
    with association(pacs, [GET], storage=storage, objects=[]) as opened:
        *_, (status, failed) = opened.send_c_get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), GET)
    assert status.Status == 0xB000
    assert status.NumberOfFailedSuboperations == reports
    assert reports == failed["FailedSOPInstanceUIDList"].VM


def test_a_study_comes_whole_by_move(
    pacs: Simulator, hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    store = start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", store.host, store.port)
    study = hospital.study(8)
    outcome = move(pacs, "STORE", "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    assert outcome.status == 0x0000
    assert store.received == instances_of(study)
    assert counters(outcome.final) == (len(store.received), 0, 0)
    assert {request.calling_ae_title for request in store.requests} == {"SIMPACS"}


def test_an_unknown_destination_is_refused(pacs: Simulator, hospital: GeneratedHospital) -> None:
    outcome = move(pacs, "NOBODY", "STUDY", StudyInstanceUID=hospital.study(8).StudyInstanceUID)
    assert outcome.status == 0xA801
    assert "NOBODY" in outcome.final.ErrorComment


def test_a_destination_that_does_not_answer_fails_every_object(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = hospital.study(8)
    pacs.add_destination("DEAD", "127.0.0.1", free_port())
    outcome = move(pacs, "DEAD", "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    assert outcome.status == 0xA702
    assert outcome.final.NumberOfFailedSuboperations == len(instances_of(study))


def test_objects_that_the_destination_refuses_count_as_failed(
    pacs: Simulator, hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    store = start_simulator(ae_title="FULL", quirks=Quirks(store_status=0xA700))
    pacs.add_destination("FULL", store.host, store.port)
    outcome = move(pacs, "FULL", "STUDY", StudyInstanceUID=hospital.study(8).StudyInstanceUID)
    assert outcome.status == 0xA702
    assert store.received == []


@pytest.mark.slow
def test_a_get_can_be_cancelled(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    pacs = start_simulator(hospital, quirks=Quirks(delay_object=0.02))
    study = max(map(hospital.study, range(50)), key=lambda one: one.NumberOfStudyRelatedInstances)
    with association(pacs, [GET], storage=STORAGE, objects=[]) as opened:
        responses = opened.send_c_get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), GET, msg_id=7)
        next(responses)
        opened.send_c_cancel(7, query_model=GET)
        *_, (status, _) = responses
    assert status.Status == 0xFE00
    assert status.NumberOfRemainingSuboperations > 0


def test_a_move_can_be_cancelled(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    pacs, store = start_simulator(hospital, quirks=Quirks(delay_object=0.02)), start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", store.host, store.port)
    study = max(map(hospital.study, range(50)), key=lambda one: one.NumberOfStudyRelatedInstances)
    with association(pacs, [MOVE]) as opened:
        responses = opened.send_c_move(
            identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), "STORE", MOVE, msg_id=7
        )
        next(responses)
        opened.send_c_cancel(7, query_model=MOVE)
        *_, (status, _) = responses
    assert status.Status == 0xFE00
    assert len(store.received) < study.NumberOfStudyRelatedInstances


def test_a_retrieve_is_on_record(pacs: Simulator, hospital: GeneratedHospital) -> None:
    study = hospital.study(8)
    get(pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    request = pacs.requests[-1]
    assert (request.service, request.level, request.status) == ("C-GET", "STUDY", 0x0000)
    assert request.answers == len(instances_of(study))


@pytest.mark.slow
def test_a_slow_pacs_waits_between_objects(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    pacs = start_simulator(hospital, quirks=Quirks(delay_first_object=0.1, delay_object=0.02))
    study = hospital.study(8)
    get(pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    assert pacs.requests[-1].seconds >= 0.1 + 0.02 * (len(instances_of(study)) - 1)


def test_instances_are_numbered_within_their_series(hospital: GeneratedHospital) -> None:
    for number in range(20):
        for series in hospital.study(number).series:
            numbers = [one.InstanceNumber for one in series.instances]
            assert all(after == before + 1 for before, after in pairwise(numbers))
