"""What we ask for in an association, and how it ends."""

import contextlib
import itertools
import random
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from qrkit import errors, uids
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import COMPRESSED, UNCOMPRESSED, Proposal, storage_proposals
from qrkit.dimse.stream import MAXIMUM_LENGTH
from qrkit.node import Node, Timeouts
from qrkit.stop import Stop
from tests.dimse.scripted import QUICK, RELEASE_RP, RELEASE_RQ, Conversation, ScriptedPeer

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
VERIFY = Proposal(abstract_syntax=uids.VERIFICATION)


def serve(peer: Conversation) -> None:
    """Accept and wait for the release."""
    peer.accept()
    peer.release()


def test_the_request_says_who_we_are_and_what_we_take() -> None:
    requests = []

    def note(peer: Conversation) -> None:
        requests.append(peer.accept())
        peer.release()

    with (
        ScriptedPeer(note) as peer,
        associate(peer.node(), [VERIFY, *storage_proposals([CT], room=3)], calling_ae_title="QRKIT"),
    ):
        pass
    (request,) = requests
    assert (request.calling_ae_title, request.called_ae_title) == ("QRKIT", "SCRIPTED")
    assert request.maximum_length_received == MAXIMUM_LENGTH
    items = {type(item).__name__: item for item in request.user_information}
    assert items["ImplementationClassUIDNotification"].implementation_class_uid == uids.IMPLEMENTATION_CLASS_UID
    assert items["ImplementationVersionNameNotification"].implementation_version_name == "QRKIT_0_1"
    roles = [item for item in request.user_information if type(item).__name__ == "SCP_SCU_RoleSelectionNegotiation"]
    assert [(role.sop_class_uid, role.scu_role, role.scp_role) for role in roles] == [(CT, False, True)]
    assert [context.context_id for context in request.presentation_context_definition_list] == [1, 3, 5, 7]


def test_a_node_may_know_us_by_another_ae_title() -> None:
    titles = []

    def note(peer: Conversation) -> None:
        titles.append(peer.accept().calling_ae_title)
        peer.release()

    with ScriptedPeer(note) as peer:
        node = Node(
            name="n", host="127.0.0.1", port=peer.port, ae_title="S", calling_ae_title="PHYSICS", timeouts=QUICK
        )
        associate(node, [VERIFY], calling_ae_title="QRKIT").release()
    assert titles == ["PHYSICS"]


def test_accepted_and_refused_contexts_are_told_apart() -> None:
    def script(peer: Conversation) -> None:
        peer.accept(takes=lambda uid: uid != CT)
        peer.release()

    ct, mr = Proposal(abstract_syntax=CT), Proposal(abstract_syntax=MR)
    with (
        ScriptedPeer(script) as peer,
        associate(peer.node(), [ct, mr, VERIFY], calling_ae_title="QRKIT") as association,
    ):
        assert association.refused == (ct,)
        assert {number: context.abstract_syntax for number, context in association.contexts.items()} == {
            3: MR,
            5: uids.VERIFICATION,
        }
        assert association.context_for(MR).transfer_syntax == uids.EXPLICIT_VR_LITTLE_ENDIAN
        with pytest.raises(errors.NoContextAccepted, match="CT Image Storage"):
            association.context_for(CT)


def test_message_ids_are_never_zero_and_never_too_large() -> None:
    with ScriptedPeer(serve) as peer, associate(peer.node(), [VERIFY], calling_ae_title="QRKIT") as association:
        numbers = [association.next_message_id() for _ in range(65_537)]
    assert numbers[0] == 2  # some peers answer every request as message 0 or 1
    assert numbers[-2:] == [2, 3]
    assert max(numbers) == 65_535


def test_an_error_within_the_block_aborts() -> None:
    received = []

    def script(peer: Conversation) -> None:
        peer.accept()
        received.append(peer.read_to_end())

    with (
        ScriptedPeer(script) as peer,
        pytest.raises(ZeroDivisionError),
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT"),
    ):
        raise ZeroDivisionError
    assert received == [bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))]


def test_a_release_that_crosses_the_peers_is_answered() -> None:
    received = []

    def script(peer: Conversation) -> None:
        peer.accept()
        peer.send(RELEASE_RQ)
        assert peer.read_pdu()[0] == 5
        assert peer.read_pdu()[0] == 6
        peer.send(RELEASE_RP)
        received.append(peer.read_to_end())

    with ScriptedPeer(script) as peer:
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT").release()
    assert received == [b""]


@pytest.mark.slow
def test_releasing_does_not_take_longer_than_the_association_timeout() -> None:
    with ScriptedPeer(lambda peer: (peer.accept(), peer.read_to_end())[0]) as peer:
        node = peer.node(Timeouts(association=0.4, response=60, inactivity=60))
        association = associate(node, [VERIFY], calling_ae_title="QRKIT")
        association.stream.patience = 60
        started = time.monotonic()
        association.release()
        assert time.monotonic() - started < 3
        association.release()
        association.abort()


def test_waiting_for_the_answer_can_be_ended() -> None:
    with ScriptedPeer(lambda peer: not peer.read_to_end()) as peer:
        started = time.monotonic()
        with pytest.raises(errors.Cancelled):
            associate(peer.node(), [VERIFY], calling_ae_title="QRKIT", stop=Stop(lambda: True))
        assert time.monotonic() - started < 3


def damaged_acceptance(peer: Conversation, change: random.Random) -> None:
    """Answer with an A-ASSOCIATE-AC in which some bytes are others."""
    from tests.dimse.scripted import acceptance

    pdu = bytearray(acceptance(peer.read_request(), takes=lambda _: True, maximum=16_384))
    for _ in range(change.randint(1, 4)):
        pdu[change.randrange(6, len(pdu))] = change.randrange(256)
    cut = pdu[6 : change.choice([len(pdu), change.randint(6, len(pdu))])]
    peer.send(struct.pack(">BxI", 2, len(cut)), bytes(cut))


@pytest.mark.slow
@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_a_damaged_acceptance_is_an_error_of_ours_or_an_association(seed: int) -> None:
    with (
        ScriptedPeer(lambda peer: damaged_acceptance(peer, random.Random(seed))) as peer,
        contextlib.suppress(errors.NodeError),
    ):
        associate(peer.node(), [VERIFY], calling_ae_title="QRKIT").release()


@pytest.mark.parametrize("room", [1, 2, 5, 64, 127])
@pytest.mark.parametrize("classes", [0, 1, 3, 40, 200])
def test_storage_proposals_fill_the_room_and_no_more(classes: int, room: int) -> None:
    proposals = storage_proposals([f"1.2.{n}" for n in range(classes)], room=room)
    assert len(proposals) <= room
    assert all(proposal.we_receive and proposal.transfer_syntaxes for proposal in proposals)
    named = list(dict.fromkeys(proposal.abstract_syntax for proposal in proposals))
    assert named == [f"1.2.{n}" for n in range(min(classes, room))]
    for _, group in itertools.groupby(proposals, key=lambda proposal: proposal.abstract_syntax):
        syntaxes = [syntax for proposal in group for syntax in proposal.transfer_syntaxes]
        assert len(syntaxes) == len(set(syntaxes))
        assert syntaxes[:2] == [uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN]


def test_a_class_named_twice_is_proposed_once() -> None:
    assert storage_proposals([CT, CT], room=2) == storage_proposals([CT], room=2)


def test_every_transfer_syntax_with_pixels_is_offered() -> None:
    kinds = [
        uid for uid, (_, kind, _, retired, _) in UID_dictionary.items() if kind == "Transfer Syntax" and not retired
    ]
    without_pixels = {uid for uid in kinds if "JPIP" in UID(uid).name or "SMPTE" in UID(uid).name}
    newer = {f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112)} | {"1.2.840.10008.1.2.8.1"}
    assert newer | set(kinds) - without_pixels <= {*UNCOMPRESSED, *COMPRESSED}
    assert not without_pixels & set(COMPRESSED)
    assert len(set(COMPRESSED)) == len(COMPRESSED)
