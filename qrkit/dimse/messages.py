"""DIMSE messages: command sets as bytes (PS3.7 6.3), requests that are sent and responses that are read."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from qrkit import errors, uids
from qrkit.dimse.association import Association
from qrkit.dimse.negotiation import AcceptedContext
from qrkit.dimse.status import Service
from qrkit.dimse.stream import PeerReleased
from qrkit.errors import ProtocolError
from qrkit.stop import Stop
from qrkit.words import one_line

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_GET_RQ, C_GET_RSP = 0x0010, 0x8010
C_FIND_RQ, C_FIND_RSP = 0x0020, 0x8020
C_MOVE_RQ, C_MOVE_RSP = 0x0021, 0x8021
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
C_CANCEL_RQ = 0x0FFF

NO_DATA_SET = 0x0101
_DATA_SET = 0x0001
_MEDIUM_PRIORITY = 0

AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
MOVE_DESTINATION = 0x0600
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023
MOVE_ORIGINATOR_AE_TITLE = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID = 0x1031
FAILED_SOP_INSTANCE_UID_LIST = 0x0008_0058

_element = struct.Struct("<HHI")
_us = struct.Struct("<H")
_GROUP_LENGTH = struct.Struct("<HHII")


class Command:
    """One decoded command set: its raw values by tag, which in group 0000 is the element number."""

    __slots__ = ("elements",)

    def __init__(self, elements: Mapping[int, bytes]) -> None:
        self.elements = elements

    def number(self, element: int) -> int | None:
        """Return a US value, or None where the peer left it out or sent another length."""
        value = self.elements.get(element)
        return _us.unpack(value)[0] if value is not None and len(value) == 2 else None

    def text(self, element: int) -> str:
        """Return a UI, AE or LO value without its padding, or an empty text; it ends at a NUL."""
        return self.elements.get(element, b"").partition(b"\0")[0].decode("ascii", "replace").strip()

    @property
    def comment(self) -> str:
        """Error Comment (0000,0902) in one line; control characters are escaped, since it is shown to people."""
        return one_line(self.text(ERROR_COMMENT))

    @property
    def field(self) -> int:
        """Command Field (0000,0100); 0 where the peer left it out."""
        return self.number(COMMAND_FIELD) or 0

    @property
    def status(self) -> int | None:
        """Status (0000,0900), None where the peer left it out."""
        return self.number(STATUS)

    @property
    def has_data_set(self) -> bool:
        """Whether a data set is announced (0000,0800); some peers send the opposite of what they announce."""
        return self.number(COMMAND_DATA_SET_TYPE) != NO_DATA_SET


def decode_command(data: bytes, *, peer: str) -> Command:
    """Decode a command set.

    Elements of other groups are kept too: Orthanc 1.10 puts the Failed SOP Instance UID List of a C-GET there, not
    into a data set. Raises ProtocolError if the command set is cut off, has an element twice, or lacks its Command
    Field.
    """
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < 8:
            raise _malformed(peer, "is cut off")
        group, element, length = _element.unpack_from(data, position)
        position += 8
        tag = group << 16 | element
        if tag in elements or length > end - position:
            raise _malformed(peer, f"breaks off or repeats itself at ({group:04X},{element:04X})")
        elements[tag] = data[position : position + length]
        position += length
    if COMMAND_FIELD not in elements:
        raise _malformed(peer, "has no Command Field")
    return Command(elements)


def encode_command(values: Mapping[int, int | str]) -> bytes:
    """Encode a command set from US and text values, with its group length; ascending order is given here.

    >>> encode_command({0x0100: 0x8030}).hex()
    '00000000040000000a00000000000001020000003080'
    """
    body = bytearray()
    for element in sorted(values):
        value = values[element]
        raw = _us.pack(value) if isinstance(value, int) else _text(element, value)
        body += _element.pack(0, element, len(raw)) + raw
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + bytes(body)


def request(field: int, *, sop_class_uid: str, message_id: int, move_destination: str = "") -> bytes:
    """Encode a C-ECHO-RQ, C-FIND-RQ, C-GET-RQ or C-MOVE-RQ (PS3.7 9.3)."""
    values: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: sop_class_uid,
        COMMAND_FIELD: field,
        MESSAGE_ID: message_id,
        COMMAND_DATA_SET_TYPE: NO_DATA_SET if field == C_ECHO_RQ else _DATA_SET,
    }
    if field != C_ECHO_RQ:
        values[PRIORITY] = _MEDIUM_PRIORITY
    if move_destination:
        values[MOVE_DESTINATION] = move_destination
    return encode_command(values)


def store_request(sop_class_uid: str, sop_instance_uid: str, message_id: int) -> bytes:
    """Encode a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return encode_command(
        {
            AFFECTED_SOP_CLASS_UID: sop_class_uid,
            COMMAND_FIELD: C_STORE_RQ,
            MESSAGE_ID: message_id,
            PRIORITY: _MEDIUM_PRIORITY,
            COMMAND_DATA_SET_TYPE: _DATA_SET,
            AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
        }
    )


def cancel(message_id: int) -> bytes:
    """Encode a C-CANCEL-RQ for the request with this Message ID (PS3.7 9.3.2.3)."""
    return encode_command(
        {
            COMMAND_FIELD: C_CANCEL_RQ,
            MESSAGE_ID_BEING_RESPONDED_TO: message_id,
            COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        }
    )


def response(command: Command, status: int, comment: str = "") -> bytes:
    """Encode the C-ECHO-RSP or C-STORE-RSP to a request (PS3.7 9.3.1.2, 9.3.5.2)."""
    values: dict[int, int | str] = {
        AFFECTED_SOP_CLASS_UID: command.text(AFFECTED_SOP_CLASS_UID),
        COMMAND_FIELD: command.field | 0x8000,
        MESSAGE_ID_BEING_RESPONDED_TO: command.number(MESSAGE_ID) or 0,
        COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        STATUS: status,
    }
    if AFFECTED_SOP_INSTANCE_UID in command.elements:
        values[AFFECTED_SOP_INSTANCE_UID] = command.text(AFFECTED_SOP_INSTANCE_UID)
    if comment:
        values[ERROR_COMMENT] = comment[:64]
    return encode_command(values)


def _text(element: int, value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    if len(raw) % 2:  # PS3.5 9.1: UIDs are padded with NULL, other texts with a blank
        raw += b"\0" if element in (AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID) else b" "
    return raw


def _malformed(peer: str, what: str) -> ProtocolError:
    return ProtocolError(
        f"{peer} sent a command set that {what} (PS3.7 annex E).",
        advice="Ask the PACS team for the log of this moment.",
    )


_RESPONSES = {
    Service.ECHO: C_ECHO_RSP,
    Service.FIND: C_FIND_RSP,
    Service.GET: C_GET_RSP,
    Service.MOVE: C_MOVE_RSP,
    Service.STORE: C_STORE_RSP,
}

CANCEL_GRACE = 2.0
"""Seconds that a peer has to obey C-CANCEL before the association is aborted."""


def encode_identifier(identifier: Dataset, transfer_syntax: str) -> bytes:
    """Encode an Identifier in one of the two uncompressed little-endian transfer syntaxes."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN
    write_dataset(buffer, identifier)
    return bytes(buffer.getvalue())


def send_request(
    association: Association, field: int, model: str, identifier: Dataset, destination: str = ""
) -> PendingRequest:
    """Send a C-FIND, C-GET or C-MOVE request; return it, so that it can be cancelled."""
    context = association.context_for(model)
    message_id = association.next_message_id()
    command = request(field, sop_class_uid=model, message_id=message_id, move_destination=destination)
    data = encode_identifier(identifier, context.transfer_syntax)
    association.stream.send(association.stream.message(context.context_id, command, data))
    return PendingRequest(association, context, message_id)


_STRAY_PATIENCE = 0.5
"""Seconds in which more follows, where the first response of a peer ends an operation and names another."""


class PendingRequest:
    """A request that waits for its final response and can be cancelled."""

    def __init__(self, association: Association, context: AcceptedContext, message_id: int) -> None:
        self.context = context
        self.message_id = message_id
        self._association = association
        self._cancelled_at = 0.0

    @property
    def is_cancelled(self) -> bool:
        """Whether C-CANCEL was sent."""
        return self._cancelled_at > 0

    def is_answered_by(self, response: Command, *, is_final: bool) -> bool:
        """Whether a response is for this request: some peers answer late or twice, others never name the request.

        What names another request is left out, unless the first response over the association does so too.
        """
        association = self._association
        if response.number(MESSAGE_ID_BEING_RESPONDED_TO) == self.message_id:
            association.names_requests = True
            return True
        if association.names_requests is None:
            if is_final and association.stream.command_follows(within=_STRAY_PATIENCE):
                return False
            association.names_requests = False
        return not association.names_requests

    def cancel(self) -> None:
        """Send C-CANCEL once (PS3.7 9.3.2.3); two seconds later `check` aborts."""
        if not self.is_cancelled:
            self._cancelled_at = time.monotonic()
            stream = self._association.stream
            stream.send(stream.message(self.context.context_id, cancel(self.message_id)))

    def check(self, stop: Stop) -> None:
        """Cancel if `stop` wants it; two seconds after a C-CANCEL that the peer ignored, raise Cancelled."""
        if not self.is_cancelled:
            if stop.wanted():
                self.cancel()
        elif time.monotonic() - self._cancelled_at > CANCEL_GRACE:
            raise errors.Cancelled(f"Cancelled; {self._association.peer} ignored C-CANCEL, so it was aborted.")


def read_command(association: Association) -> tuple[int, Command]:
    """Return presentation context ID and command set of the next message; errors as `read_command_bytes`."""
    context_id, data = read_command_bytes(association)
    return context_id, decode_command(data, peer=association.peer)


def read_command_bytes(association: Association) -> tuple[int, bytes]:
    """Return presentation context ID and command set of the next message, not yet decoded.

    Raises AssociationAborted if the peer releases the association in the middle of an operation, and ProtocolError if
    it uses a presentation context that was not agreed on.
    """
    try:
        context_id, data = association.stream.read_command()
    except PeerReleased as error:
        association.stream.send_release_response()
        raise errors.AssociationAborted(
            f"{association.peer} released the association before the operation ended.",
            advice="Try again; if it happens again, ask the PACS team for the log of this moment.",
        ) from error
    if context_id not in association.contexts:
        raise errors.ProtocolError(
            f"{association.peer} used presentation context {context_id}, which was not accepted (PS3.8 9.3.5)."
        )
    return context_id, data


def check_response(association: Association, command: Command, service: Service) -> int:
    """Return the status of a response; raise ProtocolError if it is another message, or has no status."""
    if command.field != _RESPONSES[service]:
        raise errors.ProtocolError(
            f"{association.peer} sent a message of type 0x{command.field:04X} where a {service.value} response "
            "was due."
        )
    if command.status is None:
        raise errors.ProtocolError(f"{association.peer} sent a {service.value} response without a status.")
    return command.status
