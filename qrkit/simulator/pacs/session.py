"""One client's connection from its A-ASSOCIATE-RQ to its end."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext

from qrkit.simulator.objects.encoding import UNCOMPRESSED
from qrkit.simulator.pacs.association import accept, receive_request, reject
from qrkit.simulator.pacs.find_service import serve_find
from qrkit.simulator.pacs.retrieve_service import serve_get, serve_move
from qrkit.simulator.pacs.store_service import serve_echo, serve_store
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

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from qrkit.simulator.pacs.association import AssociateRequest, PacsAssociation
    from qrkit.simulator.pacs.quirks import Quirks
    from qrkit.simulator.pacs.server_state import ServerState
    from qrkit.simulator.pacs.wire import Message

_log = logging.getLogger(__name__)

_VERIFICATION = "1.2.840.10008.1.1"
_MODEL_NUMBER = {"patient": 1, "study": 2, "patient-study": 3}
_OPERATION_NUMBER = {"find": 1, "move": 2, "get": 3}
_COMPRESSED = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
)
_REJECTIONS = {
    "calling-aet": (1, 1, 3),
    "called-aet": (1, 1, 7),
    "congestion": (2, 3, 1),
}
"""Result, source and reason of A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
_SERVICES: dict[int, Callable[[PacsAssociation, Message, ServerState], None]] = {
    C_ECHO_RQ: serve_echo,
    C_FIND_RQ: serve_find,
    C_GET_RQ: serve_get,
    C_MOVE_RQ: serve_move,
    C_STORE_RQ: serve_store,
}


def serve_connection(sock: socket.socket, state: ServerState) -> None:
    """Serve one connection until it ends."""
    stream = PduStream(sock)
    try:
        request = receive_request(stream)
        state.pause(state.quirks.delay_association)
        refusal = _refusal(request, state)
        if not refusal and not state.open_associations.add(state.quirks.max_associations):
            refusal = "congestion"
        if refusal:
            reject(stream, *_REJECTIONS[refusal])
            return
        try:
            _serve_request(stream, request, state)
        finally:
            state.open_associations.remove()
    except AssociationEndedError as ending:
        _log.debug("association ended: %s", ending.why)


def _serve_request(stream: PduStream, request: AssociateRequest, state: ServerState) -> None:
    association = accept(
        stream,
        request,
        supported_contexts(state.quirks),
        lambda uid, asked: _extended(uid, asked, state),
        refused=_refused_contexts(request, state.quirks),
    )
    _serve_association(association, state)


def _refused_contexts(request: AssociateRequest, quirks: Quirks) -> set[int]:
    """Return the IDs of the presentation contexts that are refused although the simulator could serve them."""
    contexts = list(request.primitive.presentation_context_definition_list)
    over = contexts[quirks.most_contexts :] if quirks.most_contexts else []
    unwanted = [one for one in contexts if one.abstract_syntax in quirks.refuse_classes]
    mixed = [one for one in contexts if _is_storage(one) and len(one.transfer_syntax) > 1]
    return {one.context_id for one in (*over, *unwanted, *(mixed if quirks.single_syntax else ()))}


def _is_storage(context: PresentationContext) -> bool:
    return str(context.abstract_syntax).startswith("1.2.840.10008.5.1.4.1.1.")


def _serve_association(association: PacsAssociation, state: ServerState) -> None:
    try:
        while True:
            message = association.receive()
            command_field = message.number("CommandField")
            if command_field == C_CANCEL_RQ:
                continue  # it came after the final response: PS3.7 9.3.2.3 lets it pass
            service = _SERVICES.get(command_field)
            if service is None or message.context_id not in association.contexts:
                association.abort()
                return
            service(association, message, state)
    except AssociationEndedError as ending:
        if ending.why != "released":
            raise
        association.confirm_release()


def _refusal(request: AssociateRequest, state: ServerState) -> str:
    """Why an association is rejected; empty if it is accepted."""
    quirks = state.quirks
    if quirks.reject:
        return quirks.reject
    if quirks.congested_at_first and state.happens_again("congestion", quirks.congested_at_first):
        return "congestion"
    if quirks.check_called_ae_title and request.called_ae_title != state.ae_title:
        return "called-aet"
    if quirks.known_ae_titles and request.calling_ae_title not in quirks.known_ae_titles:
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
    contexts = [_context(_VERIFICATION, UNCOMPRESSED)] if "echo" in quirks.services else []
    for model in quirks.models:
        for operation, number in _OPERATION_NUMBER.items():
            if operation in quirks.services:
                uid = f"1.2.840.10008.5.1.4.1.2.{_MODEL_NUMBER[model]}.{number}"
                contexts.append(_context(uid, UNCOMPRESSED))
    if {"store", "get"} & set(quirks.services):
        preferred = dict.fromkeys((*quirks.transfer_syntaxes, *UNCOMPRESSED, *_COMPRESSED))
        for storage in AllStoragePresentationContexts:
            context = _context(str(storage.abstract_syntax), tuple(preferred))
            context.scu_role = "get" in quirks.services
            context.scp_role = "store" in quirks.services
            contexts.append(context)
    return tuple(contexts)


def _context(abstract_syntax: str, transfer_syntaxes: tuple[str, ...]) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = abstract_syntax
    context.transfer_syntax = list(transfer_syntaxes)
    return context
