"""The replaying server: it serves one client after the other, however each of them leaves."""

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.replay import save
from benchmarks.servers import process
from tests.peers.waiting import LOOPBACK, free_port

REQUEST = struct.pack(">BxI", 1, 4) + bytes(4)
ACCEPTANCE = struct.pack(">BxI", 2, 4) + bytes(4)
IDENTIFIER = struct.pack(">BxIIBB", 4, 6, 2, 1, 2)
RESPONSES = b"responses" * 100_000


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a replaying server."""
    recorded, number = tmp_path / "recorded", free_port()
    save(recorded, acceptance=ACCEPTANCE, responses=RESPONSES)
    with process([sys.executable, "-m", "benchmarks.replay", str(number), str(recorded)], number):
        yield number


def connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=10)


def check_served(port: int) -> None:
    with closing(connect(port)) as client, client.makefile("rb") as received:
        client.sendall(REQUEST)
        assert received.read(len(ACCEPTANCE)) == ACCEPTANCE
        client.sendall(IDENTIFIER)
        assert received.read(len(RESPONSES)) == RESPONSES


def test_a_client_that_closes_without_a_release_leaves_the_server_running(port: int) -> None:
    check_served(port)
    check_served(port)


def test_a_client_that_resets_the_connection_leaves_the_server_running(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(REQUEST + IDENTIFIER)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    check_served(port)


def test_a_client_that_closes_within_a_pdu_leaves_the_server_running(port: int) -> None:
    with closing(connect(port)) as client:
        client.sendall(REQUEST[:8])
    check_served(port)
