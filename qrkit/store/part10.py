"""The head of a DICOM file (PS3.10 7.1): preamble, prefix and File Meta Information.

Written by hand and not by pydicom, since it is written for every received object while the sender waits.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from qrkit.errors import ObjectUnreadable
from qrkit.receipt import Arrival
from qrkit.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHL")
_LENGTH_AT = len(_PREAMBLE)


def file_head(arrival: Arrival) -> bytes:
    """Return the bytes of a file before its data set."""
    before, after = _around_instance(arrival.sop_class_uid, arrival.transfer_syntax_uid, arrival.sender)
    instance = _element(0x0003, b"UI", arrival.sop_instance_uid)
    length = len(before) + len(instance) + len(after)
    return b"".join((_PREAMBLE, _GROUP_LENGTH.pack(2, 0, b"UL", 4, length), before, instance, after))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHead:
    """The head of a file: transfer syntax, start of its data set in bytes, and sender."""

    transfer_syntax_uid: str
    data_set_start: int
    sender: str = ""


def read_file_head(file: BinaryIO) -> FileHead:
    """Read the head of a DICOM file, from its first byte on.

    Raises
    ------
    ObjectUnreadable
        If it is no DICOM file with File Meta Information length and transfer syntax.
    """
    start = _LENGTH_AT + _GROUP_LENGTH.size
    head = file.read(start)
    if len(head) < start or head[128:132] != b"DICM" or head[132:136] != b"\x02\x00\x00\x00":
        raise ObjectUnreadable("A file in the folder of received objects is not a DICOM file with a valid head.")
    length = int(_GROUP_LENGTH.unpack_from(head, _LENGTH_AT)[4])
    elements = file.read(length)
    found = re.search(rb"\x02\x00\x10\x00UI..([0-9.]*)", elements, re.DOTALL)
    if found is None:
        raise ObjectUnreadable("A file in the folder of received objects does not name its transfer syntax.")
    sender = re.search(rb"\x02\x00\x16\x00AE..([ -~]{1,16})", elements, re.DOTALL)
    return FileHead(
        transfer_syntax_uid=found[1].decode("ascii"),
        data_set_start=start + length,
        sender="" if sender is None else sender[1].decode("ascii").strip(),
    )


@lru_cache(maxsize=256)
def _around_instance(sop_class_uid: str, transfer_syntax_uid: str, sender: str) -> tuple[bytes, bytes]:
    """Return the elements before and after MediaStorageSOPInstanceUID, of which there are few kinds."""
    version = struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\x00\x01"
    before = version + _element(0x0002, b"UI", sop_class_uid)
    after = (
        _element(0x0010, b"UI", transfer_syntax_uid)
        + _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID)
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
    )
    return before, after + _element(0x0016, b"AE", sender) if sender else after


def _element(element: int, vr: bytes, text: str) -> bytes:
    """Encode an element of group 0002 with a short VR, padded to an even length (PS3.5 6.2)."""
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value
