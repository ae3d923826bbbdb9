"""The data phase: messages come out whole, however the peer cuts them into PDVs, PDUs and TCP segments."""

import itertools
import socket
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrkit.dimse import stream as stream_module
from qrkit.dimse.stream import LARGEST, MAXIMUM_LENGTH, PeerReleased, Stream
from qrkit.errors import AssociationAborted, ProtocolError
from tests.dimse.connected import beside, connected, drop, read_exactly
from tests.dimse.scripted import RELEASE_RP, RELEASE_RQ, p_data, pdv

Message = tuple[int, bytes, bytes | None]


def read_messages(stream: Stream, like: Sequence[Message], *, small: bool) -> list[Message]:
    """Read as many messages as `like` has, with a data set where it has one."""
    found: list[Message] = []
    for _, _, expected in like:
        context_id, command = stream.read_command()
        data: bytes | None = None
        if expected is not None and small:
            data = stream.read_small_data(context_id)
        elif expected is not None:
            whole = bytearray()
            length = stream.read_data(context_id, whole.extend)
            assert length == len(whole)
            data = bytes(whole)
        found.append((context_id, command, data))
    return found


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut bytes at some places; each is taken modulo the length."""
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(at)] or [b""]


def pdvs(message: Message, places: Sequence[int]) -> list[bytes]:
    """Cut a message into PDVs, with an empty one in front of each part."""
    context_id, command, data = message
    found = []
    for part, is_command in ((command, True), (data, False)):
        if part is None:
            continue
        pieces = [b"", *cut(part, places)] if places else [part]
        last = len(pieces) - 1
        found += [pdv(context_id, piece, command=is_command, last=n == last) for n, piece in enumerate(pieces)]
    return found


def pdus(values: Sequence[bytes], group: int) -> bytes:
    """Put so many PDVs into each P-DATA-TF PDU."""
    joined = [b"".join(values[n : n + group]) for n in range(0, len(values), group)]
    return b"".join(struct.pack(">BxI", 4, len(body)) + body for body in joined)


odd_ids = st.integers(0, 127).map(lambda n: 2 * n + 1)
messages = st.tuples(odd_ids, st.binary(min_size=1, max_size=300), st.one_of(st.none(), st.binary(max_size=3000)))


@settings(max_examples=60)
@given(
    sent=st.lists(messages, min_size=1, max_size=4),
    places=st.lists(st.integers(0, 5000), max_size=6),
    group=st.integers(1, 7),
    segments=st.lists(st.integers(0, 20_000), max_size=6),
    small=st.booleans(),
)
def test_messages_do_not_depend_on_how_they_are_cut(
    sent: list[Message], places: list[int], group: int, segments: list[int], *, small: bool
) -> None:
    wire = pdus([value for message in sent for value in pdvs(message, places)], group)
    with connected() as (stream, theirs):

        def send() -> None:
            for segment in cut(wire, segments):
                theirs.sendall(segment)

        with beside(send):
            assert read_messages(stream, sent, small=small) == sent


@settings(max_examples=40)
@given(st.lists(messages, min_size=1, max_size=3), st.sampled_from([0, 8, 9, 64, 1000, 16_384, 10_000_000]))
def test_what_we_send_comes_out_again_and_no_pdu_is_longer_than_the_peer_allows(
    sent: list[Message], maximum: int
) -> None:
    with connected() as (stream, theirs):
        stream.peer_maximum = maximum
        wire = b"".join(stream.message(context_id, command, data) for context_id, command, data in sent)
        position = 0
        while position < len(wire):
            kind, length = struct.unpack_from(">BxI", wire, position)
            assert kind == 4
            assert length <= (maximum or 131_072)
            position += 6 + length
        theirs.sendall(wire)
        assert read_messages(stream, sent, small=True) == sent


@pytest.mark.parametrize("maximum", [1, 5, 6, 7])
def test_a_senseless_maximum_of_the_peer_does_not_stop_us(maximum: int) -> None:
    with connected() as (stream, theirs):
        stream.peer_maximum = maximum
        theirs.sendall(stream.message(1, b"command", b"data set"))
        assert read_messages(stream, [(1, b"command", b"data set")], small=True) == [(1, b"command", b"data set")]


def test_an_object_larger_than_all_buffers_comes_through() -> None:
    data = bytes(range(256)) * 80_000
    with connected() as (stream, theirs):
        stream.peer_maximum = MAXIMUM_LENGTH
        wire = stream.message(3, b"command", data)
        with beside(lambda: theirs.sendall(wire)):
            assert read_messages(stream, [(3, b"command", data)], small=False) == [(3, b"command", data)]


@pytest.mark.parametrize("size", [MAXIMUM_LENGTH - 6, 1_048_576, pytest.param(16_777_216, marks=pytest.mark.slow)])
@pytest.mark.parametrize("small", [True, False])
def test_pdus_larger_than_we_propose_are_taken(size: int, *, small: bool) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    with connected() as (stream, theirs):
        wire = p_data(1, b"command", command=True) + p_data(1, data, command=False)
        with beside(lambda: theirs.sendall(wire)):
            (message,) = read_messages(stream, [(1, b"command", data)], small=small)
        assert message == (1, b"command", data)


def test_many_values_in_one_large_pdu_are_taken() -> None:
    pieces = [bytes([number]) * 40_000 for number in range(100)]
    values = [pdv(1, b"command", command=True)]
    values += [pdv(1, piece, command=False, last=number == 99) for number, piece in enumerate(pieces)]
    with connected() as (stream, theirs), beside(lambda: theirs.sendall(pdus(values, 101))):
        assert read_messages(stream, [(1, b"command", b"")], small=True) == [(1, b"command", b"".join(pieces))]


def test_larger_pdus_than_agreed_on_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stream_module._oversized.clear()
    for _ in range(2):
        with connected() as (stream, theirs):
            wire = p_data(1, b"command", command=True) + p_data(1, bytes(MAXIMUM_LENGTH), command=False) * 2
            with beside(lambda theirs=theirs, wire=wire: theirs.sendall(wire)):  # type: ignore[misc]  # bound now
                stream.read_command()
                stream.read_data(1, drop)
                stream.read_data(1, drop)
    (record,) = [record for record in caplog.records if record.name == "qrkit.dimse.stream"]
    assert "PEER sends P-DATA-TF PDUs of 262,150 bytes, longer than the 262,144" in record.getMessage()


def test_a_pdu_beyond_the_bound_is_refused() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(struct.pack(">BxI", 4, LARGEST + 1))
        with pytest.raises(ProtocolError, match=f"{LARGEST + 1} bytes; {LARGEST} are allowed"):
            stream.read_command()


def test_an_identifier_larger_than_allowed_is_refused() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(b"".join(p_data(1, bytes(500), command=False, last=False) for _ in range(3)))
        with pytest.raises(ProtocolError, match="more than 1000 bytes"):
            stream.read_small_data(1, limit=1000)


def test_a_command_without_end_is_refused() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(b"".join(p_data(1, bytes(30_000), command=True, last=False) for _ in range(4)))
        with pytest.raises(ProtocolError, match="interrupted or too long"):
            stream.read_command()


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (p_data(1, b"x", command=False), "a data set where a command was due"),
        (p_data(1, b"x", command=True, last=False) + p_data(1, b"y", command=False), "interrupted"),
        (p_data(1, b"x", command=True, last=False) + p_data(3, b"y", command=True), "interrupted"),
        (struct.pack(">BxIIBB", 4, 7, 100, 1, 3) + b"x", "longer than its PDU"),
        (struct.pack(">BxIIBB", 4, 7, 1, 1, 3) + b"x", "longer than its PDU"),
        (struct.pack(">BxI", 4, 3) + b"xyz", "P-DATA-TF PDU of 3 bytes"),
        (struct.pack(">BxI", 4, 10) + pdv(1, b"", command=True, last=False) + b"xyzw", "longer than its PDU"),
        (struct.pack(">BxI", 1, 4) + bytes(4), "type 0x01, length 4, where none is due"),
        (struct.pack(">BxI", 99, 4) + bytes(4), "type 0x63"),
        (struct.pack(">BxI", 6, 4) + bytes(4), "A-RELEASE-RP without being asked"),
        (struct.pack(">BxI", 5, 5) + bytes(5), "type 0x05, length 5"),
    ],
    ids=str,
)
def test_what_ps3_8_does_not_allow_is_refused_at_once_with_an_abort(wire: bytes, said: str) -> None:
    with connected(patience=3.0) as (stream, theirs):
        theirs.sendall(wire)
        with pytest.raises(ProtocolError, match=said):
            stream.read_command()
        assert read_exactly(theirs, 10) == bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, 2))


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize(
    "second", [p_data(3, b"y", command=False), p_data(1, b"y", command=True)], ids=["other context", "a command"]
)
def test_a_data_set_that_is_interrupted_is_refused(second: bytes, *, small: bool) -> None:
    with connected() as (stream, theirs):
        theirs.sendall(p_data(1, b"x", command=False, last=False) + second)
        with pytest.raises(ProtocolError, match="within a data set"):
            stream.read_small_data(1) if small else stream.read_data(1, drop)


def test_sockets_do_not_wait_for_small_packets() -> None:
    with connected() as (stream, _):
        assert stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# data sets that are announced and do not come, or come and were not announced


SENT = p_data(1, b"first", command=True), p_data(1, b"data", command=False), p_data(1, b"second", command=True)


def test_a_data_set_that_nobody_read_is_dropped_before_the_next_command() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(b"".join(SENT))
        assert stream.read_command() == (1, b"first")
        assert stream.read_command() == (1, b"second")


def test_a_second_data_set_is_not_dropped() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(SENT[0] + SENT[1] + SENT[1])
        stream.read_command()
        with pytest.raises(ProtocolError, match="a data set where a command was due"):
            stream.read_command()


def test_a_data_set_that_does_not_come_is_none_and_the_command_in_its_place_is_read() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(SENT[0] + SENT[2])
        stream.read_command()
        assert stream.read_small_data(1) is None
        assert stream.read_command() == (1, b"second")


@pytest.mark.parametrize("after", [pytest.param(b"", marks=pytest.mark.slow), SENT[2]])
def test_an_optional_data_set_is_waited_for_shortly(after: bytes) -> None:
    with connected() as (stream, theirs):
        theirs.sendall(SENT[0] + after)
        stream.read_command()
        assert stream.read_optional_data(1, within=0.01) == b""
        theirs.sendall(SENT[1] if not after else b"")
        theirs.sendall(p_data(1, b"third", command=True))
        assert stream.read_command() == (1, b"second" if after else b"third")


def test_an_optional_data_set_that_comes_is_read() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(b"".join(SENT))
        stream.read_command()
        assert stream.read_optional_data(1, within=1.0) == b"data"
        assert stream.read_command() == (1, b"second")


def test_an_optional_data_set_that_breaks_off_is_dropped_when_the_rest_of_it_comes() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(SENT[0] + p_data(1, b"be", command=False, last=False))
        stream.read_command()
        assert stream.read_optional_data(1, within=0.01) == b""
        theirs.sendall(p_data(1, b"gun", command=False) + SENT[2])
        assert stream.read_command() == (1, b"second")


def test_a_release_in_place_of_an_optional_data_set_is_heard_by_the_next_read() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(SENT[0] + RELEASE_RQ)
        stream.read_command()
        assert stream.read_optional_data(1, within=1.0) == b""
        with pytest.raises(PeerReleased):
            stream.read_command()


def test_a_release_in_place_of_an_optional_data_set_is_answered_by_our_release() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(SENT[0] + RELEASE_RQ)
        stream.read_command()
        stream.read_optional_data(1, within=1.0)
        stream.release()
        assert read_exactly(theirs, 10) == RELEASE_RP


@pytest.mark.parametrize("length", [0, 2, 10])
def test_an_abort_of_any_length_is_an_abort(length: int) -> None:
    with connected() as (stream, theirs):
        theirs.sendall(struct.pack(">BxI", 7, length) + bytes(length))
        with pytest.raises(AssociationAborted):
            stream.read_command()
