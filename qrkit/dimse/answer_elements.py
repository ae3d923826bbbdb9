"""The elements of a C-FIND answer: where each begins (PS3.5 7.1), its text, and the value of a column."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import VR as KNOWN_VR

from qrkit.character_sets import oddities, read_text
from qrkit.uids import is_standard_uid, is_usable_uid, is_valid_uid

_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_WHOLE_TEXT = ("LT", "ST", "UT", "UR")
_DELIMITERS = {"PN": b"\\^="}


class MalformedValue(Exception):
    """A value that breaks PS3.5; `value` is the part that could be read, None if there is none."""

    def __init__(self, why: str, value: object = None) -> None:
        super().__init__(why)
        self.why = why
        self.value = value


def text_decoder(vr: str, encodings: Sequence[str], otherwise: Sequence[str]) -> Callable[[bytes], str | None]:
    r"""Return the decoder of a text in a character set.

    Padding is taken off, off each value where there may be several. Bytes that the character set does not have
    raise `MalformedValue`, with the text in what it evidently is or in replacement characters; in plain ASCII they
    are read by `otherwise`.

    >>> text_decoder("LO", ("latin_1",), ())(b"M\xfcller ")
    'Müller'
    """
    first = encodings[0]
    is_whole = vr in _WHOLE_TEXT
    stripped = _stripped_whole if is_whole else _stripped_values
    strip, is_odd = (bytes.rstrip if is_whole else bytes.strip), oddities(first)
    delimiters = _DELIMITERS.get(vr, b"" if is_whole else b"\\")

    def decode(raw: bytes) -> str | None:
        if raw.isascii():
            value = strip(raw, _PADDING).decode("ascii")
            if value.isprintable() and (is_whole or "\\" not in value):  # an escape sequence is not
                return value or None
        elif is_odd(raw) is None:
            return stripped(raw.decode(first))
        text, doubt = read_text(raw, encodings, otherwise, delimiters=delimiters)
        if doubt:
            raise MalformedValue(doubt, stripped(text))
        return _without_controls(stripped(text))

    return decode


def _without_controls(text: str | None) -> str | None:
    """Return a text; raise MalformedValue if it has control characters that text cannot have (PS3.5 6.1.3)."""
    if text and _CONTROLS.search(text):
        raise MalformedValue("control characters in a text", text)
    return text


def _stripped_values(text: str) -> str | None:
    if "\\" in text:
        return "\\".join(part.strip(" \0") for part in text.split("\\"))
    return text.strip(" \0") or None


def _stripped_whole(text: str) -> str | None:
    return text.rstrip(" \0") or None


UNDEFINED = 0xFFFFFFFF

_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_KNOWN = frozenset(vr.value.encode() for vr in KNOWN_VR if len(vr.value) == 2)
ITEM = b"\xfe\xff\x00\xe0"
ITEM_END = b"\xfe\xff\x0d\xe0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0"
_long_length = struct.Struct("<I").unpack_from
_short_length = struct.Struct("<H").unpack_from


@dataclass(frozen=True, slots=True)
class ElementHeader:
    """The header of an element: `vr` is empty in implicit VR, `start` and `length` are those of the value."""

    tag: bytes
    vr: str
    start: int
    length: int


def is_known_vr(vr: str) -> bool:
    """Whether PS3.5 6.2 has a value representation."""
    return vr.encode("latin_1") in _KNOWN


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


def is_sequence(header: ElementHeader) -> bool:
    """Whether an element is a sequence: by what stands there, else by PS3.6."""
    if header.vr:
        return header.vr == "SQ" or (header.vr == "UN" and header.length == UNDEFINED)
    group, element = struct.unpack("<HH", header.tag)
    try:
        return dictionary_VR((group << 16) + element) == "SQ" or header.length == UNDEFINED
    except KeyError:
        return header.length == UNDEFINED


Decode = Callable[[bytes], object]

_PADDING = b" \0"
_UID_BYTES = b"0123456789.\\"
_NOT_STANDARD = re.compile(rb"(?:^|[.\\])(?:0[0-9]|[.\\]|$)")
_WHOLE = re.compile(rb"[+-]?\d{1,18}")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DAY = re.compile(rb"(\d{4})([.]?)(\d{2})\2(\d{2})")
_LONG_DAY = re.compile(rb"(\d{4})([-/]?)(\d{2})\2(\d{2})(?:[T ]?\d{2}[\d:.+-]*)?")
_MOMENT = re.compile(rb"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d+))?)?)?")
_EXACT = 2**53
_HIGHEST = 2**63 - 1


def whole_number(raw: bytes) -> int | None:
    """Read an IS (VM 1).

    >>> whole_number(b" 12 ")
    12
    """
    text = raw.strip(_PADDING)
    if not text:
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if value.is_integer() and abs(value) < _EXACT:
        raise MalformedValue("a whole number written as a decimal", int(value))
    raise MalformedValue("no whole number")


def number(raw: bytes) -> float | None:
    """Read a DS (VM 1).

    >>> number(b"1.50 ")
    1.5
    """
    text = raw.strip(_PADDING)
    if not text:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if math.isfinite(value):
        return value
    raise MalformedValue("no number")


def day(raw: bytes) -> date | None:
    """Read a DA, also in the form of ACR-NEMA, 2026.01.31.

    >>> day(b"20260131"), day(b"2026.01.31")
    (datetime.date(2026, 1, 31), datetime.date(2026, 1, 31))
    """
    text = raw.strip(_PADDING)
    if not text:
        return None
    found = _DAY.fullmatch(text)
    try:
        if found:
            return date(int(found[1]), int(found[3]), int(found[4]))
        longer = _LONG_DAY.fullmatch(text)
        odd = longer and date(int(longer[1]), int(longer[3]), int(longer[4]))
    except ValueError:
        raise MalformedValue("no such day") from None
    raise MalformedValue("a date in another form", odd) if odd else MalformedValue("no date")


def moment(raw: bytes) -> time | None:
    """Read a TM, also in the form of ACR-NEMA, 12:34:56; a leap second becomes second 59.

    >>> moment(b"083000.5"), moment(b"12:34:56"), moment(b"08")
    (datetime.time(8, 30, 0, 500000), datetime.time(12, 34, 56), datetime.time(8, 0))
    """
    text = raw.strip(_PADDING)
    if not text:
        return None
    if len(text) == 6 and text.isdigit() and text < b"24" and text[2:] < b"60" and text[4:] < b"60":
        return time(int(text[:2]), int(text[2:4]), int(text[4:]))  # nearly all, and hardly any of them twice
    return _unusual_moment(text)


def _unusual_moment(text: bytes) -> time:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise MalformedValue("no time of day")
    hour, minute, second, fraction = found.groups(b"0")
    micro = int(fraction[:6].ljust(6, b"0"))
    try:
        return time(int(hour), int(minute), int(second), micro)
    except ValueError:
        if second == b"60" and int(hour) < 24 and int(minute) < 60:
            raise MalformedValue("a leap second", time(int(hour), int(minute), 59, micro)) from None
        raise MalformedValue("no such time of day") from None


def uid(raw: bytes) -> str | None:
    r"""Read a UI, one or several.

    >>> uid(b"1.2.840\0"), uid(b"1.2\\1.3")
    ('1.2.840', '1.2\\1.3')
    """
    text = raw.strip(_PADDING)
    if not text:
        return None
    is_short = len(text) <= 64 or max(map(len, text.split(b"\\"))) <= 64
    if is_short and not text.translate(None, _UID_BYTES) and _NOT_STANDARD.search(text) is None:
        return text.decode("ascii")
    parts = [part.strip(" \0") for part in text.decode("latin_1").split("\\")]
    if not all(is_usable_uid(part) for part in parts):
        raise MalformedValue("no valid UID")
    value = "\\".join(parts)
    if not all(is_valid_uid(part) for part in parts):
        raise MalformedValue("not a UID of digits and dots", value)
    if not all(is_standard_uid(part) for part in parts):
        raise MalformedValue(
            "a UID with a component that is empty or starts with a zero", value
        )  # it is the key all the same
    return value


def single_uid(raw: bytes) -> str | None:
    r"""Read a UI (VM 1).

    >>> single_uid(b"1.2.840\0")
    '1.2.840'
    """
    value = uid(raw)
    if b"\\" in raw and value:
        raise MalformedValue("several UIDs where one belongs", value)
    return value


def tags(raw: bytes) -> str | None:
    r"""Read an AT as eight hexadecimal digits, several separated by backslashes.

    >>> tags(b"\x10\x00\x20\x00")
    '00100020'
    """
    if len(raw) % 4:
        raise MalformedValue("no whole number of tags")
    pairs = struct.iter_unpack("<HH", raw)
    return "\\".join(f"{group:04X}{element:04X}" for group, element in pairs) or None


def binary(vr: str, *, single: bool) -> Decode:
    r"""Return the decoder of a binary number: of one, or of several as text separated by backslashes.

    >>> binary("US", single=True)(b"\x00\x02"), binary("US", single=False)(b"\x01\x00\x02\x00")
    (512, '1\\2')
    """
    layout = struct.Struct("<" + LAYOUTS[vr])

    def one(raw: bytes) -> int | float | None:
        if not raw:
            return None
        if len(raw) != layout.size:
            raise MalformedValue(f"{len(raw)} bytes, not {layout.size}")
        value: int | float = layout.unpack(raw)[0]
        if not math.isfinite(value) or (isinstance(value, int) and value > _HIGHEST):
            raise MalformedValue("no number that a column can hold")
        return value

    def several(raw: bytes) -> str | None:
        if len(raw) % layout.size:
            raise MalformedValue(f"{len(raw)} bytes, not a multiple of {layout.size}")
        return "\\".join(str(value) for (value,) in layout.iter_unpack(raw)) or None

    return one if single else several


def hexadecimal(raw: bytes) -> str | None:
    r"""Read bytes that are not text.

    >>> hexadecimal(b"\x01\xff")
    '01FF'
    """
    return raw.hex().upper() or None


def retyped(read: Decode, again: Decode | None) -> Decode:
    """Return a decoder that reads text by `read`, and that text as the type of the column."""

    def decode(raw: bytes) -> object:
        text = read(raw)
        return text if again is None or text is None else again(str(text).encode())

    return decode


def text_or_bytes(text: Decode) -> Decode:
    """Return a decoder for an unknown value: text if it is printable, else hexadecimal digits."""

    def decode(raw: bytes) -> object:
        try:
            value = text(raw)
        except MalformedValue:
            return hexadecimal(raw)
        return value if value is None or str(value).isprintable() else hexadecimal(raw)

    return decode


LAYOUTS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
BINARY = frozenset(LAYOUTS)
"""Value representations whose values are binary numbers."""

BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
"""Value representations whose values are plain bytes."""


_MOST_KNOWN = 2048
_LONGEST_KNOWN = 64
LONGEST_VALUE = 1_048_576
"""Bytes of a value that are kept; no key of a query is that long."""


class KnownValues(dict[bytes, object]):
    """The values of a column by their bytes; a new one is decoded, and kept unless there are too many."""

    __slots__ = ("decode",)

    def __init__(self, decode: Decode) -> None:
        super().__init__({b"": None})
        self.decode = decode

    def __missing__(self, raw: bytes) -> object:
        if len(raw) > LONGEST_VALUE:
            raise MalformedValue(f"{len(raw):,} bytes long; the first {LONGEST_VALUE:,} are kept", self._cut(raw))
        value = self.decode(raw)
        if len(self) < _MOST_KNOWN and len(raw) <= _LONGEST_KNOWN:
            self[raw] = value
        return value

    def _cut(self, raw: bytes) -> object:
        try:
            return self.decode(raw[:LONGEST_VALUE])
        except MalformedValue as odd:
            return odd.value
