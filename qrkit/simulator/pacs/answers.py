"""C-FIND answers as bytes: flat text elements, encoded without building a Dataset (PS3.5 6.2, 7.1)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.charset import convert_encodings, encode_string
from pydicom.valuerep import PersonName

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qrkit.simulator.pacs.attributes import Value

CHARSET_VR = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations whose text is written in the SpecificCharacterSet (PS3.5 6.1.2.2)."""
_LONG_VR = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_NUMBERS = {"US": "<H", "SS": "<h", "UL": "<L", "SL": "<l", "FL": "<f", "FD": "<d"}


def element_bytes(tag: int, vr: str, value: bytes, *, explicit: bool) -> bytes:
    """One data element in Little Endian, its value padded to an even length (PS3.5 7.1.2, 7.1.3)."""
    if len(value) % 2:
        value += b"\0" if vr in {"UI", "OB", "UN"} else b" "
    group, element = tag >> 16, tag & 0xFFFF
    if not explicit:
        return struct.pack("<HHL", group, element, len(value)) + value
    if vr in _LONG_VR:
        return struct.pack("<HH2s2xL", group, element, vr.encode(), len(value)) + value
    return struct.pack("<HH2sH", group, element, vr.encode(), len(value)) + value


def value_bytes(vr: str, value: Value, character_set: Sequence[str]) -> bytes:
    r"""Return a value as it stands in a data set whose SpecificCharacterSet is given.

    Examples
    --------
    >>> value_bytes("CS", ("CT", "SR"), ())
    b'CT\\SR'
    """
    if vr in _NUMBERS:
        return struct.pack(_NUMBERS[vr], value) if isinstance(value, int | float) else b""
    text = "\\".join(value) if isinstance(value, tuple) else str(value)
    if vr not in CHARSET_VR:
        return text.encode("ascii", "replace")
    return text.encode("ascii") if text.isascii() else _encoded_text(vr, text, tuple(character_set))


@lru_cache(maxsize=4096)
def _encoded_text(vr: str, text: str, character_set: tuple[str, ...]) -> bytes:
    encodings = convert_encodings(list(character_set) or ["ISO_IR 6"])
    if vr == "PN":
        return PersonName(text).encode(encodings)
    return encode_string(text, encodings)


def data_set_bytes(elements: Iterable[tuple[int, str, bytes]], *, explicit: bool) -> bytes:
    """Elements, put in the order of their tags, as one data set."""
    return b"".join(element_bytes(tag, vr, value, explicit=explicit) for tag, vr, value in sorted(elements))
