"""PDUs and DIMSE messages on a socket: framing, fragments and command sets (PS3.8 9.3, PS3.7 6.3, 9.3).

pynetdicom's classes encode and decode the association PDUs; the data phase is written here, because a
simulator must be faster than what is measured against it, and must be able to misbehave at any point.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qrkit.simulator.pacs.wire_faults import WireFaults

if TYPE_CHECKING:
    from collections.abc import Mapping

P_DATA_TF = 0x04
A_RELEASE_RQ = 0x05
A_ABORT = 0x07
RELEASE_RP_PDU = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
RELEASE_RQ_PDU = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT_PDU = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"

C_STORE_RQ, C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
RESPONSE = 0x8000
"""Bit of the Command Field that makes a request its response (PS3.7 E.1)."""

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
IDENTIFIER_DOES_NOT_MATCH = 0xA900
CANCELLED = 0xFE00
PENDING = 0xFF00
NO_DATA_SET = 0x0101

_ELEMENTS = {
    "AffectedSOPClassUID": (0x0002, "UI"),
    "CommandField": (0x0100, "US"),
    "MessageID": (0x0110, "US"),
    "MessageIDBeingRespondedTo": (0x0120, "US"),
    "MoveDestination": (0x0600, "AE"),
    "Priority": (0x0700, "US"),
    "CommandDataSetType": (0x0800, "US"),
    "Status": (0x0900, "US"),
    "ErrorComment": (0x0902, "LO"),
    "AffectedSOPInstanceUID": (0x1000, "UI"),
    "NumberOfRemainingSuboperations": (0x1020, "US"),
    "NumberOfCompletedSuboperations": (0x1021, "US"),
    "NumberOfFailedSuboperations": (0x1022, "US"),
    "NumberOfWarningSuboperations": (0x1023, "US"),
    "MoveOriginatorApplicationEntityTitle": (0x1030, "AE"),
    "MoveOriginatorMessageID": (0x1031, "US"),
}
_KEYWORDS = {element: (keyword, vr) for keyword, (element, vr) in _ELEMENTS.items()}
_ARTIM = 10.0
"""Seconds to wait for a peer that should close its connection (PS3.8 9.1.5)."""
_LARGEST_PDU = 1 << 26
"""A longer PDU is taken for garbage rather than waited for."""


class AssociationEndedError(Exception):
    """The association is over: the peer released or aborted it, or the connection is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One received DIMSE message: its command elements by keyword, and its data set, not decoded."""

    context_id: int
    command: Mapping[str, int | str]
    data: bytes

    def number(self, keyword: str) -> int:
        """Return the value of a numeric command element; 0 where it is missing."""
        value = self.command.get(keyword, 0)
        return value if isinstance(value, int) else 0

    def text(self, keyword: str) -> str:
        """Return the value of a text command element; empty where it is missing."""
        value = self.command.get(keyword, "")
        return value if isinstance(value, str) else ""


def response(message: Message, status: int, comment: str = "", *, has_data: bool = False) -> dict[str, int | str]:
    """Return the elements that every response to a request has (PS3.7 9.1)."""
    elements: dict[str, int | str] = {
        "AffectedSOPClassUID": message.text("AffectedSOPClassUID"),
        "CommandField": message.number("CommandField") | RESPONSE,
        "MessageIDBeingRespondedTo": message.number("MessageID"),
        "CommandDataSetType": 0x0001 if has_data else NO_DATA_SET,
        "Status": status,
    }
    return elements | ({"ErrorComment": comment[:64]} if comment else {})


def encode_command(elements: Mapping[str, int | str]) -> bytes:
    """Return a command set in Implicit VR Little Endian with its group length (PS3.7 6.3.1).

    >>> encode_command({"CommandField": C_ECHO_RQ}).hex()
    '00000000040000000a00000000000001020000003000'
    """
    parts = []
    for keyword in sorted(elements, key=lambda name: _ELEMENTS[name][0]):
        element, vr = _ELEMENTS[keyword]
        value = elements[keyword]
        raw = struct.pack("<H", value) if vr == "US" else _padded(str(value), vr)
        parts.append(struct.pack("<HHL", 0, element, len(raw)) + raw)
    body = b"".join(parts)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _padded(value: str, vr: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def decode_command(raw: bytes) -> dict[str, int | str]:
    """Return the elements of a command set that the simulator knows, by keyword."""
    elements: dict[str, int | str] = {}
    offset = 0
    while offset + 8 <= len(raw):
        _, element, length = struct.unpack_from("<HHL", raw, offset)
        value = raw[offset + 8 : offset + 8 + length]
        offset += 8 + length
        keyword, vr = _KEYWORDS.get(element, ("", ""))
        if vr == "US" and len(value) == 2:
            elements[keyword] = struct.unpack("<H", value)[0]
        elif vr in {"UI", "AE", "LO"}:
            elements[keyword] = value.decode("ascii", "replace").strip(" \0")
    return elements


class PduStream:
    """PDUs over one socket, read through a buffer and written in few large writes."""

    def __init__(self, sock: socket.socket, faults: WireFaults | None = None) -> None:
        self.faults = faults or WireFaults()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._received = bytearray()
        self._outgoing = bytearray()

    def receive_pdu(self) -> bytes:
        """Return the next whole PDU with its header; waits for it."""
        self.flush()
        self._fill(6)
        length = struct.unpack_from(">L", self._received, 2)[0]
        if length > _LARGEST_PDU:
            raise AssociationEndedError("the peer announced a PDU too long to be true")
        self._fill(6 + length)
        pdu = bytes(self._received[: 6 + length])
        del self._received[: 6 + length]
        return pdu

    def has_input(self, *, within: float = 0.0) -> bool:
        """Whether the peer has sent something that was not read yet; waits some seconds for it."""
        if self._received:
            return True
        self._socket.settimeout(within)
        try:
            self._take()
        except (BlockingIOError, TimeoutError):
            return False
        finally:
            self._socket.setblocking(True)
        return True

    def write(self, raw: bytes) -> None:
        """Put bytes into the outgoing buffer, and the buffer on the wire once it is large."""
        self._outgoing += raw
        if len(self._outgoing) > 1 << 16:
            self.flush()

    def flush(self) -> None:
        """Put everything written so far on the wire."""
        if not self._outgoing:
            return
        try:
            self._socket.sendall(self._outgoing)
        except OSError as error:
            raise AssociationEndedError(f"the connection broke while sending: {error}") from error
        finally:
            self._outgoing.clear()

    def wait_until_closed(self) -> None:
        """Wait for the peer to close, which is its part, or for anything it sends instead (PS3.8 9.2, Sta13).

        DCMTK 3.6.7's getscu, for one, aborts after a release if failed UIDs came with the final response, and
        waits for this side to close.
        """
        if self._received:
            return
        with contextlib.suppress(OSError):
            self._socket.settimeout(_ARTIM)
            self._socket.recv(1 << 16)

    def _fill(self, size: int) -> None:
        while len(self._received) < size:
            self._take()

    def _take(self) -> None:
        """Add received bytes to the buffer; waits for them unless the socket does not block."""
        try:
            chunk = self._socket.recv(1 << 18)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            raise AssociationEndedError(f"the connection broke: {error}") from error
        if not chunk:
            raise AssociationEndedError("the peer closed the connection")
        self._received += chunk


def message_pdus(context_id: int, command: bytes, data: bytes | None, maximum_length: int) -> bytes:
    """One DIMSE message as P-DATA-TF PDUs no longer than the peer allows (PS3.8 9.3.5); 0 allows any (D.1)."""
    room = (maximum_length or 1 << 18) - 6
    parts = _fragments(context_id, command, 0x01, room)
    if data is not None:
        parts += _fragments(context_id, data, 0x00, room)
    return b"".join(parts)


def _fragments(context_id: int, raw: bytes, kind: int, room: int) -> list[bytes]:
    parts = []
    for start in range(0, max(len(raw), 1), room):
        piece = raw[start : start + room]
        last = 0x02 if start + room >= len(raw) else 0x00
        header = struct.pack(">BBLLBB", P_DATA_TF, 0, len(piece) + 6, len(piece) + 2, context_id, kind | last)
        parts += [header, piece]
    return parts


def receive_message(stream: PduStream) -> Message:
    """Return the next whole DIMSE message; an end of the association is raised."""
    command, data = bytearray(), bytearray()
    elements: dict[str, int | str] | None = None
    while True:
        pdu = stream.receive_pdu()
        _raise_if_ending(pdu)
        for context_id, control, piece in _presentation_data_values(pdu):
            if control & 0x01:
                command += piece
                if control & 0x02:
                    elements = decode_command(bytes(command))
            else:
                data += piece
            complete = elements is not None and (
                elements.get("CommandDataSetType") == NO_DATA_SET or control & 0x03 == 0x02
            )
            if complete and elements is not None:
                return Message(context_id=context_id, command=elements, data=bytes(data))


def _presentation_data_values(pdu: bytes) -> list[tuple[int, int, bytes]]:
    values = []
    offset = 6
    while offset + 6 <= len(pdu):
        length, context_id, control = struct.unpack_from(">LBB", pdu, offset)
        values.append((context_id, control, pdu[offset + 6 : offset + 4 + length]))
        offset += 4 + length
    return values


def _raise_if_ending(pdu: bytes) -> None:
    kind = pdu[0]
    if kind == A_RELEASE_RQ:
        raise AssociationEndedError("released")
    if kind == A_ABORT:
        raise AssociationEndedError("aborted")
    if kind != P_DATA_TF:
        raise AssociationEndedError(f"unexpected PDU of type {kind:#04x}")
