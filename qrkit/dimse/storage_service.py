"""One connection of our Storage SCP: negotiates, receives objects and answers C-ECHO (PS3.4 annex B)."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from qrkit import errors, uids
from qrkit.dimse import messages as dimse
from qrkit.dimse.acceptance import AcceptedAssociation, accept
from qrkit.dimse.messages import Command, decode_command
from qrkit.dimse.receive import store
from qrkit.dimse.status import SUCCESS
from qrkit.dimse.stream import PeerReleased, Stream
from qrkit.dimse.tls import accept_tls, server_context
from qrkit.node import Tls
from qrkit.receipt import Receiver

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


class StorageService:
    """Serves connections of the Storage SCP, any number at once, each on the thread of its caller.

    Raises
    ------
    InputError
        If the TLS certificate cannot be used.
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

        Parameters
        ----------
        receiver_for
            Gives the receiver for the objects of the association, from the calling AE title.
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
