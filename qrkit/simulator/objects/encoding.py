"""Data sets as bytes, encoded from plain values without building a pydicom Dataset (PS3.5 6.2, 7, A).

A data set is a mapping from keyword to value: text, a number, bytes, a sequence of these, or, for a DICOM
sequence, a list of such mappings. C-FIND answers are flat text elements. Both are about ten times as fast as
pydicom's Dataset, since a simulator must not be slower than what is measured against it; the tests read everything
back with pydicom and DCMTK.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.valuerep import PersonName

from qrkit.simulator.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qrkit.simulator.facts import Instance

    Elements = Mapping[str, Any]
    Value = str | int | float | tuple[str, ...]


CHARSET_VR = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations whose text is written in the SpecificCharacterSet (PS3.5 6.1.2.2)."""
_LONG_VR = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}

EXPLICIT_VR = "1.2.840.10008.1.2.1"
IMPLICIT_VR = "1.2.840.10008.1.2"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
UNCOMPRESSED = (EXPLICIT_VR, IMPLICIT_VR)
_UNDEFINED_LENGTH = 0xFFFFFFFF
_SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


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

    >>> value_bytes("CS", ("CT", "SR"), ())
    b'CT\\SR'
    """
    if vr in _NUMBERS:
        return struct.pack(f"<{_NUMBERS[vr]}", value) if isinstance(value, int | float) else b""
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


def offered_transfer_syntaxes(instance: Instance) -> Sequence[str]:
    """Return the transfer syntaxes in which an object can be sent, the one it is held in first."""
    held = instance.TransferSyntaxUID
    if instance.kind is not Kind.RECEIVED:
        return tuple(dict.fromkeys((held, *UNCOMPRESSED, RLE_LOSSLESS)))
    return tuple(dict.fromkeys((held, *UNCOMPRESSED))) if held in UNCOMPRESSED else (held,)


def encode(elements: Elements, character_set: Sequence[str], transfer_syntax: str) -> bytes:
    """Return a data set in Explicit or Implicit VR Little Endian, or with its pixel data in RLE Lossless."""
    explicit = transfer_syntax != IMPLICIT_VR
    if transfer_syntax != RLE_LOSSLESS or "PixelData" not in elements:
        return _encoded(elements, tuple(character_set), explicit=explicit)
    frames = {key: value for key, value in elements.items() if key != "PixelData"}
    header = _encoded(frames, tuple(character_set), explicit=True)
    pixels = encapsulate(_rle_frames(elements))
    return header + struct.pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", _UNDEFINED_LENGTH) + pixels + _SEQUENCE_END


def _encoded(elements: Elements, character_set: tuple[str, ...], *, explicit: bool) -> bytes:
    parts = []
    for keyword in sorted(elements, key=_tag):
        tag, vr = _tag(keyword), _vr(keyword)
        value = elements[keyword]
        if vr == "SQ":
            raw = b"".join(_item(one, character_set, explicit=explicit) for one in value)
        else:
            raw = _raw(vr, value, character_set)
        parts.append(element_bytes(tag, vr, raw, explicit=explicit))
    return b"".join(parts)


def _item(elements: Elements, character_set: tuple[str, ...], *, explicit: bool) -> bytes:
    body = _encoded(elements, character_set, explicit=explicit)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body


def _raw(vr: str, value: Any, character_set: tuple[str, ...]) -> bytes:  # noqa: ANN401 - any element's value
    if isinstance(value, bytes):
        return value
    values = value if isinstance(value, list | tuple) else (value,)
    if vr in _NUMBERS:
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *values)
    if vr == "AT":
        return b"".join(struct.pack("<HH", one >> 16, one & 0xFFFF) for one in values)
    return value_bytes(vr, tuple(_text(one) for one in values), character_set)


def _text(value: Any) -> str:  # noqa: ANN401 - any element's value
    """Return a value as DICOM text; decimal strings hold 16 letters at most (PS3.5 6.2)."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=1024)
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(f"{keyword!r} is not a DICOM keyword")
    return tag


@lru_cache(maxsize=1024)
def _vr(keyword: str) -> str:
    # of the alternatives, such as `US or SS`, the simulator always means the first but for pixel data: OW
    choices = dictionary_VR(_tag(keyword)).split(" or ")
    return "OW" if "OW" in choices else choices[0]


def _rle_frames(elements: Elements) -> list[bytes]:
    pixels = elements["PixelData"]
    number = int(elements.get("NumberOfFrames", 1))
    length = len(pixels) // number
    options = {
        "rows": elements["Rows"],
        "columns": elements["Columns"],
        "samples_per_pixel": elements["SamplesPerPixel"],
        "number_of_frames": 1,
        "bits_allocated": elements["BitsAllocated"],
        "bits_stored": elements["BitsStored"],
        "pixel_representation": elements["PixelRepresentation"],
        "photometric_interpretation": elements["PhotometricInterpretation"],
    }
    frames = (pixels[start : start + length] for start in range(0, length * number, length))
    return [RLELosslessEncoder.encode(frame, encoding_plugin="pydicom", **options) for frame in frames]


def converted(raw: bytes, held_in: str, transfer_syntax: str) -> bytes:
    """Return a received data set in another uncompressed transfer syntax."""
    if held_in == transfer_syntax:
        return raw
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax == IMPLICIT_VR
    write_dataset(buffer, read_dataset(BytesIO(raw), held_in == IMPLICIT_VR, True))
    return bytes(buffer.getvalue())
