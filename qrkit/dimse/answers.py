"""C-FIND answers straight into columns, without a Dataset in between.

An Identifier in an answer is flat and small (PS3.4 C.4.1.1.3.2), and there may be thousands of them. Their elements
are walked by the eight bytes of a header, and each value is looked up among those that its column had before; so an
answer costs some microseconds, where pydicom needs hundreds. What is unusual goes a slower way, with the same result.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import pyarrow as pa

from qrkit.character_sets import encodings_of, is_known
from qrkit.dimse.answer_elements import (
    BINARY,
    BYTES,
    LONGEST_VALUE,
    UNDEFINED,
    Decode,
    ElementHeader,
    KnownValues,
    MalformedValue,
    binary,
    day,
    hexadecimal,
    is_sequence,
    moment,
    number,
    read_header,
    retyped,
    single_uid,
    tags,
    text_decoder,
    text_or_bytes,
    uid,
)
from qrkit.dimse.answer_elements import whole_number as whole
from qrkit.dimse.answer_sequences import SequenceReader
from qrkit.dimse.element_ends import Resumption, end_of_sequence, end_of_undefined, misspelt_header
from qrkit.tables import WARNINGS, arrow_type, canonical_keyword, keyword_tag, keyword_vm, keyword_vr

TEXT = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Value representations read in the character set of a response; PACS use it for more of them than PS3.5 allows."""

_OWN: dict[str, Decode] = {"DA": day, "DS": number, "IS": whole, "TM": moment}
_BY_TYPE: dict[pa.DataType, Decode] = {
    pa.date32(): day,
    pa.time64("us"): moment,
    pa.int64(): whole,
    pa.float64(): number,
}
_MOST_HEADERS = 1024


class Columns:
    """The columns of answers whose character set has these encodings, as Python calls them.

    `entries` has, by what a header begins with (the tag, in explicit VR with the value representation), the number of
    the column and its known values. It is filled as headers are met.
    """

    __slots__ = ("_known", "_otherwise", "encodings", "entries")

    def __init__(self, encodings: Sequence[str], otherwise: Sequence[str]) -> None:
        self.entries: dict[bytes, tuple[int, KnownValues]] = {}
        self.encodings = encodings
        self._otherwise = otherwise
        self._known: dict[tuple[str, str], KnownValues] = {}

    def known(self, keyword: str, vr: str) -> KnownValues:
        """Return the known values of a column that stand in answers with a value representation (empty: its own)."""
        known = self._known.get((keyword, vr))
        if known is None:
            if vr in ("", "UN", keyword_vr(keyword)):
                decode = own_decoder(keyword, self.encodings, self._otherwise)
            else:
                decode = other_decoder(keyword, vr, self.encodings, self._otherwise)
            known = self._known[keyword, vr] = KnownValues(decode)
        return known

    def remember(self, key: bytes, entry: tuple[int, KnownValues]) -> None:
        """Use the fast path for headers that begin like this from now on, unless there are too many."""
        if len(self.entries) < _MOST_HEADERS:
            self.entries[key] = entry


def own_decoder(keyword: str, encodings: Sequence[str], otherwise: Sequence[str]) -> Decode:
    """Return the decoder of a column whose value has the value representation of PS3.6.

    `encodings` are those of the answer, `otherwise` those of the node, for text that is not in the first.
    """
    vr = keyword_vr(keyword)
    is_single = arrow_type(keyword) != pa.string()
    if vr in _OWN and is_single:
        return _OWN[vr]
    if vr in BINARY:
        return binary(vr, single=is_single)
    if vr == "UI":
        return single_uid if keyword_vm(keyword) == "1" else uid
    if vr == "AT":
        return tags
    if vr in BYTES:
        return hexadecimal
    text = text_decoder(vr, encodings, otherwise)
    return text_or_bytes(text) if vr == "UN" else text


def other_decoder(keyword: str, vr: str, encodings: Sequence[str], otherwise: Sequence[str]) -> Decode:
    r"""Return the decoder of a column whose value has another value representation than that of PS3.6.

    >>> other_decoder("SeriesNumber", "US", ("ascii",), ())(b"\x07\x00")
    7
    """
    if vr in BINARY:
        return retyped(binary(vr, single=False), _BY_TYPE.get(arrow_type(keyword)))
    if vr == "AT":
        return retyped(tags, _BY_TYPE.get(arrow_type(keyword)))
    if vr in BYTES:
        return retyped(hexadecimal, _BY_TYPE.get(arrow_type(keyword)))
    if keyword_vr(keyword) in BINARY and vr != "UN":
        return _by_type(keyword, text_decoder("LO", encodings, otherwise))
    if keyword_vr(keyword) in ("UN", *BYTES) and vr in TEXT:
        return text_decoder(vr, encodings, otherwise)
    return own_decoder(keyword, encodings, otherwise)


def _by_type(keyword: str, text: Decode) -> Decode:
    return _BY_TYPE.get(arrow_type(keyword), text)


REQUIRED = frozenset(
    {
        *(
            "AccessionNumber",
            "InstanceNumber",
            "Modality",
            "PatientID",
            "PatientName",
            "SOPClassUID",
            "SOPInstanceUID",
        ),
        *("SeriesInstanceUID", "SeriesNumber", "StudyDate", "StudyID", "StudyInstanceUID", "StudyTime"),
    }
)
"""Keys that a PACS has to return if asked (types U and R of PS3.4 C.6), and SOPClassUID; warned of if missing."""

_CHARACTER_SET = b"\x08\x00\x05\x00"
_ABSENT = object()
_UNSET = (None, _ABSENT)
_SKIP = -1
_SWITCH = -2
_SKIPPED = (_SKIP, KnownValues(bytes))
_SWITCHING = (_SWITCH, KnownValues(bytes))
_MOST_CHARACTER_SETS = 32
_GROUP_LENGTH = b"\x08\x00\x00\x00"
"""The only tag of its group before SpecificCharacterSet (PS3.5 7.1)."""
_LONGEST_RAW = 200
_REPEATED = "the response has this element again, with another value"
_MOST_BREAKS = 16
"""Breaks of one answer behind which it is read on."""


class AnswerDecoder:
    """Gathers the Identifiers of answers into columns, in the order of the keywords; other elements are skipped.

    Answers are in Implicit or Explicit VR Little Endian; `character_set` is the SpecificCharacterSet of those that
    name none.
    """

    def __init__(self, keywords: Sequence[str], *, implicit: bool, character_set: str = "ISO_IR 100") -> None:
        self._keywords = tuple(dict.fromkeys(canonical_keyword(keyword) for keyword in keywords))
        self._implicit = implicit
        self._header = struct.Struct("<4sI" if implicit else "<6sH").unpack_from
        self._indexes = {_tag_bytes(keyword): index for index, keyword in enumerate(self._keywords)}
        self._breaks = 0  # of the latest answer
        self._is_late = False  # whether its character set is behind some of its text
        self._template = [_ABSENT if keyword in REQUIRED else None for keyword in self._keywords]
        self._required = tuple(index for index, value in enumerate(self._template) if value is _ABSENT)
        self._default_encodings = encodings_of(character_set) or encodings_of("ISO_IR 100")
        self._default = self._columns(self._default_encodings)
        self._switched: dict[bytes, tuple[Columns, str]] = {}
        self._rows: list[list[object]] = []
        self._warnings: dict[int, list[dict[str, str]]] = {}
        fields = [pa.field(name, arrow_type(name)) for name in self._keywords]
        self._schema = pa.schema([*fields, pa.field(WARNINGS, pa.string())])

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Take the Identifier of one answer; never raises, whatever the bytes are, and always makes one row."""
        row = self._template.copy()
        self._rows.append(row)
        self._breaks, self._is_late = 0, False
        content = data if type(data) is bytes else bytes(data)
        position = self._read(content, row, self._default)
        if position < len(content):
            self._warn("", content[position:], "the response ends within an element")
        for index in self._required:
            if row[index] is _ABSENT:
                row[index] = None
                self._read_hidden(content, index)

    def _read(self, data: bytes, row: list[object], columns: Columns) -> int:
        """Walk the elements to their end: the inner loop, where every step counts some ten nanoseconds."""
        entries, read_start = columns.entries, self._header
        position, end = 0, len(data)
        last = end - 8
        while position <= last:
            key, length = read_start(data, position)
            start = position + 8
            position = start + length
            entry = entries.get(key)
            if entry is None or position > end:
                position, columns = self._read_unusual(data, start - 8, columns)
                entries = columns.entries
            elif entry[0] >= 0:
                index, known = entry
                try:
                    value = known[data[start:position]]
                except MalformedValue as odd:
                    position = self._keep_odd(data, start, position, (index, known, odd))
                else:
                    row[index] = value if row[index] in _UNSET else self._last(index, value)
            elif entry is _SWITCHING:
                columns = self._switch(data, start, position)
                entries = columns.entries
        return position

    def drop_unfinished(self) -> None:
        """Drop an answer whose reading was interrupted."""
        if self._rows and any(value is _ABSENT for value in self._rows[-1]):
            self._rows.pop()
            self._warnings.pop(len(self._rows), None)

    def take(self) -> pa.RecordBatch:
        """Return what was gathered, one row per answer, and start anew."""
        rows, self._rows = self._rows, []
        odd, self._warnings = self._warnings, {}
        values = list(zip(*rows, strict=True)) if rows else [()] * len(self._keywords)
        columns = [pa.array(column, item.type) for column, item in zip(values, self._schema, strict=False)]
        texts: list[str | None] = [None] * len(rows)
        for row, found in odd.items():
            texts[row] = json.dumps(found, ensure_ascii=False)
        return pa.record_batch([*columns, pa.array(texts, pa.string())], schema=self._schema)

    def _columns(self, encodings: tuple[str, ...]) -> Columns:
        columns = Columns(encodings, self._default_encodings)
        columns.remember(_CHARACTER_SET if self._implicit else _CHARACTER_SET + b"CS", _SWITCHING)
        return columns

    def _switch(self, data: bytes, start: int, stop: int) -> Columns:
        """Return the columns for a SpecificCharacterSet; an empty or unknown one leaves the node's."""
        raw = data[start:stop]
        found = self._switched.get(raw)
        text = raw.decode("ascii", "replace").strip(" \0")
        if found is None:
            encodings = encodings_of(text) if text else self._default_encodings
            why = "" if not text or is_known(text) else "unknown"
            found = self._columns(encodings) if encodings else self._default, why
            if len(self._switched) < _MOST_CHARACTER_SETS:
                self._switched[raw] = found
        columns, why = found
        if start > 8 and data[:4] != _GROUP_LENGTH and not self._is_late:  # read the text before it again
            self._is_late = True
            self._warnings.pop(len(self._rows) - 1, None)
            self._rows[-1][:] = self._template
            self._read(data[: start - 8], self._rows[-1], columns)
        if why:
            self._warn("SpecificCharacterSet", raw, why)
        index = self._indexes.get(_CHARACTER_SET)
        if index is not None:
            self._rows[-1][index] = text or None
        return columns

    def _read_unusual(self, data: bytes, position: int, columns: Columns) -> tuple[int, Columns]:
        """Read the element at a position whose header is not known yet, and return where the next one is."""
        header = read_header(data, position, implicit=self._implicit)
        stop = self._stop(data, header) if header else None
        if stop is None and not self._implicit:
            header = misspelt_header(data, position) or header
            stop = self._stop(data, header) if header else None
        if header is None or stop is None:
            return self._read_broken(data, position, header, columns), columns
        if header.tag == _CHARACTER_SET:
            return stop, self._switch(data, header.start, stop)
        index = self._indexes.get(header.tag, _SKIP)
        if is_sequence(header):
            self._read_sequence(data, header, stop, columns.encodings)
            return stop, columns
        entry = (index, columns.known(self._keywords[index], header.vr)) if index >= 0 else _SKIPPED
        if header.start == position + 8 and bool(header.vr) is not self._implicit:
            columns.remember(data[position : position + (4 if self._implicit else 6)], entry)
        return (self._read_value(data, header.start, stop, entry) if index >= 0 else stop), columns

    def _stop(self, data: bytes, header: ElementHeader) -> int | None:
        """Return where a value ends; None if that is beyond the data."""
        if header.length == UNDEFINED:
            return end_of_undefined(data, header.start, implicit=self._implicit)
        if is_sequence(header):
            stop = end_of_sequence(data, header, implicit=self._implicit)
        else:
            stop = header.start + header.length
        return stop if stop <= len(data) else None

    def _read_value(self, data: bytes, start: int, stop: int, entry: tuple[int, KnownValues]) -> int:
        """Keep a value and return where the next element is."""
        index, known = entry
        try:
            value = known[data[start:stop]]
        except MalformedValue as odd:
            return self._keep_odd(data, start, stop, (index, known, odd))
        self._rows[-1][index] = self._last(index, value)
        return stop

    def _last(self, index: int, value: object) -> object:
        """Return the last value of an element that a response may repeat; an empty one changes nothing."""
        before = self._rows[-1][index]
        if before in _UNSET:
            return value
        if value is not None and value != before:
            self._warn(self._keywords[index], str(before).encode(), _REPEATED)
        return before if value is None else value

    def _read_broken(self, data: bytes, position: int, header: ElementHeader | None, columns: Columns) -> int:
        """Keep what can be read of an element without an end, and return where the response continues."""
        tag = data[position : position + 4]
        start = header.start if header else position
        index = self._indexes.get(tag, _SKIP) if header else _SKIP
        keyword = self._keywords[index] if index >= 0 else ""
        self._breaks += 1
        resumed = self._resumption().after(data, position, tag) if self._breaks <= _MOST_BREAKS else None
        if resumed is None:
            self._warn(keyword, data[start:], "cut off" if header else "the response ends within an element")
            if index >= 0:
                self._rows[-1][index] = None
            return len(data)
        self._warn(keyword, data[start:resumed], "a wrong length, or bytes outside of elements")
        if header is None or index < 0 or resumed < start:
            return resumed
        if is_sequence(header):
            self._read_sequence(data, header, resumed, columns.encodings)
        else:
            self._read_value(data, start, resumed, (index, columns.known(keyword, header.vr)))
        return resumed

    def _resumption(self) -> Resumption:
        return Resumption(self._indexes, implicit=self._implicit)

    def _read_hidden(self, data: bytes, index: int) -> None:
        """Read a key that was not met, if another element with a wrong length has hidden it."""
        keyword = self._keywords[index]
        header = self._resumption().hidden(data, _tag_bytes(keyword))
        if header is None:
            self._warn(keyword, b"", "not returned")
            return
        raw = data[header.start : header.start + header.length]
        self._warn(keyword, raw, "found within another element, whose length is wrong")
        self._read_value(
            data, header.start, header.start + header.length, (index, self._default.known(keyword, header.vr))
        )

    def _read_sequence(self, data: bytes, header: ElementHeader, stop: int, encodings: Sequence[str]) -> None:
        index = self._indexes.get(header.tag, _SKIP)
        if index < 0:
            return
        reader = SequenceReader(data, self._default_encodings)
        if stop - header.start > LONGEST_VALUE:
            reader.doubts.append((data[header.start : header.start + _LONGEST_RAW], "a sequence too long to be kept"))
        elif self._schema[index].type == pa.string():
            self._rows[-1][index] = reader.json(header, stop, encodings)
        else:
            self._rows[-1][index] = None
            reader.doubts.append((data[header.start : stop], "a sequence, not a value"))
        for raw, why in reader.doubts:
            self._warn(self._keywords[index], raw, why)

    def _keep_odd(self, data: bytes, start: int, stop: int, odd: tuple[int, KnownValues, MalformedValue]) -> int:
        """Keep what can be read of a value, and return where the next element is: within it if its length lies."""
        index, known, error = odd
        within = self._resumption().within(data, start, stop) if self._breaks < _MOST_BREAKS else None
        if within is None:
            self._rows[-1][index] = self._last(index, error.value)
            self._warn(self._keywords[index], data[start:stop], error.why)
            return stop
        self._breaks += 1
        self._warn(self._keywords[index], data[start:stop], "a wrong length, or bytes outside of elements")
        return self._read_value(data, start, within, (index, known))

    def _warn(self, keyword: str, raw: bytes, why: str) -> None:
        shown = repr(raw[:_LONGEST_RAW])[2:-1]
        self._warnings.setdefault(len(self._rows) - 1, []).append({"keyword": keyword, "raw": shown, "why": why})


def _tag_bytes(keyword: str) -> bytes:
    return struct.pack("<HH", *divmod(keyword_tag(keyword), 1 << 16))
