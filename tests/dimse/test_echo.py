"""C-ECHO against each peer, and each of the ways in which it fails: a class and an advice of its own."""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from qrkit import errors
from qrkit.dimse import messages as dimse
from qrkit.dimse.echo import echo
from qrkit.node import Node, Timeouts
from tests.dimse.received import node_at
from tests.dimse.scripted import ABORT_BY_PROVIDER, RELEASE_RQ, Conversation, ScriptedPeer, rejection
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import Peer, PeerAddress
from tests.peers.waiting import LOOPBACK, free_port


def failed(node: Node, kind: type[errors.NodeError]) -> errors.NodeError:
    """The error with which C-ECHO fails: of exactly this kind, with an advice."""
    with pytest.raises(kind) as caught:
        echo(node, calling_ae_title="QRKIT")
    assert type(caught.value) is kind
    assert caught.value.advice
    return caught.value


def at(port: int, *, host: str = LOOPBACK, timeouts: Timeouts | None = None) -> Node:
    """A node of the tests."""
    return Node(name="pacs", host=host, port=port, ae_title="MAINPACS", timeouts=timeouts or Timeouts(connect=2))


@pytest.mark.parametrize("name", ["orthanc", "dcmqrscp", "qrscp", "storescp"])
def test_every_peer_answers(name: str, request: pytest.FixtureRequest) -> None:
    peer: Peer = request.getfixturevalue(name)
    answer = echo(node_at(peer.address), calling_ae_title="QRKIT")
    assert 0 < answer.association < 5
    assert 0 < answer.round_trip < 5


def test_a_host_name_that_does_not_resolve() -> None:
    error = failed(at(104, host="no-such-pacs.invalid"), errors.HostNotFound)
    assert str(error) == (
        "The host name 'no-such-pacs.invalid' of node pacs does not resolve. Check its spelling, or enter the IP "
        "address."
    )


@pytest.mark.parametrize("host", ["a" * 70 + ".org", "pacs..org"])
def test_a_host_name_that_cannot_be_one(host: str) -> None:
    failed(at(104, host=host), errors.HostNotFound)


def test_a_port_on_which_nothing_listens() -> None:
    port = free_port()
    error = failed(at(port), errors.ConnectionRefused)
    assert str(error) == (
        f"pacs (MAINPACS at 127.0.0.1:{port}) refused the connection: nothing listens on port {port}. Check the "
        "port, and ask the PACS team whether the DICOM service is running."
    )


def test_an_address_without_a_route() -> None:
    error = failed(at(104, host="255.255.255.255"), errors.NetworkUnreachable)
    assert "cannot be reached" in error.message


def test_a_connection_that_nobody_takes() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((LOOPBACK, 0))
        server.listen(0)
        port = server.getsockname()[1]
        for _ in range(4):  # a full backlog: from then on Linux drops what asks for a connection
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((LOOPBACK, port))
        error = failed(at(port, timeouts=Timeouts(connect=0.4)), errors.ConnectTimeout)
    assert str(error) == (
        f"pacs (MAINPACS at 127.0.0.1:{port}) did not answer within 0.4 seconds. Check the address, and ask whether "
        "a firewall blocks this machine at that port."
    )


def test_a_connection_on_which_nothing_is_said() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        error = failed(at(port, timeouts=Timeouts(association=0.4)), errors.NodeTimeout)
    assert str(error) == (
        f"pacs (MAINPACS at 127.0.0.1:{port}) took the connection, but did not answer the association request within "
        f"0.4 seconds. Check that {port} is its DICOM port; if the node is slow, raise its association timeout."
    )


def test_a_peer_that_does_not_know_our_ae_title(tmp_path: Path, start_peer: StartPeer) -> None:
    allowed = ("Echo", "Find", "FindWorklist", "Get", "Move", "Store")
    pacs = Orthanc(
        tmp_path / "strict",
        PeerAddress.free("STRICT"),
        settings={f"DicomAlwaysAllow{service}": False for service in allowed},
    )
    error = failed(node_at(start_peer(pacs).address), errors.CallingTitleRejected)
    assert str(error) == (
        f"strict (STRICT at 127.0.0.1:{pacs.port}) rejected the association permanently: calling AE title not "
        "recognised. Ask the PACS team to enter our AE title QRKIT with this machine's address, or give the node "
        "the calling AE title that it knows."
    )


def test_a_peer_that_goes_by_another_ae_title(tmp_path: Path, start_peer: StartPeer) -> None:
    pacs = start_peer(Orthanc(tmp_path / "strict", PeerAddress.free("STRICT"), check_called_ae=True))
    error = failed(node_at(pacs.address._replace(ae_title="STRICTER")), errors.CalledTitleRejected)
    assert str(error) == (
        f"stricter (STRICTER at 127.0.0.1:{pacs.port}) rejected the association permanently: called AE title not "
        "recognised. Check the AE title STRICTER of node stricter, upper and lower case included."
    )


@pytest.mark.parametrize(
    ("numbers", "kind", "said"),
    [
        ((1, 1, 1), errors.AssociationRejected, "permanently: no reason given"),
        ((1, 1, 2), errors.AssociationRejected, "permanently: application context name not supported"),
        ((1, 1, 3), errors.CallingTitleRejected, "permanently: calling AE title not recognised"),
        ((1, 1, 7), errors.CalledTitleRejected, "permanently: called AE title not recognised"),
        ((1, 1, 10), errors.AssociationRejected, "permanently: source 1, reason 10"),
        ((1, 2, 1), errors.AssociationRejected, "permanently: no reason given"),
        ((1, 2, 2), errors.AssociationRejected, "permanently: protocol version not supported"),
        ((2, 1, 1), errors.AssociationRejected, "for now: no reason given. The rejection is transient"),
        ((2, 3, 1), errors.Congested, "for now: temporary congestion"),
        ((2, 3, 2), errors.Congested, "for now: local limit exceeded"),
        ((0, 9, 99), errors.AssociationRejected, "permanently: source 9, reason 99"),
    ],
)
def test_every_rejection_says_which_it_is(
    numbers: tuple[int, int, int], kind: type[errors.AssociationRejected], said: str
) -> None:
    def reject(peer: Conversation) -> None:
        peer.read_request()
        peer.send(rejection(*numbers))

    with ScriptedPeer(reject) as peer:
        error = failed(peer.node(), kind)
    assert isinstance(error, errors.AssociationRejected)
    assert said in str(error)
    assert (error.result, error.source, error.reason) == numbers
    assert error.transient == (numbers[0] == 2)


def test_a_peer_that_takes_the_association_but_not_the_service() -> None:
    with ScriptedPeer(lambda peer: peer.accept(takes=lambda _: False)) as peer:
        error = failed(peer.node(), errors.NoContextAccepted)
    assert "accepted the association, but not Verification SOP Class (1.2.840.10008.1.1)" in error.message


def answering(answer: bytes) -> Callable[[Conversation], None]:
    """A peer that answers the association request with these bytes and hangs up."""

    def script(peer: Conversation) -> None:
        peer.read_request()
        peer.send(answer)

    return script


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (ABORT_BY_PROVIDER, errors.AssociationAborted, "aborted the association (by its protocol layer"),
        (b"", errors.ConnectionLost, "closed the connection without answering the association request. Check that"),
        (b"\x02\0\0\0\x01", errors.ConnectionLost, "closed the connection without answering"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", errors.ProtocolError, "another service, such as a web server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", errors.ProtocolError, "another service, such as a web server"),
        (b"\x02\0\xff\xff\xff\xff", errors.ProtocolError, "announced a PDU of 4294967295 bytes"),
        (b"\x02\0\0\0\0\x50" + b"\xaa" * 80, errors.ProtocolError, "that cannot be read"),
        (b"\x03\0\0\0\0\x02ab", errors.ProtocolError, "with a PDU of type 0x03"),
        (RELEASE_RQ, errors.ProtocolError, "with a PDU of type 0x05"),
    ],
    ids=["abort", "hung up", "broken off", "HTTP", "SSH", "too long", "garbage", "short", "release"],
)
def test_every_other_answer_says_what_it_was(answer: bytes, kind: type[errors.NodeError], said: str) -> None:
    with ScriptedPeer(answering(answer)) as peer:
        assert said in str(failed(peer.node(), kind))


def test_the_port_of_a_web_server(orthanc: Orthanc) -> None:
    error = failed(at(orthanc.http_port, timeouts=Timeouts(association=2)), errors.ProtocolError)
    assert str(error) == (
        f"pacs (MAINPACS at 127.0.0.1:{orthanc.http_port}) sent something that is not DICOM (PS3.8); the association "
        "was aborted. Check the port: another service, such as a web server, may listen there."
    )


def test_an_echo_that_ends_with_a_failure_status() -> None:
    def refuse(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        peer.respond(context_id, request, {dimse.STATUS: 0x0122, dimse.ERROR_COMMENT: "not here"})
        peer.read_to_end()

    with ScriptedPeer(refuse) as peer:
        error = failed(peer.node(), errors.StatusError)
    assert 'ended C-ECHO with status 0x0122 (SOP Class not supported) and the comment "not here".' in error.message


@pytest.mark.parametrize("then", [RELEASE_RQ, ABORT_BY_PROVIDER, b""], ids=["releases", "aborts", "hangs up"])
def test_a_peer_that_leaves_instead_of_answering(then: bytes) -> None:
    def leave(peer: Conversation) -> None:
        peer.accept()
        peer.read_message()
        peer.send(then)

    kind = errors.AssociationAborted if then else errors.ConnectionLost
    with ScriptedPeer(leave) as peer:
        failed(peer.node(), kind)


def test_a_peer_that_answers_but_never_lets_go_has_answered() -> None:
    def stay(peer: Conversation) -> None:
        peer.accept()
        context_id, request, _ = peer.read_message()
        peer.respond(context_id, request, {dimse.STATUS: 0})
        received.append(peer.read_to_end())

    received: list[bytes] = []
    with ScriptedPeer(stay) as peer:
        echo(peer.node(Timeouts(association=0.5, response=60, inactivity=60)), calling_ae_title="QRKIT")
    assert received == [RELEASE_RQ + bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))]
