"""Two ends of one connection: our Stream at one, a plain socket at the other."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qrkit.dimse.stream import Stream
from tests.peers.waiting import LOOPBACK


@contextmanager
def connected(patience: float = 5.0) -> Iterator[tuple[Stream, socket.socket]]:
    """Give a stream and the other end of its TCP connection."""
    ours, theirs = tcp_pair()
    theirs.settimeout(10)
    stream = Stream(ours, peer="PEER", patience=patience)
    try:
        yield stream, theirs
    finally:
        stream.close()
        theirs.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Give the two ends of a TCP connection on loopback."""
    with socket.create_server((LOOPBACK, 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    return ours, theirs


@contextmanager
def beside(action: Callable[[], object]) -> Iterator[None]:
    """Run an action in a thread while the block runs; what it raises is raised at the end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - raised in the test
            errors.append(error)

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
    assert not thread.is_alive(), "the other end does not finish"
    if errors:
        raise errors[0]


def read_exactly(connection: socket.socket, count: int) -> bytes:
    """Give exactly so many bytes."""
    received = bytearray()
    while len(received) < count:
        chunk = connection.recv(min(count - len(received), 65_536))
        if not chunk:
            raise ConnectionResetError(f"{len(received)} of {count} bytes")
        received += chunk
    return bytes(received)


def drop(fragment: memoryview) -> None:
    """Take a fragment and keep nothing."""
    del fragment
