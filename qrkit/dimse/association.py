"""Associations as requestor: connect, negotiate, release or abort (PS3.8 chapters 7 and 9).

Why not pynetdicom's `AE.associate`: it leaves the connection to two threads that poll, reports refused, rejected,
aborted and timed out alike, and loses the association over an item that PS3.8 says to ignore.
"""

from __future__ import annotations

import _thread
import errno
import os
import queue
import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from qrkit import errors
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.negotiation import Acceptance, AcceptedContext, read_acceptance, rejection_error, request_pdu
from qrkit.dimse.stream import A_ABORT, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, Stream, abort_error
from qrkit.dimse.tls import secure, tls_error
from qrkit.dimse.transport import TICK, wait_for
from qrkit.node import Node
from qrkit.stop import NEVER, Stop

_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK))

_RESOLVES_WITHIN = 60.0
"""Minimum seconds for a resolver, which tries its servers one after the other."""

RELEASE_PATIENCE = 2.0
"""Seconds that a peer has to answer A-RELEASE-RQ."""

_FIRST_MESSAGE_ID = 2
"""Some peers answer every request as message 0 or 1; so they are known by their first response."""

_Address = tuple[Any, ...]


def connect(node: Node, peer: str, stop: Stop = NEVER) -> socket.socket:
    """Return a connection to a node, encrypted if the node requires it; `stop` ends the wait early.

    Raises HostNotFound, ConnectionRefused, ConnectTimeout or NetworkUnreachable if there is no connection, and
    TlsFailed if it cannot be encrypted.
    """
    connection = _connected(node, peer, stop)
    if not node.tls.enabled:
        return connection
    try:
        return secure(connection, node, peer, stop)
    except BaseException:
        connection.close()
        raise


def _connected(node: Node, peer: str, stop: Stop) -> socket.socket:
    try:
        return _first_to_answer(node, stop)
    except (socket.gaierror, UnicodeError) as error:
        raise errors.HostNotFound(
            f"The host name {node.host!r} of node {node.name} does not resolve.",
            advice="Check its spelling, or enter the IP address.",
        ) from error
    except ConnectionRefusedError as error:
        raise errors.ConnectionRefused(
            f"{peer} refused the connection: nothing listens on port {node.port}.",
            advice="Check the port, and ask the PACS team whether the DICOM service is running.",
        ) from error
    except TimeoutError as error:
        raise errors.ConnectTimeout(
            f"{peer} did not answer within {node.timeouts.connect:g} seconds.",
            advice="Check the address, and ask whether a firewall blocks this machine at that port.",
        ) from error
    except OSError as error:
        raise errors.NetworkUnreachable(
            f"{peer} cannot be reached: {error.strerror or error}.",
            advice="Check this machine's network connection and the address.",
        ) from error


def _first_to_answer(node: Node, stop: Stop) -> socket.socket:
    """Connect to the first address of a host that answers, as `socket.create_connection` does."""
    last = OSError(errno.EADDRNOTAVAIL, "the host name has no address")
    for family, kind, protocol, _, address in _addresses(node, stop):
        connection = socket.socket(family, kind, protocol)
        try:
            _open(connection, address, node.timeouts.connect, stop)
        except OSError as error:
            connection.close()
            last = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise last


def _addresses(node: Node, stop: Stop) -> list[_Address]:
    """Look up a host name; a resolver that hangs is abandoned, since its call cannot be ended.

    An IP address needs no resolver.
    """
    with suppress(socket.gaierror):
        return list(socket.getaddrinfo(node.host, node.port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
    found: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(list(socket.getaddrinfo(node.host, node.port, 0, socket.SOCK_STREAM)))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            found.put(error)

    try:
        # not threading.Thread, whose start waits without end for a thread that cannot begin for want of memory
        _thread.start_new_thread(look_up, ())
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    deadline = time.monotonic() + max(node.timeouts.connect, _RESOLVES_WITHIN)
    while time.monotonic() < deadline:
        try:
            answer = found.get(timeout=TICK)
        except queue.Empty:
            stop.check()
            continue
        if isinstance(answer, Exception):
            raise answer
        return answer
    raise socket.gaierror(socket.EAI_AGAIN, "the resolver does not answer")


def _open(connection: socket.socket, address: Any, patience: float, stop: Stop) -> None:  # noqa: ANN401
    """Connect without blocking, so that the caller can end it; raise OSError as `socket.socket.connect`."""
    connection.setblocking(False)
    failed = connection.connect_ex(address)
    if failed not in _UNDER_WAY:
        raise OSError(failed, os.strerror(failed))
    wait_for(connection, selectors.EVENT_WRITE, time.monotonic() + patience, stop)
    failed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, os.strerror(failed))


def _finish_release(stream: Stream) -> None:
    """Wait for the answer to A-RELEASE-RQ on a thread of its own, and close the connection."""

    def finish() -> None:
        try:
            stream.wait_for_release()
        except errors.NodeError:
            stream.send_abort()
        finally:
            stream.close()

    stream.on_wait = None
    stream.patience = RELEASE_PATIENCE - TICK
    try:
        _thread.start_new_thread(finish, ())
    except RuntimeError:  # no memory for a thread
        stream.send_abort()
        stream.close()


class Association:
    """An established association, released on success and aborted on error.

    It has the accepted presentation contexts by their ID, the refused proposals, and the peer's answers to SOP Class
    Extended Negotiation (PS3.7 D.3.3.5) by SOP Class. Messages name the other side by `peer`. `names_requests`:
    whether its responses name the request that they answer by its Message ID; None: not known yet.
    """

    def __init__(self, stream: Stream, acceptance: Acceptance, *, peer: str) -> None:
        self.stream = stream
        self.peer = peer
        self.contexts = {context.context_id: context for context in acceptance.contexts}
        self.refused = acceptance.refused
        self.extended = acceptance.extended
        self.names_requests: bool | None = None
        self._message_id = _FIRST_MESSAGE_ID - 1
        self._is_open = True
        self._release_patience = stream.patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def context_for(self, abstract_syntax: str) -> AcceptedContext:
        """Return the accepted context of a SOP Class; raise NoContextAccepted if there is none."""
        for context in self.contexts.values():
            if context.abstract_syntax == abstract_syntax:
                return context
        raise _no_context(self.peer, abstract_syntax)

    def next_message_id(self) -> int:
        """Return a Message ID that no earlier request on this association had lately."""
        self._message_id = self.message_id_to_come
        return self._message_id

    @property
    def is_used(self) -> bool:
        """Whether more than one request was sent over it."""
        return self._message_id > _FIRST_MESSAGE_ID

    @property
    def message_id_to_come(self) -> int:
        """The Message ID of the next request."""
        return self._message_id % 65_535 + 1

    def release(self) -> None:
        """Release the association; the answer of a slow peer is waited for in the background.

        A peer that has not answered after two seconds in all is left with A-ABORT.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            self.stream.patience = min(TICK, self._release_patience)
            self.stream.release()
        except errors.NodeTimeout:
            _finish_release(self.stream)
            return
        except errors.Cancelled:
            self.stream.send_abort()
        except errors.NodeError:  # what was asked for has been done; how the peer leaves changes nothing
            pass
        self.stream.close()

    def abort(self) -> None:
        """Send A-ABORT and close the connection."""
        if self._is_open:
            self._is_open = False
            self.stream.send_abort()
            self.stream.close()


def associate(
    node: Node,
    proposals: Sequence[Proposal],
    *,
    calling_ae_title: str,
    stop: Stop = NEVER,
) -> Association:
    """Connect to a node and negotiate at most 128 presentation contexts; `stop` ends the waiting from the beginning.

    The calling AE title is ours, unless the node has one of its own. Raises HostNotFound, ConnectionRefused,
    ConnectTimeout or NetworkUnreachable if there is no connection, TlsFailed if it cannot be encrypted as the node's
    settings require, AssociationRejected or one of its kinds if the node rejects it, NoContextAccepted if it accepts
    none of the proposals, and AssociationAborted, ConnectionLost, NodeTimeout or ProtocolError if it does something
    else.
    """
    calling = node.calling_ae_title or calling_ae_title
    peer = f"{node.name} ({node.ae_title} at {node.host}:{node.port})"
    stream = Stream(connect(node, peer, stop), peer=peer, patience=node.timeouts.association)
    stream.on_wait = stop.check
    try:
        stream.send(request_pdu(node, proposals, calling))
        kind, body = stream.read_pdu()
        if kind != A_ASSOCIATE_AC:
            raise _not_accepted(kind, body, peer=peer, node=node, calling=calling)
        acceptance = read_acceptance(body, proposals, peer)
        if not acceptance.contexts:
            raise _no_context(peer, proposals[0].abstract_syntax)
        stream.peer_maximum = acceptance.peer_maximum
        return Association(stream, acceptance, peer=peer)
    except errors.ConnectionLost as error:
        stream.close()
        raise _not_answered(error, peer=peer, node=node, calling=calling) from error
    except errors.NodeTimeout as error:
        stream.send_abort()
        stream.close()
        raise errors.NodeTimeout(
            f"{peer} took the connection, but did not answer the association request within "
            f"{node.timeouts.association:g} seconds.",
            advice=f"Check that {node.port} is its DICOM port; if the node is slow, raise its association timeout.",
        ) from error
    except BaseException:
        stream.send_abort()
        stream.close()
        raise


def _not_answered(error: errors.ConnectionLost, *, peer: str, node: Node, calling: str) -> errors.NodeError:
    if isinstance(error.__cause__, ssl.SSLError):  # TLS 1.3 tells only now what it thinks of our certificate
        return tls_error(error.__cause__, node, peer)
    wants = "trusts our TLS certificate" if node.tls.enabled else "wants no TLS"
    return errors.ConnectionLost(
        f"{peer} closed the connection without answering the association request.",
        advice=f"Check that {node.port} is its DICOM port, that it knows our AE title {calling}, and {wants}.",
    )


def _not_accepted(kind: int, body: bytes, *, peer: str, node: Node, calling: str) -> errors.NodeError:
    if kind == A_ASSOCIATE_RJ and len(body) >= 10:
        return rejection_error(*body[7:10], peer=peer, node=node, calling=calling)
    if kind == A_ABORT and len(body) >= 10:
        return abort_error(peer, body[8], body[9])
    return errors.ProtocolError(
        f"{peer} answered the association request with a PDU of type 0x{kind:02X}.",
        advice=f"Check that {node.port} is its DICOM port.",
    )


def _no_context(peer: str, abstract_syntax: str) -> errors.NoContextAccepted:
    from pydicom.uid import UID

    name = UID(abstract_syntax).name
    return errors.NoContextAccepted(
        f"{peer} accepted the association, but not {name} ({abstract_syntax}).",
        advice="Choose another information model or retrieve method for this node, or ask the PACS team to "
        "allow our AE title this service.",
    )
