"""The simulator as Orthanc sees it: queried, and asked to send what was found to Orthanc."""

import json
from pathlib import Path

from qrkit.simulator import Simulator
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.peers.waiting import LOOPBACK


def test_a_study_is_found_and_moved(
    pacs: Simulator, hospital: GeneratedHospital, tmp_path: Path, start_peer: StartPeer
) -> None:
    study = hospital.study(8)
    orthanc = start_peer(Orthanc(tmp_path / "orthanc", PeerAddress.free("ORTHANC")))
    orthanc.add_known((pacs.ae_title, LOOPBACK, pacs.port))
    pacs.add_destination(orthanc.ae_title, orthanc.host, orthanc.port)
    wanted = {"Level": "Study", "Query": {"StudyInstanceUID": study.StudyInstanceUID}}
    found = orthanc.request("POST", f"/modalities/{pacs.ae_title}/query", json.dumps(wanted).encode())
    assert orthanc.request("GET", f"/queries/{found['ID']}/answers") == ["0"]
    orthanc.request("POST", f"/queries/{found['ID']}/retrieve", b"{}")
    assert orthanc.count() == study.NumberOfStudyRelatedInstances
    assert [one.service for one in pacs.requests] == ["C-FIND", "C-MOVE"]
