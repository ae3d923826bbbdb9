"""The simulator: a listening socket, one thread for each connection until its end, and a clean end."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context

from qrkit.simulator.hospital.hospital import empty_hospital
from qrkit.simulator.objects.encoding import UNCOMPRESSED
from qrkit.simulator.pacs.archive import Archive
from qrkit.simulator.pacs.association import accept, receive_request, reject
from qrkit.simulator.pacs.find_service import serve_find
from qrkit.simulator.pacs.quirks import Quirks
from qrkit.simulator.pacs.retrieve_service import serve_echo, serve_retrieve, serve_store
from qrkit.simulator.pacs.server_state import ServerState
from qrkit.simulator.pacs.wire import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    AssociationEndedError,
    PduStream,
)
from qrkit.simulator.pacs.wire_faults import WireFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pynetdicom.pdu_primitives import A_ASSOCIATE

    from qrkit.simulator.facts import Hospital
    from qrkit.simulator.pacs.association import PacsAssociation
    from qrkit.simulator.pacs.server_state import ServedRequest
    from qrkit.simulator.pacs.wire import Message


_log = logging.getLogger(__name__)

_VERIFICATION = "1.2.840.10008.1.1"
_MODEL_NUMBER = {"patient": 1, "study": 2, "patient-study": 3}
_OPERATION_NUMBER = {"find": 1, "move": 2, "get": 3}
_COMPRESSED = "5 4.50 4.51 4.57 4.70 4.80 4.81 4.90 4.91 4.100 4.201 4.202 4.203"
"""Compressed transfer syntaxes, by the end of their UIDs."""
_REJECTIONS = {"calling-aet": (1, 1, 3), "called-aet": (1, 1, 7), "congestion": (2, 3, 1)}
"""Result, source and reason of A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
_SERVICES: dict[int, Callable[[PacsAssociation, Message, ServerState], None]] = {
    C_ECHO_RQ: serve_echo,
    C_FIND_RQ: serve_find,
    C_GET_RQ: serve_retrieve,
    C_MOVE_RQ: serve_retrieve,
    C_STORE_RQ: serve_store,
}

_BACKLOG = 128


def serve_connection(sock: socket.socket, state: ServerState) -> None:
    """Serve one connection until it ends."""
    stream = PduStream(sock, WireFaults.of(state.quirks))
    try:
        request = receive_request(stream)
        state.pause(state.quirks.delay_association)
        refusal = _refusal(request, state)
        if not refusal and not state.admit_association():
            refusal = "congestion"
        if refusal:
            reject(stream, *_REJECTIONS[refusal])
            return
        try:
            association = accept(
                stream,
                request,
                supported_contexts(state.quirks),
                lambda uid, asked: _extended(uid, asked, state),
                refused=_refused_contexts(request, state.quirks),
            )
            _serve_association(association, state)
        finally:
            state.association_ended()
    except AssociationEndedError as ending:
        _log.debug("association ended: %s", ending)


def _refused_contexts(request: A_ASSOCIATE, quirks: Quirks) -> set[int]:
    """Return the IDs of the presentation contexts that are refused although the simulator could serve them."""
    contexts = list(request.presentation_context_definition_list)
    over = contexts[quirks.most_contexts :] if quirks.most_contexts else []
    unwanted = [one for one in contexts if one.abstract_syntax in quirks.refuse_classes]
    storage = [one for one in contexts if str(one.abstract_syntax).startswith("1.2.840.10008.5.1.4.1.1.")]
    mixed = [one for one in storage if len(one.transfer_syntax) > 1] if quirks.single_syntax else []
    return {one.context_id for one in (*over, *unwanted, *mixed)}


def _serve_association(association: PacsAssociation, state: ServerState) -> None:
    served = 0
    try:
        while not _is_due_to_end(association, state, served):
            message = association.receive()
            command_field = message.number("CommandField")
            if command_field == C_CANCEL_RQ:
                continue  # it came after the final response: PS3.7 9.3.2.3 lets it pass
            service = _SERVICES.get(command_field)
            if service is None or message.context_id not in association.contexts:
                association.abort()
                return
            service(association, message, state)
            served += 1
        association.end(state.quirks.end_mode)
    except AssociationEndedError as ending:
        if str(ending) != "released":
            raise
        association.confirm_release()


def _is_due_to_end(association: PacsAssociation, state: ServerState, served: int) -> bool:
    """Whether a quirk ends an association here, after some requests or without one for some time."""
    quirks = state.quirks
    if quirks.end_after and served >= quirks.end_after:
        return True
    return bool(quirks.end_when_idle) and not association.has_input(within=quirks.end_when_idle)


def _refusal(request: A_ASSOCIATE, state: ServerState) -> str:
    """Why an association is rejected; empty if it is accepted."""
    quirks = state.quirks
    if quirks.reject:
        return quirks.reject
    if quirks.congested_at_first and state.happens_again("congestion", quirks.congested_at_first):
        return "congestion"
    if quirks.check_called_ae_title and request.called_ae_title.strip() != state.ae_title:
        return "called-aet"
    if quirks.known_ae_titles and request.calling_ae_title.strip() not in quirks.known_ae_titles:
        return "calling-aet"
    return ""


def _extended(sop_class: str, asked: bytes, state: ServerState) -> bytes | None:
    """Relational queries and combined date-time matching are negotiated (PS3.4 C.5.1.1.1)."""
    if not sop_class.startswith("1.2.840.10008.5.1.4.1.2."):
        return None
    able = bytes([state.quirks.relational, 1])
    return bytes(ours & theirs for ours, theirs in zip(able, asked, strict=False)) or None


@lru_cache(maxsize=32)
def supported_contexts(quirks: Quirks) -> tuple[PresentationContext, ...]:
    """Return what the simulator accepts with these quirks, its preferred transfer syntax first."""
    if quirks.refuse_contexts:
        return ()
    contexts = [build_context(_VERIFICATION, list(UNCOMPRESSED))] if "echo" in quirks.services else []
    for model in quirks.models:
        for operation, number in _OPERATION_NUMBER.items():
            if operation in quirks.services:
                uid = f"1.2.840.10008.5.1.4.1.2.{_MODEL_NUMBER[model]}.{number}"
                contexts.append(build_context(uid, list(UNCOMPRESSED)))
    if {"store", "get"} & set(quirks.services):
        compressed = (f"1.2.840.10008.1.2.{end}" for end in _COMPRESSED.split())
        preferred = dict.fromkeys((*quirks.transfer_syntaxes, *UNCOMPRESSED, *compressed))
        for storage in AllStoragePresentationContexts:
            context = build_context(storage.abstract_syntax, list(preferred))
            context.scu_role = "get" in quirks.services
            context.scp_role = "store" in quirks.services
            contexts.append(context)
    return tuple(contexts)


class Simulator:
    """A PACS in a box: C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE on one port.

    Parameters
    ----------
    hospital
        Its content; an empty one, as of a store node, by default.
    ae_title
        Its AE title; it also accepts any other called AE title, unless a quirk forbids it.
    host, port
        Where it listens; port 0 lets the system choose, see `port`.
    quirks
        How it misbehaves; may be replaced while it runs.
    destinations
        Host and port of each AE title that C-MOVE may name; more can be added with `add_destination`.

    Examples
    --------
    >>> from qrkit.simulator import Simulator, small_hospital
    >>> with Simulator(small_hospital(studies=10)) as pacs:
    ...     pacs.port > 0
    True
    """

    def __init__(
        self,
        hospital: Hospital | None = None,
        *,
        ae_title: str = "SIMPACS",
        host: str = "127.0.0.1",
        port: int = 0,
        quirks: Quirks | None = None,
        destinations: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        """Before the start the one asked for, after the end the last one."""
        self.ae_title = ae_title
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._background: set[threading.Thread] = set()
        self._state = ServerState(
            ae_title=ae_title,
            archive=Archive(hospital or empty_hospital()),
            quirks=quirks or Quirks(),
            destinations=dict(destinations or {}),
            run_in_background=self._run_in_background,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def quirks(self) -> Quirks:
        """How it misbehaves; a change applies to the next request."""
        return self._state.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        self._state.quirks = quirks

    @property
    def requests(self) -> list[ServedRequest]:
        """The requests served so far, in the order in which they ended."""
        return self._state.requests

    @property
    def received(self) -> list[str]:
        """SOP Instance UIDs of the objects received by C-STORE, in the order of their arrival."""
        return self._state.archive.received

    @property
    def open_associations(self) -> int:
        """Number of associations open now."""
        return self._state.open_associations

    def path_of(self, SOPInstanceUID: str) -> Path | None:
        """Return the file of a received object, as long as the simulator runs."""
        return self._state.archive.path_of(SOPInstanceUID)

    def add_destination(self, ae_title: str, host: str, port: int) -> None:
        """Make one more AE title known as a move destination."""
        self._state.destinations[ae_title] = (host, port)

    def start(self) -> None:
        """Listen; returns once connections are accepted."""
        supported_contexts(self._state.quirks)  # made now, so that the first client does not wait for it
        listener = socket.create_server((self.host, self.port), backlog=_BACKLOG)
        self.port = int(listener.getsockname()[1])
        self._state.stopping.clear()
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="simulator-accept", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """End all connections, wait for every thread, and remove the received files."""
        if self._listener is None:
            return
        self._state.stopping.set()
        _shut(self._listener)
        self._listener.close()  # where shutdown does not wake accept, close does
        self._listener = None
        if self._acceptor is not None:
            self._acceptor.join()
        with self._lock:
            for sock in (*self._connections.values(), *tuple(self._state.outgoing)):
                _shut(sock)
            threads = [*self._connections, *self._background]
        for thread in threads:
            thread.join()
        self._state.archive.close()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while not self._state.stopping.is_set():
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=self._serve, args=(sock,), name="simulator", daemon=True)
                with self._lock:
                    self._connections[thread] = sock
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            serve_connection(sock, self._state)
        except Exception:  # noqa: BLE001 - one client's failure must not end the simulator
            _log.exception("a connection of the simulator failed")
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)
            sock.close()

    def _run_in_background(self, task: Callable[[], None]) -> None:
        def run() -> None:
            try:
                task()
            except Exception:  # noqa: BLE001 - as above
                _log.exception("a task of the simulator failed")
            finally:
                with self._lock:
                    self._background.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="simulator-aside", daemon=True)
        with self._lock:
            self._background.add(thread)
        thread.start()


def _shut(sock: socket.socket) -> None:
    """Wake the thread that waits on a socket; that thread closes it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
