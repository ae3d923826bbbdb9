"""Association PDUs by the letter, in both roles: what may be skipped is, what matters is exact (PS3.8 9.3.1)."""

import socket
import struct
from collections.abc import Iterator

import pytest

from qrkit import errors, uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.echo import echo
from qrkit.dimse.scp import Listener, StorageScp
from tests.dimse.received import MemoryReceiver
from tests.dimse.scripted import RELEASE_RQ, Conversation, ScriptedPeer
from tests.peers.waiting import LOOPBACK

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_LITTLE_ENDIAN
VERIFY = Proposal(abstract_syntax=uids.VERIFICATION)
TITLES = b"QRKIT".ljust(16) + b"SENDER".ljust(16)


def item(kind: int, *parts: bytes) -> bytes:
    """Give one item or sub-item."""
    value = b"".join(parts)
    return struct.pack(">BxH", kind, len(value)) + value


def counted(uid: bytes) -> bytes:
    return struct.pack(">H", len(uid)) + uid


APPLICATION = item(0x10, b"1.2.840.10008.3.1.1.1")
MAXIMUM = item(0x51, struct.pack(">I", 30_000))
CLASS_UID = item(0x52, b"1.2.3.4")
USER = item(0x50, MAXIMUM, CLASS_UID)
ODD_SUB_ITEMS = {
    "an unknown sub-item": item(0x5E, b"vendor"),
    "a sub-item of type 0": item(0x00),
    "a sub-item of type 255": item(0xFF, bytes(300)),
    "an empty asynchronous operations window": item(0x53),
    "a long asynchronous operations window": item(0x53, bytes(9)),
    "a role of 2": item(0x54, counted(CT.encode()), bytes((2, 255))),
    "a role without its bytes": item(0x54, counted(CT.encode())),
    "an empty role": item(0x54),
    "a role whose UID is longer than it": item(0x54, b"\x00\x50", b"1.2"),
    "a class UID of 80 characters": item(0x52, b"1." + b"2" * 78),
    "an empty class UID": item(0x52),
    "a class UID that is none": item(0x52, b"GE-XR \xff"),
    "a version of 40 characters": item(0x55, b"v" * 40),
    "a version that is not ASCII": item(0x55, "VERSION_ä".encode()),
    "an empty version": item(0x55),
    "extended negotiation without content": item(0x56, counted(uids.STUDY_ROOT_FIND.encode())),
    "empty extended negotiation": item(0x56),
    "common extended negotiation that breaks off": item(0x57, b"\x00\x90" + b"1.2"),
    "a user identity response": item(0x59, b"\x00\x02ok"),
    "an empty user identity": item(0x58),
    "a second maximum length": item(0x51, b"\x00"),
    "a sub-item that is cut off": b"\x55\x00\x00\x90v",
    "three zeros": bytes(3),
}
"""What a peer may add to its user information without a change of the association."""


def result(context_id: int, code: int, *sub_items: bytes) -> bytes:
    """Give one presentation context of A-ASSOCIATE-AC."""
    return item(0x21, bytes((context_id, 0, code, 0)), *sub_items)


def acceptance(*items: bytes, titles: bytes = TITLES) -> bytes:
    """Give an A-ASSOCIATE-AC of these items."""
    body = b"\x00\x01\x00\x00" + titles + bytes(32) + b"".join(items)
    return struct.pack(">BxI", 2, len(body)) + body


TAKEN = result(1, 0, item(0x40, IMPLICIT.encode()))
WAYS_TO_ACCEPT = {
    "plainly": (APPLICATION, TAKEN, USER),
    "without application context": (TAKEN, USER),
    "with a padded application context": (item(0x10, b"1.2.840.10008.3.1.1.1\0"), TAKEN, USER),
    "without user information": (APPLICATION, TAKEN),
    "user information first": (USER, TAKEN, APPLICATION),
    "with empty user information": (APPLICATION, TAKEN, item(0x50)),
    "user information twice": (APPLICATION, TAKEN, USER, USER),
    "an unknown item first": (item(0x99, b"?" * 7), APPLICATION, TAKEN, USER),
    "an unknown item last": (APPLICATION, TAKEN, USER, item(0x60)),
    "zeros last": (APPLICATION, TAKEN, USER, bytes(10)),
    "one zero last": (APPLICATION, TAKEN, USER, bytes(1)),
    "garbage last": (APPLICATION, TAKEN, USER, b"\xde\xad\xbe\xef\x00"),
    "zeros between": (APPLICATION, bytes(4), TAKEN, bytes(8), USER),
    "an abstract syntax in the answer": (
        APPLICATION,
        result(1, 0, item(0x30, uids.VERIFICATION.encode()), item(0x40, IMPLICIT.encode())),
        USER,
    ),
    "an abstract syntax after the transfer syntax": (
        APPLICATION,
        result(1, 0, item(0x40, IMPLICIT.encode()), item(0x30, uids.VERIFICATION.encode())),
        USER,
    ),
    "an unknown sub-item in the answer": (
        APPLICATION,
        result(1, 0, item(0x77, b"x"), item(0x40, IMPLICIT.encode())),
        USER,
    ),
    "a UID padded with NUL": (APPLICATION, result(1, 0, item(0x40, IMPLICIT.encode() + b"\0")), USER),
    "a UID padded with blanks": (APPLICATION, result(1, 0, item(0x40, IMPLICIT.encode() + b"  ")), USER),
    "answers to what was never proposed": (APPLICATION, result(2, 0), result(77, 0), TAKEN, USER),
    "a refused context without a transfer syntax": (APPLICATION, result(3, 4), TAKEN, USER),
    "a refused context with an empty transfer syntax": (APPLICATION, result(3, 3, item(0x40)), TAKEN, USER),
    "a result without its bytes": (APPLICATION, item(0x21, b"\x03"), TAKEN, USER),
}


@pytest.mark.parametrize("way", WAYS_TO_ACCEPT)
def test_an_acceptance_by_another_letter_is_an_acceptance(way: str) -> None:
    proposals = [VERIFY, Proposal(abstract_syntax=CT)]
    with (
        ScriptedPeer(lambda peer: answer(peer, acceptance(*WAYS_TO_ACCEPT[way]))) as peer,
        associate(peer.node(), proposals, calling_ae_title="QRKIT") as association,
    ):
        (context,) = association.contexts.values()
        assert (context.context_id, context.abstract_syntax, context.transfer_syntax) == (
            1,
            uids.VERIFICATION,
            IMPLICIT,
        )
        assert association.refused == (proposals[1],)


@pytest.mark.parametrize("what", ODD_SUB_ITEMS)
def test_user_information_that_is_not_needed_is_skipped_in_an_acceptance(what: str) -> None:
    user = item(0x50, MAXIMUM, CLASS_UID, ODD_SUB_ITEMS[what])
    with (
        ScriptedPeer(lambda peer: answer(peer, acceptance(APPLICATION, TAKEN, user))) as peer,
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT") as association,
    ):
        assert list(association.contexts) == [1]
        assert association.stream.peer_maximum == 30_000


@pytest.mark.parametrize("titles", [bytes(32), b"\xff" * 32, b" " * 32, b"A\0\xfe\xff" * 8])
def test_titles_in_an_acceptance_mean_nothing(titles: bytes) -> None:
    with ScriptedPeer(lambda peer: answer(peer, acceptance(APPLICATION, TAKEN, USER, titles=titles))) as peer:
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT").release()


def test_a_peer_that_does_not_say_what_it_takes_gets_what_all_take() -> None:
    with (
        ScriptedPeer(lambda peer: answer(peer, acceptance(APPLICATION, TAKEN))) as peer,
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT") as association,
    ):
        assert association.stream.peer_maximum == 16_384


def test_the_transfer_syntax_of_a_single_offer_need_not_be_named() -> None:
    only = Proposal(abstract_syntax=CT, transfer_syntaxes=(EXPLICIT,))
    with (
        ScriptedPeer(lambda peer: answer(peer, acceptance(APPLICATION, result(1, 0), USER))) as peer,
        associate(peer.node(), [only], calling_ae_title="QRKIT") as association,
    ):
        assert association.contexts[1].transfer_syntax == EXPLICIT


@pytest.mark.parametrize(
    "results",
    [
        result(1, 0),
        result(1, 0, item(0x40)),
        result(1, 0, item(0x40, b"1.2.840.10008.1.2.4.50")),
        result(1, 4, item(0x40, IMPLICIT.encode())),
        result(1, 77, item(0x40, IMPLICIT.encode())),
        result(3, 0, item(0x40, IMPLICIT.encode())),
    ],
)
def test_a_context_that_is_not_certain_is_not_accepted(results: bytes) -> None:
    with (
        ScriptedPeer(lambda peer: answer(peer, acceptance(APPLICATION, results, USER))) as peer,
        pytest.raises(errors.NoContextAccepted),
    ):
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT")


@pytest.mark.parametrize(
    ("pdu", "why"),
    [
        (acceptance(APPLICATION, USER), "it answers no presentation context"),
        (acceptance(APPLICATION, item(0x21)), "it answers no presentation context"),
        (acceptance(APPLICATION, TAKEN[:-3]), "its item of type 0x21 is cut off"),
        (acceptance(APPLICATION, TAKEN, USER[:-3]), "its item of type 0x50 is cut off"),
        (acceptance()[:2] + b"\0\0\0\x10" + bytes(16), "it has 22 bytes"),
    ],
)
def test_an_acceptance_that_cannot_be_read_says_why(pdu: bytes, why: str) -> None:
    with (
        ScriptedPeer(lambda peer: answer(peer, pdu)) as peer,
        pytest.raises(errors.ProtocolError, match=why),
    ):
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT")


def test_a_rejection_with_bytes_after_it_is_a_rejection() -> None:
    pdu = bytes((3, 0, 0, 0, 0, 8, 0, 1, 1, 3)) + bytes(4)
    with ScriptedPeer(lambda peer: answer(peer, pdu)) as peer, pytest.raises(errors.CallingTitleRejected):
        echo(peer.node(), calling_ae_title="QRKIT")


def answer(peer: Conversation, pdu: bytes) -> None:
    """Answer the request with this PDU, and wait for the end."""
    peer.read_request()
    peer.send(pdu)
    peer.read_to_end_or_release()


# the same as our Storage SCP


@pytest.fixture(scope="module")
def memory() -> MemoryReceiver:
    return MemoryReceiver()


@pytest.fixture(scope="module")
def senders() -> list[str]:
    return []


@pytest.fixture(scope="module")
def scp(memory: MemoryReceiver, senders: list[str]) -> Iterator[StorageScp]:
    def receiver_for(sender: str) -> MemoryReceiver:
        senders.append(sender)
        return memory

    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0), receiver_for) as started:
        yield started


def offer(context_id: int, *sub_items: bytes) -> bytes:
    """Give one presentation context of A-ASSOCIATE-RQ."""
    return item(0x20, bytes((context_id, 0, 0, 0)), *sub_items)


CT_OFFER = offer(1, item(0x30, CT.encode()), item(0x40, IMPLICIT.encode()))
WAYS_TO_ASK = {
    "plainly": (APPLICATION, CT_OFFER, USER),
    "without application context": (CT_OFFER, USER),
    "without user information": (APPLICATION, CT_OFFER),
    "user information first": (USER, CT_OFFER, APPLICATION),
    "an unknown item": (APPLICATION, item(0x11, b"x"), CT_OFFER, USER),
    "zeros last": (APPLICATION, CT_OFFER, USER, bytes(7)),
    "garbage last": (APPLICATION, CT_OFFER, USER, b"\xca\xfe\xba\xbe"),
    "transfer syntax first": (APPLICATION, offer(1, item(0x40, IMPLICIT.encode()), item(0x30, CT.encode())), USER),
    "padded UIDs": (
        APPLICATION,
        offer(1, item(0x30, CT.encode() + b"\0"), item(0x40, IMPLICIT.encode() + b" ")),
        USER,
    ),
    "an empty transfer syntax among others": (
        APPLICATION,
        offer(1, item(0x30, CT.encode()), item(0x40), item(0x40, IMPLICIT.encode())),
        USER,
    ),
    "a context without abstract syntax": (APPLICATION, offer(3, item(0x40, IMPLICIT.encode())), CT_OFFER, USER),
    "a context with an empty abstract syntax": (
        APPLICATION,
        CT_OFFER,
        offer(3, item(0x30), item(0x40, IMPLICIT.encode())),
        USER,
    ),
    "a context without transfer syntax": (APPLICATION, offer(3, item(0x30, CT.encode())), CT_OFFER, USER),
    "a context without anything": (APPLICATION, item(0x20), CT_OFFER, offer(5), USER),
    "an even context ID": (APPLICATION, offer(4, item(0x30, CT.encode())), offer(0), CT_OFFER, USER),
    "the same context twice": (APPLICATION, CT_OFFER, CT_OFFER, USER),
}


def ask(scp: StorageScp, *items: bytes, titles: bytes = TITLES) -> Conversation:
    """Ask for an association with these items."""
    body = b"\x00\x01\x00\x00" + titles + bytes(32) + b"".join(items)
    peer = Conversation(socket.create_connection((LOOPBACK, scp.port)))
    peer.send(struct.pack(">BxI", 1, len(body)) + body)
    return peer


def assert_stores(peer: Conversation, memory: MemoryReceiver, uid: str) -> bytes:
    """Assert that an object is taken over context 1; return the body of A-ASSOCIATE-AC."""
    with peer.connection:
        kind, body = peer.read_pdu()
        assert kind == 2
        peer.store_request(1, CT, uid, b"xy")
        _, response, _ = peer.read_message()
        assert response.status == 0
        peer.send(RELEASE_RQ)
        peer.read_to_end()
    assert memory.objects()[uid] == b"xy"
    return body


@pytest.mark.parametrize("way", WAYS_TO_ASK)
def test_a_request_by_another_letter_is_a_request(scp: StorageScp, memory: MemoryReceiver, way: str) -> None:
    assert_stores(ask(scp, *WAYS_TO_ASK[way]), memory, f"1.2.{list(WAYS_TO_ASK).index(way)}")


@pytest.mark.parametrize("what", ODD_SUB_ITEMS)
def test_user_information_that_is_not_needed_is_skipped_in_a_request(
    scp: StorageScp, memory: MemoryReceiver, what: str
) -> None:
    user = item(0x50, ODD_SUB_ITEMS[what]) if "cut" in what else item(0x50, ODD_SUB_ITEMS[what], MAXIMUM)
    assert_stores(ask(scp, APPLICATION, CT_OFFER, user), memory, f"1.3.{list(ODD_SUB_ITEMS).index(what)}")


@pytest.mark.parametrize(
    ("title", "sender"),
    [
        (b"CT1".ljust(16), "CT1"),
        (b"CT1".ljust(16, b"\0"), "CT1"),
        (b"CT1\0garbage\xff\xfe!!!", "CT1"),
        (b"  CT1 \0".ljust(16), "CT1"),
        (b" " * 16, ""),
        (bytes(16), ""),
        (b"CT\xe41".ljust(16), "CT\\xe41"),
        (b"CT\x1b[31m\r\n1".ljust(16), "CT\\x1b[31m\\r\\n1"),
    ],
)
def test_a_calling_ae_title_is_read_without_its_padding(
    scp: StorageScp, memory: MemoryReceiver, senders: list[str], title: bytes, sender: str
) -> None:
    titles = b"\0\xff" * 8 + title
    body = assert_stores(ask(scp, APPLICATION, CT_OFFER, USER, titles=titles), memory, "1.4")
    assert senders[-1] == sender
    assert body[4:36] == titles, "PS3.8 9.3.3 has the titles repeated as they came"


def test_what_cannot_be_accepted_is_refused_by_itself(scp: StorageScp) -> None:
    mr = item(0x30, b"1.2.840.10008.5.1.4.1.1.4")
    syntax = item(0x40, IMPLICIT.encode())
    offers = [
        offer(3, syntax),
        offer(5, item(0x30, CT.encode())),
        offer(7, item(0x30, CT.encode()), syntax),
        offer(7, mr, syntax),
        offer(8, mr, syntax),
        offer(9, item(0x30, uids.STUDY_ROOT_FIND.encode()), syntax),
    ]
    peer = ask(scp, APPLICATION, CT_OFFER, *offers, USER)
    with peer.connection:
        _, body = peer.read_pdu()
    answers = body[68 + len(APPLICATION) :]
    found = {}
    while answers[0] == 0x21:
        length = struct.unpack_from(">H", answers, 2)[0]
        found[answers[4]] = answers[6]
        answers = answers[4 + length :]
    assert found == {1: 0, 3: 3, 5: 4, 7: 2, 8: 2, 9: 3}


def test_an_echo_works_over_an_odd_association() -> None:
    def script(peer: Conversation) -> None:
        peer.read_request()
        user = item(0x50, *ODD_SUB_ITEMS.values())
        peer.send(acceptance(TAKEN, item(0x7A, b"?"), user, bytes(20)))
        context_id, request, _ = peer.read_message()
        peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    with ScriptedPeer(script) as peer:
        assert echo(peer.node(), calling_ae_title="QRKIT").round_trip >= 0
