"""Values of C-FIND answers, from the bytes of PS3.5 6.2 to what a column holds.

Each decoder returns None for an empty value. It raises `MalformedValue` for a value that breaks PS3.5, with the part
that could be read.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import date, time

from qrkit.dimse.answer_text import MalformedValue
from qrkit.uids import is_standard_uid, is_valid_uid

Decode = Callable[[bytes], object]

_PADDING = b" \0"
_UID_BYTES = b"0123456789."
_NOT_STANDARD = re.compile(rb"(?:^|\.)(?:0[0-9]|\.|$)")
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
    if len(text) <= 64 and not text.translate(None, _UID_BYTES) and _NOT_STANDARD.search(text) is None:
        return text.decode("ascii")
    parts = [part.strip(" \0") for part in text.decode("latin_1").split("\\")]
    if not all(is_valid_uid(part) for part in parts):
        raise MalformedValue("no valid UID")
    value = "\\".join(parts)
    if not all(is_standard_uid(part) for part in parts):
        raise MalformedValue(
            "a UID with a component that is empty or starts with a zero", value
        )  # it is the key all the same
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
    layout = struct.Struct("<" + _LAYOUTS[vr])

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


_LAYOUTS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
BINARY = frozenset(_LAYOUTS)
"""Value representations whose values are binary numbers."""

BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
"""Value representations whose values are plain bytes."""
