"""Responses that come twice or late, or that do not name their request: none is taken for the answer to another."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from qrkit.dimse import messages as dimse
from qrkit.dimse.messages import Command
from qrkit.find.session import FindSession
from qrkit.find.windows import Failure
from qrkit.query import Request
from qrkit.tables import Level
from tests.dimse.scripted import RELEASE_RP, Conversation, ScriptedPeer

REQUESTS = [Request(level=Level.STUDY, keys=(("StudyInstanceUID", f"1.{number}"),)) for number in range(4)]
Named = Callable[[int], int]


class Answers:
    """A script that answers each request with its own Identifier, and counts associations."""

    def __init__(self, responses: tuple[tuple[int, Named], ...]) -> None:
        self.associations = 0
        self._responses = responses

    def __call__(self, peer: Conversation) -> None:
        peer.accept()
        self.associations += 1
        with suppress(ConnectionError):
            try:
                while True:
                    self._answer(peer, *peer.read_message())
            except AssertionError:  # A-RELEASE-RQ
                peer.send(RELEASE_RP)

    def _answer(self, peer: Conversation, context_id: int, command: Command, data: bytes) -> None:
        own = command.number(dimse.MESSAGE_ID) or 0
        for status, named in self._responses:
            values = {dimse.STATUS: status, dimse.MESSAGE_ID_BEING_RESPONDED_TO: named(own)}
            pending = data if named(own) in (own, 0, 1) else data.replace(b"1.", b"9.")
            peer.respond(context_id, command, values, pending if status else b"")


def found(script: Answers) -> tuple[list[list[str]], FindSession]:
    """Return the UIDs that were found by each request."""
    with (
        ScriptedPeer(script) as peer,
        FindSession(replace(peer.node(), associations=1), calling_ae_title="QRKIT") as session,
    ):
        answers = session.try_ask(REQUESTS)
    tables = [answer for answer in answers if not isinstance(answer, Failure)]
    return [table["StudyInstanceUID"].to_pylist() for table in tables], session


EACH = [[f"1.{number}"] for number in range(4)]


def own(message_id: int) -> int:
    """Name the request."""
    return message_id


def zero(_: int) -> int:
    """Name message 0."""
    return 0


def one(_: int) -> int:
    """Name message 1."""
    return 1


def other(_: int) -> int:
    """Name a message that was never sent."""
    return 999


def test_a_second_final_response_is_not_the_answer_to_the_next_request() -> None:
    script = Answers(((0xFF00, own), (0, own), (0, own)))
    uids, session = found(script)
    assert uids == EACH
    assert (script.associations, session.vain) == (1, {})


@pytest.mark.parametrize("named", [zero, one, other])
@pytest.mark.parametrize("finals", [1, 2])
def test_a_node_that_never_names_a_request_gets_an_association_for_each(named: Named, finals: int) -> None:
    script = Answers(((0xFF00, named), *[(0, named)] * finals))
    uids, session = found(script)
    assert [len(some) for some in uids] == [1] * 4
    assert (script.associations, session.requests, session.vain) == (4, 4, {})


def test_rows_that_name_another_request_are_left_out_and_counted() -> None:
    uids, session = found(Answers(((0xFF00, own), (0xFF00, other), (0, own))))
    assert uids == EACH
    assert [vain.of_another for vain in session.vain.values()] == [1] * 4


def test_a_row_before_one_that_names_the_request_is_in_doubt() -> None:
    uids, session = found(Answers(((0xFF00, other), (0xFF00, own), (0, own))))
    assert uids == [["9.0", "1.0"], *EACH[1:]]
    assert [vain.of_another for vain in session.vain.values()] == [1] * 4


def test_the_end_of_another_request_does_not_end_the_first_one() -> None:
    uids, session = found(Answers(((0, other), (0xFF00, own), (0, own))))
    assert (uids, session.vain) == (EACH, {})


def test_a_row_after_the_end_is_found_or_makes_the_result_doubtful() -> None:
    uids, session = found(Answers(((0, own), (0xFF00, own))))
    late = sum(vain.of_another for vain in session.vain.values())
    assert sum(map(len, uids)) + late >= 3  # that to the last request may arrive when all is over
