"""Nodes that send pending responses without end: the same rows again, or responses without an Identifier."""

import time

import pytest

from qrkit.dimse import messages as dimse
from qrkit.dimse.find import _Novelty
from qrkit.errors import LimitReached
from qrkit.find.session import FindSession
from qrkit.find.windows import Failure
from qrkit.jobs import JobState
from qrkit.node import Timeouts
from qrkit.query import Request
from qrkit.simulator import Quirks
from qrkit.tables import Level
from tests.dimse.scripted import Conversation, ScriptedPeer
from tests.retrieve.conftest import fetch
from tests.workspace.opened import Linked, all_studies, worker_in_thread

STUDY = Request(level=Level.STUDY, keys=(("StudyInstanceUID", "1.2.3"),))


def test_answers_that_are_sent_twice_or_a_few_times_are_no_sign_of_an_endless_node() -> None:
    novelty = _Novelty()
    for _ in range(9):
        for number in range(2_000):
            novelty.take(b"row %d" % number)
    assert not novelty.is_over


def test_the_same_few_answers_again_and_again_are() -> None:
    novelty = _Novelty()
    for number in range(50_003):
        novelty.take(b"row %d" % (number % 3))
    assert novelty.is_over
    assert novelty.new == 3


@pytest.mark.slow
@pytest.mark.parametrize("how", ["repeat", "empty"])
def test_a_query_that_pends_for_ever_ends(linked: Linked, how: str) -> None:
    begun = time.monotonic()
    rows = int(linked.workspace.find("pacs", date="2026-06-30").shape[0])
    linked.pacs.quirks = Quirks(find_endless=how)
    frame = linked.workspace.find("pacs", date="2026-06-30")
    coverage = frame.attrs["qrkit"]["coverage"]
    assert (len(frame), coverage["complete"]) == (rows, False)
    assert "pending responses without anything new" in coverage["why"][0]
    assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_a_node_whose_answers_never_end_is_not_asked_for_everything(linked: Linked) -> None:
    studies = list(linked.workspace.find("pacs")["StudyInstanceUID"])
    asked = len(linked.pacs.requests)
    linked.pacs.quirks = Quirks(find_endless="empty")
    linked.workspace.nodes.edit("pacs", timeouts={"response": 0.5, "inactivity": 0.5})
    frame = linked.workspace.find("pacs", level="SERIES", study_uid=studies[:40])
    coverage = frame.attrs["qrkit"]["coverage"]
    assert not coverage["complete"]
    assert 0 < frame["StudyInstanceUID"].nunique() < 40
    assert len(linked.pacs.requests) - asked < 20


def test_a_drip_of_the_same_row_ends_by_the_inactivity_timeout() -> None:
    def serve(peer: Conversation) -> None:
        peer.accept()
        context_id, command, data = peer.read_message()
        peer.connection.settimeout(0.02)
        while True:
            try:
                peer.respond(context_id, command, {dimse.STATUS: 0xFF00}, data)
                if not peer.connection.recv(1_000):
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return

    timeouts = Timeouts(connect=2, association=2, response=5, inactivity=0.3)
    with ScriptedPeer(serve) as peer, FindSession(peer.node(timeouts), calling_ae_title="QRKIT") as session:
        (answer,) = session.try_ask([STUDY])
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, LimitReached)
    assert "for 0.3 seconds, after 1 answer" in answer.error.message


@pytest.mark.slow
@pytest.mark.parametrize("how", ["repeat", "empty"])
def test_a_retrieve_goes_on_where_the_list_of_objects_pends_for_ever(linked: Linked, how: str) -> None:
    linked.pacs.quirks = Quirks(find_endless=how)
    study = min(all_studies(linked.hospital), key=lambda study: study.NumberOfStudyRelatedInstances)
    with worker_in_thread(linked.workspace):
        job = fetch(linked, study)
    assert job.stored == study.NumberOfStudyRelatedInstances
    assert job.state in (JobState.COMPLETE, JobState.PARTIAL)
