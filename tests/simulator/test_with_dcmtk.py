"""The simulator as DCMTK sees it."""

from pathlib import Path

from pydicom import dcmread

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers import dcmtk
from tests.peers.peer import PeerAddress
from tests.peers.storescp import Storescp
from tests.simulator.conftest import StartSimulator


def address(simulator: Simulator) -> PeerAddress:
    return PeerAddress(simulator.ae_title, simulator.host, simulator.port)


def test_echoscu_is_answered(pacs: Simulator) -> None:
    assert dcmtk.echoscu(address(pacs)).returncode == 0


def test_findscu_gets_every_study_of_a_day(pacs: Simulator, hospital: GeneratedHospital) -> None:
    day = hospital.days[1]
    keys = [f"StudyDate={day:%Y%m%d}", "StudyInstanceUID", "PatientName", "ModalitiesInStudy"]
    answers = dcmtk.findscu(address(pacs), "STUDY", keys)
    assert {one.StudyInstanceUID for one in answers} == {one.StudyInstanceUID for one in hospital.on_day(day)}


def test_findscu_is_told_of_a_failure(pacs: Simulator) -> None:
    pacs.quirks = Quirks(find_status=0xA700)
    arguments = ["-v", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]
    said = dcmtk.run_dcmtk("findscu", [*arguments, pacs.host, str(pacs.port)]).stdout
    assert "Refused: OutOfResources" in said or "0xa700" in said.lower()


def test_getscu_fetches_a_study(pacs: Simulator, hospital: GeneratedHospital, tmp_path: Path) -> None:
    study = hospital.study(8)
    keys = [f"StudyInstanceUID={study.StudyInstanceUID}"]
    assert dcmtk.getscu(address(pacs), "STUDY", keys, tmp_path).returncode == 0
    fetched = {str(dcmread(path).SOPInstanceUID) for path in tmp_path.iterdir()}
    assert fetched == {one.SOPInstanceUID for series in study.series for one in series.instances}


def test_movescu_moves_a_study(pacs: Simulator, hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    store = start_simulator(ae_title="STORE")
    pacs.add_destination("STORE", store.host, store.port)
    study = hospital.study(8)
    keys = [f"StudyInstanceUID={study.StudyInstanceUID}"]
    assert dcmtk.movescu(address(pacs), "STUDY", keys, "STORE").returncode == 0
    assert len(store.received) == study.NumberOfStudyRelatedInstances


def test_storescu_and_dcmsend_store_what_getscu_fetched(
    pacs: Simulator, hospital: GeneratedHospital, start_simulator: StartSimulator, tmp_path: Path
) -> None:
    keys = [f"StudyInstanceUID={hospital.study(8).StudyInstanceUID}"]
    dcmtk.getscu(address(pacs), "STUDY", keys, tmp_path)
    paths = sorted(tmp_path.iterdir())
    for send in (dcmtk.storescu, dcmtk.dcmsend):
        store = start_simulator(ae_title="STORE")
        assert send(address(store), paths, check=True).returncode == 0
        assert len(store.received) == len(paths)
        assert {dcmread(path).SOPInstanceUID for path in paths} == set(store.received)


def test_a_storage_scp_of_dcmtk_receives_a_move(
    pacs: Simulator, hospital: GeneratedHospital, storescp: Storescp
) -> None:
    pacs.add_destination(storescp.ae_title, storescp.host, storescp.port)
    study = hospital.study(8)
    keys = [f"StudyInstanceUID={study.StudyInstanceUID}"]
    assert dcmtk.movescu(address(pacs), "STUDY", keys, storescp.ae_title).returncode == 0
    assert len(storescp.received()) == study.NumberOfStudyRelatedInstances
