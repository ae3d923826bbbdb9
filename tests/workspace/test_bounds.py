"""Answers without a bound: what is kept of them, and that they end."""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from qrkit.dimse import messages as dimse
from qrkit.dimse.messages import Command, encode_command
from qrkit.errors import Cancelled
from qrkit.node import Timeouts
from qrkit.query import build_query
from qrkit.simulator import Quirks
from qrkit.stop import Stop
from qrkit.store.queries import left_behind
from qrkit.store.results import Spool, read_left_behind
from qrkit.store.schema import queries
from qrkit.store.state import as_text
from qrkit.tables import Level, schema
from qrkit.workspace import Workspace
from tests.dimse.scripted import QUICK, Conversation, ScriptedPeer, p_data
from tests.workspace.opened import Linked, all_studies

Answer = Callable[[Conversation, int, Command], None]


def element(group: int, number: int, vr: str, value: str) -> bytes:
    raw = value.encode() + b" " * (len(value) % 2)
    if vr == "UT":
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(raw)) + raw
    return struct.pack("<HH2sH", group, number, vr.encode(), len(raw)) + raw


def row(number: int, *, description: str = "CT") -> bytes:
    kept = "LO" if len(description) < 60_000 else "UT"
    return (
        element(0x0008, 0x0020, "DA", "20260131")
        + element(0x0008, 0x0052, "CS", "STUDY")
        + element(0x0008, 0x1030, kept, description)
        + element(0x0010, 0x0020, "LO", f"P{number}")
        + element(0x0020, 0x000D, "UI", f"1.2.3.{number:07}")
    )


def send_rows(peer: Conversation, context_id: int, request: Command, count: int, start: int = 0) -> None:
    pending = encode_command(
        {
            dimse.COMMAND_FIELD: dimse.C_FIND_RSP,
            dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.number(dimse.MESSAGE_ID) or 0,
            dimse.COMMAND_DATA_SET_TYPE: 1,
            dimse.STATUS: 0xFF00,
        }
    )
    head = p_data(context_id, pending, command=True)
    for first in range(start, start + count, 500):
        numbers = range(first, min(first + 500, start + count))
        peer.send(*(head + p_data(context_id, row(number), command=False) for number in numbers))


def serving(answer: Answer) -> ScriptedPeer:
    """Give a peer that answers each request so, and then reads on until the association ends."""

    def script(peer: Conversation) -> None:
        try:
            peer.accept()
            while True:
                context_id, request, _ = peer.read_message()
                answer(peer, context_id, request)
        except (OSError, AssertionError):  # it was left, released or aborted
            peer.connection.close()

    return ScriptedPeer(script)


def node_of(workspace: Workspace, peer: ScriptedPeer, timeouts: Timeouts = QUICK, **settings: object) -> None:
    node = peer.node()
    told = {"host": node.host, "port": node.port, "ae_title": node.ae_title, "associations": 1}
    waits = {"response": timeouts.response, "inactivity": timeouts.inactivity, "query": timeouts.query}
    workspace.nodes.add("p", **told, timeouts=waits, **settings)


def endless(peer: Conversation, context_id: int, request: Command) -> None:
    number = 0
    while True:
        send_rows(peer, context_id, request, 500, number)
        number += 500


def test_rows_without_end_stop_at_the_limit_of_the_node_and_are_kept(workspace: Workspace) -> None:
    with serving(endless) as peer:
        node_of(workspace, peer, most_rows=7_001)
        frame = workspace.find("p")
    assert len(frame) == 7_001
    coverage = frame.attrs["qrkit"]["coverage"]
    assert not coverage["complete"]
    assert "more than 7,001 rows" in coverage["why"][0]
    assert coverage["requests"] == 1
    assert len(workspace.queries.read(frame.attrs["qrkit"]["query_id"])) == 7_001


@pytest.mark.slow
def test_an_answer_ends_at_the_time_limit_of_the_node_and_is_kept(workspace: Workspace) -> None:
    def drip(peer: Conversation, context_id: int, request: Command) -> None:
        number = 0
        while True:
            send_rows(peer, context_id, request, 1, number)
            number += 1
            peer.connection.settimeout(0.05)
            try:
                peer.read_message()
            except TimeoutError:
                continue
            peer.respond(context_id, request, {dimse.STATUS: 0xFE00})  # it was cancelled
            return

    with serving(drip) as peer:
        node_of(workspace, peer, Timeouts(response=5, inactivity=5, query=0.6))
        frame = workspace.find("p")
    assert len(frame) > 1
    assert "no end within 0.6 seconds" in frame.attrs["qrkit"]["coverage"]["why"][0]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["identifier", "command", "no identifier"])
def test_bytes_that_drip_are_no_progress(workspace: Workspace, part: str) -> None:
    def drip(peer: Conversation, context_id: int, request: Command) -> None:
        send_rows(peer, context_id, request, 3)
        pending = {dimse.COMMAND_FIELD: dimse.C_FIND_RSP, dimse.MESSAGE_ID_BEING_RESPONDED_TO: 1}
        pending |= {dimse.COMMAND_DATA_SET_TYPE: 1, dimse.STATUS: 0xFF00}
        command = p_data(context_id, encode_command(pending), command=True)
        whole = command + p_data(context_id, row(4, description="x" * 900), command=False)
        pieces = [whole[place : place + 1] for place in range(len(whole))]
        if part == "identifier":
            pieces = [command, *pieces[len(command) :]]
        if part == "no identifier":
            pieces = [command] * 1_000
        for piece in pieces:
            peer.send(piece)
            time.sleep(0.02)

    started = time.monotonic()
    with serving(drip) as peer:
        node_of(workspace, peer, Timeouts(response=0.5, inactivity=0.5))
        frame = workspace.find("p", study_uid="1.2.3.0000001")
    assert time.monotonic() - started < 8
    assert "for 0.5 seconds" in frame.attrs["qrkit"]["coverage"]["why"][0]


@pytest.mark.slow
def test_a_simulated_pacs_whose_answers_drip_is_left_and_its_rows_are_kept(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(find_drip=0.05)
    linked.workspace.nodes.edit("pacs", timeouts={"inactivity": 0.4})
    study = next(study for study in all_studies(linked.hospital) if len(study.series) > 1)
    frame = linked.workspace.find("pacs", level="SERIES", study_uid=study.StudyInstanceUID)
    assert len(frame) == 1
    assert "sent no whole answer for 0.4 seconds" in frame.attrs["qrkit"]["coverage"]["why"][0]


def test_rows_before_a_connection_is_lost_are_kept_and_marked(workspace: Workspace) -> None:
    def lose(peer: Conversation, context_id: int, request: Command) -> None:
        send_rows(peer, context_id, request, 300)
        peer.connection.close()

    with serving(lose) as peer:
        node_of(workspace, peer)
        frame = workspace.find("p", date="20260131")
    assert len(frame) == 300
    (shown,) = workspace.queries.list().to_dict("records")
    assert (shown["state"], shown["row_count"], shown["complete"]) == ("done", 300, False)


def test_rows_before_a_failure_status_are_kept_and_marked(workspace: Workspace) -> None:
    def fail(peer: Conversation, context_id: int, request: Command) -> None:
        send_rows(peer, context_id, request, 3)
        peer.respond(context_id, request, {dimse.STATUS: 0xC000})

    with serving(fail) as peer:
        node_of(workspace, peer)
        frame = workspace.find("p", date="20260131")
    assert len(frame) == 3
    assert "0xC000" in frame.attrs["qrkit"]["coverage"]["why"][0]


@pytest.mark.slow
def test_rows_until_a_query_is_stopped_are_in_the_history(workspace: Workspace) -> None:
    sent = threading.Event()

    def much(peer: Conversation, context_id: int, request: Command) -> None:
        send_rows(peer, context_id, request, 6_000)
        sent.set()
        peer.read_message()
        peer.respond(context_id, request, {dimse.STATUS: 0xFE00})

    with serving(much) as peer:
        node_of(workspace, peer)
        with pytest.raises(Cancelled, match=r"6,000 rows until then are stored as query"):
            workspace.ask("p", build_query(today=date(2026, 2, 1), level="STUDY"), stop=Stop(sent.is_set))
    (shown,) = workspace.queries.list().to_dict("records")
    assert (shown["row_count"], shown["complete"]) == (6_000, False)
    assert len(workspace.queries.read(shown["query_id"])) == 6_000


@pytest.mark.slow
def test_large_values_are_cut_with_a_warning_and_the_rows_stay(workspace: Workspace) -> None:
    def large(peer: Conversation, context_id: int, request: Command) -> None:
        for number in range(2):
            data = row(number, description="x" * 3_000_000)
            peer.respond(context_id, request, {dimse.STATUS: 0xFF00})
            pieces = range(0, len(data), 100_000)
            peer.send(*(_piece(context_id, data, start) for start in pieces))
        peer.respond(context_id, request, {dimse.STATUS: 0})

    with serving(large) as peer:
        node_of(workspace, peer)
        frame = workspace.find("p", study_uid="1.2.3.0000000,1.2.3.0000001")
    assert [len(text) for text in frame["StudyDescription"]] == [1_048_576] * 2
    assert "the first 1,048,576 are kept" in frame.attrs["qrkit"]["warnings"][0]["why"]


def _piece(context_id: int, data: bytes, start: int) -> bytes:
    return p_data(context_id, data[start : start + 100_000], command=False, last=start + 100_000 >= len(data))


_ASK = """
import sys, qrkit
with qrkit.open(sys.argv[1]) as workspace:
    workspace.find("p")
"""


@pytest.mark.process
def test_rows_of_a_query_whose_process_is_killed_are_recovered(workspace: Workspace) -> None:
    folder = workspace._services.results.folder
    killed = threading.Event()

    def much(peer: Conversation, context_id: int, request: Command) -> None:
        send_rows(peer, context_id, request, 40_000)
        killed.wait(30)

    with serving(much) as peer:
        node_of(workspace, peer, Timeouts(response=30, inactivity=30))
        asking = subprocess.Popen([sys.executable, "-c", _ASK, str(folder.parent)])
        until = time.monotonic() + 30
        while not _rows_on_disk(folder) and time.monotonic() < until:
            time.sleep(0.05)
        asking.kill()
        asking.wait(10)
        killed.set()
    _forget_heartbeats(workspace)
    (shown,) = workspace.queries.list().to_dict("records")
    assert shown["row_count"] > 1_000
    assert (shown["state"], shown["complete"]) == ("done", False)
    assert left_behind(folder) == {}
    why = workspace.queries.show(shown["query_id"]).coverage
    assert why is not None
    assert "its process ended" in why.why[0]


def _rows_on_disk(folder: Path) -> int:
    return sum(read_left_behind(path).num_rows for paths in left_behind(folder).values() for path in paths)


def _forget_heartbeats(workspace: Workspace) -> None:
    state = workspace._services.state
    long_ago = as_text(datetime.fromisoformat(state.now()) - timedelta(hours=1))
    with state.transaction() as connection:
        connection.execute(queries.update().values(heartbeat=long_ago))


def _batch(count: int) -> pa.RecordBatch:
    fields = schema(Level.STUDY, ["StudyDescription"])
    values: dict[str, object] = {
        "StudyInstanceUID": [f"1.{number}" for number in range(count)],
        "StudyDescription": ["x" * 1_000] * count,
    }
    values["warnings"] = [None] * count
    return pa.record_batch(values, schema=fields)


def test_a_spool_reads_back_what_was_written_and_what_waits(tmp_path: Path) -> None:
    with Spool(tmp_path, "q") as spool:
        few = spool.add(_batch(3))
        many = [spool.add(_batch(2_500)) for _ in range(3)]
        last = spool.add(_batch(1))
        assert len(left_behind(tmp_path)["q"]) == 1
        assert few.content is None
        assert last.content is not None
        table = spool.table([few, *many, last])
        assert table["StudyInstanceUID"].to_pylist()[-2:] == ["1.2499", "1.0"]
        assert table.num_rows == 3 + 3 * 2_500 + 1
    assert left_behind(tmp_path) == {}


def test_a_spool_that_was_cut_off_is_read_up_to_the_last_whole_batch(tmp_path: Path) -> None:
    with Spool(tmp_path, "q") as spool:
        for _ in range(2):
            spool.add(_batch(5_000))
        (path,) = left_behind(tmp_path)["q"]
        cut = path.with_name("other-0.answers")
        cut.write_bytes(path.read_bytes()[:-1_000])
        assert read_left_behind(path).num_rows == 10_000
        assert read_left_behind(cut).num_rows == 5_000
        cut.write_bytes(b"")
        assert read_left_behind(cut).num_rows == 0
