"""Elements of C-FIND answers that are not flat and plain: undefined lengths, sequences, wrong encodings (PS3.5 7)."""

from __future__ import annotations

import json
import struct
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom.datadict import dictionary_VR
from pydicom.filereader import read_dataset
from pydicom.valuerep import VR as KNOWN_VR

from qrkit.dimse.answer_text import MalformedValue

UNDEFINED = 0xFFFFFFFF

_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_KNOWN = frozenset(vr.value.encode() for vr in KNOWN_VR if len(vr.value) == 2)
_ITEM = b"\xfe\xff\x00\xe0"
_ITEM_END = b"\xfe\xff\x0d\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"
_DEEPEST = 32
_long_length = struct.Struct("<I").unpack_from
_short_length = struct.Struct("<H").unpack_from
_quiet = threading.Lock()


@dataclass(frozen=True, slots=True)
class ElementHeader:
    """The header of an element: `vr` is empty in implicit VR, `start` and `length` are those of the value."""

    tag: bytes
    vr: str
    start: int
    length: int


def read_header(data: bytes, pos: int, *, implicit: bool) -> ElementHeader | None:
    r"""Read the header of the element at a position; None if the data ends within it.

    An element in the other of the two encodings, which some PACS send, is recognised.

    >>> read_header(b"\x10\x00\x20\x00LO\x02\x00Q1", 0, implicit=False)
    ElementHeader(tag=b'\x10\x00 \x00', vr='LO', start=8, length=2)
    """
    end = len(data)
    if pos + 8 > end:
        return None
    tag, vr = data[pos : pos + 4], data[pos + 4 : pos + 6]
    length = _long_length(data, pos + 4)[0]
    is_explicit = vr in _KNOWN
    if implicit:
        is_explicit = is_explicit and pos + 8 + length > end and length != UNDEFINED
    elif not is_explicit and vr.isalpha() and vr.isupper():
        is_explicit = True  # a value representation of the future
    if not is_explicit or tag[:2] == b"\xfe\xff":
        return ElementHeader(tag, "", pos + 8, length)
    if vr not in _LONG:
        return ElementHeader(tag, vr.decode(), pos + 8, _short_length(data, pos + 6)[0])
    if pos + 12 > end:
        return None
    return ElementHeader(tag, vr.decode(), pos + 12, _long_length(data, pos + 8)[0])


def end_of_undefined(data: bytes, start: int, *, implicit: bool) -> int | None:
    """Return where an element of undefined length ends, with its delimiter; None if it does not.

    No recursion: what is nested is counted, so that no data can exhaust the stack.
    """
    open_items = [False]  # of each level: whether an item of undefined length is open
    pos = start
    while pos + 8 <= len(data):
        header = read_header(data, pos, implicit=implicit)
        if header is None:
            return None
        if header.tag in (_SEQUENCE_END, _ITEM_END):
            open_items.pop()
            pos = header.start
            if not open_items:
                return pos
        elif header.length == UNDEFINED:
            open_items.append(header.tag == _ITEM)
            pos = header.start
            if len(open_items) > 2 * _DEEPEST:
                return None
        else:
            pos = header.start + header.length
    return None


def sequence_json(element: bytes, tag: int, encodings: Sequence[str], *, implicit: bool) -> str | None:
    """Return a whole SQ element as a JSON list of items, each in the DICOM JSON model (PS3.18 F.2).

    Raises
    ------
    MalformedValue
        If it cannot be read.
    """
    try:
        # pydicom issues Python warnings for odd values; a filter is global to the process, hence the lock
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read_dataset(BytesIO(element), implicit, True, parent_encoding=list(encodings))
            items = [item.to_json_dict() for item in found[tag].value]
            return json.dumps(items, ensure_ascii=False) if items else None
    except Exception as error:  # noqa: BLE001 - on broken bytes pydicom raises nearly anything, and no row may be lost
        raise MalformedValue(f"a sequence that cannot be read ({type(error).__name__})") from None


def is_sequence(header: ElementHeader) -> bool:
    """Whether an element is a sequence: by what stands there, else by PS3.6."""
    if header.vr:
        return header.vr == "SQ" or (header.vr == "UN" and header.length == UNDEFINED)
    group, element = struct.unpack("<HH", header.tag)
    try:
        return dictionary_VR((group << 16) + element) == "SQ" or header.length == UNDEFINED
    except KeyError:
        return header.length == UNDEFINED
