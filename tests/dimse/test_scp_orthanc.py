"""Orthanc as the one that calls: it echoes and sends to our Storage SCP."""

from pathlib import Path

from qrkit.dimse.scp import Listener, StorageScp
from tests.dimse.received import MemoryReceiver, assert_equal_elements
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.peers.waiting import LOOPBACK


def test_orthanc_echoes_and_sends_every_object(tmp_path: Path, start_peer: StartPeer, samples: list[Path]) -> None:
    memory = MemoryReceiver()
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        orthanc = Orthanc(tmp_path / "orthanc", PeerAddress.free("ORTHANC"))
        start_peer(orthanc)
        orthanc.add_known(("QRKIT", LOOPBACK, scp.port))
        orthanc.load(samples)
        orthanc.request("POST", "/modalities/QRKIT/echo", b"{}")
        for instance in orthanc.request("GET", "/instances"):
            orthanc.request("POST", "/modalities/QRKIT/store", instance.encode())
    assert_equal_elements(memory, samples)
    assert {arrival.sender for arrival, _ in memory.kept} == {"ORTHANC"}
