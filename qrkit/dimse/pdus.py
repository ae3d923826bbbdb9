"""PDU types, headers and the PDUs that have no variable part (PS3.8 9.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from qrkit.errors import AssociationAborted

MAXIMUM_LENGTH = 262_144
"""Maximum length that we propose; a larger P-DATA-TF is refused, so a stream's buffer bounds our memory."""

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
