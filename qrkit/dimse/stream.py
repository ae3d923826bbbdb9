"""PDUs over a connected socket: the data phase of an association, for both roles (PS3.8 chapter 9).

Fragments are handed on as views of the buffer that they were received into, so an object of any size passes
without being held.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from qrkit.dimse.transport import Transport
from qrkit.errors import AssociationAborted, NodeError, NodeTimeout, ProtocolError

logger = logging.getLogger(__name__)

MAXIMUM_LENGTH = 262_144
"""Maximum length that we propose, in bytes."""

LARGEST = 16 * 1_048_576 + 1024
"""Maximum length that we accept of peers that send longer P-DATA-TF PDUs than we propose: 16 MB and their headers.

Fragments pass through the buffer in pieces, so the length costs no memory.
"""

_FRAGMENT_LIMIT = 131_072

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF = 1, 2, 3, 4
A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 5, 6, 7

ABORT_BY_USER = (0, 0)
ABORT_UNEXPECTED_PDU = (2, 2)

header = struct.Struct(">BxI")
pdv_header = struct.Struct(">IBB")
_p_data_header = struct.Struct(">BxIIBB")
P_DATA_HEADER_SIZE = _p_data_header.size
"""Bytes before the fragment, in a P-DATA-TF PDU with one PDV."""

RELEASE_RQ = header.pack(A_RELEASE_RQ, 4) + bytes(4)
RELEASE_RP = header.pack(A_RELEASE_RP, 4) + bytes(4)


def abort(source: int, reason: int) -> bytes:
    """Return A-ABORT (PS3.8 9.3.8)."""
    return header.pack(A_ABORT, 4) + bytes((0, 0, source, reason))


def rejection(result: int, source: int, reason: int) -> bytes:
    """Return A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return header.pack(A_ASSOCIATE_RJ, 4) + bytes((0, result, source, reason))


def message(context_id: int, command: bytes, data: bytes | None, *, maximum: int) -> bytes:
    """Return the P-DATA-TF PDUs of a DIMSE message, none longer than `maximum` bytes (0: no limit).

    Fragments are even, since DCMTK takes no others; a maximum too small for two bytes cannot be obeyed.
    """
    limit = fragment_limit(maximum)
    pdus = list(_p_data(context_id, command, limit, control=1))
    if data is not None:
        pdus.extend(_p_data(context_id, data, limit, control=0))
    return b"".join(pdus)


def fragment_limit(maximum: int) -> int:
    """Return the number of message bytes that fit into one P-DATA-TF PDU of at most `maximum` bytes (0: no limit).

    >>> fragment_limit(16_384), fragment_limit(7), fragment_limit(0) > 100_000
    (16378, 2, True)
    """
    return max(min(maximum or _FRAGMENT_LIMIT, _FRAGMENT_LIMIT) - 6 & ~1, 2)


def write_p_data_header(pdu: memoryview, context_id: int, size: int, *, is_last: bool) -> None:
    """Write the header of a P-DATA-TF PDU before the `size` bytes of a data set that follow it there."""
    _p_data_header.pack_into(pdu, 0, P_DATA_TF, size + 6, size + 2, context_id, 2 if is_last else 0)


def abort_error(peer: str, source: int, reason: int) -> AssociationAborted:
    """Return the error for an A-ABORT PDU with this source and reason (PS3.8 9.3.8)."""
    reasons = {1: "unrecognised PDU", 2: "unexpected PDU", 4: "unrecognised parameter"}
    reasons |= {5: "unexpected parameter", 6: "invalid parameter value"}
    by = "its application" if source == 0 else f"its protocol layer: {reasons.get(reason, 'no reason given')}"
    return AssociationAborted(
        f"{peer} aborted the association (by {by}).",
        advice="Try again; if it happens again, ask the PACS team for the log of this moment.",
    )


def _p_data(context_id: int, data: bytes, limit: int, *, control: int) -> Iterator[bytes]:
    for offset in range(0, max(len(data), 1), limit):
        fragment = data[offset : offset + limit]
        last = 2 if offset + limit >= len(data) else 0
        size = len(fragment)
        yield _p_data_header.pack(P_DATA_TF, size + 6, size + 2, context_id, control | last) + fragment


_BUFFER_SIZE = MAXIMUM_LENGTH + 65_536
_NEGOTIATION_LIMIT = 1_048_576

_ASK_FOR_LOG = "Ask the PACS team for the log of this moment."
_INTERRUPTED = "sent a command set that is interrupted or too long"
_LONGEST_COMMAND = 65_536
_CHECK_PORT = "Check the port: another service, such as a web server, may listen there."


_Read = TypeVar("_Read")

_oversized: set[str] = set()
"""Addresses of peers that are known to send longer PDUs than we propose."""


class PeerReleased(Exception):
    """The peer asked to release the association (A-RELEASE-RQ)."""


class Stream(Transport):
    """One connection in its data phase.

    `peer_maximum` is the longest P-DATA-TF that the peer takes, in bytes; 0 for any.
    """

    def __init__(self, connection: socket.socket, *, peer: str, patience: float) -> None:
        super().__init__(connection, peer=peer, patience=patience, buffer_size=_BUFFER_SIZE)
        self.peer_maximum = 16_384
        self._pdu_left = 0
        self._pdv_left = 0
        self._is_last = False
        self._read_ahead: tuple[int, bool] | None = None  # the PDV that was begun to be read, not yet asked for
        self._may_follow = False  # whether the data set of the last command was not read, so it may still come
        self._ended: Exception | None = None  # what ended the association while something optional was read

    # Sending

    def message(self, context_id: int, command: bytes, data: bytes | None = None) -> bytes:
        """Return the P-DATA-TF PDUs of a DIMSE message, fragmented as the peer's maximum length asks."""
        return message(context_id, command, data, maximum=self.peer_maximum)

    def send_release_response(self) -> None:
        """Send A-RELEASE-RP."""
        self.send(RELEASE_RP)

    def send_abort(self, reason: tuple[int, int] = ABORT_BY_USER) -> None:
        """Send A-ABORT with (source, reason); whether it arrives no longer matters."""
        self.send_last(abort(*reason))

    # Receiving

    def read_pdu(self) -> tuple[int, bytes]:
        """Return type and whole bytes of one PDU that negotiates or releases; never of P-DATA-TF.

        A-ABORT is returned too: during negotiation it means something else than later. The whole PDU has to
        come within `patience`, as ARTIM asks (PS3.8 9.1.5).
        """
        with self._within_patience():
            kind, length = self._read_pdu_header()
            if not A_ASSOCIATE_RQ <= kind <= A_ABORT:
                self._refuse("sent something that is not DICOM", advice=_CHECK_PORT)
            if length > _NEGOTIATION_LIMIT:
                self._refuse(f"announced a PDU of {length} bytes during negotiation", advice=_CHECK_PORT)
            body = bytearray()
            while len(body) < length:
                self._need(1)
                taken = min(length - len(body), self._end - self._start)
                body += self._view[self._start : self._start + taken]
                self._start += taken
        return kind, header.pack(kind, length) + bytes(body)

    def read_command(self) -> tuple[int, bytes]:
        """Return presentation context ID and bytes of the next command set.

        A data set of the command before that was not read is dropped: some peers send or announce one where none
        belongs. Raises PeerReleased if the peer asks to release the association instead, and AssociationAborted,
        ConnectionLost, NodeTimeout or ProtocolError if it does something else.
        """
        context_id, is_command = self._next_pdv()
        if not is_command and self._may_follow:
            self._read_ahead = context_id, False
            self.read_data(context_id, _drop)
            context_id, is_command = self._next_pdv()
        if not is_command:
            self._refuse("sent a data set where a command was due")
        command = self._take_command_fragment(b"")
        while not self._is_last:
            following, is_command = self._next_pdv()
            if following != context_id or not is_command:
                self._refuse(_INTERRUPTED)
            command += self._take_command_fragment(command)
        self._may_follow = True
        return context_id, command

    def _take_command_fragment(self, before: bytes) -> bytes:
        if len(before) > _LONGEST_COMMAND or self._pdv_left > MAXIMUM_LENGTH:
            self._refuse(_INTERRUPTED)
        return self._take_whole_fragment()

    def command_follows(self, *, within: float) -> bool | None:
        """Whether a command begins within some seconds, not a data set; None: neither. The next read has it."""
        return self._read_within(within, self._look_ahead)

    def read_optional_data(self, context_id: int, *, within: float) -> bytes:
        """Return the data set that follows, if it arrives within some seconds; else nothing."""
        return self._read_within(within, lambda: self.read_small_data(context_id)) or b""

    def _look_ahead(self) -> bool:
        self._read_ahead = self._next_pdv()
        return self._read_ahead[1]

    def _read_within(self, seconds: float, read: Callable[[], _Read]) -> _Read | None:
        """Return what is read, or None if it is late; the next read reports what ended the association."""
        patience, self.patience = self.patience, min(self.patience, seconds)
        try:
            return read()
        except NodeTimeout:
            return None
        except (NodeError, PeerReleased) as error:
            self._ended = error
            return None
        finally:
            self.patience = patience

    def read_data(self, context_id: int, write: Callable[[memoryview], None]) -> int:
        """Pass the fragments of the data set that follows to `write`; return its length in bytes.

        The memory that `write` is given is used again after the call.
        """
        total = 0
        while True:
            following, is_command = self._next_pdv()
            if following != context_id or is_command:
                self._refuse("sent something else within a data set")
            self._may_follow = not self._is_last
            total += self._pdv_left
            self._take_pdv(write)
            if self._is_last:
                return total

    def read_small_data(self, context_id: int, limit: int = 16_777_216) -> bytes | None:
        """Return the data set that follows as bytes, at most `limit` of them; None if a command comes instead of it.

        Whether it was announced does not matter: some peers announce the opposite of what they send. A data set in
        one fragment, as C-FIND answers are, is copied once.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            following, is_command = self._next_pdv()
            if is_command and not parts:
                self._read_ahead = following, True
                return None
            if following != context_id or is_command:
                self._refuse("sent something else within a data set")
            self._may_follow = not self._is_last
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
            if isinstance(self._ended, PeerReleased):
                self.send_release_response()
                return
            self.send(RELEASE_RQ)
            self.wait_for_release()

    def wait_for_release(self) -> None:
        """Read on until A-RELEASE-RP comes, which has been asked for."""
        with self._within_patience():
            has_collided = False
            while True:
                self._drop_pdu()
                kind, self._pdu_left = self._read_pdu_header()
                if kind == A_RELEASE_RP:
                    return
                if kind == A_RELEASE_RQ:
                    if has_collided:
                        self._refuse("asked twice to release the association")
                    has_collided = True
                    self.send_release_response()
                elif kind != P_DATA_TF:
                    self._not_data(kind, self._pdu_left)

    def _drop_pdu(self) -> None:
        while self._pdu_left:
            self._need(1)
            dropped = min(self._pdu_left, self._end - self._start)
            self._start += dropped
            self._pdu_left -= dropped

    def _read_pdu_header(self) -> tuple[int, int]:
        self._need(6)
        kind, length = header.unpack_from(self._view, self._start)
        self._start += 6
        return kind, length

    def _next_pdv(self) -> tuple[int, bool]:
        """Read on to the next PDV; return its presentation context ID and whether it is a command."""
        if self._read_ahead is not None:
            pdv, self._read_ahead = self._read_ahead, None
            return pdv
        if self._ended is not None:
            raise self._ended
        if not self._pdu_left:
            self._next_p_data()
        if self._pdu_left < 6:
            self._refuse("sent a PDV that is longer than its PDU")
        self._need(6)
        length, context_id, control = pdv_header.unpack_from(self._view, self._start)
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
            if kind != P_DATA_TF:
                self._not_data(kind, length)
            if length > LARGEST or 0 < length < 6:
                self._refuse(f"sent a P-DATA-TF PDU of {length} bytes; {LARGEST} are allowed")
            if length > MAXIMUM_LENGTH:
                self._note_oversized(length)
            self._pdu_left = length

    def _note_oversized(self, length: int) -> None:
        address = self.peer_address
        if address not in _oversized:
            _oversized.add(address)
            logger.warning(
                "%s sends P-DATA-TF PDUs of %s bytes, longer than the %s that were agreed on; they are accepted.",
                self._peer,
                f"{length:,}",
                f"{MAXIMUM_LENGTH:,}",
            )

    def _not_data(self, kind: int, length: int) -> None:
        if kind == A_ABORT and length != 4:  # it ends the association, whatever it is made of
            raise abort_error(self._peer, 2, 0)
        if kind not in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT) or length != 4:
            self._refuse(f"sent a PDU of type 0x{kind:02X}, length {length}, where none is due")
        self._need(4)
        source, reason = self._view[self._start + 2], self._view[self._start + 3]
        self._start += 4
        if kind == A_RELEASE_RQ:
            raise PeerReleased
        if kind == A_RELEASE_RP:
            self._refuse("sent A-RELEASE-RP without being asked")
        raise abort_error(self._peer, source, reason)

    def _take_whole_fragment(self) -> bytes:
        length = self._pdv_left
        if length > len(self._view):
            return self._take_large_fragment()
        self._need(length)
        fragment = bytes(self._view[self._start : self._start + length])
        self._start += length
        self._pdu_left -= length
        self._pdv_left = 0
        return fragment

    def _take_large_fragment(self) -> bytes:
        fragment = bytearray()
        self._take_pdv(fragment.extend)
        return bytes(fragment)

    def _take_pdv(self, write: Callable[[memoryview], object]) -> None:
        """Pass the rest of a PDV on, as it comes."""
        while self._pdv_left:
            self._need(1, announced=self._pdv_left)
            taken = min(self._pdv_left, self._end - self._start)
            write(self._view[self._start : self._start + taken])
            self._start += taken
            self._pdv_left -= taken
            self._pdu_left -= taken

    def _refuse(self, what: str, *, advice: str = _ASK_FOR_LOG) -> NoReturn:
        """Abort the association because of something that PS3.8 does not allow."""
        self.send_abort(ABORT_UNEXPECTED_PDU)
        raise ProtocolError(f"{self._peer} {what} (PS3.8); the association was aborted.", advice=advice)


def _drop(fragment: memoryview) -> None:
    del fragment
