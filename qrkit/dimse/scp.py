"""C-STORE as SCP: objects that C-GET returns, and our Storage SCP for those of C-MOVE or a modality (PS3.4 annex B).

An arriving object goes to its receiver fragment by fragment.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, Self

from qrkit import errors, uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.acceptor import AcceptedAssociation, accept
from qrkit.dimse.messages import Command, decode_command
from qrkit.dimse.status import SUCCESS
from qrkit.dimse.stream import PeerReleased, Stream
from qrkit.dimse.tls import accept_tls, server_context
from qrkit.node import Tls
from qrkit.receipt import Arrival, Receiver, Refused

logger = logging.getLogger(__name__)

IDLE_TIMEOUT = 300.0
"""Seconds of silence after which we abort an association: PACS keep theirs open between two moves."""

NEGOTIATION_TIMEOUT = 30.0
"""Seconds for TLS, and for the association request."""

STOP_LIMIT = 10.0
"""Seconds that `stop` waits for associations; one that is just storing an object ends after it."""

_UNANNOUNCED_PATIENCE = 2.0
"""Seconds in which the data set of a C-STORE request has to begin that announces none."""

_STUCK = 6


def store(
    stream: Stream, context_id: int, command: Command, receiver: Receiver, *, transfer_syntax_uid: str, sender: str
) -> int:
    """Take the object of one C-STORE-RQ and answer it; return its size in bytes, 0 if it was refused.

    The response goes out after the object is in its place. A refused object is read to its end and dropped,
    so that the association lives on.
    """
    arrival = Arrival(
        sop_class_uid=command.text(dimse.AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=command.text(dimse.AFFECTED_SOP_INSTANCE_UID),
        transfer_syntax_uid=transfer_syntax_uid,
        sender=sender,
        move_originator=command.text(dimse.MOVE_ORIGINATOR_AE_TITLE),
        move_message_id=command.number(dimse.MOVE_ORIGINATOR_MESSAGE_ID) or 0,
    )
    status, comment, size = SUCCESS, "", 0
    try:
        size = _take(stream, context_id, receiver, arrival, has_data_set=command.has_data_set)
    except Refused as refusal:
        status, comment = refusal.status, refusal.comment
    stream.send(stream.message(context_id, dimse.response(command, status, comment)))
    receiver.ready()
    return size


def _take(stream: Stream, context_id: int, receiver: Receiver, arrival: Arrival, *, has_data_set: bool) -> int:
    if not has_data_set and stream.command_follows(within=_UNANNOUNCED_PATIENCE) is not False:
        raise Refused(0xC000, "the request has no data set")
    try:
        incoming = receiver.begin(arrival)
    except Refused:
        stream.read_data(context_id, lambda _: None)
        raise
    refusals: list[Refused] = []

    def write(fragment: memoryview) -> None:
        if not refusals:  # after a refusal the data set is read to its end and dropped
            try:
                incoming.write(fragment)
            except Refused as refusal:
                refusals.append(refusal)

    try:
        size = stream.read_data(context_id, write)
        if refusals:
            raise refusals[0]
        incoming.commit()
    except BaseException:
        with suppress(Refused, OSError):
            incoming.discard()
        raise
    return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where the Storage SCP listens; port 0 takes a free one. With TLS, it takes no plain connections."""

    ae_title: str
    host: str = "0.0.0.0"
    port: int = 11112
    most_associations: int = 32
    tls: Tls = field(default_factory=Tls)


class StorageService:
    """Serves connections of the Storage SCP, any number at once, each on the thread of its caller.

    Raises InputError if the TLS certificate cannot be used.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._tls = server_context(listener.tls) if listener.tls.enabled else None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Abort the open associations."""
        self._stopping.set()

    def _secured(self, connection: socket.socket) -> socket.socket | None:
        """Return the connection as it is used from now on; None if the caller's TLS does not fit."""
        if self._tls is None:
            return connection
        try:
            return accept_tls(connection, self._tls, patience=NEGOTIATION_TIMEOUT)
        except errors.TlsFailed as error:
            logger.info("%s: %s", _address(connection), error)
            connection.close()
            return None

    def serve(self, plain: socket.socket, receiver_for: Callable[[str], Receiver], *, busy: bool = False) -> None:
        """Serve one connection to its end, and close it; a `busy` one is rejected.

        `receiver_for` gives the receiver for the objects of the association, from the calling AE title.
        """
        connection = self._secured(plain)
        if connection is None:
            return
        stream = Stream(connection, peer=_address(connection), patience=NEGOTIATION_TIMEOUT)
        stream.on_wait = self._check_stopping
        try:
            association = accept(stream, ae_title=self._listener.ae_title, busy=busy)
            if association is not None:
                stream.patience = IDLE_TIMEOUT
                self._exchange(stream, association, receiver_for(association.calling_ae_title))
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

    def _exchange(self, stream: Stream, association: AcceptedAssociation, receiver: Receiver) -> None:
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


def _address(connection: socket.socket) -> str:
    try:
        return "{}:{}".format(*connection.getpeername()[:2])
    except OSError:
        return "a peer that has gone"


class ReceiverProcesses(Protocol):
    """Serves connections in other processes."""

    @property
    def load(self) -> int:
        """Associations that it serves now."""

    def take(self, connection: socket.socket, *, busy: int) -> bool:
        """Serve a connection, while we serve `busy` others; False to leave it to us."""


class StorageScp:
    """A Storage SCP for many associations at once, a thread each.

    `receiver_for` gives the receiver for the objects of one association, from the calling AE title. `aside` may take
    some of the connections.
    """

    def __init__(
        self, listener: Listener, receiver_for: Callable[[str], Receiver], *, aside: ReceiverProcesses | None = None
    ) -> None:
        self._listener = listener
        self._receiver_for = receiver_for
        self._aside = aside
        self._server: socket.socket | None = None
        self._service: StorageService | None = None
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._turns = self._seen = 0
        self.connections = 0
        """Connections of all peers that were accepted since the start."""
        self._times_seen = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        return int(self._server.getsockname()[1]) if self._server is not None else 0

    def is_stuck(self) -> bool:
        """Whether it has not looked for connections since this was asked several times, seconds apart.

        A thread that cannot begin, for want of memory, keeps the one that starts it waiting without end.
        """
        self._times_seen = self._times_seen + 1 if self._turns == self._seen else 0
        self._seen = self._turns
        return self._times_seen >= _STUCK

    def start(self) -> None:
        """Listen.

        Raises PortInUse if another program has the port, or we may not take it, and InputError if the TLS certificate
        cannot be used.
        """
        self._service = service = StorageService(self._listener)
        self._server = server = listen(self._listener.host, self._listener.port)
        server.settimeout(0.5)
        self._start_thread(lambda: self._accept_connections(server, service))

    def stop(self) -> None:
        """Stop listening, abort what is under way, and wait for its threads."""
        self._stopping.set()
        if self._service is not None:
            self._service.stop()
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError):  # wakes accept(); not every platform allows it on a listening socket
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        deadline = time.monotonic() + STOP_LIMIT
        while time.monotonic() < deadline:
            with self._lock:
                thread = next(filter(threading.Thread.is_alive, self._threads), None)
            if thread is None:
                return
            thread.join(0.5)

    def _start_thread(self, target: Callable[[], None]) -> None:
        def run() -> None:
            try:
                target()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="storage-scp", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept_connections(self, server: socket.socket, service: StorageService) -> None:
        while not self._stopping.is_set():
            self._turns += 1
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            except OSError as error:  # stopped; or out of file descriptors, which passes
                if not self._stopping.wait(0.5):
                    logger.warning("A connection could not be accepted: %s", error)
                continue
            self.connections += 1
            self._take(connection, service)

    def _take(self, connection: socket.socket, service: StorageService) -> None:
        own = len(self._threads) - 1  # without the one that accepts
        busy = own + (self._aside.load if self._aside else 0) >= self._listener.most_associations
        if busy or self._aside is None or not self._aside.take(connection, busy=own):
            self._start_thread(lambda: service.serve(connection, self._receiver_for, busy=busy))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise PortInUse, with the reason, if it cannot be had."""
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        why = "another program has it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise errors.PortInUse(
            f"The Storage SCP cannot listen on {host}:{port}: {why}.",
            advice="Set another port by QRKIT_PORT and inform the PACS team; ports below 1024 need privileges.",
        ) from error
