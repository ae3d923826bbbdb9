"""Our Storage SCP: takes objects that C-MOVE, or a modality, sends us (PS3.4 annex B), and answers C-ECHO."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from qrkit import errors, uids
from qrkit.dimse import command as dimse
from qrkit.dimse.acceptance import AcceptedAssociation, accept
from qrkit.dimse.command import Command, decode_command
from qrkit.dimse.receive import store
from qrkit.dimse.status import SUCCESS
from qrkit.dimse.stream import PeerReleased, Stream
from qrkit.dimse.tls import accepted, server_context
from qrkit.receipt import Receiver
from qrkit.tls import Tls

logger = logging.getLogger(__name__)

IDLE_TIMEOUT = 300.0
"""Seconds of silence after which we abort an association: PACS keep theirs open between two moves."""

NEGOTIATION_TIMEOUT = 30.0
"""Seconds for TLS, and for the association request."""

STOP_LIMIT = 10.0
"""Seconds that `stop` waits for associations; one that is just storing an object ends after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where the Storage SCP listens; port 0 takes a free one. With TLS, it takes no plain connections."""

    ae_title: str
    host: str = "0.0.0.0"
    port: int = 11112
    most_associations: int = 32
    tls: Tls = field(default_factory=Tls)


class StorageScp:
    """A Storage SCP for many associations at once, a thread each.

    Parameters
    ----------
    listener
        AE title, address and port.
    receiver_for
        Gives the receiver for the objects of one association, from the calling AE title.
    """

    def __init__(self, listener: Listener, receiver_for: Callable[[str], Receiver]) -> None:
        self._listener = listener
        self._receiver_for = receiver_for
        self._server: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        return int(self._server.getsockname()[1]) if self._server is not None else 0

    def start(self) -> None:
        """Listen.

        Raises
        ------
        PortInUse
            If another program has the port, or we may not take it.
        InputError
            If its TLS certificate cannot be used.
        """
        if self._listener.tls.enabled:
            self._tls = server_context(self._listener.tls)
        self._server = listen(self._listener.host, self._listener.port)
        self._server.settimeout(0.5)
        self._start_thread(self._accept_connections, self._server)

    def stop(self) -> None:
        """Stop listening, abort what is under way, and wait for its threads."""
        self._stopping.set()
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError):  # wakes accept(); not every platform allows it on a listening socket
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        deadline = time.monotonic() + STOP_LIMIT
        while (thread := self._some_thread()) is not None and time.monotonic() < deadline:
            thread.join(0.5)

    def _some_thread(self) -> threading.Thread | None:
        with self._lock:
            return next(iter(self._threads), None)

    def _start_thread(self, target: Callable[[socket.socket], None], connection: socket.socket) -> None:
        def run() -> None:
            try:
                target(connection)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="storage-scp", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept_connections(self, server: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            except OSError as error:  # stopped; or out of file descriptors, which passes
                if not self._stopping.wait(0.5):
                    logger.warning("A connection could not be accepted: %s", error)
                continue
            self._start_thread(self._serve, connection)

    def _secured(self, connection: socket.socket) -> socket.socket | None:
        """Return the connection as it is used from now on; None if the caller's TLS does not fit."""
        if self._tls is None:
            return connection
        try:
            return accepted(connection, self._tls, patience=NEGOTIATION_TIMEOUT)
        except errors.TlsFailed as error:
            logger.info("%s: %s", _address(connection), error)
            connection.close()
            return None

    def _serve(self, plain: socket.socket) -> None:
        connection = self._secured(plain)
        if connection is None:
            return
        stream = Stream(connection, peer=_address(connection), patience=NEGOTIATION_TIMEOUT)
        stream.on_wait = self._check_stopping
        try:
            busy = len(self._threads) - 1 > self._listener.most_associations
            association = accept(stream, ae_title=self._listener.ae_title, busy=busy)
            if association is not None:
                stream.patience = IDLE_TIMEOUT
                self._exchange(stream, association)
        except errors.Cancelled:
            stream.send_abort()
        except errors.QrkitError as error:
            stream.send_abort()
            logger.info("Association ended: %s", error)
        except Exception:  # one association must not take the others down
            stream.send_abort()
            logger.exception("Association ended by an error of ours")
        finally:
            stream.close()

    def _exchange(self, stream: Stream, association: AcceptedAssociation) -> None:
        receiver = self._receiver_for(association.calling_ae_title)
        while True:
            try:
                context_id, data = stream.read_command()
            except PeerReleased:
                stream.send_release_response()
                return
            if context_id not in association.contexts:
                raise errors.ProtocolError(f"{association.peer} used a presentation context that was not accepted.")
            command = decode_command(data, peer=association.peer)
            self._answer(stream, context_id, command, receiver, association)

    def _answer(
        self, stream: Stream, context_id: int, command: Command, receiver: Receiver, association: AcceptedAssociation
    ) -> None:
        context = association.contexts[context_id]
        if command.field == dimse.C_ECHO_RQ and context.abstract_syntax == uids.VERIFICATION:
            stream.send(stream.message(context_id, dimse.response(command, SUCCESS)))
        elif command.field == dimse.C_STORE_RQ and context.abstract_syntax != uids.VERIFICATION:
            store(
                stream,
                context_id,
                command,
                receiver,
                transfer_syntax_uid=context.transfer_syntax,
                sender=association.calling_ae_title,
            )
        elif command.field != dimse.C_CANCEL_RQ:
            raise errors.ProtocolError(f"{association.peer} asked for a service that was not negotiated.")

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise errors.Cancelled("The Storage SCP is stopping.")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    PortInUse
        If it cannot be had; the message says why.
    """
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        why = "another program has it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise errors.PortInUse(
            f"The Storage SCP cannot listen on {host}:{port}: {why}.",
            advice="Choose another port by QRKIT_PORT, and tell the PACS team; ports below 1024 need privileges.",
        ) from error


def _address(connection: socket.socket) -> str:
    try:
        return "{}:{}".format(*connection.getpeername()[:2])
    except OSError:
        return "a peer that has gone"
