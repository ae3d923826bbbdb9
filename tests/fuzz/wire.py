"""Coverage-guided fuzzing of what reads a peer's bytes: ``python -m tests.fuzz.wire -max_total_time=600``.

Needs atheris, which the test extra does not bring, since it is not there for every platform. The ordinary tests fuzz
the same functions by Hypothesis.
"""

import contextlib
import socket
import sys

import atheris

with atheris.instrument_imports(include=["qrkit.dimse", "qrkit.store.header"]):
    from qrkit.dimse.answers import AnswerDecoder
    from qrkit.dimse.messages import decode_command
    from qrkit.dimse.stream import PeerReleased, Stream
    from qrkit.errors import ObjectUnreadable, ProtocolError, QrkitError
    from qrkit.store.header import HeaderIncomplete, read_header

_KEYWORDS = ("StudyInstanceUID", "StudyDate", "StudyTime", "PatientName", "ModalitiesInStudy", "SeriesNumber")
_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def read_one(data: bytes) -> None:
    """Give the bytes to one of the readers, chosen by the first of them; only errors of ours may come out."""
    if not data:
        return
    kind, rest = data[0] % 4, data[1:]
    (_stream, _command, _answer, _header)[kind](rest)


def _stream(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(5)
        stream = Stream(ours, peer="PEER", patience=0.3)
        theirs.sendall(data[:60_000])
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(QrkitError, PeerReleased), contextlib.closing(stream):
            while True:
                context_id, command = stream.read_command()
                if decode_command(command, peer="PEER").has_data_set:
                    stream.read_data(context_id, _drop)


def _drop(fragment: memoryview) -> None:
    del fragment


def _command(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode_command(data, peer="PEER")


def _answer(data: bytes) -> None:
    decoder = AnswerDecoder(_KEYWORDS, implicit=bool(data[:1] and data[0] & 1))
    decoder.add(data[1:])
    if decoder.take().num_rows != 1:
        raise AssertionError("a row was lost")


def _header(data: bytes) -> None:
    syntax = _SYNTAXES[data[0] % len(_SYNTAXES)] if data else _SYNTAXES[0]
    with contextlib.suppress(ObjectUnreadable, HeaderIncomplete):
        read_header(data[1:], syntax, whole=bool(len(data) % 2))


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
