"""Our Storage SCP with senders of all kinds: DCMTK, GDCM and pynetdicom."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLosslessSV1
from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    UnifiedProcedureStepPush,
    Verification,
)

from qrkit import uids
from qrkit.dimse.echo import echo
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.errors import Congested, PortInUse
from qrkit.node import Node
from qrkit.receipt import Arrival
from tests.dimse.received import MemoryReceiver, assert_equal_elements, data_set_bytes
from tests.peers.dcmtk import dcmsend, echoscu, storescu
from tests.peers.gdcm import gdcmscu, statuses
from tests.peers.peer import NO_DELAY, PeerAddress
from tests.peers.pynetdicom_scu import keep_responses
from tests.peers.waiting import LOOPBACK, free_port, wait_until


@pytest.fixture
def memory() -> MemoryReceiver:
    return MemoryReceiver()


@pytest.fixture
def scp(memory: MemoryReceiver) -> Iterator[StorageScp]:
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as started:
        yield started
    assert threads() == []


def threads() -> list[threading.Thread]:
    """The threads of Storage SCPs that still run."""
    return [thread for thread in threading.enumerate() if thread.name == "storage-scp"]


def at(scp: StorageScp) -> PeerAddress:
    """Where it listens."""
    return PeerAddress("QRKIT", LOOPBACK, scp.port)


def loaded(paths: list[Path]) -> dict[str, bytes]:
    """The data sets of some files by SOP Instance UID."""
    return {str(dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in paths}


def test_it_answers_an_echo(scp: StorageScp) -> None:
    assert echoscu(at(scp)).returncode == 0


def test_it_answers_an_echo_of_gdcm(scp: StorageScp) -> None:
    assert set(statuses(gdcmscu(at(scp), "--echo"))) == {0}


def test_it_answers_an_echo_of_pynetdicom(scp: StorageScp) -> None:
    sender = AE("MODALITY")
    sender.add_requested_context(Verification)
    association = sender.associate(LOOPBACK, scp.port)
    keep_responses(association)
    assert association.send_c_echo().Status == 0
    association.release()


def test_dcmsend_sends_every_object(scp: StorageScp, memory: MemoryReceiver, samples: list[Path]) -> None:
    dcmsend(at(scp), samples, options=("--read-file-only",), check=True)
    assert_equal_elements(memory, samples)
    assert {arrival.sender for arrival, _ in memory.kept} == {"DCMSEND"}
    assert {arrival.move_originator for arrival, _ in memory.kept} == {""}


def test_storescu_sends_every_object_that_it_has_a_context_for(
    scp: StorageScp, memory: MemoryReceiver, samples: list[Path]
) -> None:
    storescu(at(scp), samples, options=("--required", "--propose-lossless"), check=True)
    assert_equal_elements(memory, samples)


def test_a_sender_that_speaks_implicit_vr_only_is_understood(
    scp: StorageScp, memory: MemoryReceiver, samples: list[Path]
) -> None:
    storescu(at(scp), samples[:6], options=("--required", "--propose-implicit"), check=True)
    assert {arrival.transfer_syntax_uid for arrival, _ in memory.kept} == {uids.IMPLICIT_VR_LITTLE_ENDIAN}
    assert_equal_elements(memory, samples[:6])


def test_pynetdicom_sends_every_object_byte_for_byte(
    scp: StorageScp, memory: MemoryReceiver, samples: list[Path]
) -> None:
    command = [sys.executable, "-m", "tests.dimse.pynetdicom_sender", str(scp.port), *map(str, samples)]
    subprocess.run(command, check=True, timeout=60, cwd=Path(__file__).parents[2])
    assert memory.objects() == loaded(samples)


def test_gdcm_sends_every_object(scp: StorageScp, memory: MemoryReceiver, samples: list[Path]) -> None:
    images = [path for path in samples if "RDSR" not in path.name and "ESR" not in path.name]
    for path in images:
        assert set(statuses(gdcmscu(at(scp), "--store", path))) == {0}
    assert memory.objects().keys() == loaded(images).keys()


def test_eight_senders_at_once_lose_nothing(scp: StorageScp, memory: MemoryReceiver, samples: list[Path]) -> None:
    from tests.peers.programs import dcmtk_program

    senders = [
        subprocess.Popen(
            [dcmtk_program("dcmsend"), "--decompress-never", LOOPBACK, str(scp.port), *samples],
            env=NO_DELAY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(8)
    ]
    assert [sender.wait(60) for sender in senders] == [0] * 8
    assert len(memory.kept) == 8 * len(samples)
    assert_equal_elements(memory, samples)


@pytest.mark.parametrize(
    ("uid", "is_taken"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", True),
        ("1.2.840.10008.5.1.4.1.1.999.1", True),
        ("1.3.12.2.1107.5.9.1", True),
        (Verification, True),
        (ModalityWorklistInformationFind, False),
        (UnifiedProcedureStepPush, False),
        ("1.2.840.10008.1.20.1", False),
    ],
)
def test_storage_of_all_kinds_is_taken_and_nothing_else(scp: StorageScp, uid: str, *, is_taken: bool) -> None:
    sender = AE("MODALITY")
    sender.add_requested_context(uid)
    sender.add_requested_context(Verification)
    association = sender.associate(LOOPBACK, scp.port)
    accepted = [str(context.abstract_syntax) for context in association.accepted_contexts]
    assert (uid in accepted) is is_taken
    assert [context.result for context in association.rejected_contexts] == ([] if is_taken else [3])
    association.release()


def test_what_is_compressed_comes_compressed(scp: StorageScp, memory: MemoryReceiver, samples: list[Path]) -> None:
    dataset = dcmread(next(path for path in samples if path.name.startswith("CT-SC")))
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00\xff\xd8\xff\xd9"
    dataset.PixelData += b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    sender = AE("MODALITY")
    sender.add_requested_context(dataset.SOPClassUID, JPEGLosslessSV1)
    sender.add_requested_context(dataset.SOPClassUID)
    association = sender.associate(LOOPBACK, scp.port)
    keep_responses(association)
    assert association.send_c_store(dataset).Status == 0
    association.release()
    ((arrival, data),) = memory.kept
    assert arrival.transfer_syntax_uid == JPEGLosslessSV1
    assert dataset.PixelData in data


def test_a_refusal_is_told_and_the_next_object_is_taken(
    scp: StorageScp, memory: MemoryReceiver, samples: list[Path]
) -> None:
    def refuse(step: str, arrival: Arrival) -> bool:
        return step == "write" and arrival.sop_instance_uid == str(dcmread(samples[0]).SOPInstanceUID)

    memory.refuse = refuse
    sender = AE("MODALITY")
    for path in samples[:2]:
        sender.add_requested_context(dcmread(path).SOPClassUID, dcmread(path).file_meta.TransferSyntaxUID)
    association = sender.associate(LOOPBACK, scp.port)
    keep_responses(association)
    first, second = (association.send_c_store(path) for path in samples[:2])
    association.release()
    assert (first.Status, first.ErrorComment, second.Status) == (0xA700, "refused in write", 0)
    assert memory.objects() == loaded(samples[1:2])


def test_too_many_associations_are_rejected_for_now(memory: MemoryReceiver) -> None:
    listener = Listener(ae_title="QRKIT", host=LOOPBACK, port=0, most_associations=2)
    with StorageScp(listener, lambda _: memory) as scp:
        sender = AE("MODALITY")
        sender.add_requested_context(Verification)
        held = [sender.associate(LOOPBACK, scp.port) for _ in range(2)]
        assert all(association.is_established for association in held)
        # pynetdicom takes a rejection that comes at once for an abort now and then, so our own echo is told
        with pytest.raises(Congested) as late:
            echo(Node(name="scp", host=LOOPBACK, port=scp.port, ae_title="QRKIT"), calling_ae_title="MODALITY")
        assert (late.value.result, late.value.source, late.value.reason) == (2, 3, 2)
        held.pop().release()
        wait_until(lambda: len(threads()) == 2, what="the thread of the released association ends")
        again = sender.associate(LOOPBACK, scp.port)
        assert again.is_established
        for association in (*held, again):
            association.release()


def test_stopping_aborts_what_is_open_and_leaves_no_thread(memory: MemoryReceiver) -> None:
    scp = StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory)
    assert scp.port == 0
    scp.start()
    port = scp.port
    sender = AE("MODALITY")
    sender.add_requested_context(Verification)
    association = sender.associate(LOOPBACK, port)
    assert association.is_established
    scp.stop()
    assert threads() == []
    assert scp.port == 0
    wait_until(lambda: association.is_aborted, what="the sender learns of it")
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=port), lambda _: memory) as again:
        assert echoscu(at(again)).returncode == 0


def test_a_port_in_use_says_so(memory: MemoryReceiver) -> None:
    port = free_port()
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=port), lambda _: memory):
        second = StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=port), lambda _: memory)
        with pytest.raises(PortInUse) as caught:
            second.start()
        second.stop()
    assert str(caught.value) == (
        f"The Storage SCP cannot listen on 127.0.0.1:{port}: another program has it. Set another port by "
        "QRKIT_PORT and inform the PACS team; ports below 1024 need privileges."
    )


def test_an_address_that_is_not_ours_says_so(memory: MemoryReceiver) -> None:
    scp = StorageScp(Listener(ae_title="QRKIT", host="192.0.2.1", port=0), lambda _: memory)
    with pytest.raises(PortInUse, match="Cannot assign requested address"):
        scp.start()
