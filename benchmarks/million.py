"""C-FIND of a million rows from a peer as fast as a socket: seconds, memory, and what is kept when it is killed.

The peer runs as a process: ``python -m benchmarks.million PORT ROWS``.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import qrkit
from benchmarks.servers import process
from qrkit.dimse import messages as dimse
from qrkit.dimse.messages import encode_command
from qrkit.store.queries import left_behind
from qrkit.store.results import read_left_behind
from tests.dimse.scripted import RELEASE_RP, Conversation, p_data
from tests.peers.peer import NO_DELAY
from tests.peers.programs import dcmtk_program
from tests.peers.waiting import free_port, wait_until

ROWS = 1_000_000
_BLOCK = 2_000
_NAME = "p"

_NUMBER = b"@" * 9

_ASK = """
import resource, sys, time, qrkit
with qrkit.open(sys.argv[1]) as workspace:
    started = time.perf_counter()
    frame = workspace.find("p")
    seconds = time.perf_counter() - started
    print(len(frame), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure(folder: Path, *, rows: int = ROWS) -> Iterator[tuple[str, str]]:
    """Query all rows by qrkit and by findscu, then kill qrkit half way; yield what was measured."""
    port = free_port()
    with process([sys.executable, "-m", "benchmarks.million", str(port), str(rows)], port):
        with qrkit.open(folder) as workspace:
            workspace.nodes.add(_NAME, host="127.0.0.1", port=port, ae_title="MILLION")
        asked = subprocess.run([sys.executable, "-c", _ASK, folder], capture_output=True, text=True, check=True)
        count, seconds, peak = asked.stdout.split()
        yield f"qrkit, {int(count):,} rows into a stored DataFrame", f"{float(seconds):.1f} s"
        yield "memory at its highest", f"{int(peak) / 1e3:.0f} MB"
        for what, options in (("printing nothing", ["-q"]), ("output to a file", [])):
            peer = _findscu(port, folder / "findscu.txt", options)
            yield f"findscu, {what}", f"{peer:.1f} s, {peer / float(seconds):.2f} times as long as qrkit"
        kept, sent = _killed_half_way(folder, rows)
        yield f"rows that are kept when it is killed after {sent:,}", f"{kept:,}"


def _findscu(port: int, output: Path, options: list[str]) -> float:
    keys = ["QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime"]
    command = [str(dcmtk_program("findscu")), "-S", *options, "-aec", "MILLION"]
    command += [part for key in keys for part in ("-k", key)]
    started = time.perf_counter()
    with output.open("wb") as file:
        subprocess.run(
            [*command, "127.0.0.1", str(port)],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **NO_DELAY},
            check=True,
        )
    return time.perf_counter() - started


def _killed_half_way(folder: Path, rows: int) -> tuple[int, int]:
    """Kill a query half way; return the rows in the history, and how many were on disk."""
    asking = subprocess.Popen([sys.executable, "-c", _ASK, folder], stdout=subprocess.DEVNULL)
    wait_until(lambda: _received(folder) >= rows // 2, 600, what="half of the rows")
    received = _received(folder)
    asking.send_signal(signal.SIGKILL)
    asking.wait(20)
    with qrkit.open(folder) as workspace:
        wait_until(lambda: workspace.queries.list(1)["state"][0] != "running", 60, what="the end of the query")
        return int(workspace.queries.list(1)["row_count"][0]), received


def _received(folder: Path) -> int:
    files = [path for paths in left_behind(folder / "results").values() for path in paths]
    return sum(read_left_behind(path).num_rows for path in files)


def main(port: int, rows: int) -> None:
    """Serve associations, several at once, until the process is ended."""
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, rows), daemon=True).start()


def _serve(connection: socket.socket, rows: int) -> None:
    # a client may close without a release, as the check that the server listens does
    with connection, suppress(OSError, struct.error):
        peer = Conversation(connection)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.accept()
        with suppress(AssertionError):  # it is a release, not a message
            while True:
                _answer(peer, rows)
        peer.send(RELEASE_RP)


def _answer(peer: Conversation, rows: int) -> None:
    context_id, request, _ = peer.read_message()
    elements: dict[int, int | str] = {
        dimse.COMMAND_FIELD: dimse.C_FIND_RSP,
        dimse.MESSAGE_ID_BEING_RESPONDED_TO: request.number(dimse.MESSAGE_ID) or 0,
        dimse.COMMAND_DATA_SET_TYPE: 1,
        dimse.STATUS: 0xFF00,
    }
    one = p_data(context_id, encode_command(elements), command=True)
    one += p_data(context_id, _identifier(), command=False)
    pattern = one.replace(b"%", b"%%").replace(_NUMBER, b"%(n)09d")
    for first in range(0, rows, _BLOCK):
        numbers = range(first, min(first + _BLOCK, rows))
        peer.send(*(pattern % {b"n": number} for number in numbers))
    peer.respond(context_id, request, {dimse.STATUS: 0})


def _identifier() -> bytes:
    number = _NUMBER.decode()
    values = (
        (0x00080020, "DA", "20260131"),
        (0x00080030, "TM", "101112"),
        (0x00080050, "SH", f"A{number}"),
        (0x00080052, "CS", "STUDY "),
        (0x00080061, "CS", "CT\\SR "),
        (0x00081030, "LO", "CT chest with contrast"),
        (0x00100010, "PN", f"DOE^{number} "),
        (0x00100020, "LO", f"P{number}"),
        (0x00100030, "DA", "19610203"),
        (0x00100040, "CS", "M "),
        (0x0020000D, "UI", f"1.2.840.113619.2.1.1{number}\0"),
        (0x00200010, "SH", "1 "),
        (0x00201206, "IS", "3 "),
        (0x00201208, "IS", "317 "),
    )
    return b"".join(
        struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(text)) + text.encode()
        for tag, vr, text in values
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
