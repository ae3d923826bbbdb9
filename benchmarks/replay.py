"""A C-FIND SCP that only repeats what another one once answered, as fast as a socket takes it.

With it the peer costs nothing, so that what is compared are the clients. Run as a process of its own:
``python -m benchmarks.replay PORT FILE``, the file holding A-ASSOCIATE-AC and the responses, each with its length.
"""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

_LENGTH = struct.Struct(">Q")
_RELEASE_RQ, _P_DATA = 5, 4
_RELEASE_RP = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))


def save(path: Path, *, acceptance: bytes, responses: bytes) -> None:
    """Write what `main` repeats."""
    path.write_bytes(_LENGTH.pack(len(acceptance)) + acceptance + responses)


def main(port: int, recorded: Path) -> None:
    """Answer one association after the other, for ever."""
    content = recorded.read_bytes()
    length = _LENGTH.unpack_from(content)[0]
    acceptance, responses = content[8 : 8 + length], memoryview(content)[8 + length :]
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _serve(connection, acceptance, responses)


def _serve(connection: socket.socket, acceptance: bytes, responses: memoryview) -> None:
    last = b""
    while True:
        kind, body = _read_pdu(connection)
        if kind == 1:
            connection.sendall(acceptance)
        elif kind == _P_DATA and body[5] == 2:  # the last fragment of a data set: the Identifier is whole
            connection.sendall(responses)
        elif kind == _RELEASE_RQ:
            last = _RELEASE_RP
        if kind not in (1, _P_DATA):
            connection.sendall(last)
            return


def _read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    header = connection.recv(6, socket.MSG_WAITALL)
    if len(header) < 6:
        return 0, b""
    kind, length = struct.unpack(">BxI", header)
    return kind, connection.recv(length, socket.MSG_WAITALL)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
