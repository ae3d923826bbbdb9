"""A C-FIND SCP that replays the recorded responses of another one, as fast as a socket accepts them.

Such a peer needs no time of its own, so the benchmark compares the clients only. It runs as a process:
``python -m benchmarks.replay PORT FILE``. The file contains the length of A-ASSOCIATE-AC, that PDU and the responses.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path

_LENGTH = struct.Struct(">Q")
_ASSOCIATE_RQ, _P_DATA, _RELEASE_RQ = 1, 4, 5
_RELEASE_RP = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))


def save(path: Path, *, acceptance: bytes, responses: bytes) -> None:
    """Write the file that `main` replays."""
    path.write_bytes(_LENGTH.pack(len(acceptance)) + acceptance + responses)


def main(port: int, recorded: Path) -> None:
    """Serve associations, several at once and however each client leaves, until the process is ended."""
    content = recorded.read_bytes()
    length = _LENGTH.unpack_from(content)[0]
    acceptance, responses = content[8 : 8 + length], memoryview(content)[8 + length :]
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_serve, args=(connection, acceptance, responses), daemon=True).start()


def _serve(connection: socket.socket, acceptance: bytes, responses: memoryview) -> None:
    # a client may close without a release, as the check that the server listens does
    with connection, suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _answer(connection, acceptance, responses)


def _answer(connection: socket.socket, acceptance: bytes, responses: memoryview) -> None:
    while True:
        kind, body = _read_pdu(connection)
        if kind == _ASSOCIATE_RQ:
            connection.sendall(acceptance)
        elif kind == _P_DATA and body[5] == 2:  # the last fragment of a data set: the Identifier is whole
            connection.sendall(responses)
        elif kind == _RELEASE_RQ:
            connection.sendall(_RELEASE_RP)
        if kind not in (_ASSOCIATE_RQ, _P_DATA):
            return


def _read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Return type and content of the next PDU; type 0 where the client has closed the connection."""
    header = connection.recv(6, socket.MSG_WAITALL)
    if len(header) < 6:
        return 0, b""
    kind, length = struct.unpack(">BxI", header)
    body = connection.recv(length, socket.MSG_WAITALL)
    return (kind, body) if len(body) == length else (0, b"")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
