"""DIMSE command sets: a small strict decoder and encoders (PS3.7 annex E; always Implicit VR Little Endian)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from qrkit.errors import ProtocolError

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
        """Return a UI, AE or LO value without its padding, or an empty text."""
        return self.elements.get(element, b"").decode("ascii", "replace").strip("\0 ")

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
        """Whether a data set follows (0000,0800)."""
        return self.number(COMMAND_DATA_SET_TYPE) != NO_DATA_SET


def decode_command(data: bytes, *, peer: str) -> Command:
    """Decode a command set.

    Elements of other groups are kept too: Orthanc 1.10 puts the Failed SOP Instance UID List of a C-GET there,
    not into a data set.

    Raises
    ------
    ProtocolError
        If it is cut off, has an element twice, or lacks one that every command has.
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
    if COMMAND_FIELD not in elements or COMMAND_DATA_SET_TYPE not in elements:
        raise _malformed(peer, "has no Command Field or no Command Data Set Type")
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
