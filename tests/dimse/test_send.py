"""C-STORE as SCU: to DCMTK, Orthanc, pynetdicom and ourselves, byte for byte; what is refused is said."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from qrkit import uids
from qrkit.dimse import stream as pdus
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.dimse.send import OutgoingFile, SendResult, data_pdus, send
from qrkit.errors import (
    AssociationAborted,
    Cancelled,
    ConnectionLost,
    ConnectionRefused,
    NoContextAccepted,
    NodeTimeout,
    StatusError,
)
from qrkit.node import Node
from qrkit.receipt import Arrival
from qrkit.simulator import Quirks, Simulator
from qrkit.stop import Stop
from qrkit.store.part10 import read_file_head
from tests.dimse.received import MemoryReceiver, data_set_bytes, node_at
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.peers.qrscp import Qrscp
from tests.peers.storescp import Storescp
from tests.peers.waiting import LOOPBACK, free_port
from tests.store.objects import a_dataset, an_arrival, encoded


def outgoing(path: Path) -> OutgoingFile:
    """A DICOM file as it is sent."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    with path.open("rb") as file:
        head = read_file_head(file)
    return OutgoingFile(
        path=path,
        sop_class_uid=meta.MediaStorageSOPClassUID,
        sop_instance_uid=meta.MediaStorageSOPInstanceUID,
        transfer_syntax_uid=head.transfer_syntax_uid,
        data_set_start=head.data_set_start,
    )


def sent(node: Node, paths: Sequence[Path]) -> list[SendResult]:
    return list(send(node, [outgoing(path) for path in paths], calling_ae_title="QRKIT"))


def made(
    folder: Path, count: int, *, size: int = 0, syntax: str = uids.EXPLICIT_VR_LITTLE_ENDIAN
) -> list[OutgoingFile]:
    """Files without File Meta Information of their own: what is sent begins at the first byte."""
    files = []
    for number in range(count):
        uid = f"1.2.3.{number + 1}"
        path = folder / f"{uid}.bytes"
        path.write_bytes(encoded(a_dataset(uid, pixels=bytes(size)), syntax))
        files.append(
            OutgoingFile(
                path=path,
                sop_class_uid=an_arrival().sop_class_uid,
                sop_instance_uid=uid,
                transfer_syntax_uid=syntax,
                data_set_start=0,
            )
        )
    return files


@pytest.fixture
def memory() -> MemoryReceiver:
    return MemoryReceiver()


def test_storescp_receives_each_sample_byte_for_byte(storescp: Storescp, samples: list[Path]) -> None:
    results = sent(node_at(storescp.address), samples)
    assert [one.error for one in results] == [None] * len(samples)
    received = {data_set_bytes(path) for path in storescp.received()}
    assert received == {data_set_bytes(path) for path in samples}


def test_orthanc_keeps_what_it_is_sent(tmp_path: Path, start_peer: StartPeer, samples: list[Path]) -> None:
    orthanc = start_peer(Orthanc(tmp_path / "orthanc", PeerAddress.free("ORTHANC")))
    results = sent(node_at(orthanc.address), samples)
    assert [one.error for one in results] == [None] * len(samples)
    assert orthanc.count() == len({one.outgoing.sop_instance_uid for one in results})


def test_pynetdicom_takes_them(tmp_path: Path, start_peer: StartPeer, samples: list[Path]) -> None:
    qrscp = start_peer(Qrscp(tmp_path / "qrscp", PeerAddress.free("QRSCP")))
    results = sent(node_at(qrscp.address), samples[:4])
    assert [one.error for one in results] == [None] * 4


def test_our_own_storage_scp_takes_them(memory: MemoryReceiver, samples: list[Path]) -> None:
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        results = sent(node_at(PeerAddress("QRKIT", LOOPBACK, scp.port)), samples)
    assert [one.error for one in results] == [None] * len(samples)
    expected = {str(outgoing(path).sop_instance_uid): data_set_bytes(path) for path in samples}
    assert memory.objects() == expected


def test_each_class_comes_in_the_transfer_syntax_of_its_file(memory: MemoryReceiver, tmp_path: Path) -> None:
    (compressed,) = made(tmp_path, 1, syntax="1.2.840.10008.1.2.4.70")
    other = made(tmp_path, 2)[1]
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        node = node_at(PeerAddress("QRKIT", LOOPBACK, scp.port))
        list(send(node, [compressed, other], calling_ae_title="QRKIT"))
    assert [arrival.transfer_syntax_uid for arrival, _ in memory.kept] == [
        "1.2.840.10008.1.2.4.70",
        uids.EXPLICIT_VR_LITTLE_ENDIAN,
    ]


def test_a_large_object_is_sent_in_pieces_as_the_peer_asks(memory: MemoryReceiver, tmp_path: Path) -> None:
    (large,) = made(tmp_path, 1, size=3_000_000)
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        node = node_at(PeerAddress("QRKIT", LOOPBACK, scp.port))
        assert [one.error for one in send(node, [large], calling_ae_title="QRKIT")] == [None]
    ((_, data),) = memory.kept
    assert hashlib.sha256(data).digest() == hashlib.sha256(large.path.read_bytes()).digest()


def test_a_refused_transfer_syntax_is_said_and_the_others_go_on(
    tmp_path: Path, start_peer: StartPeer, samples: list[Path]
) -> None:
    only_plain = Storescp(tmp_path / "plain", PeerAddress.free("PLAIN"), options=("+xi",))
    node = node_at(start_peer(only_plain).address)
    results = sent(node, samples)
    implicit = {
        outgoing(path).sop_instance_uid
        for path in samples
        if outgoing(path).transfer_syntax_uid == uids.IMPLICIT_VR_LITTLE_ENDIAN
    }
    refused = [one for one in results if one.error is not None]
    assert {one.outgoing.sop_instance_uid for one in results if one.error is None} == implicit
    assert len(refused) == len(samples) - len(implicit) > 0
    assert all(isinstance(one.error, NoContextAccepted) for one in refused)
    assert "plain does not take" in str(refused[0].error)


def test_where_nothing_is_taken_each_file_is_told(tmp_path: Path, start_peer: StartPeer) -> None:
    only_plain = Storescp(tmp_path / "plain", PeerAddress.free("PLAIN"), options=("+xi",))
    results = list(send(node_at(start_peer(only_plain).address), made(tmp_path, 3), calling_ae_title="QRKIT"))
    assert [type(one.error) for one in results] == [NoContextAccepted] * 3


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0xA700, "out of resources"),
        (0xA7FF, "out of resources"),
        (0xA900, "does not match SOP Class"),
        (0xC123, "unable to process"),
        (0x0110, "processing failure"),
        (0x0122, "SOP Class not supported"),
        (0x0124, "not authorised"),
    ],
)
def test_a_failure_status_is_an_error_with_its_meaning(tmp_path: Path, status: int, meaning: str) -> None:
    with Simulator(quirks=Quirks(store_status=status)) as pacs:
        node = node_at(PeerAddress(pacs.ae_title, LOOPBACK, pacs.port))
        results = list(send(node, made(tmp_path, 2), calling_ae_title="QRKIT"))
    assert len(results) == 2
    for one in results:
        assert isinstance(one.error, StatusError)
        assert (one.error.status, one.error.transient) == (status, status in (0xA700, 0xA7FF, 0x0110))
        assert meaning in str(one.error)


def test_a_node_that_confirms_late_is_waited_for_within_its_timeout(tmp_path: Path) -> None:
    with Simulator(quirks=Quirks(delay_store=0.5)) as pacs:
        node = node_at(PeerAddress(pacs.ae_title, LOOPBACK, pacs.port))
        assert [one.error for one in send(node, made(tmp_path, 2), calling_ae_title="QRKIT")] == [None, None]
        pacs.quirks = Quirks(delay_store=3.0)
        hasty = replace(node, timeouts=replace(node.timeouts, response=0.3, inactivity=0.3))
        with pytest.raises(NodeTimeout, match=r"nothing for 0\.3 seconds"):
            list(send(hasty, made(tmp_path, 1), calling_ae_title="QRKIT"))


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_status_means_that_it_was_taken(tmp_path: Path, status: int) -> None:
    with Simulator(quirks=Quirks(store_status=status)) as pacs:
        node = node_at(PeerAddress(pacs.ae_title, LOOPBACK, pacs.port))
        (one,) = send(node, made(tmp_path, 1), calling_ae_title="QRKIT")
    assert one.error is None
    assert f"0x{status:04X}" in one.warning


def test_one_refused_object_does_not_keep_the_others_from_being_sent(tmp_path: Path) -> None:
    def refuse(step: str, arrival: Arrival) -> bool:
        return step == "commit" and arrival.sop_instance_uid == "1.2.3.2"

    picky = MemoryReceiver(refuse)
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: picky) as scp:
        node = node_at(PeerAddress("QRKIT", LOOPBACK, scp.port))
        results = list(send(node, made(tmp_path, 3), calling_ae_title="QRKIT"))
    assert [one.error is None for one in results] == [True, False, True]
    assert set(picky.objects()) == {"1.2.3.1", "1.2.3.3"}


def test_more_kinds_than_contexts_need_a_second_association(memory: MemoryReceiver, tmp_path: Path) -> None:
    (one,) = made(tmp_path, 1)
    files = [
        replace(one, sop_class_uid=f"1.2.840.113619.4.{number}", sop_instance_uid=f"1.2.3.{number}")
        for number in range(130)
    ]
    callers: list[str] = []

    def receiver(calling: str) -> MemoryReceiver:
        callers.append(calling)
        return memory

    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), receiver) as scp:
        node = node_at(PeerAddress("QRKIT", LOOPBACK, scp.port))
        assert [sent.error for sent in send(node, files, calling_ae_title="OUT")] == [None] * 130
    assert callers == ["OUT", "OUT"]


def test_a_node_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    node = Node(name="away", host=LOOPBACK, port=free_port(), ae_title="AWAY")
    with pytest.raises(ConnectionRefused, match="away"):
        list(send(node, made(tmp_path, 1), calling_ae_title="QRKIT"))


def test_what_was_answered_before_the_association_broke_is_known(tmp_path: Path, start_peer: StartPeer) -> None:
    breaks = Storescp(tmp_path / "breaks", PeerAddress.free("BREAKS"), options=("--abort-after",))
    answered: list[SendResult] = []
    with pytest.raises((AssociationAborted, ConnectionLost)):
        answered.extend(send(node_at(start_peer(breaks).address), made(tmp_path, 3), calling_ae_title="QRKIT"))
    assert answered == []  # it takes the first object, and aborts instead of answering


def test_sending_stops_when_asked_to(memory: MemoryReceiver, tmp_path: Path) -> None:
    stop = threading.Event()
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        node = node_at(PeerAddress("QRKIT", LOOPBACK, scp.port))
        sending = send(node, made(tmp_path, 3), calling_ae_title="QRKIT", stop=Stop(stop.is_set))
        next(sending)
        stop.set()
        with pytest.raises(Cancelled):
            next(sending)
    assert len(memory.kept) == 1


def test_a_file_that_is_gone_is_an_error_of_its_own(memory: MemoryReceiver, tmp_path: Path) -> None:
    (one,) = made(tmp_path, 1)
    one.path.unlink()
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        node = node_at(PeerAddress("QRKIT", LOOPBACK, scp.port))
        with pytest.raises(FileNotFoundError):
            list(send(node, [one], calling_ae_title="QRKIT"))


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=64), st.integers(min_value=0, max_value=20))
def test_pdus_of_a_file_are_those_of_its_bytes(data: bytes, maximum: int, start: int) -> None:
    file = BytesIO(data)
    file.seek(start)
    joined = b"".join(bytes(pdu) for pdu in data_pdus(file, 3, maximum=maximum))
    # a message of a command and this data set, without its command
    whole = pdus.message(3, b"", data[start:], maximum=maximum)
    command = pdus.message(3, b"", None, maximum=maximum)
    assert joined == whole[len(command) :]
