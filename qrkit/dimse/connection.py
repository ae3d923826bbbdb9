"""Connections to a node: TCP, and TLS over it where the node wants that; every failure said in its own words."""

from __future__ import annotations

import socket

from qrkit import errors
from qrkit.dimse.tls import secured
from qrkit.node import Node


def connect(node: Node, peer: str) -> socket.socket:
    """Return a connection to a node, encrypted if it is to be.

    Raises
    ------
    HostNotFound, ConnectionRefused, ConnectTimeout, NetworkUnreachable
        If there is no connection.
    TlsFailed
        If it cannot be encrypted.
    """
    connection = _connected(node, peer)
    if not node.tls.enabled:
        return connection
    try:
        return secured(connection, node, peer)
    except BaseException:
        connection.close()
        raise


def _connected(node: Node, peer: str) -> socket.socket:
    try:
        return socket.create_connection((node.host, node.port), timeout=node.timeouts.connect)
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
            advice="Check the address, and ask whether a firewall lets this machine through to that port.",
        ) from error
    except OSError as error:
        raise errors.NetworkUnreachable(
            f"{peer} cannot be reached: {error.strerror or error}.",
            advice="Check this machine's network connection and the address.",
        ) from error
