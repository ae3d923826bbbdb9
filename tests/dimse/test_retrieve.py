"""C-GET and C-MOVE with peers that do not behave."""

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable

import pytest
from pydicom import Dataset

from qrkit import errors
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal, get_model, move_model, storage_proposals
from qrkit.dimse.messages import Command, encode_identifier
from qrkit.dimse.retrieve import MoveWatch, Retrieval, Suboperations
from qrkit.node import InformationModel, Timeouts
from qrkit.receipt import Arrival, Incoming
from qrkit.stop import NEVER, Stop
from tests.dimse.received import MemoryReceiver
from tests.dimse.scripted import RELEASE_RQ, Conversation, ScriptedPeer, p_data

CT = "1.2.840.10008.5.1.4.1.1.2"
GET, MOVE = get_model(InformationModel.STUDY_ROOT), move_model(InformationModel.STUDY_ROOT)
PENDING = {dimse.STATUS: 0xFF00, dimse.REMAINING: 3, dimse.COMPLETED: 1, dimse.FAILED: 0, dimse.WARNING: 0}
QUICK = Timeouts(connect=2, association=2, response=4, inactivity=4)

Answer = Callable[[Conversation, int, Command], None]


class CountingReceiver(MemoryReceiver):
    """Counts fragments and keeps none, for peers that never stop."""

    def __init__(self) -> None:
        super().__init__()
        self.fragments = 0

    def ready(self) -> None:
        pass

    def begin(self, arrival: Arrival) -> Incoming:
        """Take the object itself."""
        del arrival
        return self

    def write(self, fragment: memoryview) -> None:
        """Count the fragment."""
        del fragment
        self.fragments += 1

    def commit(self) -> None:
        """Keep nothing."""

    def discard(self) -> None:
        """Keep nothing."""


def study() -> Dataset:
    """A request for a study."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel, dataset.StudyInstanceUID = "STUDY", "1.2.3"
    return dataset


def answering(answer: Answer) -> Callable[[Conversation], None]:
    """A peer that accepts, reads the request, and goes on with `answer`."""

    def script(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        answer(peer, context_id, request)

    return script


def then_release(values: dict[int, int | str], data: bytes = b"") -> Callable[[Conversation], None]:
    """A peer whose one response holds these values."""

    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, values, data)
        kind, _ = peer.read_pdu()
        if kind == 5:
            peer.send(bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0)))

    return answering(answer)


def move(
    script: Callable[[Conversation], None],
    *,
    stop: Stop = NEVER,
    progress: list[Suboperations] | None = None,
) -> Suboperations:
    """C-MOVE from a scripted peer."""
    with ScriptedPeer(script) as peer:
        node = peer.node(QUICK)
        with associate(node, [Proposal(abstract_syntax=MOVE)], calling_ae_title="QRKIT") as association:
            on_progress = progress.append if progress is not None else None
            retrieval = Retrieval(association, node=node, on_progress=on_progress, stop=stop)
            return retrieval.move(study(), "QRKIT")


def get(
    script: Callable[[Conversation], None],
    memory: MemoryReceiver,
    *,
    stop: Stop = NEVER,
) -> Suboperations:
    """C-GET from a scripted peer."""
    with ScriptedPeer(script) as peer:
        node = peer.node(QUICK)
        proposals = [Proposal(abstract_syntax=GET), *storage_proposals([CT], room=1)]
        with associate(node, proposals, calling_ae_title="QRKIT") as association:
            return Retrieval(association, node=node, stop=stop).get(study(), memory)


def test_progress_is_what_the_peer_counts() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, PENDING)
        peer.respond(context_id, request, PENDING | {dimse.REMAINING: 2, dimse.COMPLETED: 2})
        peer.respond(context_id, request, {dimse.STATUS: 0, dimse.COMPLETED: 4, dimse.FAILED: 0, dimse.WARNING: 0})
        peer.release()

    seen: list[Suboperations] = []
    result = move(answering(answer), progress=seen)
    assert [(state.remaining, state.completed) for state in seen] == [(3, 1), (2, 2)]
    assert (result.status, result.remaining, result.completed, result.failed) == (0, None, 4, 0)


def test_success_without_counters_leaves_them_unknown() -> None:
    result = move(then_release({dimse.STATUS: 0}))
    assert (result.completed, result.failed, result.warning) == (None, None, None)


def test_a_warning_is_a_result_with_the_uids_that_failed() -> None:
    failed = Dataset()
    failed.FailedSOPInstanceUIDList = ["1.2.3", "1.2.4"]
    data = encode_identifier(failed, "1.2.840.10008.1.2.1")
    result = move(then_release({dimse.STATUS: 0xB000, dimse.COMPLETED: 1, dimse.FAILED: 2}, data))
    assert (result.status, result.failed, result.failed_uids) == (0xB000, 2, ("1.2.3", "1.2.4"))


def test_a_failed_list_that_cannot_be_read_is_left_out() -> None:
    assert move(then_release({dimse.STATUS: 0xB000}, b"\xff" * 41)).failed_uids == ()


@pytest.mark.parametrize(
    ("status", "said", "transient"),
    [
        (0xA801, "move destination unknown", False),
        (0xA702, "cannot perform the sub-operations", True),
        (0xA900, "Identifier does not match", False),
        (0xC001, "unable to process", False),
        (0x0124, "not authorised", False),
        (0xFE00, "sub-operations cancelled", False),
        (0x7777, "a status that DICOM does not define", False),
    ],
)
def test_every_failure_status_is_an_error_with_its_code(status: int, said: str, *, transient: bool) -> None:
    with pytest.raises(errors.StatusError, match=said) as caught:
        move(then_release({dimse.STATUS: status, dimse.ERROR_COMMENT: "so it is"}))
    assert (caught.value.status, caught.value.comment) == (status, "so it is")
    assert caught.value.transient is transient
    assert f"0x{status:04X}" in caught.value.message


def test_pending_under_its_other_number_is_not_the_end() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, {dimse.STATUS: 0xFF01})
        peer.respond(context_id, request, {dimse.STATUS: 0, dimse.COMPLETED: 1})
        peer.release()

    assert move(answering(answer)).completed == 1


def test_a_response_without_status_is_a_protocol_error() -> None:
    with pytest.raises(errors.ProtocolError, match="C-MOVE response without a status"):
        move(then_release({}))


def test_another_message_than_a_response_is_a_protocol_error() -> None:
    with pytest.raises(errors.ProtocolError, match="type 0x8020 where a C-MOVE response was due"):
        move(then_release({dimse.COMMAND_FIELD: dimse.C_FIND_RSP, dimse.STATUS: 0}))


def test_a_context_that_was_not_agreed_on_is_a_protocol_error() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id + 100, request, {dimse.STATUS: 0})
        peer.read_to_end()

    with pytest.raises(errors.ProtocolError, match="presentation context 101"):
        move(answering(answer))


def test_a_peer_that_releases_in_the_middle_is_an_error() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, PENDING)
        peer.send(RELEASE_RQ)
        assert peer.read_pdu()[0] == 6

    with pytest.raises(errors.AssociationAborted, match="before the operation ended"):
        move(answering(answer))


def test_a_connection_that_ends_within_an_object_discards_it() -> None:
    def answer(peer: Conversation, _context_id: int, _request: Command) -> None:
        peer.store_request(peer.contexts[CT], CT, "1.2.3.1", bytes(1000))
        peer.read_message()
        peer.store_request(peer.contexts[CT], CT, "1.2.3.2", bytes(150_000), is_last=False)

    memory = MemoryReceiver()
    with pytest.raises(errors.ConnectionLost):
        get(answering(answer), memory)
    assert memory.objects() == {"1.2.3.1": bytes(1000)}
    assert [arrival.sop_instance_uid for arrival in memory.discarded] == ["1.2.3.2"]


def test_a_store_request_without_data_set_is_refused_and_the_rest_comes() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        bare: dict[int, int | str] = {dimse.COMMAND_FIELD: dimse.C_STORE_RQ, dimse.AFFECTED_SOP_INSTANCE_UID: "1.9"}
        peer.respond(peer.contexts[CT], request, bare)
        statuses.append(peer.read_message()[1].status)
        peer.store_request(peer.contexts[CT], CT, "1.2.3.1", b"")
        statuses.append(peer.read_message()[1].status)
        peer.store_request(peer.contexts[CT], CT, "1.2.3.2", b"xy")
        statuses.append(peer.read_message()[1].status)
        peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    memory, statuses = MemoryReceiver(), list[int | None]()
    get(answering(answer), memory)
    assert statuses[0] == 0xC000
    assert statuses[2] == 0
    assert memory.objects()["1.2.3.2"] == b"xy"


def stubborn_mover(peer: Conversation, context_id: int, request: Command) -> None:
    """Answer pending for ever, whatever comes."""
    try:
        while True:
            peer.respond(context_id, request, PENDING)
            time.sleep(0.05)
    except OSError:
        return


def silent_mover(peer: Conversation, _context_id: int, _request: Command) -> None:
    """Say nothing."""
    peer.read_to_end()


def stubborn_getter(peer: Conversation, _context_id: int, _request: Command) -> None:
    """Send objects for ever."""
    try:
        for number in range(1_000_000):
            peer.store_request(peer.contexts[CT], CT, f"1.2.3.{number}", bytes(50_000))
            peer.read_message()
    except OSError:
        return


def endless_getter(peer: Conversation, _context_id: int, _request: Command) -> None:
    """Send one object without end."""
    peer.store_request(peer.contexts[CT], CT, "1.2.3.1", bytes(100_000), is_last=False)
    try:
        while True:
            peer.send(p_data(peer.contexts[CT], bytes(100_000), command=False, last=False))
    except OSError:
        return


@pytest.mark.slow
@pytest.mark.parametrize("answer", [stubborn_mover, silent_mover])
def test_a_mover_that_ignores_the_cancel_is_left_after_two_seconds(answer: Answer) -> None:
    started = time.monotonic()
    with pytest.raises(errors.Cancelled, match="ignored C-CANCEL"):
        move(answering(answer), stop=Stop(lambda: True))
    assert 2 <= time.monotonic() - started < 3.5


@pytest.mark.slow
@pytest.mark.parametrize("answer", [stubborn_getter, endless_getter])
def test_a_getter_that_ignores_the_cancel_is_left_after_two_seconds(answer: Answer) -> None:
    memory, started = CountingReceiver(), time.monotonic()
    with pytest.raises(errors.Cancelled, match="ignored C-CANCEL"):
        get(answering(answer), memory, stop=Stop(lambda: True))
    assert 2 <= time.monotonic() - started < 3.5
    assert memory.fragments > 3


def test_a_peer_that_obeys_the_cancel_is_released() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        _, cancel, _ = peer.read_message()
        assert cancel.field == dimse.C_CANCEL_RQ
        assert cancel.number(dimse.MESSAGE_ID_BEING_RESPONDED_TO) == request.number(dimse.MESSAGE_ID)
        peer.respond(context_id, request, {dimse.STATUS: 0xFE00})

    with pytest.raises(errors.Cancelled, match="The retrieve was cancelled"):
        move(answering(answer), stop=Stop(lambda: True))


def test_what_was_complete_before_the_cancel_is_complete() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.read_message()
        peer.respond(context_id, request, {dimse.STATUS: 0, dimse.COMPLETED: 7})
        peer.release()

    assert move(answering(answer), stop=Stop(lambda: True)).completed == 7


@pytest.mark.slow
def test_silence_after_the_first_answer_is_a_timeout() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, PENDING)
        peer.read_to_end()

    with ScriptedPeer(answering(answer)) as peer:
        node = peer.node(Timeouts(association=2, response=30, inactivity=0.4))
        started = time.monotonic()
        with (
            pytest.raises(errors.NodeTimeout, match=r"sent nothing for 0\.4 seconds"),
            associate(node, [Proposal(abstract_syntax=MOVE)], calling_ae_title="QRKIT") as association,
        ):
            Retrieval(association, node=node).move(study(), "QRKIT")
        assert time.monotonic() - started < 3


NOTHING_YET: dict[int, int | str] = {dimse.STATUS: 0xFF00, dimse.REMAINING: 3, dimse.COMPLETED: 0}


def move_watched(script: Callable[[Conversation], None], timeouts: Timeouts, watch: MoveWatch) -> Suboperations:
    """C-MOVE from a scripted peer whose objects are seen elsewhere."""
    with ScriptedPeer(script) as peer:
        node = peer.node(timeouts)
        with associate(node, [Proposal(abstract_syntax=MOVE)], calling_ae_title="QRKIT") as association:
            return Retrieval(association, node=node).move(study(), "QRKIT", watch)


def pending_for_ever(responses: Iterable[dict[int, int | str]]) -> Callable[[Conversation], None]:
    """A peer that sends these responses, 20 a second, until it is left."""

    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        left = threading.Event()
        with contextlib.suppress(OSError):
            for response in responses:
                peer.respond(context_id, request, response)
                left.wait(0.05)

    return answering(answer)


@pytest.mark.slow
@pytest.mark.parametrize(
    "responses",
    [
        pytest.param(lambda: itertools.repeat({dimse.STATUS: 0xFF00}), id="no counters"),
        pytest.param(lambda: itertools.repeat(NOTHING_YET), id="the same counters"),
        pytest.param(
            lambda: itertools.cycle([NOTHING_YET, NOTHING_YET | {dimse.REMAINING: 5}]), id="counters back and forth"
        ),
        pytest.param(
            lambda: (NOTHING_YET | {dimse.COMPLETED: number % 65_536} for number in itertools.count()),
            id="more objects than there are",
        ),
    ],
)
def test_pending_responses_that_report_nothing_new_end_in_a_timeout_that_names_the_setting(
    responses: Callable[[], Iterable[dict[int, int | str]]],
) -> None:
    watch = MoveWatch(last_sign=lambda: -math.inf, expected=3)
    with pytest.raises(
        errors.NodeTimeout, match=r"nothing new for 0\.4 seconds: the response timeout of node scripted"
    ):
        move_watched(pending_for_ever(responses()), Timeouts(response=0.4, inactivity=0.3), watch)


@pytest.mark.slow
def test_a_c_get_that_only_pends_ends_too() -> None:
    with ScriptedPeer(pending_for_ever(itertools.repeat(NOTHING_YET))) as peer:
        node = peer.node(Timeouts(response=0.4, inactivity=0.3))
        proposals = [Proposal(abstract_syntax=GET), *storage_proposals([CT], room=1)]
        with (
            pytest.raises(errors.NodeTimeout, match="nothing new"),
            associate(node, proposals, calling_ae_title="QRKIT") as association,
        ):
            Retrieval(association, node=node).get(study(), MemoryReceiver())


@pytest.mark.slow
@pytest.mark.parametrize("first", [None, NOTHING_YET], ids=["no response", "a response that counts nothing"])
def test_before_the_first_object_the_response_timeout_holds(first: dict[int, int | str] | None) -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        if first is not None:
            peer.respond(context_id, request, first)
        threading.Event().wait(0.9)  # the long-term archive
        peer.respond(context_id, request, {dimse.STATUS: 0, dimse.COMPLETED: 3})
        peer.release()

    quick = Timeouts(response=5, inactivity=0.3)
    assert move_watched(answering(answer), quick, MoveWatch(last_sign=lambda: -math.inf)).completed == 3


@pytest.mark.slow
def test_objects_that_come_elsewhere_keep_a_silent_c_move_alive_and_their_end_does_not() -> None:
    began = time.monotonic()

    def last_sign() -> float:  # objects come for a second
        return min(time.monotonic(), began + 1.0)

    def silence(peer: Conversation, context_id: int, request: Command) -> None:
        del context_id, request
        peer.read_to_end()

    with pytest.raises(errors.NodeTimeout, match=r"sent nothing for 0\.3 seconds.*the inactivity timeout"):
        move_watched(answering(silence), Timeouts(response=0.4, inactivity=0.3), MoveWatch(last_sign=last_sign))
    assert 1.2 < time.monotonic() - began < 3


@pytest.mark.slow
def test_responses_without_counters_are_progress_where_nobody_sees_the_objects() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        for _ in range(20):
            peer.respond(context_id, request, {dimse.STATUS: 0xFF00})
            threading.Event().wait(0.05)
        peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    quick = Timeouts(response=0.4, inactivity=0.4)
    assert move_watched(answering(answer), quick, MoveWatch()).status == 0
