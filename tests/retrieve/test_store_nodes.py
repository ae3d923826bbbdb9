"""C-MOVE to a store node: told by a C-FIND there where it can be queried, else by the counters."""

import pytest

from qrkit.errors import InputError
from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Study
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.peers.storescp import Storescp
from tests.peers.waiting import LOOPBACK, free_port
from tests.retrieve.conftest import LIMIT, fetch
from tests.workspace.opened import (
    Linked,
    OpenWorkspace,
    StartSimulator,
    all_studies,
    files_of,
    uids_of,
)

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def study(linked: Linked) -> Study:
    return next(study for study in all_studies(linked.hospital) if len(study.series) > 1)


@pytest.fixture
def counting(linked: Linked, storescp: Storescp) -> Storescp:
    """DCMTK's storescp as the store node `store`, which cannot be queried."""
    known(linked, storescp.address, can_find=False)
    return storescp


@pytest.fixture
def asked(linked: Linked, start_simulator: StartSimulator) -> Simulator:
    """An empty simulator as the store node `store`, which can be queried."""
    store = start_simulator(ae_title="STORE")
    known(linked, PeerAddress("STORE", LOOPBACK, store.port))
    return store


def known(linked: Linked, address: PeerAddress, **settings: object) -> None:
    linked.pacs.add_destination(*address)
    linked.workspace.nodes.add(
        "store", host=address.host, port=address.port, ae_title=address.ae_title, can_store=True, **settings
    )


def test_a_store_node_that_cannot_be_queried_is_told_by_the_counters(
    linked: Linked, counting: Storescp, study: Study
) -> None:
    status = fetch(linked, study, to="store")
    assert status.state is JobState.COMPLETE
    assert (status.expected, status.stored) == (len(uids_of(study)), len(uids_of(study)))
    assert status.destination == "store"
    assert len(counting.received()) == len(uids_of(study))
    assert files_of(linked.workspace) == set()


def test_failed_sub_operations_make_it_partial(linked: Linked, counting: Storescp, study: Study) -> None:
    linked.pacs.quirks = Quirks(fail_objects=1)
    status = fetch(linked, study, to="store")
    assert status.state is JobState.PARTIAL
    assert status.stored == len(uids_of(study)) - 1
    assert "0xB000" in status.items[0].outcome.error
    assert len(counting.received()) == len(uids_of(study)) - 1


def test_where_nobody_can_say_what_to_expect_the_counters_do(
    linked: Linked, counting: Storescp, study: Study
) -> None:
    linked.workspace.nodes.edit("pacs", can_find=False)
    status = fetch(linked, study, to="store")
    assert status.state is JobState.COMPLETE
    assert status.stored == len(uids_of(study)) == len(counting.received())
    linked.pacs.quirks = Quirks(fail_objects=1)
    assert fetch(linked, study, to="store").state is JobState.PARTIAL


def test_a_store_node_that_can_be_queried_is_asked_what_arrived(
    linked: Linked, asked: Simulator, study: Study
) -> None:
    status = fetch(linked, study, to="store")
    assert status.state is JobState.COMPLETE
    assert set(asked.received) == uids_of(study)
    assert status.stored == len(uids_of(study))


def test_counters_that_lie_are_found_out_by_asking_there(linked: Linked, asked: Simulator, study: Study) -> None:
    linked.pacs.quirks = Quirks(send_less=1)
    status = fetch(linked, study, to="store")
    assert status.state is JobState.PARTIAL
    assert len(status.items[0].outcome.missing) == 1
    assert set(status.items[0].outcome.missing) == uids_of(study) - set(asked.received)


def test_a_store_node_that_refuses_is_not_success(linked: Linked, asked: Simulator, study: Study) -> None:
    asked.quirks = Quirks(store_status=0xA700)
    status = fetch(linked, study, to="store")
    assert status.state is JobState.FAILED
    assert "0xA702" in status.items[0].outcome.error


def test_a_store_node_that_cannot_be_asked_after_all_is_told_by_the_counters(
    linked: Linked, storescp: Storescp, study: Study
) -> None:
    known(linked, storescp.address, can_find=True)
    status = fetch(linked, study, to="store")
    assert status.state is JobState.COMPLETE
    assert len(storescp.received()) == len(uids_of(study))


def test_a_store_node_that_the_pacs_does_not_know(linked: Linked, study: Study) -> None:
    linked.workspace.nodes.add("store", host=LOOPBACK, port=free_port(), ae_title="UNKNOWN", can_store=True)
    linked.workspace.nodes.edit("store", can_find=False)
    status = fetch(linked, study, to="store")
    assert status.state is JobState.FAILED
    assert "0xA801" in status.items[0].outcome.error
    assert "enter the AE title UNKNOWN of store with the address 127.0.0.1 and port" in status.items[0].outcome.advice


def test_c_get_cannot_deliver_elsewhere(linked: Linked, asked: Simulator, study: Study) -> None:
    with pytest.raises(InputError, match="C-MOVE"):
        linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], to="store", method="get")
    assert asked.received == []


def test_orthanc_delivers_to_storescp(
    linked: Linked, orthanc: Orthanc, counting: Storescp, open_workspace: OpenWorkspace
) -> None:
    del open_workspace
    linked.workspace.nodes.add("orthanc", host=orthanc.host, port=orthanc.port, ae_title=orthanc.ae_title)
    frame = linked.workspace.find("orthanc", modalities="SR", date=("1990-01-01", "2030-01-01")).head(3)
    status = linked.workspace.retrieve(frame, to="store").wait(timeout=LIMIT)
    assert status.state is JobState.COMPLETE
    assert status.stored == len(counting.received()) >= 3
