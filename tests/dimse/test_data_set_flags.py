"""Peers that announce a data set and send none, send one that they did not announce, or announce nothing at all."""

import socket
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from qrkit import errors
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal, get_model, move_model, storage_proposals
from qrkit.dimse.find import find, find_proposals
from qrkit.dimse.messages import Command, encode_identifier, read_command
from qrkit.dimse.retrieve import Retrieval, Suboperations
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.node import InformationModel, Node
from tests.dimse.received import MemoryReceiver
from tests.dimse.scripted import RELEASE_RQ, Conversation, ScriptedPeer, p_data
from tests.dimse.test_find import EXPLICIT, KEYWORDS, identifier, one_row
from tests.dimse.test_odd_negotiation import APPLICATION, CT, CT_OFFER, USER, ask
from tests.dimse.test_retrieve import study
from tests.peers.waiting import LOOPBACK

GET, MOVE = get_model(InformationModel.STUDY_ROOT), move_model(InformationModel.STUDY_ROOT)
ANNOUNCED, NOT_ANNOUNCED = 1, dimse.NO_DATA_SET
LISTS = [encode_identifier(identifier("STUDY", FailedSOPInstanceUIDList="1.2.9"), EXPLICIT), b""]
FLAGS = [
    ANNOUNCED,
    NOT_ANNOUNCED,
    None,
    *(pytest.param(flag, marks=pytest.mark.slow) for flag in (0, 0xFFFF)),
]


def response(request: Command, status: int, flag: int | None) -> dict[int, int | str]:
    """The elements of a response; without a flag, Command Data Set Type is missing."""
    values: dict[int, int | str] = {
        dimse.COMMAND_FIELD: request.field | 0x8000,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.number(dimse.MESSAGE_ID) or 0,
        dimse.STATUS: status,
    }
    return values if flag is None else values | {dimse.COMMAND_DATA_SET_TYPE: flag}


def send(peer: Conversation, context_id: int, values: dict[int, int | str], data: bytes = b"") -> None:
    """Send a command set as it is, and the data set if there is one."""
    peer.send(p_data(context_id, dimse.encode_command(values), command=True))
    if data:
        peer.send(p_data(context_id, data, command=False))


# C-FIND


def ask_twice(node: Node) -> tuple[list[int], int]:
    """Query twice over one association; give the numbers of rows, and of responses without Identifier."""
    counts, without = [], 0
    with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
        for _ in range(2):
            finding = find(association, identifier("STUDY"), KEYWORDS, node=node)
            table = pa.Table.from_batches(list(finding))
            counts.append(table.num_rows)
            without += finding.without_identifier
    return counts, without


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("data", LISTS, ids=["sent", "not sent"])
def test_a_success_is_a_success_whatever_it_announces(flag: int | None, data: bytes) -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        for _ in range(2):
            context_id, request, _ = peer.read_message()
            for number in range(3):
                peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row(number))
            send(peer, context_id, response(request, 0, flag), data)
        peer.release()

    started = time.monotonic()
    with ScriptedPeer(script) as peer:
        assert ask_twice(peer.node()) == ([3, 3], 0)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("flag", FLAGS)
def test_an_identifier_is_a_row_whether_it_was_announced_or_not(flag: int | None) -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        for _ in range(2):
            context_id, request, _ = peer.read_message()
            send(peer, context_id, response(request, 0xFF00, flag), one_row(1))
            send(peer, context_id, response(request, 0xFF00, flag))
            send(peer, context_id, response(request, 0xFF00, flag), one_row(2))
            peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    with ScriptedPeer(script) as peer:
        assert ask_twice(peer.node()) == ([2, 2], 2)


def test_a_failure_that_announces_a_data_set_is_told_at_once() -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        send(peer, context_id, response(request, 0xA700, ANNOUNCED))
        peer.read_to_end_or_release()

    with ScriptedPeer(script) as peer:
        started = time.monotonic()
        with pytest.raises(errors.StatusError, match="0xA700"):
            ask_twice(peer.node())
        assert time.monotonic() - started < 1


# C-GET and C-MOVE


def retrieve(peer: ScriptedPeer, memory: MemoryReceiver, *, by_get: bool) -> Suboperations:
    """Retrieve a study."""
    node = peer.node()
    proposals = [Proposal(abstract_syntax=GET), *storage_proposals([CT], room=1)]
    with associate(
        node, proposals if by_get else [Proposal(abstract_syntax=MOVE)], calling_ae_title="QRKIT"
    ) as association:
        retrieval = Retrieval(association, node=node)
        return retrieval.get(study(), memory) if by_get else retrieval.move(study(), "QRKIT")


@pytest.mark.parametrize("flag", [ANNOUNCED, NOT_ANNOUNCED])
def test_a_row_with_the_final_response_is_a_row(flag: int) -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        for _ in range(2):
            context_id, request, _ = peer.read_message()
            for number in range(2):
                peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row(number))
            command = p_data(context_id, dimse.encode_command(response(request, 0, flag)), command=True)
            peer.send(command, p_data(context_id, one_row(2), command=False))
        peer.release()

    with ScriptedPeer(script) as peer:
        assert ask_twice(peer.node()) == ([3, 3], 0)


def test_rows_after_the_final_response_are_rows() -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        for _ in range(2):
            context_id, request, _ = peer.read_message()
            end = p_data(context_id, dimse.encode_command(response(request, 0, NOT_ANNOUNCED)), command=True)
            pending = dimse.encode_command(response(request, 0xFF00, ANNOUNCED))
            rows = [
                part
                for number in range(3)
                for part in (
                    p_data(context_id, pending, command=True),
                    p_data(context_id, one_row(number), command=False),
                )
            ]
            peer.send(*rows[:2], end, *rows[2:], end)
        peer.release()

    with ScriptedPeer(script) as peer:
        assert ask_twice(peer.node()) == ([3, 3], 0)


@pytest.mark.parametrize("by_get", [True, False], ids=["get", "move"])
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("data", LISTS, ids=["sent", "not sent"])
def test_pending_responses_may_announce_or_carry_anything(flag: int | None, data: bytes, *, by_get: bool) -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        for number in range(1, 4):
            if by_get:
                peer.store_request(peer.contexts[CT], CT, f"1.2.{number}", b"xy")
                assert peer.read_message()[1].status == 0
            counters: dict[int, int | str] = {
                dimse.REMAINING: 3 - number,
                dimse.COMPLETED: number,
                dimse.FAILED: 0,
                dimse.WARNING: 0,
            }
            send(peer, context_id, response(request, 0xFF00, flag) | counters, data)
        send(peer, context_id, response(request, 0, flag) | {dimse.COMPLETED: 3}, data)
        peer.release()

    memory = MemoryReceiver()
    started = time.monotonic()
    with ScriptedPeer(script) as peer:
        state = retrieve(peer, memory, by_get=by_get)
    assert (state.status, state.completed, state.failed_uids) == (0, 3, ())
    assert len(memory.objects()) == (3 if by_get else 0)
    assert time.monotonic() - started < 2


@pytest.mark.slow
@pytest.mark.parametrize(("data", "listed"), [(LISTS[0], ("1.2.9",)), (b"", ())], ids=["sent", "not sent"])
def test_a_list_of_failures_is_read_if_it_comes(data: bytes, listed: tuple[str, ...]) -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        send(peer, context_id, response(request, 0xB000, ANNOUNCED) | {dimse.COMPLETED: 2, dimse.FAILED: 1}, data)
        peer.release()

    started = time.monotonic()
    with ScriptedPeer(script) as peer:
        state = retrieve(peer, MemoryReceiver(), by_get=False)
    assert (state.status, state.failed, state.failed_uids) == (0xB000, 1, listed)
    assert time.monotonic() - started < 4


def test_a_peer_may_leave_in_place_of_its_list_of_failures() -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        send(peer, context_id, response(request, 0xB000, ANNOUNCED) | {dimse.COMPLETED: 2, dimse.FAILED: 1})
        peer.send(RELEASE_RQ)
        peer.read_to_end()

    with ScriptedPeer(script) as peer:
        assert retrieve(peer, MemoryReceiver(), by_get=False).failed == 1


# C-STORE


@pytest.fixture
def served() -> Iterator[tuple[StorageScp, MemoryReceiver]]:
    memory = MemoryReceiver()
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), lambda _: memory) as scp:
        yield scp, memory


@pytest.mark.parametrize("flag", FLAGS)
def test_an_object_is_taken_whether_it_was_announced_or_not(
    served: tuple[StorageScp, MemoryReceiver], flag: int | None
) -> None:
    scp, memory = served
    peer = ask(scp, APPLICATION, CT_OFFER, USER)
    with peer.connection:
        assert peer.read_pdu()[0] == 2
        for number in range(2):
            values: dict[int, int | str] = {
                dimse.AFFECTED_SOP_CLASS_UID: CT,
                dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
                dimse.MESSAGE_ID: number,
                dimse.AFFECTED_SOP_INSTANCE_UID: f"1.2.{number}",
            }
            if flag is not None:
                values[dimse.COMMAND_DATA_SET_TYPE] = flag
            send(peer, 1, values, b"xy")
            assert peer.read_message()[1].status == 0
        peer.send(RELEASE_RQ)
        peer.read_to_end()
    assert memory.objects() == {"1.2.0": b"xy", "1.2.1": b"xy"}


def test_a_response_to_our_object_may_carry_a_data_set() -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        for _ in range(2):
            context_id, request, _ = peer.read_message()
            send(peer, context_id, response(request, 0, ANNOUNCED), LISTS[0])
        peer.release()

    with ScriptedPeer(script) as peer:
        node = peer.node()
        with associate(node, [Proposal(abstract_syntax=CT)], calling_ae_title="QRKIT") as association:
            for number in range(2):
                request = dimse.store_request(CT, f"1.2.{number}", number)
                association.stream.send(association.stream.message(1, request, b"xy"))
                assert read_command(association)[1].status == 0


# the end of an association


@pytest.mark.slow
@pytest.mark.parametrize("then", ["nothing", "data"])
def test_a_release_that_is_not_answered_is_aborted_in_the_background_after_two_seconds(then: str) -> None:
    received: list[bytes] = []

    def script(peer: Conversation) -> None:
        peer.accept()
        assert peer.read_pdu()[0] == 5
        if then == "data":
            peer.send(p_data(1, bytes(1000), command=True, last=False))
        received.append(peer.read_to_end())

    started = time.monotonic()
    with ScriptedPeer(script) as peer:
        associate(peer.node(), find_proposals(peer.node()), calling_ae_title="QRKIT").release()
        assert time.monotonic() - started < 1
    assert 1.5 < time.monotonic() - started < 4
    assert received == [bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))]


@pytest.mark.slow
def test_a_late_answer_to_a_release_ends_the_connection_quietly() -> None:
    received: list[bytes] = []

    def script(peer: Conversation) -> None:
        peer.accept()
        assert peer.read_pdu()[0] == 5
        peer.connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peer.connection.recv(1)
        peer.connection.settimeout(5)
        peer.send(bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
        received.append(peer.read_to_end())

    with ScriptedPeer(script) as peer:
        associate(peer.node(), find_proposals(peer.node()), calling_ae_title="QRKIT").release()
    assert received == [b""]


@pytest.mark.parametrize("answer", ["abort", "close", "reset"])
def test_a_release_may_be_answered_by_any_end(answer: str) -> None:
    def script(peer: Conversation) -> None:
        peer.accept()
        peer.read_pdu()
        if answer == "abort":
            peer.send(bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 0)))
        elif answer == "reset":
            peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))

    started = time.monotonic()
    with ScriptedPeer(script) as peer:
        associate(peer.node(), find_proposals(peer.node()), calling_ae_title="QRKIT").release()
    assert time.monotonic() - started < 1
