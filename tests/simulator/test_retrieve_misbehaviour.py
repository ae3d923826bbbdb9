"""Each quirk of C-GET, C-MOVE and C-STORE shows its effect: what a PACS may do to us, done."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.waiting import wait_until
from tests.simulator.conftest import StartSimulator
from tests.simulator.scu import (
    GET,
    STORAGE,
    Outcome,
    association,
    echo,
    get,
    identifier,
    move,
)

MONTH = "20260601-20260630"


@pytest.fixture
def study(hospital: GeneratedHospital) -> Study:
    return next(study for study in map(hospital.study, range(50)) if study.NumberOfStudyRelatedInstances > 5)


def fetched(pacs: Simulator, study: Study) -> Outcome:
    return get(pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID)


def test_less_can_be_sent_than_is_said(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(send_less=2)
    outcome = fetched(pacs, study)
    assert outcome.status == 0x0000
    assert outcome.final.NumberOfCompletedSuboperations == study.NumberOfStudyRelatedInstances
    assert len(outcome.objects) == study.NumberOfStudyRelatedInstances - 2


def test_sub_operations_can_fail(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(fail_objects=2)
    outcome = fetched(pacs, study)
    assert outcome.status == 0xB000
    assert outcome.final.NumberOfFailedSuboperations == 2
    assert len(outcome.objects) == study.NumberOfStudyRelatedInstances - 2


def test_counters_can_be_missing(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(no_counters=True)
    outcome = fetched(pacs, study)
    assert outcome.status == 0x0000
    assert not any("NumberOfCompletedSuboperations" in status for status, _ in outcome.responses)
    assert len(outcome.objects) == study.NumberOfStudyRelatedInstances


def test_pending_responses_can_be_missing(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(no_pending=True)
    assert len(fetched(pacs, study).responses) == 1


@pytest.mark.parametrize("status", [0xA701, 0xA702, 0xA900, 0xC000, 0xC123, 0xFE00, 0xB000])
def test_a_retrieve_can_end_with_any_status(pacs: Simulator, study: Study, status: int) -> None:
    pacs.quirks = Quirks(retrieve_status=status, retrieve_comment="no")
    outcome = fetched(pacs, study)
    assert (outcome.status, outcome.objects) == (status, [])
    assert outcome.final.ErrorComment == "no"


@pytest.mark.parametrize(("after", "sent"), [(2, 2), (-1, None)])
def test_a_retrieve_can_fail_after_some_objects(pacs: Simulator, study: Study, after: int, sent: int | None) -> None:
    pacs.quirks = Quirks(retrieve_status=0xA702, retrieve_status_after=after)
    outcome = fetched(pacs, study)
    assert outcome.status == 0xA702
    assert len(outcome.objects) == (study.NumberOfStudyRelatedInstances if sent is None else sent)


def test_more_can_be_sent_than_was_asked(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(send_more=3)
    outcome = fetched(pacs, study)
    strangers = [one for one in outcome.objects if one.StudyInstanceUID != study.StudyInstanceUID]
    assert len(strangers) == 3


@pytest.mark.slow
def test_a_move_can_run_away(pacs: Simulator, study: Study, start_simulator: StartSimulator) -> None:
    store = start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", store.host, store.port)
    pacs.quirks = Quirks(runaway=True, ignore_cancel=True)
    with association(pacs, ["1.2.840.10008.5.1.4.1.2.2.2"]) as opened:
        responses = opened.send_c_move(
            identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), "STORE", "1.2.840.10008.5.1.4.1.2.2.2"
        )
        next(responses)
        wait_until(lambda: len(store.received) > study.NumberOfStudyRelatedInstances + 50)
        opened.abort()
    wait_until(lambda: pacs.open_associations == 0)


@pytest.mark.slow
def test_a_move_can_finish_before_the_objects_arrive(
    pacs: Simulator, study: Study, start_simulator: StartSimulator
) -> None:
    store = start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", store.host, store.port)
    pacs.quirks = Quirks(finish_early=True, delay_first_object=0.2)
    outcome = move(pacs, "STORE", "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    assert outcome.status == 0x0000
    assert store.received == []
    wait_until(lambda: len(store.received) == study.NumberOfStudyRelatedInstances)


@pytest.mark.slow
def test_c_cancel_can_be_ignored(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(ignore_cancel=True, delay_object=0.01)
    objects: list[Dataset] = []
    with association(pacs, [GET], storage=STORAGE, objects=objects) as opened:
        responses = opened.send_c_get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), GET, msg_id=7)
        next(responses)
        opened.send_c_cancel(7, query_model=GET)
        *_, (status, _) = responses
    assert status.Status == 0x0000
    assert len(objects) == study.NumberOfStudyRelatedInstances


def test_an_association_can_drop_half_way(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(drop_after=3)
    outcome = fetched(pacs, study)
    assert outcome.status == -1
    assert len(outcome.objects) == 3
    assert wait_until(lambda: pacs.requests)[-1].status == -1


def test_a_connection_can_break_within_an_object(
    pacs: Simulator, study: Study, start_simulator: StartSimulator
) -> None:
    pacs.quirks = Quirks(break_after=3)
    outcome = fetched(pacs, study)
    assert outcome.status == -1
    assert len(outcome.objects) == 3
    store = start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", store.host, store.port)
    assert move(pacs, "STORE", "STUDY", StudyInstanceUID=study.StudyInstanceUID).status == 0xB000
    assert len(store.received) == 3


def test_every_object_can_come_twice(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(send_twice=True)
    outcome = fetched(pacs, study)
    assert outcome.status == 0x0000
    assert len(outcome.objects) == 2 * study.NumberOfStudyRelatedInstances


def test_only_the_first_retrieves_can_drop(pacs: Simulator, study: Study) -> None:
    pacs.quirks = Quirks(drop_after=3, drop_times=1)
    assert [fetched(pacs, study).status for _ in range(3)] == [-1, 0x0000, 0x0000]


@pytest.mark.slow
def test_a_store_node_can_be_full_or_slow(pacs: Simulator, study: Study, start_simulator: StartSimulator) -> None:
    store = start_simulator(ae_title="STORE", quirks=Quirks(store_status=0xA700, delay_store=0.01))
    pacs.add_destination("STORE", store.host, store.port)
    outcome = move(pacs, "STORE", "STUDY", StudyInstanceUID=study.StudyInstanceUID)
    assert outcome.status == 0xA702
    assert {request.status for request in store.requests} == {0xA700}
    store.quirks = replace(store.quirks, store_status=0)
    assert move(pacs, "STORE", "STUDY", StudyInstanceUID=study.StudyInstanceUID).status == 0x0000
    assert echo(store) == 0x0000
