"""Nodes that end an association after each answer, or when it is idle: everything is asked over new ones."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product

import pyarrow as pa
import pytest

from qrkit.dimse import messages as dimse
from qrkit.find import associations
from qrkit.find.session import FindSession
from qrkit.find.windows import Failure
from qrkit.node import Node, Timeouts
from qrkit.profile import Evidence, Profile
from qrkit.profile.subjects import NodeHabits
from qrkit.query import Request
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.tables import Level
from tests.dimse.scripted import ABORT_BY_PROVIDER, RELEASE_RP, RELEASE_RQ, Conversation, ScriptedPeer
from tests.workspace.opened import Linked, link

ENDS = ["release", "close", "abort", "reset"]
QUICK = Timeouts(connect=2, association=5, response=5, inactivity=5)
REQUESTS = [Request(level=Level.STUDY, keys=(("StudyInstanceUID", f"1.{number}"),)) for number in range(6)]


class OneAnswer:
    """A script that answers `most` requests on each association and ends it then."""

    def __init__(self, end: str, most: int = 1) -> None:
        self.associations = 0
        self._end = end
        self._most = most

    def __call__(self, peer: Conversation) -> None:
        peer.accept()
        self.associations += 1
        for _ in range(self._most):
            if not self._answer(peer):
                return
        self._finish(peer)

    def _answer(self, peer: Conversation) -> bool:
        try:
            context_id, command, data = peer.read_message()
        except (AssertionError, ConnectionError):  # A-RELEASE-RQ or A-ABORT of our side
            with suppress(ConnectionError):
                peer.send(RELEASE_RP)
            return False
        peer.respond(context_id, command, {dimse.STATUS: 0xFF00}, data)
        peer.respond(context_id, command, {dimse.STATUS: 0})
        return True

    def _finish(self, peer: Conversation) -> None:
        if self._end == "reset":  # at the next request: at once, it would overtake the answer
            with suppress(AssertionError, ConnectionError):
                peer.read_message()
            peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self._end == "abort":
            peer.send(ABORT_BY_PROVIDER)
        elif self._end == "release":
            peer.send(RELEASE_RQ)
            with suppress(ConnectionError):
                peer.read_pdu()
                peer.send(RELEASE_RP)
        elif self._end == "silence":
            _wait_for_the_end(peer)


def _wait_for_the_end(peer: Conversation) -> None:
    """Answer nothing but A-RELEASE-RQ."""
    with suppress(ConnectionError):
        while peer.read_pdu()[0] == 4:
            pass
        peer.send(RELEASE_RP)


def session(peer: ScriptedPeer, **settings: object) -> FindSession:
    return FindSession(replace(peer.node(QUICK), associations=1), calling_ae_title="QRKIT", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("end", "most"), [*product(ENDS, [1, 2]), ("silence", 1)])
def test_every_request_is_answered_where_each_association_ends_after_few(
    end: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(associations, "_UNPROVEN_PATIENCE", 0.3)
    script = OneAnswer(end, most)
    with ScriptedPeer(script) as peer, session(peer) as asking:
        answers = [asking.try_ask([request])[0] for request in REQUESTS]
    assert [answer.num_rows for answer in answers if isinstance(answer, pa.Table)] == [1] * len(REQUESTS)


@pytest.mark.parametrize("end", [*ENDS, "silence"])
def test_what_was_seen_is_evidence_and_later_requests_waste_nothing(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(associations, "_UNPROVEN_PATIENCE", 0.3)
    script = OneAnswer(end)
    with ScriptedPeer(script) as peer:
        with session(peer) as first:
            first.try_ask(REQUESTS)
        profile = Profile.unknown("scripted").learnt(
            Evidence(one_request=first.one_request), now="2026-01-31T08:00:00+00:00"
        )
        assert Profile.from_json(profile.to_json()).habits.one_request
        before = script.associations
        with session(peer, habits=profile.habits) as second:
            second.try_ask(REQUESTS)
        assert script.associations - before == second.requests == len(REQUESTS)
    assert first.requests <= len(REQUESTS) + 2


def test_an_association_that_answers_further_requests_is_kept_and_nothing_is_learnt() -> None:
    script = OneAnswer("close", most=100)
    with ScriptedPeer(script) as peer, session(peer) as asking:
        asking.try_ask(REQUESTS)
        assert (script.associations, asking.one_request) == (1, "")


@pytest.mark.slow
def test_a_silent_node_is_not_asked_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(associations, "_UNPROVEN_PATIENCE", 0.02)
    first = OneAnswer("silence")

    def serve(peer: Conversation) -> None:
        if not first.associations:
            first(peer)
        else:
            peer.accept()
            peer.read_to_end()

    quick = replace(QUICK, response=0.5)
    with ScriptedPeer(serve) as peer, FindSession(peer.node(quick), calling_ae_title="QRKIT") as asking:
        asking.try_ask(REQUESTS[:1])
        begun = time.monotonic()
        (answer,) = asking.try_ask(REQUESTS[1:2])
        assert isinstance(answer, Failure)
        assert time.monotonic() - begun < 2 * quick.response
        assert (asking.requests, asking.one_request) == (3, "")


@pytest.fixture(scope="module")
def pacs() -> Iterator[Simulator]:
    with Simulator(small_hospital(seed=1, studies=20, days=3)) as started:
        yield started


def test_an_idle_association_that_was_ended_is_replaced(pacs: Simulator) -> None:
    pacs.quirks = Quirks(end_when_idle=0.01, end_mode="close")
    node = Node(name="pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title, associations=1, pause=0.03)
    with FindSession(node, calling_ae_title="QRKIT") as asking:
        answers = asking.try_ask(REQUESTS[:4])
    assert all(isinstance(answer, pa.Table) for answer in answers)


def test_a_node_that_takes_one_association_and_one_request_on_each_is_asked_everything(pacs: Simulator) -> None:
    pacs.quirks = Quirks(end_after=1, end_mode="release", max_associations=1)
    node = Node(name="pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title, associations=1)
    with FindSession(node, calling_ae_title="QRKIT", habits=NodeHabits(one_request=True)) as asking:
        answers = asking.try_ask(REQUESTS)
    assert all(isinstance(answer, pa.Table) for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["release", "close", "abort"])
@pytest.mark.parametrize("associations", [1, 3])
def test_queries_plans_and_probes_are_the_same_where_each_association_has_one_answer(
    linked: Linked, end: str, associations: int
) -> None:
    workspace = linked.workspace
    honest = {level: workspace.find("pacs", level=level, date="2026-06-30") for level in ("SERIES", "IMAGE")}
    plan = workspace.plan("pacs", dose=["CT", "MG"], date="2026-06-30")
    known = workspace.probe("pacs")
    with Simulator(linked.hospital, quirks=Quirks(end_after=1, end_mode=end)) as pacs:
        link(workspace, pacs, "ends", associations=associations)
        for level, frame in honest.items():
            found = workspace.find("ends", level=level, date="2026-06-30")
            assert (len(found), found.attrs["qrkit"]["coverage"]["complete"]) == (len(frame), True)
        assert (workspace.profile("ends") or known).habits.one_request
        assert len(workspace.plan("ends", dose=["CT", "MG"], date="2026-06-30").studies) == len(plan.studies)
        probed = workspace.probe("ends")
        assert probed.habits.one_request
        assert [one.verdict for one in probed.statements] == [one.verdict for one in known.statements]
        sent = len(pacs.requests)
        again = workspace.find("ends", level="SERIES", date="2026-06-30")
        assert again.attrs["qrkit"]["coverage"]["requests"] == len(pacs.requests) - sent


def test_the_card_shows_that_each_request_has_its_own_association() -> None:
    learnt = Profile.unknown("pacs").learnt(Evidence(one_request="it broke off"), now="2026-01-31T08:00:00+00:00")
    assert "one request each" in learnt.card().html()
    assert not replace(learnt, stale="moved").habits.one_request
