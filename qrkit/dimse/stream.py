"""PDUs over a connected socket: the data phase of an association, for both roles (PS3.8 chapter 9).

Fragments are handed on as views of the buffer that they were received into, so an object of any size passes
without being held.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NoReturn

from qrkit.dimse import pdus
from qrkit.dimse.transport import Transport
from qrkit.errors import ProtocolError

_BUFFER_SIZE = pdus.MAXIMUM_LENGTH + 65_536
_NEGOTIATION_LIMIT = 1_048_576

_ASK_FOR_LOG = "Ask the PACS team for the log of this moment."
_CHECK_PORT = "Check the port: another service, such as a web server, may listen there."


class PeerReleased(Exception):
    """The peer asked to release the association (A-RELEASE-RQ)."""


class Stream(Transport):
    """One connection in its data phase.

    Parameters
    ----------
    connection, peer, patience
        As of `Transport`.

    Attributes
    ----------
    peer_maximum
        Longest P-DATA-TF that the peer takes, in bytes; 0 for any.
    """

    def __init__(self, connection: socket.socket, *, peer: str, patience: float) -> None:
        super().__init__(connection, peer=peer, patience=patience, buffer_size=_BUFFER_SIZE)
        self.peer_maximum = 16_384
        self._pdu_left = 0
        self._pdv_left = 0
        self._is_last = False

    # Sending

    def message(self, context_id: int, command: bytes, data: bytes | None = None) -> bytes:
        """Return the P-DATA-TF PDUs of a DIMSE message, fragmented as the peer's maximum length asks."""
        return pdus.message(context_id, command, data, maximum=self.peer_maximum)

    def send_release_response(self) -> None:
        """Send A-RELEASE-RP."""
        self.send(pdus.RELEASE_RP)

    def send_abort(self, reason: tuple[int, int] = pdus.ABORT_BY_USER) -> None:
        """Send A-ABORT with (source, reason); whether it arrives no longer matters."""
        self.send_last(pdus.abort(*reason))

    # Receiving

    def read_pdu(self) -> tuple[int, bytes]:
        """Return type and whole bytes of one PDU that negotiates or releases; never of P-DATA-TF.

        A-ABORT is returned too: during negotiation it means something else than later. The whole PDU has to
        come within `patience`, as ARTIM asks (PS3.8 9.1.5).
        """
        with self._within_patience():
            kind, length = self._read_pdu_header()
            if not pdus.A_ASSOCIATE_RQ <= kind <= pdus.A_ABORT:
                self._refuse("sent something that is not DICOM", advice=_CHECK_PORT)
            if length > _NEGOTIATION_LIMIT:
                self._refuse(f"announced a PDU of {length} bytes during negotiation", advice=_CHECK_PORT)
            body = bytearray()
            while len(body) < length:
                self._need(1)
                taken = min(length - len(body), self._end - self._start)
                body += self._view[self._start : self._start + taken]
                self._start += taken
        return kind, pdus.header.pack(kind, length) + bytes(body)

    def read_command(self) -> tuple[int, bytes]:
        """Return presentation context ID and bytes of the next command set.

        Raises
        ------
        PeerReleased
            If the peer asks to release the association instead.
        AssociationAborted, ConnectionLost, NodeTimeout, ProtocolError
            If it does something else.
        """
        context_id, is_command = self._next_pdv()
        if not is_command:
            self._refuse("sent a data set where a command was due")
        command = self._take_whole_fragment()
        while not self._is_last:
            following, is_command = self._next_pdv()
            if following != context_id or not is_command or len(command) > 65_536:
                self._refuse("sent a command set that is interrupted or too long")
            command += self._take_whole_fragment()
        return context_id, command

    def read_data(self, context_id: int, write: Callable[[memoryview], None]) -> int:
        """Pass the fragments of the data set that follows to `write`; return its length in bytes.

        The memory that `write` is given is used again after the call.
        """
        total = 0
        while True:
            following, is_command = self._next_pdv()
            if following != context_id or is_command:
                self._refuse("sent something else within a data set")
            total += self._pdv_left
            while self._pdv_left:
                self._need(1, announced=self._pdv_left)
                taken = min(self._pdv_left, self._end - self._start)
                write(self._view[self._start : self._start + taken])
                self._start += taken
                self._pdv_left -= taken
                self._pdu_left -= taken
            if self._is_last:
                return total

    def read_small_data(self, context_id: int, limit: int = 16_777_216) -> bytes:
        """Return the data set that follows as bytes; at most `limit` of them.

        A data set in one fragment, as C-FIND answers are, is copied once.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            following, is_command = self._next_pdv()
            if following != context_id or is_command:
                self._refuse("sent something else within a data set")
            size += self._pdv_left
            if size > limit:
                self._refuse(f"sent an Identifier of more than {limit} bytes")
            parts.append(self._take_whole_fragment())
            if self._is_last:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """Send A-RELEASE-RQ and read on until A-RELEASE-RP comes, within `patience` in all.

        Data still under way is dropped, and a request of the peer that crosses ours is answered (PS3.8 7.2.2).
        """
        with self._within_patience():
            self.send(pdus.RELEASE_RQ)
            has_collided = False
            while True:
                self._drop_pdu()
                kind, self._pdu_left = self._read_pdu_header()
                if kind == pdus.A_RELEASE_RP:
                    return
                if kind == pdus.A_RELEASE_RQ:
                    if has_collided:
                        self._refuse("asked twice to release the association")
                    has_collided = True
                    self.send_release_response()
                elif kind != pdus.P_DATA_TF:
                    self._not_data(kind, self._pdu_left)

    def _drop_pdu(self) -> None:
        while self._pdu_left:
            self._need(1)
            dropped = min(self._pdu_left, self._end - self._start)
            self._start += dropped
            self._pdu_left -= dropped

    def _read_pdu_header(self) -> tuple[int, int]:
        self._need(6)
        kind, length = pdus.header.unpack_from(self._view, self._start)
        self._start += 6
        return kind, length

    def _next_pdv(self) -> tuple[int, bool]:
        """Read on to the next PDV; return its presentation context ID and whether it is a command."""
        if not self._pdu_left:
            self._next_p_data()
        if self._pdu_left < 6:
            self._refuse("sent a PDV that is longer than its PDU")
        self._need(6)
        length, context_id, control = pdus.pdv_header.unpack_from(self._view, self._start)
        if length < 2 or length + 4 > self._pdu_left:
            self._refuse("sent a PDV that is longer than its PDU")
        self._start += 6
        self._pdu_left -= 6
        self._pdv_left = length - 2
        self._is_last = bool(control & 2)
        return context_id, bool(control & 1)

    def _next_p_data(self) -> None:
        while not self._pdu_left:
            kind, length = self._read_pdu_header()
            if kind != pdus.P_DATA_TF:
                self._not_data(kind, length)
            if length > pdus.MAXIMUM_LENGTH or 0 < length < 6:
                self._refuse(f"sent a P-DATA-TF PDU of {length} bytes; {pdus.MAXIMUM_LENGTH} are allowed")
            self._pdu_left = length

    def _not_data(self, kind: int, length: int) -> None:
        if kind not in (pdus.A_RELEASE_RQ, pdus.A_RELEASE_RP, pdus.A_ABORT) or length != 4:
            self._refuse(f"sent a PDU of type 0x{kind:02X}, length {length}, where none is due")
        self._need(4)
        source, reason = self._view[self._start + 2], self._view[self._start + 3]
        self._start += 4
        if kind == pdus.A_RELEASE_RQ:
            raise PeerReleased
        if kind == pdus.A_RELEASE_RP:
            self._refuse("sent A-RELEASE-RP without being asked")
        raise pdus.abort_error(self._peer, source, reason)

    def _take_whole_fragment(self) -> bytes:
        length = self._pdv_left
        self._need(length)
        fragment = bytes(self._view[self._start : self._start + length])
        self._start += length
        self._pdu_left -= length
        self._pdv_left = 0
        return fragment

    def _refuse(self, what: str, *, advice: str = _ASK_FOR_LOG) -> NoReturn:
        """Abort the association because of something that PS3.8 does not allow."""
        self.send_abort(pdus.ABORT_UNEXPECTED_PDU)
        raise ProtocolError(f"{self._peer} {what} (PS3.8); the association was aborted.", advice=advice)
