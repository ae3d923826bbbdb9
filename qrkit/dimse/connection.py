"""Connections to a node: TCP, with TLS if the node requires it; each failure has its own error and advice."""

from __future__ import annotations

import _thread
import errno
import os
import queue
import selectors
import socket
import time
from contextlib import suppress
from typing import Any

from qrkit import errors
from qrkit.dimse.tls import secure
from qrkit.dimse.transport import TICK, wait_for
from qrkit.node import Node
from qrkit.stop import NEVER, Stop

_UNDER_WAY = (0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK))

_RESOLVES_WITHIN = 60.0
"""Minimum seconds for a resolver, which tries its servers one after the other."""

_Address = tuple[Any, ...]


def connect(node: Node, peer: str, stop: Stop = NEVER) -> socket.socket:
    """Return a connection to a node, encrypted if the node requires it.

    Parameters
    ----------
    stop
        Ends the wait early.

    Raises
    ------
    HostNotFound, ConnectionRefused, ConnectTimeout, NetworkUnreachable
        If there is no connection.
    TlsFailed
        If it cannot be encrypted.
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
    """Connect without blocking, so that the caller can end it.

    Raises
    ------
    OSError
        As `socket.socket.connect`.
    """
    connection.setblocking(False)
    failed = connection.connect_ex(address)
    if failed not in _UNDER_WAY:
        raise OSError(failed, os.strerror(failed))
    wait_for(connection, selectors.EVENT_WRITE, time.monotonic() + patience, stop)
    failed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failed:
        raise OSError(failed, os.strerror(failed))
