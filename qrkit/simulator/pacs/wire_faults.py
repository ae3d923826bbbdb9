"""Faults of the simulated PACS in how it speaks: its association PDUs, its flags, the length of its PDUs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qrkit.simulator.pacs.quirks import Quirks

_OFFER, _RESULT, _USER_INFORMATION = 0x20, 0x21, 0x50
_ITEMS_START = 74
_ODD_USER_ITEMS = (
    (0x53, b""),  # an asynchronous operations window without its numbers
    (0x5E, b"vendor"),  # no sub-item that PS3.8 knows
    (0x55, "A VERSION THAT IS LONGER THAN 16 ±".encode("latin-1")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFaults:
    """How one side of an association speaks."""

    odd_negotiation: bool = False
    pdu_length: int = 0
    """Length of P-DATA-TF PDUs in bytes, whatever the peer allows; 0: as it allows."""
    wrong_flags: bool = False
    no_release_answer: bool = False

    @classmethod
    def of(cls, quirks: Quirks) -> WireFaults:
        """Return the faults among some quirks."""
        return cls(
            odd_negotiation=quirks.odd_negotiation,
            pdu_length=quirks.pdu_length,
            wrong_flags=quirks.wrong_flags,
            no_release_answer=quirks.no_release_answer,
        )

    def negotiation(self, pdu: bytes) -> bytes:
        """Return A-ASSOCIATE-RQ or -AC as this side writes it."""
        return _odd(pdu) if self.odd_negotiation else pdu


def _odd(pdu: bytes) -> bytes:
    """Return an association PDU with unknown and empty items, padded UIDs and zeros at its end."""
    items = [(0x9A, b"unknown"), *((kind, _odd_item(kind, value)) for kind, value in _items(pdu[_ITEMS_START:]))]
    titles = pdu[10:42].replace(b" ", b"\0")
    body = pdu[6:10] + titles + pdu[42:_ITEMS_START] + b"".join(_item(*one) for one in items) + bytes(6)
    return pdu[:2] + struct.pack(">L", len(body)) + body


def _odd_item(kind: int, value: bytes) -> bytes:
    if kind == _USER_INFORMATION:
        return value + b"".join(_item(*one) for one in _ODD_USER_ITEMS)
    if kind not in (_OFFER, _RESULT):
        return value
    padded = b"".join(_item(sub, uid + b"\0") for sub, uid in _items(value[4:]))
    return value[:4] + (_item(0x30, b"1.2.840.10008.1.1") if kind == _RESULT else b"") + padded


def _items(raw: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(raw):
        kind, length = struct.unpack_from(">BxH", raw, offset)
        yield kind, raw[offset + 4 : offset + 4 + length]
        offset += 4 + length


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value
