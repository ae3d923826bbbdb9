"""Our Storage SCP with senders that do not behave: it answers, lets go, and goes on serving others."""

import logging
import random
import resource
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import CTImageStorage, Verification

from qrkit.dimse import messages as dimse
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.receipt import Arrival, Incoming
from tests.dimse.received import MemoryReceiver
from tests.dimse.scripted import RELEASE_RP, RELEASE_RQ, Conversation, p_data
from tests.peers.pynetdicom_scu import keep_responses
from tests.peers.waiting import LOOPBACK, wait_until

REQUEST = dimse.request(dimse.C_ECHO_RQ, sop_class_uid=Verification, message_id=3)


class BrokenReceiver(MemoryReceiver):
    """Has an error in itself."""

    def ready(self) -> None:
        pass

    def begin(self, arrival: Arrival) -> Incoming:
        """Fail."""
        raise ZeroDivisionError(arrival.sop_instance_uid)


@pytest.fixture(scope="module")
def memory() -> MemoryReceiver:
    return MemoryReceiver()


@pytest.fixture(scope="module")
def scp(memory: MemoryReceiver) -> Iterator[StorageScp]:
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as started:
        yield started


def association_request(maximum: int = 16_384) -> bytes:
    """A-ASSOCIATE-RQ with Verification as context 1 and CT as 3."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "SENDER", "QRKIT"
    contexts = [build_context(Verification), build_context(CTImageStorage)]
    contexts[0].context_id, contexts[1].context_id = 1, 3
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum
    implementation.implementation_class_uid = "1.2.3"
    primitive.user_information = [length, implementation]
    encoded: bytes = A_ASSOCIATE_RQ(primitive).encode()
    return encoded


def connect(scp: StorageScp) -> Conversation:
    """Give a bare connection to it."""
    return Conversation(socket.create_connection((LOOPBACK, scp.port)))


def associated(scp: StorageScp) -> Conversation:
    """Give a connection with an association."""
    peer = connect(scp)
    peer.send(association_request())
    assert peer.read_pdu()[0] == 2
    return peer


def is_serving(scp: StorageScp) -> bool:
    """Whether it still answers C-ECHO."""
    sender = AE("OTHER")
    sender.add_requested_context(Verification)
    association = sender.associate(LOOPBACK, scp.port)
    if not association.is_established:
        return False
    keep_responses(association)
    status = association.send_c_echo().Status
    association.release()
    return bool(status == 0)


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        RELEASE_RQ,
        p_data(1, REQUEST, command=True),
        struct.pack(">BxI", 1, 2_000_000),
        struct.pack(">BxI", 1, 10) + bytes(10),
    ],
    ids=["HTTP", "release", "data", "too long", "garbage"],
)
def test_a_connection_that_begins_otherwise_is_aborted(scp: StorageScp, wire: bytes) -> None:
    peer = connect(scp)
    with peer.connection:
        peer.send(wire)
        assert peer.read_to_end()[:1] in {b"\x07", b""}
    assert is_serving(scp)


@pytest.mark.parametrize(
    "wire",
    [
        p_data(5, REQUEST, command=True),
        p_data(1, b"nonsense", command=True),
        p_data(1, dimse.request(dimse.C_FIND_RQ, sop_class_uid="1.2", message_id=1), command=True),
        p_data(3, REQUEST, command=True),
        p_data(1, b"x", command=False),
        RELEASE_RP,
    ],
    ids=["unknown context", "nonsense", "C-FIND", "echo in a storage context", "data", "release response"],
)
def test_what_was_not_agreed_on_is_aborted(scp: StorageScp, wire: bytes) -> None:
    peer = associated(scp)
    with peer.connection:
        peer.send(wire)
        assert peer.read_to_end()[:1] == b"\x07"
    assert is_serving(scp)


def test_a_release_is_answered_and_the_connection_closed(scp: StorageScp) -> None:
    peer = associated(scp)
    with peer.connection:
        peer.send(p_data(1, REQUEST, command=True), RELEASE_RQ)
        _, response, _ = peer.read_message()
        assert (response.field, response.status) == (dimse.C_ECHO_RSP, 0)
        assert response.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) == 3
        assert peer.read_to_end() == RELEASE_RP


def test_an_object_that_breaks_off_is_discarded(scp: StorageScp, memory: MemoryReceiver) -> None:
    peer = associated(scp)
    with peer.connection:
        peer.store_request(3, CTImageStorage, "1.2.3.77", bytes(5000), is_last=False)
    wait_until(lambda: "1.2.3.77" in {arrival.sop_instance_uid for arrival in memory.discarded})
    assert "1.2.3.77" not in memory.objects()


def test_an_abort_in_the_middle_of_an_object_discards_it(scp: StorageScp, memory: MemoryReceiver) -> None:
    peer = associated(scp)
    with peer.connection:
        peer.store_request(3, CTImageStorage, "1.2.3.78", bytes(5000), is_last=False)
        peer.send(bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
        peer.read_to_end()
    wait_until(lambda: "1.2.3.78" in {arrival.sop_instance_uid for arrival in memory.discarded})


def test_an_error_of_ours_ends_one_association_only_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: BrokenReceiver()) as scp:
        peer = associated(scp)
        with peer.connection, caplog.at_level(logging.ERROR, "qrkit"):
            peer.store_request(3, CTImageStorage, "1.2.3", b"xy")
            assert peer.read_to_end()[:1] == b"\x07"
        assert is_serving(scp)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.slow
def test_a_moment_without_file_descriptors_passes(monkeypatch: pytest.MonkeyPatch, memory: MemoryReceiver) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        waiting = socket.socket()
        with monkeypatch.context() as context, waiting:
            refused = threading.Event()
            context.setattr("qrkit.dimse.scp.logger.warning", lambda *_: refused.set())
            resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
            try:
                waiting.connect((LOOPBACK, scp.port))
                assert refused.wait(5)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert is_serving(scp)


def test_a_move_originator_is_told(scp: StorageScp, memory: MemoryReceiver) -> None:
    elements: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: CTImageStorage,
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.MESSAGE_ID: 1,
        dimse.COMMAND_DATA_SET_TYPE: 0,
        dimse.AFFECTED_SOP_INSTANCE_UID: "1.2.3.79",
        dimse.MOVE_ORIGINATOR_AE_TITLE: "QRKIT",
        dimse.MOVE_ORIGINATOR_MESSAGE_ID: 17,
    }
    peer = associated(scp)
    with peer.connection:
        peer.send(p_data(3, dimse.encode_command(elements), command=True), p_data(3, b"xy", command=False))
        _, response, _ = peer.read_message()
        assert response.status == 0
        assert response.text(dimse.AFFECTED_SOP_INSTANCE_UID) == "1.2.3.79"
        assert response.text(dimse.AFFECTED_SOP_CLASS_UID) == CTImageStorage
        peer.send(RELEASE_RQ)
        peer.read_to_end()
    (arrival,) = [arrival for arrival, _ in memory.kept if arrival.sop_instance_uid == "1.2.3.79"]
    assert (arrival.sender, arrival.move_originator, arrival.move_message_id) == ("SENDER", "QRKIT", 17)


@pytest.mark.slow
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_damaged_association_request_is_accepted_or_refused_never_a_crash(
    scp: StorageScp, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    change = random.Random(seed)
    pdu = bytearray(association_request())
    for _ in range(change.randint(1, 5)):
        pdu[change.randrange(6, len(pdu))] = change.randrange(256)
    cut = pdu[6 : change.choice([len(pdu), change.randint(6, len(pdu))])]
    peer = connect(scp)
    with peer.connection, caplog.at_level(logging.ERROR, "qrkit"):
        peer.send(struct.pack(">BxI", 1, len(cut)), bytes(cut))
        peer.connection.shutdown(socket.SHUT_WR)
        assert peer.read_to_end()[:1] in {b"\x02", b"\x03", b"\x07", b""}
    assert not [record for record in caplog.records if record.name.startswith("qrkit")]
