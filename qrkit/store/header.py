"""The few elements of a received data set by which it is filed, read without decoding the rest.

The scanner walks the top-level elements (PS3.5 7.1) of the little endian transfer syntaxes up to InstanceNumber
(0020,0013) and jumps over all values it does not need, sequences included. Unusual encodings and big endian are
read by pydicom, which is slower and knows more exceptions.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.filereader import read_dataset

from qrkit import uids
from qrkit.character_sets import encodings_of, read_text
from qrkit.errors import ObjectUnreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHeader:
    """Elements of an object's data set; texts are empty where the element is missing."""

    SOPInstanceUID: str = ""
    SOPClassUID: str = ""
    StudyInstanceUID: str = ""
    SeriesInstanceUID: str = ""
    PatientID: str = ""
    AccessionNumber: str = ""
    StudyDate: str = ""
    Modality: str = ""
    SeriesDescription: str = ""
    StudyDescription: str = ""
    StationName: str = ""
    Manufacturer: str = ""
    ManufacturerModelName: str = ""
    InstanceNumber: int | None = None


class HeaderIncomplete(Exception):
    """The bytes end before the elements that are needed."""


class _Odd(Exception):
    """An encoding that the scanner does not support."""


_CHARACTER_SET = 0x00080005
_OTHERWISE = ("latin_1",)
_KEYWORDS = {
    0x00080016: "SOPClassUID",
    0x00080018: "SOPInstanceUID",
    0x00080020: "StudyDate",
    0x00080050: "AccessionNumber",
    0x00080060: "Modality",
    0x00080070: "Manufacturer",
    0x00081010: "StationName",
    0x00081030: "StudyDescription",
    0x0008103E: "SeriesDescription",
    0x00081090: "ManufacturerModelName",
    0x00100020: "PatientID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
    0x00200013: "InstanceNumber",
}
_WANTED = {*_KEYWORDS, _CHARACTER_SET}
_LAST = 0x00200013
_NEEDED = (0x00080018, 0x0020000D, 0x0020000E)

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 32
"""Sequences nested deeper than this are read by pydicom."""
_MOST_INFLATED = 1 << 24
"""Bytes of a deflated data set that are looked at: few deflated bytes can hold very many."""

# VRs with two reserved bytes and a length of four (PS3.5 7.1.2), and all others that PS3.5 6.2 has.
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())

_EXPLICIT = struct.Struct("<HH2sH")
_IMPLICIT = struct.Struct("<HHL")
_LENGTH = struct.Struct("<L")

Buffer = bytes | bytearray | memoryview


def read_header(content: Buffer, transfer_syntax_uid: str, *, whole: bool) -> ObjectHeader:
    """Read the elements by which an object is filed.

    `content` is the `whole` data set or its first bytes, without preamble and file meta information. Raises
    HeaderIncomplete if `content` ends too early and is not the whole; ObjectUnreadable if it is no DICOM data set of
    that transfer syntax.
    """
    try:
        if transfer_syntax_uid == uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            content, whole = _inflated(content, whole=whole)
        if transfer_syntax_uid == uids.EXPLICIT_VR_BIG_ENDIAN:
            raise _Odd
        explicit = transfer_syntax_uid != uids.IMPLICIT_VR_LITTLE_ENDIAN
        values = _scan(content, explicit=explicit, whole=whole)
        if any(tag not in values for tag in _NEEDED):
            raise _Odd
        return _header(values)
    except _Odd:
        return _read_by_pydicom(content, transfer_syntax_uid, whole=whole)


def ends_early(content: Buffer, transfer_syntax_uid: str) -> bool:
    """Whether the bytes of a data set end within an element, as those of a file that was cut do.

    What is unusual, or deflated, counts as whole.
    """
    if transfer_syntax_uid in (uids.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_BIG_ENDIAN):
        return False
    explicit = transfer_syntax_uid != uids.IMPLICIT_VR_LITTLE_ENDIAN
    position = 0
    try:
        while position < len(content):
            _, vr, length, start = _element(content, position, explicit=explicit)
            if length == _UNDEFINED:
                position = _skip_sequence(content, start, explicit=explicit and vr != b"UN", depth=0)
            else:
                position = start + length
    except struct.error:
        return True
    except _Odd:
        return False
    return position > len(content)


def _scan(content: Buffer, *, explicit: bool, whole: bool) -> dict[int, bytes]:
    """Return the values of the wanted elements by tag."""
    try:
        found, passed = _walk(content, explicit=explicit)
    except (struct.error, HeaderIncomplete) as error:  # the bytes end within an element
        raise _Odd if whole else HeaderIncomplete from error
    if not passed and not whole:
        raise HeaderIncomplete
    return found


def _walk(content: Buffer, *, explicit: bool) -> tuple[dict[int, bytes], bool]:
    """Return the values of the wanted elements by tag, and whether the last of them has been passed."""
    found: dict[int, bytes] = {}
    position, end = 0, len(content)
    while position < end:
        tag, vr, length, start = _element(content, position, explicit=explicit)
        if tag > _LAST:
            return found, True
        if length == _UNDEFINED:
            position = _skip_sequence(content, start, explicit=explicit and vr != b"UN", depth=0)
            continue
        position = start + length
        if position > end:
            raise HeaderIncomplete
        if tag in _WANTED:
            found[tag] = bytes(content[start:position])
    return found, False


def _element(content: Buffer, position: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
    """Return tag, VR, length and start of the value of the element at a position."""
    if not explicit:
        group, element, length = _IMPLICIT.unpack_from(content, position)
        return group << 16 | element, b"", length, position + 8
    group, element, vr, length = _EXPLICIT.unpack_from(content, position)
    if vr in _SHORT:
        return group << 16 | element, vr, length, position + 8
    if vr in _LONG:
        return group << 16 | element, vr, _LENGTH.unpack_from(content, position + 8)[0], position + 12
    raise _Odd


def _skip_sequence(content: Buffer, position: int, *, explicit: bool, depth: int) -> int:
    """Return where a sequence of undefined length ends (PS3.5 7.5.2)."""
    if depth > _DEEPEST:
        raise _Odd
    while True:
        group, element, length = _IMPLICIT.unpack_from(content, position)
        position += 8
        tag = group << 16 | element
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _Odd
        if length == _UNDEFINED:
            position = _skip_item(content, position, explicit=explicit, depth=depth)
        else:
            position += length


def _skip_item(content: Buffer, position: int, *, explicit: bool, depth: int) -> int:
    """Return where an item of undefined length ends."""
    while True:
        group, element, length = _IMPLICIT.unpack_from(content, position)
        if group << 16 | element == _ITEM_END:
            return position + 8
        _, vr, length, start = _element(content, position, explicit=explicit)
        if length == _UNDEFINED:
            # UN of undefined length is a sequence in implicit VR, wherever it stands (PS3.5 6.2.2 note 4).
            position = _skip_sequence(content, start, explicit=explicit and vr != b"UN", depth=depth + 1)
        else:
            position = start + length


def _header(values: dict[int, bytes]) -> ObjectHeader:
    encodings = _encodings(values.get(_CHARACTER_SET, b""))
    texts = {keyword: _text(values[tag], encodings) for tag, keyword in _KEYWORDS.items() if tag in values}
    number = _number(texts.pop("InstanceNumber", ""))
    texts["StudyDate"] = _date(texts.get("StudyDate", ""))
    return ObjectHeader(**texts, InstanceNumber=number)


def _encodings(character_set: bytes) -> tuple[str, ...]:
    """Return Python's names for SpecificCharacterSet (PS3.3 C.12.1.1.2); Latin-1 for unknown terms."""
    return encodings_of(character_set.decode("ascii", "replace")) or _OTHERWISE


def _text(value: bytes, encodings: tuple[str, ...]) -> str:
    """Decode a value of text as C-FIND answers are, without the padding around each of its components (PS3.5 6.2)."""
    text, _ = read_text(value, encodings, _OTHERWISE)
    if "\\" in text:
        return "\\".join(part.strip(" \0") for part in text.split("\\"))
    return text.strip(" \0")


def _date(text: str) -> str:
    """Return a date as PS3.5 writes it, also if it is one of ACR-NEMA.

    >>> _date("1993.04.30"), _date("19930430"), _date("soon")
    ('19930430', '19930430', 'soon')
    """
    return text.replace(".", "") if re.fullmatch(r"\d{4}\.\d{2}\.\d{2}", text, re.ASCII) else text


def _number(text: str) -> int | None:
    """Return an integer string as a number, tolerating the ``1.0`` of some modalities; None if it is none.

    >>> _number("+12"), _number("1.0"), _number(""), _number("1e3"), _number("9" * 40)
    (12, 1, None, None, None)
    """
    return int(float(text)) if re.fullmatch(r"[+-]?\d{1,12}(\.0*)?", text, re.ASCII) else None


def _inflated(content: Buffer, *, whole: bool) -> tuple[bytes, bool]:
    """Inflate the given bytes of a deflated data set (PS3.5 A.5)."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflating.decompress(content, _MOST_INFLATED)
    except zlib.error as error:
        raise ObjectUnreadable("The data set is not deflated, although its transfer syntax requires it.") from error
    return inflated, inflating.eof or (whole and not inflating.unconsumed_tail)


def _read_by_pydicom(content: Buffer, transfer_syntax_uid: str, *, whole: bool) -> ObjectHeader:
    if not whole:
        raise HeaderIncomplete
    wanted = pydicom.tag.Tag
    try:
        dataset = read_dataset(
            BytesIO(bytes(content)),
            is_implicit_VR=transfer_syntax_uid == uids.IMPLICIT_VR_LITTLE_ENDIAN,
            is_little_endian=transfer_syntax_uid != uids.EXPLICIT_VR_BIG_ENDIAN,
            stop_when=lambda tag, _vr, _length: tag > 0x7FDFFFFF,  # from pixel data on nothing is of interest
            specific_tags=[wanted(tag) for tag in _WANTED],
        )
        values = {tag: _raw(dataset, tag) for tag in _WANTED if tag in dataset}
    except Exception as error:  # whatever pydicom meets in broken bytes, of any kind
        raise ObjectUnreadable(f"The data set cannot be read: {type(error).__name__}.") from error
    return _header(values)


def _raw(dataset: pydicom.Dataset, tag: int) -> bytes:
    value = dataset.get_item(tag).value
    return value if isinstance(value, bytes) else str(value or "").encode()
