"""C-FIND: with real archives the same answers as DCMTK's findscu; with others an error or a cancel, never less."""

import time
from collections.abc import Callable

import pyarrow as pa
import pytest
from pydicom import Dataset

from qrkit import errors
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import associate
from qrkit.dimse.find import BATCH, FindResponses, find, find_proposals
from qrkit.dimse.messages import Command, encode_identifier
from qrkit.node import Node, Timeouts
from qrkit.stop import NEVER, Stop
from tests.dimse.received import node_at
from tests.dimse.scripted import ABORT_BY_PROVIDER, RELEASE_RQ, Conversation, ScriptedPeer, p_data
from tests.peers.dcmtk import findscu
from tests.peers.peer import Archive

EXPLICIT = "1.2.840.10008.1.2.1"
QUICK = Timeouts(connect=2, association=2, response=4, inactivity=4)
KEYWORDS = ["StudyInstanceUID", "PatientID"]


def identifier(level: str, **keys: str) -> Dataset:
    """An Identifier with these keys."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def rows(node: Node, wanted: Dataset, keywords: list[str]) -> list[dict[str, object]]:
    """The answers, as rows."""
    with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
        batches = list(find(association, wanted, keywords, node=node))
    found: list[dict[str, object]] = pa.Table.from_batches(batches).select(keywords).to_pylist()
    return found


@pytest.fixture(params=["orthanc", "dcmqrscp", "qrscp"])
def archive(request: pytest.FixtureRequest) -> Archive:
    found: Archive = request.getfixturevalue(request.param)
    return found


def as_findscu(archive: Archive, level: str, **keys: str) -> list[tuple[str, ...]]:
    """The values of the keys as findscu prints them."""
    answers = findscu(archive.address, level, [f"{keyword}={value}" for keyword, value in keys.items()])
    return sorted(tuple(str(answer.get(keyword, "")) for keyword in keys) for answer in answers)


def ours(archive: Archive, level: str, **keys: str) -> list[tuple[str, ...]]:
    """The values of the keys as we decode them."""
    found = rows(node_at(archive.address), identifier(level, **keys), list(keys))
    return sorted(tuple("" if row[keyword] is None else str(row[keyword]) for keyword in keys) for row in found)


def test_answers_are_those_of_findscu_at_each_level(archive: Archive) -> None:
    studies = ours(archive, "STUDY", StudyInstanceUID="", PatientID="", AccessionNumber="")
    assert studies == as_findscu(archive, "STUDY", StudyInstanceUID="", PatientID="", AccessionNumber="")
    assert len(studies) >= 19
    study = two_patients(studies)
    series = ours(archive, "SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
    assert series == as_findscu(archive, "SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
    assert len(series) == 3
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series[0][1], "SOPInstanceUID": ""}
    assert ours(archive, "IMAGE", **keys) == as_findscu(archive, "IMAGE", **keys)


def two_patients(studies: list[tuple[str, ...]]) -> str:
    """The study of the samples that is there under two patient IDs."""
    return next(uid for uid, *_ in studies if uid.endswith("0.13.8620675"))


def test_no_answers_are_an_empty_batch_with_the_columns(archive: Archive) -> None:
    assert rows(node_at(archive.address), identifier("STUDY", StudyInstanceUID="1.9.9.9"), KEYWORDS) == []


Answer = Callable[[Conversation, int, Command], None]


def ask(answer: Answer, *, stop: Stop = NEVER, timeouts: Timeouts = QUICK) -> tuple[FindResponses, int]:
    """Query a peer that goes on with `answer`; give the finding and its number of rows."""

    def script(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        answer(peer, context_id, request)

    with ScriptedPeer(script) as peer:
        node = peer.node(timeouts)
        with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
            finding = find(association, identifier("STUDY"), KEYWORDS, node=node, stop=stop)
            return finding, sum(batch.num_rows for batch in finding)


def one_row(number: int = 1) -> bytes:
    """An encoded answer."""
    return encode_identifier(identifier("STUDY", StudyInstanceUID=f"1.2.{number}", PatientID="X"), EXPLICIT)


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0x0122, 0xFE00, 0xB000, 0x0001])
def test_every_other_end_than_success_is_an_error_with_its_status(status: int) -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row())
        peer.respond(context_id, request, {dimse.STATUS: status, dimse.ERROR_COMMENT: "too much"})
        peer.read_to_end()

    with pytest.raises(errors.StatusError, match=f'C-FIND with status 0x{status:04X} .*"too much"') as caught:
        ask(answer)
    assert caught.value.status == status


@pytest.mark.parametrize(("status", "noted"), [(0xFF00, False), (0xFF01, True)])
def test_keys_that_the_peer_ignored_are_noted(status: int, *, noted: bool) -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        for number in range(3):
            peer.respond(context_id, request, {dimse.STATUS: status}, one_row(number))
        peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    finding, count = ask(answer)
    assert (finding.keys_unsupported, finding.count, count) == (noted, 3, 3)


def test_answers_come_in_batches() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        values = {
            dimse.COMMAND_FIELD: dimse.C_FIND_RSP,
            dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.number(dimse.MESSAGE_ID) or 0,
            dimse.COMMAND_DATA_SET_TYPE: 1,
            dimse.STATUS: 0xFF00,
        }
        pending = p_data(context_id, dimse.encode_command(values), command=True)
        peer.send((pending + p_data(context_id, one_row(), command=False)) * (2 * BATCH + 1))
        peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    assert ask(answer)[1] == 2 * BATCH + 1


def test_a_pending_response_without_identifier_is_no_row() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, {dimse.STATUS: 0xFF00})
        peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row())
        peer.respond(context_id, request, {dimse.STATUS: 0})
        peer.release()

    assert ask(answer)[1] == 1


@pytest.mark.parametrize(
    ("then", "kind"),
    [(RELEASE_RQ, errors.AssociationAborted), (ABORT_BY_PROVIDER, errors.AssociationAborted)],
)
def test_a_peer_that_leaves_before_the_end_has_not_answered(then: bytes, kind: type[errors.NodeError]) -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row())
        peer.send(then)
        peer.read_to_end()

    with pytest.raises(kind):
        ask(answer)


def test_a_connection_that_ends_before_the_end_has_not_answered() -> None:
    with pytest.raises(errors.ConnectionLost):
        ask(lambda peer, context_id, request: peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row()))


def test_silence_after_the_first_answer_is_a_timeout() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row())
        peer.read_to_end()

    with pytest.raises(errors.NodeTimeout, match=r"sent nothing for 0\.4 seconds"):
        ask(answer, timeouts=Timeouts(association=2, response=30, inactivity=0.4))


def test_a_peer_that_obeys_the_cancel_ends_the_query() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        _, cancel, _ = peer.read_message()
        assert cancel.field == dimse.C_CANCEL_RQ
        peer.respond(context_id, request, {dimse.STATUS: 0xFE00})

    with pytest.raises(errors.Cancelled, match="The query was cancelled"):
        ask(answer, stop=Stop(lambda: True))


def test_a_peer_that_ignores_the_cancel_is_left_after_two_seconds() -> None:
    def answer(peer: Conversation, context_id: int, request: Command) -> None:
        try:
            while True:
                peer.respond(context_id, request, {dimse.STATUS: 0xFF00}, one_row())
        except OSError:
            return

    started = time.monotonic()
    with pytest.raises(errors.Cancelled, match="ignored C-CANCEL"):
        ask(answer, stop=Stop(lambda: True))
    assert 2 <= time.monotonic() - started < 4
