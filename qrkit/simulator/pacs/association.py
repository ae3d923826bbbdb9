"""Associations: negotiated with pynetdicom's PDU classes, as acceptor and as requestor (PS3.8 7.1, PS3.7 D.3)."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from qrkit.simulator.pacs.wire import (
    ABORT_PDU,
    NO_DATA_SET,
    RELEASE_RP_PDU,
    RELEASE_RQ_PDU,
    RESPONSE,
    AssociationEndedError,
    Message,
    PduStream,
    encode_command,
    message_pdus,
    receive_message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from qrkit.simulator.pacs.wire_faults import WireFaults

IMPLEMENTATION_CLASS_UID = "2.25.199420444568450874164129485731964533565"
IMPLEMENTATION_VERSION_NAME = "QRKIT_SIM_1"
MAXIMUM_PDU_LENGTH = 1 << 17
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_ASSOCIATE_RQ_PDU, _ASSOCIATE_AC_PDU = 0x01, 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class PacsContext:
    """An accepted presentation context, seen from the simulator."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    can_send: bool
    """Whether the simulator may be SCU in it: what C-GET needs for its C-STORE sub-operations."""


class PacsAssociation:
    """One established association: messages out, messages in, and its end."""

    def __init__(self, stream: PduStream, contexts: Iterable[PacsContext], maximum_length: int) -> None:
        self.contexts = {context.context_id: context for context in contexts}
        self.extended: dict[str, bytes] = {}
        """SOP class extended negotiation that was accepted (PS3.4 C.5.1.1), by SOP class."""
        self.calling_ae_title = ""
        self._stream = stream
        self._maximum_length = stream.faults.pdu_length or maximum_length

    def receive(self) -> Message:
        """Return the next message of the peer; waits for it."""
        return receive_message(self._stream)

    def has_input(self, *, within: float = 0.0) -> bool:
        """Whether the peer has sent something that was not read yet, such as a C-CANCEL; waits for it if wanted."""
        return self._stream.has_input(within=within)

    def send(self, context_id: int, command: Mapping[str, int | str] | bytes, data: bytes | None = None) -> None:
        """Write one message; it is on the wire after `flush`, or before the next `receive`."""
        raw = command if isinstance(command, bytes) else encode_command(self._flagged(command, data))
        self._stream.write(message_pdus(context_id, raw, data, self._maximum_length))

    def _flagged(self, command: Mapping[str, int | str], data: bytes | None) -> Mapping[str, int | str]:
        is_response = int(command.get("CommandField", 0)) & RESPONSE
        if not (self._stream.faults.wrong_flags and is_response):
            return command
        return {**command, "CommandDataSetType": 0x0001 if data is None else NO_DATA_SET}

    def send_slowly(
        self,
        context_id: int,
        command: Mapping[str, int | str] | bytes,
        data: bytes | None,
        pause: Callable[[], None],
        *,
        pieces: int = 20,
    ) -> None:
        """Put one message on the wire in pieces, with a pause before each."""
        raw = command if isinstance(command, bytes) else encode_command(command)
        message = message_pdus(context_id, raw, data, self._maximum_length)
        size = len(message) // pieces + 1
        for start in range(0, len(message), size):
            pause()
            self._stream.write(message[start : start + size])
            self._stream.flush()

    def break_off(self, context_id: int, command: Mapping[str, int | str], data: bytes) -> None:
        """Put half of a message on the wire, and no more; always raise AssociationEndedError: nothing can follow."""
        message = message_pdus(context_id, encode_command(command), data, self._maximum_length)
        self._stream.write(message[: len(message) // 2])
        self._stream.flush()
        raise AssociationEndedError("broken off by a quirk")

    def flush(self) -> None:
        """Put everything sent so far on the wire."""
        self._stream.flush()

    def context_for(
        self, sop_class: str, transfer_syntaxes: Sequence[str], *, first: bool = False
    ) -> PacsContext | None:
        """Return the context in which an object can be sent, preferring the transfer syntaxes in their order.

        With `first`, the first context that will do, whatever its transfer syntax.
        """
        usable = [one for one in self.contexts.values() if one.can_send and one.abstract_syntax == sop_class]
        if first:
            return next((context for context in usable if context.transfer_syntax in transfer_syntaxes), None)
        for transfer_syntax in transfer_syntaxes:
            for context in usable:
                if context.transfer_syntax == transfer_syntax:
                    return context
        return None

    def confirm_release(self) -> None:
        """Answer the peer's A-RELEASE-RQ and wait for it to close the connection."""
        if not self._stream.faults.no_release_answer:
            self._stream.write(RELEASE_RP_PDU)
        self._stream.flush()
        self._stream.wait_until_closed()

    def end(self, mode: str) -> None:
        """End the association as an acceptor that serves no more requests: by `Quirks.end_mode`."""
        if mode == "abort":
            self.abort()
        elif mode == "silence":
            while True:
                self.receive()
        elif mode == "release":
            self._stream.write(RELEASE_RQ_PDU)
            self._stream.receive_pdu()  # A-RELEASE-RP, or the next request, which is not answered

    def release(self) -> None:
        """Release an association that the simulator asked for."""
        self._stream.write(RELEASE_RQ_PDU)
        try:
            self._stream.receive_pdu()
        except AssociationEndedError:
            return

    def abort(self) -> None:
        """Send what was written, then A-ABORT."""
        self._stream.write(ABORT_PDU)
        self._stream.flush()


def receive_request(stream: PduStream) -> A_ASSOCIATE:
    """Read the A-ASSOCIATE-RQ with which every association begins."""
    pdu = stream.receive_pdu()
    if pdu[0] != _ASSOCIATE_RQ_PDU:
        raise AssociationEndedError(f"expected A-ASSOCIATE-RQ, got a PDU of type {pdu[0]:#04x}")
    decoded = A_ASSOCIATE_RQ()
    decoded.decode(pdu)
    return decoded.to_primitive()


def reject(stream: PduStream, result: int, source: int, reason: int) -> None:
    """Send A-ASSOCIATE-RJ (PS3.8 9.3.4) and wait for the peer to close the connection."""
    answer = A_ASSOCIATE()
    answer.result, answer.result_source, answer.diagnostic = result, source, reason
    stream.write(A_ASSOCIATE_RJ(answer).encode())
    stream.flush()
    stream.wait_until_closed()


def accept(
    stream: PduStream,
    request: A_ASSOCIATE,
    supported: Sequence[PresentationContext],
    answer_extended: Callable[[str, bytes], bytes | None],
    *,
    refused: Collection[int] = (),
) -> PacsAssociation:
    """Accept an association with what both sides support, except the `refused` context IDs.

    `supported` has the preferred transfer syntaxes first. `answer_extended` gives the answer to a SOP class extended
    negotiation item, or None to leave it out.
    """
    items = list(request.user_information)
    roles = {
        item.sop_class_uid: (item.scu_role, item.scp_role)
        for item in items
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }
    negotiated, role_items = negotiate_as_acceptor(
        request.presentation_context_definition_list, list(supported), roles
    )
    for one in negotiated:
        if one.context_id in refused:
            one.result = 0x04  # transfer syntaxes not supported (PS3.8 9.3.3.2)
    extended = _extended_answers(items, answer_extended)
    answered = [*_user_information(), *role_items, *_extended_items(extended)]
    stream.write(stream.faults.negotiation(_acceptance(request, negotiated, answered)))
    stream.flush()
    contexts = [
        PacsContext(
            context_id=one.context_id,
            abstract_syntax=str(one.abstract_syntax),
            transfer_syntax=str(one.transfer_syntax[0]),
            can_send=bool(one.as_scu),
        )
        for one in negotiated
        if one.result == 0x00
    ]
    association = PacsAssociation(stream, contexts, _maximum_length(items))
    association.extended = extended
    association.calling_ae_title = request.calling_ae_title.strip()
    return association


def _acceptance(request: A_ASSOCIATE, negotiated: list[PresentationContext], user_information: list[Any]) -> bytes:
    answer = A_ASSOCIATE()
    answer.application_context_name = _APPLICATION_CONTEXT
    answer.calling_ae_title = request.calling_ae_title
    answer.called_ae_title = request.called_ae_title
    answer.result, answer.result_source = 0x00, 0x01
    answer.presentation_context_definition_results_list = negotiated
    answer.user_information = user_information
    return bytes(A_ASSOCIATE_AC(answer).encode())


def request_association(
    address: tuple[str, int],
    titles: tuple[str, str],
    proposed: Sequence[PresentationContext],
    timeout: float,
    faults: WireFaults | None = None,
) -> tuple[PacsAssociation, socket.socket]:
    """Ask a Storage SCP for an association, with the calling and called AE titles.

    The timeout is in seconds, for the connection and for each answer. Raises AssociationEndedError if there is no
    connection, or the peer rejected the association.
    """
    try:
        sock = socket.create_connection(address, timeout=timeout)
    except OSError as error:
        raise AssociationEndedError(f"no connection to {address[0]}:{address[1]}: {error}") from error
    try:
        return _negotiate(PduStream(sock, faults), titles, proposed), sock
    except BaseException:
        sock.close()
        raise


def _negotiate(
    stream: PduStream, titles: tuple[str, str], proposed: Sequence[PresentationContext]
) -> PacsAssociation:
    request = A_ASSOCIATE()
    request.application_context_name = _APPLICATION_CONTEXT
    request.calling_ae_title, request.called_ae_title = titles
    request.presentation_context_definition_list = list(proposed)
    request.user_information = _user_information()
    stream.write(stream.faults.negotiation(A_ASSOCIATE_RQ(request).encode()))
    pdu = stream.receive_pdu()
    if pdu[0] != _ASSOCIATE_AC_PDU:
        raise AssociationEndedError("the destination rejected the association")
    accepted = A_ASSOCIATE_AC()
    accepted.decode(pdu)
    answer = accepted.to_primitive()
    abstract = {one.context_id: str(one.abstract_syntax) for one in proposed}
    contexts = [
        PacsContext(
            context_id=one.context_id,
            abstract_syntax=abstract[one.context_id],
            transfer_syntax=str(one.transfer_syntax[0]),
            can_send=True,
        )
        for one in answer.presentation_context_definition_results_list
        if one.result == 0x00
    ]
    return PacsAssociation(stream, contexts, _maximum_length(answer.user_information))


def _user_information() -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = MAXIMUM_PDU_LENGTH
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return [length, implementation, version]


def _maximum_length(items: Iterable[Any]) -> int:
    lengths = [one.maximum_length_received for one in items if isinstance(one, MaximumLengthNotification)]
    return int(lengths[0]) if lengths else 1 << 14


def _extended_answers(
    items: Iterable[Any], answer_extended: Callable[[str, bytes], bytes | None]
) -> dict[str, bytes]:
    asked = {
        str(item.sop_class_uid): bytes(item.service_class_application_information)
        for item in items
        if isinstance(item, SOPClassExtendedNegotiation)
    }
    answers = {uid: answer_extended(uid, information) for uid, information in asked.items()}
    return {uid: answer for uid, answer in answers.items() if answer is not None}


def _extended_items(extended: Mapping[str, bytes]) -> list[SOPClassExtendedNegotiation]:
    items = []
    for uid, information in extended.items():
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = uid
        item.service_class_application_information = information
        items.append(item)
    return items
