"""Where sequences end, and where a broken response continues behind a wrong length or bytes outside of elements.

Nothing behind a break is certain, so that is looked for only where an answer breaks, and always warned of.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from itertools import islice

from qrkit.dimse.answer_elements import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    ElementHeader,
    is_known_vr,
    is_sequence,
    read_header,
)

_DEEPEST = 32
_LONGEST_SEARCHED = 1 << 16
"""Bytes behind a break that are searched, so that a long response costs little."""


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
        if header.tag in (SEQUENCE_END, ITEM_END):
            open_items.pop()
            pos = header.start
            if not open_items:
                return pos
        elif header.length == UNDEFINED:
            open_items.append(header.tag == ITEM)
            pos = header.start
            if len(open_items) > 2 * _DEEPEST:
                return None
        else:
            pos = header.start + header.length
    return None


_MOST_CANDIDATES = 256


class Resumption:
    """Finds the next element behind a break, by the tags that were asked for."""

    def __init__(self, tags: Iterable[bytes], *, implicit: bool) -> None:
        self._implicit = implicit
        self._tags = re.compile(b"|".join(sorted(map(re.escape, tags))) or b"(?!)", re.DOTALL)

    def after(self, data: bytes, position: int, tag: bytes) -> int | None:
        """Return where an element that was asked for stands behind a position; None if there is none.

        Elements are in the order of their tags (PS3.5 7.1), so a later tag than the one that broke comes first.
        """
        found = list(self._candidates(data, position + 1, len(data), but=tag))
        later = (start for start in found if _order(data[start : start + 4]) > _order(tag))
        return next(later, None) or next(iter(found), None)

    def within(self, data: bytes, start: int, stop: int) -> int | None:
        """Return where, within an odd value, an element that was asked for stands, as its length is too great."""
        if b"\0" not in data[start:stop]:
            return None
        tag = data[start - 8 : start - 4]
        found = self._candidates(data, start, stop)
        return next((one for one in found if _order(data[one : one + 4]) > _order(tag)), None)

    def hidden(self, data: bytes, tag: bytes) -> ElementHeader | None:
        """Return the header of an element within another one that is not a sound sequence; None if unclear."""
        if tag not in data:
            return None
        starts = [one for one in self._candidates(data, 0, len(data)) if data[one : one + 4] == tag]
        sequences = list(self._sequences(data))
        headers = [
            read_header(data, one, implicit=self._implicit)
            for one in starts
            if not any(start <= one < stop for start, stop in sequences)
        ]
        values = {data[one.start : one.start + one.length] for one in headers if one}
        return headers[0] if len(values) == 1 else None

    def _sequences(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where the sound sequences before the first break begin and end."""
        position = 0
        while (header := read_header(data, position, implicit=self._implicit)) is not None:
            stop: int | None = header.start + header.length
            if header.length == UNDEFINED:
                stop = end_of_undefined(data, header.start, implicit=self._implicit)
            if stop is None or stop > len(data):
                return
            if is_sequence(header):
                yield header.start, stop
            position = stop

    def _candidates(self, data: bytes, start: int, stop: int, *, but: bytes = b"") -> Iterator[int]:
        matches = self._tags.finditer(data, start, min(stop, start + _LONGEST_SEARCHED))
        for match in islice((one for one in matches if one[0] != but), _MOST_CANDIDATES):
            if is_plausible(data, match.start(), implicit=self._implicit):
                yield match.start()


def misspelt_header(data: bytes, position: int) -> ElementHeader | None:
    """Return the header of an element in explicit VR whose value representation is none, if the next one is sound."""
    vr = data[position + 4 : position + 6]
    if position + 8 > len(data) or is_known_vr(vr.decode("latin_1")):
        return None
    start = position + 8
    (length,) = struct.unpack_from("<H", data, position + 6)
    is_sound = start + length <= len(data) and is_plausible(data, start + length, implicit=False)
    return ElementHeader(data[position : position + 4], "UN", start, length) if is_sound else None


def is_plausible(data: bytes, position: int, *, implicit: bool) -> bool:
    """Whether an element may begin here: a known value representation, and a value within the data; or the end."""
    if position == len(data):
        return True
    header = read_header(data, position, implicit=implicit)
    if header is None or header.tag[:2] in (b"\xfe\xff", b"\0\0"):
        return False
    if header.vr and not is_known_vr(header.vr):
        return False
    if header.length == UNDEFINED:
        return data[header.start : header.start + 4] in (ITEM, SEQUENCE_END)
    return header.start + header.length <= len(data)


def end_of_sequence(data: bytes, header: ElementHeader, *, implicit: bool) -> int:
    """Return where a sequence of a stated length ends: there, unless its items show that the length is wrong."""
    stated = header.start + header.length
    position = header.start
    while position < stated and data[position : position + 4] == ITEM and position + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, position + 4)
        if length == UNDEFINED:
            end = end_of_undefined(data, position + 8, implicit=implicit)
            if end is None:
                return stated
            position = end
        else:
            position += 8 + length
    if position in (stated, header.start) or position > len(data):
        return stated
    is_right = stated <= len(data) and data[stated : stated + 4] != ITEM and _follows(data, stated, header, implicit)
    return position if not is_right and _follows(data, position, header, implicit) else stated


def _follows(data: bytes, position: int, header: ElementHeader, implicit: bool) -> bool:  # noqa: FBT001 - as is_plausible
    is_later = position == len(data) or _order(data[position : position + 4]) > _order(header.tag)
    return is_later and is_plausible(data, position, implicit=implicit)


def _order(tag: bytes) -> tuple[int, ...]:
    return struct.unpack("<HH", tag) if len(tag) == 4 else (0, 0)
