"""The sequences of a C-FIND answer in the DICOM JSON model (PS3.18 F.2), as much of them as can be read.

Their text is read as that of the answer itself, in the character set of the item, and every doubt is reported.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from qrkit.character_sets import encodings_of, is_known, read_text
from qrkit.dimse.answer_elements import (
    BINARY,
    BYTES,
    ITEM,
    ITEM_END,
    LAYOUTS,
    SEQUENCE_END,
    UNDEFINED,
    ElementHeader,
    is_sequence,
    read_header,
)
from qrkit.dimse.element_ends import end_of_undefined

Item = dict[str, Any]

_DEEPEST = 32
_CHARACTER_SET = b"\x08\x00\x05\x00"
_ONE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
_PLAIN = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI", "IS", "DS"})
_DELIMITERS = {"PN": b"\\^="}
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_MOST_DOUBTS = 20


class SequenceReader:
    """Reads the items of sequences; `doubts` are raw values that may be read wrongly, each with the reason."""

    def __init__(self, data: bytes, otherwise: Sequence[str]) -> None:
        self.doubts: list[tuple[bytes, str]] = []
        self._data = data
        self._otherwise = otherwise

    def json(self, header: ElementHeader, stop: int, encodings: Sequence[str]) -> str | None:
        """Return the items between the header of a sequence and a position as JSON text; None if there is none."""
        implicit = not header.vr or header.vr == "UN"  # PS3.5 6.2.2 note 4
        items = self._items(header.start, stop, encodings, implicit=implicit, depth=0)
        return json.dumps(items, ensure_ascii=False) if items else None

    def _items(self, position: int, stop: int, encodings: Sequence[str], *, implicit: bool, depth: int) -> list[Item]:
        items: list[Item] = []
        while position + 8 <= stop:
            tag, length = struct.unpack_from("<4sI", self._data, position)
            if tag == SEQUENCE_END:
                return items
            if tag != ITEM or depth > _DEEPEST:
                self._doubt(self._data[position:stop], "an item that cannot be read")
                return items
            position += 8
            end = stop if length == UNDEFINED else min(position + length, stop)
            if length not in (UNDEFINED, end - position):
                self._doubt(self._data[position:stop], "an item that ends behind its sequence")
            item, after = self._item(position, end, encodings, implicit=implicit, depth=depth)
            items.append(item)
            position = after if length == UNDEFINED else end
        return items

    def _item(
        self, position: int, stop: int, encodings: Sequence[str], *, implicit: bool, depth: int
    ) -> tuple[Item, int]:
        """Return an item, and where the next one is if this one is of undefined length."""
        item: Item = {}
        while (header := read_header(self._data, position, implicit=implicit)) is not None and position < stop:
            if header.tag == ITEM_END:
                return item, header.start
            if header.tag == SEQUENCE_END:
                return item, position
            end = self._end(header, stop, implicit=implicit)
            if end is None:
                self._doubt(self._data[position:stop], "an element that ends behind its item")
                return item, stop
            raw = self._data[header.start : end]
            if header.tag == _CHARACTER_SET:
                encodings = self._switched(raw, encodings)
            vr = _vr(header)
            if is_sequence(header):
                inner = implicit or header.vr == "UN"
                found = self._items(header.start, end, encodings, implicit=inner, depth=depth + 1)
                item[_key(header.tag)] = {"vr": "SQ", "Value": found}
            else:
                item[_key(header.tag)] = {"vr": vr, **self._value(vr, raw, encodings)}
            position = end
        return item, stop

    def _end(self, header: ElementHeader, stop: int, *, implicit: bool) -> int | None:
        if header.length == UNDEFINED:
            end = end_of_undefined(self._data, header.start, implicit=implicit)
        else:
            end = header.start + header.length
        return None if end is None or end > stop else end

    def _switched(self, raw: bytes, encodings: Sequence[str]) -> Sequence[str]:
        text = raw.decode("ascii", "replace").strip(" \0")
        if text and not is_known(text):
            self._doubt(raw, "an unknown character set")
        return (encodings_of(text) or encodings) if text else encodings

    def _value(self, vr: str, raw: bytes, encodings: Sequence[str]) -> Item:
        """Return what an element has in addition to its value representation: nothing, `Value` or `InlineBinary`."""
        if vr in BYTES or vr == "UN":
            return {"InlineBinary": base64.b64encode(raw).decode()} if raw else {}
        values = self._values(vr, raw, encodings)
        return {"Value": values} if values else {}

    def _values(self, vr: str, raw: bytes, encodings: Sequence[str]) -> list[object]:
        try:
            if vr in BINARY:
                return [_finite(value) for (value,) in struct.iter_unpack("<" + LAYOUTS[vr], raw)]
            if vr == "AT":
                return [f"{group:04X}{element:04X}" for group, element in struct.iter_unpack("<HH", raw)]
        except struct.error:
            self._doubt(raw, "a value of the wrong length")
            return []
        text, doubt = read_text(raw, encodings, self._otherwise, delimiters=_DELIMITERS.get(vr, b"\\"))
        if doubt:
            self._doubt(raw, doubt)
        texts = [text.rstrip(" \0")] if vr in _ONE_TEXT else [part.rstrip(" \0") for part in text.split("\\")]
        if texts == [""]:
            return []
        return [self._typed(vr, one, raw) for one in texts]

    def _typed(self, vr: str, text: str, raw: bytes) -> object:
        if vr == "PN":
            return dict(zip(_NAME_GROUPS, text.split("="), strict=False))
        convert = _NUMBERS.get(vr)
        if convert is None or not text:
            return text
        try:
            return _finite(convert(text))
        except ValueError:
            self._doubt(raw, "no number")
            return text

    def _doubt(self, raw: bytes, why: str) -> None:
        if len(self.doubts) < _MOST_DOUBTS:
            self.doubts.append((raw, why))


_NUMBERS: dict[str, Callable[[str], float]] = {"IS": int, "DS": float}


def _vr(header: ElementHeader) -> str:
    if header.vr and header.vr != "UN":
        return header.vr
    tag = int(_key(header.tag), 16)
    return dictionary_VR(tag).partition(" ")[0] if dictionary_has_tag(tag) else "UN"


def _key(tag: bytes) -> str:
    return "{:04X}{:04X}".format(*struct.unpack("<HH", tag))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
