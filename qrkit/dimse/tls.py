"""TLS over a connection, for both roles; each failure names the certificate and the remedy."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time

from qrkit import errors
from qrkit.dimse.transport import wait_for
from qrkit.node import Node, Tls
from qrkit.stop import NEVER, Stop

# X509_V_ERR numbers of OpenSSL.
_NOT_YET_VALID, _EXPIRED, _REVOKED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 23, 62, 64

_CHECK_PORT = (
    "Check whether this is its TLS port, and whether it wants another certificate of ours; if the node speaks no "
    "TLS, disable it in the node's settings."
)
_REASONS = (
    (
        ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"),
        "wants a TLS certificate of ours, or offers no cipher that is safe",
        "Give the node the certificate_file and key_file that the PACS team made for this machine.",
    ),
    (
        (
            *("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED"),
            *("UNSUPPORTED_CERTIFICATE", "ACCESS_DENIED", "DECRYPT_ERROR"),
        ),
        "does not accept our TLS certificate",
        "Ask the PACS team to trust the node's certificate_file, or to make another.",
    ),
    (
        ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW"),
        "speaks only a TLS older than 1.2, which is not safe any more",
        "Ask the PACS team to enable TLS 1.2 or 1.3.",
    ),
    (
        ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH"),
        "answered something that is not TLS",
        _CHECK_PORT,
    ),
)
"""End of OpenSSL's name for the failure, its meaning, and the remedy: alerts of the peer, unexpected bytes."""


def secure(connection: socket.socket, node: Node, peer: str, stop: Stop = NEVER) -> ssl.SSLSocket:
    """Return an encrypted connection to a node whose identity is verified; `stop` ends the wait early.

    Raises InputError if one of our own files cannot be used, and TlsFailed if the node's certificate is not trusted,
    it speaks no TLS, or wants a certificate of ours.
    """
    context = client_context(node.tls)
    connection.setblocking(False)
    try:
        encrypted = context.wrap_socket(connection, server_hostname=node.host, do_handshake_on_connect=False)
        return _handshake(encrypted, time.monotonic() + node.timeouts.association, stop)
    except TimeoutError as error:
        raise _no_tls(peer, f"did not answer TLS within {node.timeouts.association:g} seconds") from error
    except ssl.SSLError as error:
        raise tls_error(error, node, peer) from error
    except OSError as error:
        raise _no_tls(peer, "closed the connection instead of answering TLS") from error


def _handshake(connection: ssl.SSLSocket, until: float, stop: Stop) -> ssl.SSLSocket:
    """Return a connection after its handshake; one that fails is closed."""
    try:
        while True:
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:
                wait_for(connection, selectors.EVENT_READ, until, stop)
            except ssl.SSLWantWriteError:
                wait_for(connection, selectors.EVENT_WRITE, until, stop)
            else:
                return connection
    except BaseException:
        connection.close()
        raise


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return the TLS context of a requestor; the other side is verified unless the settings disable it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.verify and tls.check_host_name
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the node's own certificate may be what we trust
    if tls.verify and not tls.ca_file:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    _load_files(context, tls)
    return context


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return the TLS context of our Storage SCP; with a CA, only callers with its certificates are accepted.

    Raises InputError if one of the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_files(context, tls)
    if tls.ca_file and tls.verify:
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def accept_tls(connection: socket.socket, context: ssl.SSLContext, *, patience: float) -> ssl.SSLSocket:
    """Return a caller's connection, encrypted; raise TlsFailed if it speaks no TLS, or one distrusts the other."""
    connection.settimeout(patience)
    try:
        return context.wrap_socket(connection, server_side=True)
    except OSError as error:
        said = (error.reason if isinstance(error, ssl.SSLError) else "") or error.strerror or str(error)
        raise errors.TlsFailed(f"A caller and our Storage SCP agreed on no TLS connection: {said}.") from error


def tls_error(error: ssl.SSLError, node: Node, peer: str) -> errors.TlsFailed:
    """Return the error for a TLS failure that OpenSSL reports."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(error, node, peer)
    reason = error.reason or ""
    for endings, what, advice in _REASONS:
        if reason.endswith(endings):
            return errors.TlsFailed(f"{peer} {what} ({reason}).", advice=advice)
    if isinstance(error, ssl.SSLEOFError):
        return _no_tls(peer, "closed the connection instead of answering TLS")
    return errors.TlsFailed(
        f"{peer} and qrkit agreed on no TLS connection ({reason or error.strerror}).",
        advice="Ask the PACS team for the TLS settings of this port, and for its log of this moment.",
    )


def _not_trusted(error: ssl.SSLCertVerificationError, node: Node, peer: str) -> errors.TlsFailed:
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        today = time.strftime("%Y-%m-%d")
        what = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        advice = f"Check this machine's clock, which shows {today}; else ask the PACS team for a new certificate."
    elif error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
        what = f"is not for the host {node.host}"
        advice = "Enter the host as the certificate names it; or set check_host_name to false for this node."
    elif error.verify_code == _REVOKED:
        what, advice = "has been revoked", "Ask the PACS team for a new certificate."
    else:
        what = f"is not trusted: {error.verify_message}"
        advice = (
            f"Give the node a ca_file with the certificate that signed it; {node.tls.ca_file} does not have it."
            if node.tls.ca_file
            else "Give the node a ca_file with the certificate that signed it, which the PACS team has."
        )
    return errors.TlsFailed(f"The TLS certificate of {peer} {what}.", advice=advice)


def _no_tls(peer: str, what: str) -> errors.TlsFailed:
    return errors.TlsFailed(f"{peer} {what}.", advice=_CHECK_PORT)


def _load_files(context: ssl.SSLContext, tls: Tls) -> None:
    for path in filter(None, (tls.ca_file, tls.certificate_file, tls.key_file)):
        if not os.access(path, os.R_OK):
            raise errors.InputError(f"The TLS file {path} is not there, or cannot be read.")
    try:
        if tls.ca_file and tls.verify:
            context.load_verify_locations(cafile=tls.ca_file)
        if tls.certificate_file:
            # an empty password: to ask for one at a terminal would hang the worker
            context.load_cert_chain(tls.certificate_file, tls.key_file or None, password=lambda: b"")
    except (OSError, ValueError) as error:
        files = ", ".join(filter(None, (tls.ca_file, tls.certificate_file, tls.key_file)))
        reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
        raise errors.InputError(
            f"The TLS files {files} cannot be used: {reason}.",
            advice="They must be PEM, the key that of the certificate, and without a passphrase.",
        ) from error
