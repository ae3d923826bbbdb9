"""The decoder of each column of C-FIND answers.

A column is read by the value representation of PS3.6, or by that of the response where the two differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from qrkit.dimse.answer_text import MalformedValue, text_decoder
from qrkit.dimse.answer_values import BINARY, BYTES, Decode, binary, day, hexadecimal, moment, number, tags, uid
from qrkit.dimse.answer_values import whole_number as whole
from qrkit.tables import arrow_type, keyword_vr

TEXT = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Value representations read in the character set of a response; PACS use it for more of them than PS3.5 allows."""

_OWN: dict[str, Decode] = {"DA": day, "DS": number, "IS": whole, "TM": moment}
_BY_TYPE: dict[pa.DataType, Decode] = {
    pa.date32(): day,
    pa.time64("us"): moment,
    pa.int64(): whole,
    pa.float64(): number,
}
_MOST_KNOWN = 2048
_LONGEST_KNOWN = 64
_MOST_HEADERS = 1024


class KnownValues(dict[bytes, object]):
    """The values of a column by their bytes; a new one is decoded, and kept unless there are too many."""

    __slots__ = ("decode",)

    def __init__(self, decode: Decode) -> None:
        super().__init__({b"": None})
        self.decode = decode

    def __missing__(self, raw: bytes) -> object:
        value = self.decode(raw)
        if len(self) < _MOST_KNOWN and len(raw) <= _LONGEST_KNOWN:
            self[raw] = value
        return value


class Columns:
    """The columns of answers in one character set.

    Attributes
    ----------
    encodings
        Of the answers, as Python calls them.
    entries
        By what a header begins with (the tag, in explicit VR with the value representation): the number of the
        column and its known values. Filled as headers are met.
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

    Parameters
    ----------
    encodings
        Of the answer, as Python calls them.
    otherwise
        Of the node, for text that is not in `encodings`.
    """
    vr = keyword_vr(keyword)
    is_single = arrow_type(keyword) != pa.string()
    if vr in _OWN and is_single:
        return _OWN[vr]
    if vr in BINARY:
        return binary(vr, single=is_single)
    if vr == "UI":
        return uid
    if vr == "AT":
        return tags
    if vr in BYTES:
        return hexadecimal
    text = text_decoder(vr, encodings, otherwise)
    return _text_or_bytes(text) if vr == "UN" else text


def other_decoder(keyword: str, vr: str, encodings: Sequence[str], otherwise: Sequence[str]) -> Decode:
    r"""Return the decoder of a column whose value has another value representation than that of PS3.6.

    >>> other_decoder("SeriesNumber", "US", ("ascii",), ())(b"\x07\x00")
    7
    """
    if vr in BINARY:
        return _retyped(binary(vr, single=False), keyword)
    if vr == "AT":
        return _retyped(tags, keyword)
    if vr in BYTES:
        return _retyped(hexadecimal, keyword)
    if keyword_vr(keyword) in BINARY and vr != "UN":
        return _by_type(keyword, text_decoder("LO", encodings, otherwise))
    if keyword_vr(keyword) in ("UN", *BYTES) and vr in TEXT:
        return text_decoder(vr, encodings, otherwise)
    return own_decoder(keyword, encodings, otherwise)


def _by_type(keyword: str, text: Decode) -> Decode:
    return _BY_TYPE.get(arrow_type(keyword), text)


def _retyped(read: Decode, keyword: str) -> Decode:
    """Return a decoder that reads text by `read`, and that text as the type of the column."""

    def decode(raw: bytes) -> object:
        text = read(raw)
        again = _BY_TYPE.get(arrow_type(keyword))
        return text if again is None or text is None else again(str(text).encode())

    return decode


def _text_or_bytes(text: Decode) -> Decode:
    """Return a decoder for an unknown value: text if it is printable, else hexadecimal digits."""

    def decode(raw: bytes) -> object:
        try:
            value = text(raw)
        except MalformedValue:
            return hexadecimal(raw)
        return value if value is None or str(value).isprintable() else hexadecimal(raw)

    return decode
