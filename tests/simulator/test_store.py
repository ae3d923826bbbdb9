"""C-STORE: the simulator as a store node, whose objects are then found and fetched again."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Kind, Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.simulator.objects.encoding import encode
from qrkit.simulator.pacs.association import PacsAssociation, request_association
from qrkit.simulator.pacs.wire import C_FIND_RQ, C_MOVE_RQ
from tests.peers.waiting import free_port, wait_until
from tests.simulator.conftest import StartSimulator
from tests.simulator.made import made
from tests.simulator.scu import (
    EXPLICIT_VR,
    FIND,
    IMPLICIT_VR,
    MOVE,
    STORAGE,
    association,
    echo,
    find,
    get,
    move,
)

RLE = "1.2.840.10008.1.2.5"
VERIFICATION = "1.2.840.10008.1.1"


def objects_of(hospital: GeneratedHospital, study: Study, transfer_syntax: str = EXPLICIT_VR) -> list[Dataset]:
    return [
        made(hospital, (study, series, instance), transfer_syntax)
        for series in study.series
        for instance in series.instances
    ]


def store(node: Simulator, objects: list[Dataset], transfer_syntax: str = EXPLICIT_VR) -> list[int]:
    with association(node, STORAGE, transfer_syntaxes=[transfer_syntax]) as opened:
        return [int(opened.send_c_store(one).Status) for one in objects]


def test_a_stored_object_is_a_part_10_file_with_the_same_data_set(
    hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    node = start_simulator()
    objects = objects_of(hospital, hospital.study(8))
    assert set(store(node, objects)) == {0x0000}
    assert node.received == [str(one.SOPInstanceUID) for one in objects]
    for one in objects:
        path = node.path_of(one.SOPInstanceUID)
        assert path is not None
        assert dcmread(path) == one


def test_stored_objects_are_found_at_every_level(
    hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    node = start_simulator()
    study = hospital.study(12)
    store(node, objects_of(hospital, study))
    (found,) = find(
        node, "STUDY", StudyInstanceUID="", PatientName="", ModalitiesInStudy="", NumberOfStudyRelatedInstances=""
    ).answers
    assert found.StudyInstanceUID == study.StudyInstanceUID
    assert str(found.PatientName) == study.patient.PatientName
    assert found.NumberOfStudyRelatedInstances == study.NumberOfStudyRelatedInstances
    assert len(find(node, "STUDY", StudyDate=study.StudyDate, StudyInstanceUID="").answers) == 1
    assert len(find(node, "STUDY", PatientID=study.patient.PatientID, StudyInstanceUID="").answers) == 1
    series = find(node, "SERIES", StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID="", StationName="")
    assert [one.StationName for one in series.answers] == [one.station.StationName for one in study.series]
    wanted = study.series[0].instances[0].SOPInstanceUID
    assert len(find(node, "IMAGE", SOPInstanceUID=wanted, InstanceNumber="").answers) == 1


def test_stored_objects_can_be_fetched_again(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    node, other = start_simulator(), start_simulator(ae_title="OTHER")
    node.add_destination("OTHER", other.host, other.port)
    study = hospital.study(8)
    objects = objects_of(hospital, study)
    store(node, objects)
    for syntax in (EXPLICIT_VR, IMPLICIT_VR):
        fetched = get(node, "STUDY", StudyInstanceUID=study.StudyInstanceUID, transfer_syntaxes=[syntax])
        assert fetched.objects == objects
    assert move(node, "OTHER", "STUDY", StudyInstanceUID=study.StudyInstanceUID).status == 0x0000
    assert other.received == node.received


def test_a_compressed_object_goes_out_as_it_came(
    hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    node, other = start_simulator(), start_simulator(ae_title="OTHER")
    node.add_destination("OTHER", other.host, other.port)
    study = next(
        study for study in map(hospital.study, range(100)) if study.series[0].instances[0].kind is Kind.MR_IMAGE
    )
    (one,) = objects_of(hospital, study, RLE)[:1]
    assert store(node, [one], RLE) == [0x0000]
    assert get(node, "STUDY", StudyInstanceUID=study.StudyInstanceUID).status == 0xA702
    assert get(node, "STUDY", StudyInstanceUID=study.StudyInstanceUID, transfer_syntaxes=[RLE]).objects == [one]
    assert move(node, "OTHER", "STUDY", StudyInstanceUID=study.StudyInstanceUID).status == 0x0000
    path = other.path_of(one.SOPInstanceUID)
    assert path is not None
    assert dcmread(path).file_meta.TransferSyntaxUID == RLE


def test_an_object_of_a_known_study_joins_it(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    pacs = start_simulator(hospital)
    study = hospital.study(8)
    (added, *_) = objects_of(hospital, study)
    added.SOPInstanceUID = added.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    added.SeriesInstanceUID = "1.2.3"
    before = find(pacs, "STUDY", StudyDate=study.StudyDate, StudyInstanceUID="").answers
    store(pacs, [added])
    after = find(pacs, "STUDY", StudyDate=study.StudyDate, StudyInstanceUID="").answers
    assert len(after) == len(before)
    (found,) = find(pacs, "STUDY", StudyInstanceUID=study.StudyInstanceUID, NumberOfStudyRelatedInstances="").answers
    assert found.NumberOfStudyRelatedInstances == study.NumberOfStudyRelatedInstances + 1
    (series,) = find(pacs, "SERIES", SeriesInstanceUID="1.2.3", StudyInstanceUID="").answers
    assert series.StudyInstanceUID == study.StudyInstanceUID


def test_the_same_object_twice_is_one_object(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    node = start_simulator()
    objects = objects_of(hospital, hospital.study(8))[:1]
    store(node, objects * 2)
    assert len(node.received) == 1
    (found,) = find(node, "STUDY", StudyInstanceUID="", NumberOfStudyRelatedInstances="").answers
    assert found.NumberOfStudyRelatedInstances == 1


def test_an_object_without_a_study_date_is_still_found(
    hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    node = start_simulator()
    (one, *_) = objects_of(hospital, hospital.study(8))
    one.StudyDate = ""
    store(node, [one])
    assert len(find(node, "STUDY", StudyInstanceUID="", StudyDate="").answers) == 1
    assert find(node, "STUDY", StudyInstanceUID="", StudyDate="20260101-").answers == []


def test_received_files_are_gone_when_it_has_stopped(hospital: GeneratedHospital, tmp_path: Path) -> None:
    with Simulator() as node:
        store(node, objects_of(hospital, hospital.study(8)))
        assert list(tmp_path.rglob("*.dcm"))
    assert not list(tmp_path.rglob("*.dcm"))
    assert node.received


def test_many_clients_are_served_at_once(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    pacs, node = start_simulator(hospital), start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", node.host, node.port)
    studies = [hospital.study(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(
            pool.map(lambda one: move(pacs, "STORE", "STUDY", StudyInstanceUID=one.StudyInstanceUID), studies)
        )
    assert {outcome.status for outcome in outcomes} == {0x0000}
    assert len(node.received) == sum(study.NumberOfStudyRelatedInstances for study in studies)


@contextmanager
def connected(pacs: Simulator, sop_class: str) -> Iterator[PacsAssociation]:
    """An association of the simulator's own making: pynetdicom waits long for a peer that has gone."""
    context = build_context(sop_class)
    context.context_id = 1
    titles = ("TESTSCU", pacs.ae_title)
    opened, sock = request_association((pacs.host, pacs.port), titles, [context], timeout=10)
    with sock:
        yield opened


def test_no_thread_is_left_when_it_has_stopped(hospital: GeneratedHospital) -> None:
    before = set(threading.enumerate())
    pacs = Simulator(hospital)
    pacs.start()
    idle = socket.create_connection((pacs.host, pacs.port))
    with connected(pacs, VERIFICATION):
        assert pacs.open_associations == 1
        pacs.stop()
    idle.close()
    assert pacs.open_associations == 0
    assert not {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("simulator")}


def test_a_client_that_hangs_does_not_keep_it_from_stopping(hospital: GeneratedHospital) -> None:
    with Simulator(hospital, quirks=Quirks(find_hang=True)) as pacs, connected(pacs, FIND) as opened:
        elements: dict[str, int | str] = {
            "AffectedSOPClassUID": FIND,
            "CommandField": C_FIND_RQ,
            "MessageID": 1,
            "Priority": 0,
            "CommandDataSetType": 1,
        }
        keys = encode({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}, (), EXPLICIT_VR)
        opened.send(1, elements, keys)
        opened.flush()
        pacs.stop()
        assert pacs.open_associations == 0


def test_it_can_be_started_again_on_the_same_port(hospital: GeneratedHospital) -> None:
    pacs = Simulator(hospital, port=free_port())
    ports = []
    for _ in range(2):
        with pacs:
            assert echo(pacs) == 0x0000
            ports.append(pacs.port)
    assert ports[0] == ports[1]


def test_it_stops_in_the_middle_of_a_move_that_never_ends(hospital: GeneratedHospital) -> None:
    with Simulator(ae_title="STORE") as store:
        known = {"STORE": (store.host, store.port)}
        pacs = Simulator(hospital, quirks=Quirks(runaway=True, no_pending=True), destinations=known)
        with pacs, connected(pacs, MOVE) as opened:
            elements: dict[str, int | str] = {
                "AffectedSOPClassUID": MOVE,
                "CommandField": C_MOVE_RQ,
                "MessageID": 1,
                "Priority": 0,
                "MoveDestination": "STORE",
                "CommandDataSetType": 1,
            }
            uid = hospital.study(8).StudyInstanceUID
            keys = encode({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uid}, (), EXPLICIT_VR)
            opened.send(1, elements, keys)
            opened.flush()
            wait_until(lambda: len(store.received) > 20)
            pacs.stop()
            assert pacs.open_associations == 0


def test_importing_the_simulator_does_not_load_pynetdicom() -> None:
    script = "import sys, qrkit.simulator; print('pynetdicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_garbage_ends_a_connection_and_nothing_else(pacs: Simulator) -> None:
    with socket.create_connection((pacs.host, pacs.port)) as garbage:
        garbage.sendall(b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n")
        assert garbage.recv(100) == b""
    assert echo(pacs) == 0x0000
