"""The data phase when the peer leaves, falls silent, floods or sends anything at all."""

import os
import random
import resource
import socket
import struct
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrkit.dimse.stream import PeerReleased
from qrkit.errors import AssociationAborted, Cancelled, ConnectionLost, NodeTimeout, ProtocolError, QrkitError
from tests.dimse.connected import beside, connected, drop, read_exactly
from tests.dimse.scripted import ABORT_BY_PROVIDER, RELEASE_RP, RELEASE_RQ, p_data

BY_USER = bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))


def seconds_until(error: type[BaseException], action: object) -> float:
    """How long it takes until the action raises this error."""
    assert callable(action)
    started = time.monotonic()
    with pytest.raises(error):
        action()
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("pdu", "said"),
    [(BY_USER, "by its application"), (ABORT_BY_PROVIDER, "by its protocol layer: unrecognised PDU")],
)
def test_an_abort_says_who_aborted(pdu: bytes, said: str) -> None:
    with connected() as (stream, theirs):
        theirs.sendall(pdu)
        with pytest.raises(AssociationAborted, match=said):
            stream.read_command()


def test_an_abort_within_a_data_set_is_an_abort() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(p_data(1, b"x" * 10, command=False, last=False) + BY_USER)
        with pytest.raises(AssociationAborted):
            stream.read_data(1, drop)


def test_a_release_request_is_told_and_can_be_answered() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(RELEASE_RQ)
        with pytest.raises(PeerReleased):
            stream.read_command()
        stream.send_release_response()
        assert read_exactly(theirs, 10) == RELEASE_RP


@given(st.integers(0, 106))
@settings(max_examples=30)
def test_a_message_that_breaks_off_is_a_lost_connection(length: int) -> None:
    wire = p_data(1, b"c" * 40, command=True) + p_data(1, b"d" * 43, command=False)
    with connected() as (stream, theirs):
        theirs.sendall(wire[:length])
        theirs.close()
        with pytest.raises(ConnectionLost, match="PEER closed the connection"):  # noqa: PT012 - which of both is random
            stream.read_command()
            stream.read_data(1, drop)


def test_a_peer_that_resets_the_connection_is_a_lost_connection() -> None:
    with connected() as (stream, theirs):
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        with pytest.raises(ConnectionLost):
            stream.read_command()
        with pytest.raises(ConnectionLost):
            stream.send(bytes(10))


@pytest.mark.slow
def test_silence_is_a_timeout() -> None:
    with connected(patience=0.4) as (stream, _):
        assert 0.2 < seconds_until(NodeTimeout, stream.read_command) < 2


def test_waiting_can_be_ended_by_whoever_waits() -> None:
    def stop() -> None:
        raise Cancelled("enough")

    with connected(patience=60) as (stream, _):
        stream.on_wait = stop
        assert seconds_until(Cancelled, stream.read_command) < 2


def test_reading_a_steady_flow_can_be_ended_as_well() -> None:
    def stop() -> None:
        raise Cancelled("enough")

    def flood() -> None:
        try:
            while True:
                theirs.sendall(p_data(1, bytes(10_000), command=False, last=False))
        except OSError:
            return

    with connected(patience=60) as (stream, theirs), beside(flood):
        stream.on_wait = stop
        try:
            assert seconds_until(Cancelled, lambda: stream.read_data(1, drop)) < 2
        finally:
            stream.close()


@pytest.mark.slow
def test_a_peer_that_takes_nothing_is_a_timeout() -> None:
    with connected(patience=0.4) as (stream, _):
        assert seconds_until(NodeTimeout, lambda: stream.send(bytes(50_000_000))) < 5


@pytest.mark.slow
def test_a_peer_that_only_sends_and_takes_nothing_is_a_timeout() -> None:
    with connected(patience=0.4) as (stream, theirs):
        theirs.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                theirs.send(bytes(1_000_000))
        assert seconds_until(NodeTimeout, lambda: stream.send(bytes(50_000_000))) < 5


@pytest.mark.slow
def test_a_slow_reader_gets_every_byte() -> None:
    data = random.Random(1).randbytes(20_000_000)
    received: list[bytes] = []
    has_waited = threading.Event()

    def read() -> None:
        has_waited.wait(10)
        received.append(read_exactly(theirs, len(data)))

    with connected(patience=5) as (stream, theirs):
        stream.on_wait = has_waited.set
        with beside(read):
            stream.send(data)
    assert received == [data]


@pytest.mark.slow
def test_what_is_sent_while_a_send_waits_goes_out_after_it() -> None:
    """C-CANCEL must not land within a PDU that is half sent."""
    data = bytes(20_000_000)
    received: list[bytes] = []
    has_waited = threading.Event()

    def cancel() -> None:
        if not has_waited.is_set():
            stream.send(b"CANCEL")
            has_waited.set()

    def read() -> None:
        has_waited.wait(10)
        received.append(read_exactly(theirs, len(data) + 6))

    with connected(patience=20) as (stream, theirs):
        stream.on_wait = cancel
        with beside(read):
            stream.send(data)
    assert received == [data + b"CANCEL"]


def test_data_under_way_is_dropped_until_the_release_is_answered() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(p_data(1, bytes(100_000), command=False) + p_data(1, b"x", command=True) + RELEASE_RP)
        stream.release()
        assert read_exactly(theirs, 10) == RELEASE_RQ


def test_colliding_releases_are_both_answered() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(RELEASE_RQ + RELEASE_RP)
        stream.release()
        assert read_exactly(theirs, 20) == RELEASE_RQ + RELEASE_RP


def test_a_release_in_the_middle_of_a_data_set_drops_the_rest_of_it() -> None:
    with connected() as (stream, theirs):
        theirs.sendall(p_data(1, b"x" * 10, command=True) + p_data(1, bytes(5000), command=False) + RELEASE_RP)
        stream.read_command()
        stream.release()


@pytest.mark.slow
@pytest.mark.parametrize("flood", [p_data(1, bytes(1000), command=False), RELEASE_RQ], ids=["data", "releases"])
def test_a_peer_that_never_stops_sending_cannot_hold_up_the_release(flood: bytes) -> None:
    def send() -> None:
        try:
            while True:
                theirs.sendall(flood * 10)
        except OSError:
            return

    with connected(patience=0.5) as (stream, theirs), beside(send):
        try:
            assert seconds_until((NodeTimeout, ProtocolError), stream.release) < 3  # type: ignore[arg-type]  # pytest takes both
        finally:
            stream.close()


@pytest.mark.slow
def test_a_negotiation_that_drips_ends_after_the_patience_in_all() -> None:
    def drip() -> None:
        try:
            theirs.sendall(struct.pack(">BxI", 2, 1000))
            while True:
                theirs.sendall(b"x")
                time.sleep(0.02)
        except OSError:
            return

    with connected(patience=0.5) as (stream, theirs), beside(drip):
        try:
            assert seconds_until(NodeTimeout, stream.read_pdu) < 3
        finally:
            stream.close()


def exchange(stream_bytes: bytes) -> None:
    """Read whatever these bytes mean, until it ends."""
    with connected(patience=0.2) as (stream, theirs):
        theirs.sendall(stream_bytes)
        theirs.shutdown(socket.SHUT_WR)
        while True:
            context_id, _ = stream.read_command()
            stream.read_data(context_id, drop)


header = st.builds(
    lambda kind, length: struct.pack(">BxI", kind, length),
    st.integers(0, 8),
    st.one_of(st.integers(0, 30), st.integers(0, 2**32 - 1)),
)
pieces = st.one_of(
    st.binary(max_size=40),
    header,
    st.builds(
        p_data,
        st.integers(0, 255),
        st.binary(max_size=50),
        command=st.booleans(),
        last=st.booleans(),
    ),
)


@pytest.mark.slow
@given(st.lists(pieces, max_size=12).map(b"".join))
@settings(max_examples=150)
def test_any_bytes_end_in_an_error_of_ours(wire: bytes) -> None:
    with pytest.raises((QrkitError, PeerReleased)):
        exchange(wire)


def test_megabytes_of_noise_neither_hang_nor_fill_the_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    noise = os.urandom(500_000)
    for first in range(9):
        with connected(patience=0.3) as (stream, theirs):
            theirs.sendall(bytes((first,)) + noise[:30_000])
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises((QrkitError, PeerReleased)):
                stream.read_command()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
