"""The simulator as GDCM sees it."""

from pathlib import Path

from pydicom import dcmread

from qrkit.simulator import Simulator
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.gdcm import AE_TITLE, gdcmscu, statuses
from tests.peers.peer import PeerAddress
from tests.peers.waiting import LOOPBACK, free_port

STUDY_ROOT = ("--studyroot", "--study")
STUDY_INSTANCE_UID = "20,d"


def address(simulator: Simulator) -> PeerAddress:
    return PeerAddress(simulator.ae_title, simulator.host, simulator.port)


def test_every_study_of_a_day_is_found(pacs: Simulator, hospital: GeneratedHospital) -> None:
    day = hospital.days[1]
    keys = ("--key", f"8,20={day:%Y%m%d}", "--key", f"{STUDY_INSTANCE_UID}=")
    *pending, final = statuses(gdcmscu(address(pacs), "--find", *STUDY_ROOT, *keys))[::2]
    assert (pending, final) == ([0xFF00] * len(hospital.on_day(day)), 0)


def test_a_study_is_moved_to_it(pacs: Simulator, hospital: GeneratedHospital, tmp_path: Path) -> None:
    study, port = hospital.study(8), free_port()
    pacs.add_destination(AE_TITLE, LOOPBACK, port)
    keys = ("--key", f"{STUDY_INSTANCE_UID}={study.StudyInstanceUID}")
    into = ("--port-scp", str(port), "--output", str(tmp_path))
    assert statuses(gdcmscu(address(pacs), "--move", *STUDY_ROOT, *keys, *into))[-1] == 0
    moved = {str(dcmread(path).SOPInstanceUID) for path in tmp_path.rglob("*") if path.is_file()}
    assert moved == {one.SOPInstanceUID for series in study.series for one in series.instances}
