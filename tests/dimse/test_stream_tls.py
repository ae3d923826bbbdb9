"""The data phase over TLS, with the connection encrypted by Python's ssl."""

import random
import socket
import ssl
from collections.abc import Iterator

import pytest

from qrkit.dimse.stream import Stream
from qrkit.errors import ConnectionLost, NodeTimeout
from tests.dimse.connected import beside, tcp_pair
from tests.dimse.scripted import RELEASE_RP
from tests.peers.certificates import Authority


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the client and the server, with a certificate made here."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    shown = authority.sign("server", host="DNS:localhost")
    client = ssl.create_default_context(cafile=str(authority.certificate))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(shown.certificate, shown.key)
    return client, server


@pytest.fixture
def streams(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[tuple[Stream, Stream]]:
    """Our stream at both ends of a TLS connection: the client's and the server's."""
    near, far = tcp_pair()
    encrypted: list[ssl.SSLSocket] = []
    with beside(lambda: encrypted.append(contexts[1].wrap_socket(far, server_side=True))):
        client = contexts[0].wrap_socket(near, server_hostname="localhost")
    requestor = Stream(client, peer="SERVER", patience=5)
    acceptor = Stream(encrypted[0], peer="CLIENT", patience=5)
    yield requestor, acceptor
    requestor.close()
    acceptor.close()


@pytest.mark.parametrize("to_server", [True, False])
def test_objects_pass_over_tls_in_both_directions(streams: tuple[Stream, Stream], *, to_server: bool) -> None:
    sender, taker = streams if to_server else streams[::-1]
    data = random.Random(2).randbytes(3_000_000)
    sender.peer_maximum = 262_144
    received = bytearray()
    with beside(lambda: sender.send(sender.message(5, b"command", data), sender.message(5, b"next"))):
        assert taker.read_command() == (5, b"command")
        assert taker.read_data(5, received.extend) == len(data)
        assert taker.read_command() == (5, b"next")
    assert bytes(received) == data


@pytest.mark.slow
def test_silence_over_tls_is_a_timeout(streams: tuple[Stream, Stream]) -> None:
    streams[0].patience = 0.4
    with pytest.raises(NodeTimeout):
        streams[0].read_command()


@pytest.mark.slow
def test_a_reader_that_takes_nothing_over_tls_is_a_timeout(streams: tuple[Stream, Stream]) -> None:
    streams[0].patience = 0.4
    with pytest.raises(NodeTimeout):
        streams[0].send(bytes(50_000_000))


def test_a_closed_tls_connection_is_a_lost_one(streams: tuple[Stream, Stream]) -> None:
    streams[1].close()
    with pytest.raises(ConnectionLost):
        streams[0].read_command()


def test_a_plain_peer_on_a_tls_connection_is_a_lost_connection(streams: tuple[Stream, Stream]) -> None:
    with socket.socket(fileno=streams[1]._socket.detach()) as bare:
        bare.sendall(bytes(100))
        with pytest.raises(ConnectionLost):
            streams[0].read_command()


def test_an_association_is_released_over_tls(streams: tuple[Stream, Stream]) -> None:
    requestor, acceptor = streams
    with beside(requestor.release):
        kind, _ = acceptor.read_pdu()
        assert kind == 5
        acceptor.send(RELEASE_RP)
