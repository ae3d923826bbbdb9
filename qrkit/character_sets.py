r"""Text in the character sets of DICOM (PS3.3 C.12.1.1.2, PS3.5 6.1.2): their names, their bytes, their comparison.

Names are read liberally and bytes are not believed: a text that its declared character set does not explain is read
in what it evidently is, such as UTF-8 or code extensions that were not announced, with the reason for doubt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

UTF_8 = "UTF8"
ASCII = "ascii"

_ESCAPE = b"\x1b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTROLS = re.compile("[\x80-\x9f]")
_WORDS = re.compile(rb"[ \0]+|[\x80-\xff]+|[^ \0\x80-\xff]+")
_HIGH = re.compile(rb"[\x80-\xff]+|[^\x80-\xff]+")
_FOREIGN = re.compile(rb"(?![\xdf\xe4\xe9\xf1\xf6\xfc]{4})[\xa1-\xff]{4}")
"""Four letters beyond ASCII in a row, other than umlauts, é and ñ: usual in Cyrillic, Korean and Chinese alone."""
_ODD_IN_LATIN_1 = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]|[\xc2-\xf4][\x80-\xbf]|" + _FOREIGN.pattern)
_ANYTHING = re.compile(b"")
_EVIDENT_IN_UTF_8 = re.compile(
    "[\u3000-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]+|(?<=[a-z])[\x80-\u024f]+|[\x80-\u024f]+(?=[a-z])"
)
_WORD_IN_UTF_8 = re.compile("[\u0370-\u03ff]+|[\u0400-\u052f]+|[\u0590-\u05ff]+|[\u0600-\u06ff]+|[\u0e00-\u0e7f]+")
_LEAST_LETTERS = 3
"""Different letters of one script; bytes of East Asian character sets do not make them up by chance."""
_WITHIN_WORD = re.compile(rb"[A-Za-z][\xc0-\xff][a-z]")
"""A letter of Latin 1 within a word, which in GBK is a rare ideograph."""
_ISO_IR = re.compile(r"(?:ISO[ _-]*)?(?:2022[ _-]*)?(?:IR[ _-]*)?(\d{1,3})")
_WORD = re.compile(r"[^A-Z0-9]")

_LATIN_1 = ("latin_1", "iso8859_15")
_SINGLE = {
    100: "latin_1",
    101: "iso8859_2",
    109: "iso8859_3",
    110: "iso8859_4",
    126: "iso8859_7",
    127: "iso8859_6",
    138: "iso8859_8",
    144: "iso8859_5",
    148: "iso8859_9",
    157: "iso8859_10",
    166: "tis_620",
    179: "iso8859_13",
    199: "iso8859_14",
    203: "iso8859_15",
    226: "iso8859_16",
}
_BY_NUMBER = {
    **_SINGLE,
    6: ASCII,
    13: "shift_jis",
    14: "shift_jis",
    58: "gb2312",
    87: "iso2022_jp",
    149: "euc_kr",
    159: "iso2022_jp_2",
    192: UTF_8,
    196: UTF_8,
}
_BY_NAME = {
    **dict.fromkeys(("UTF8", "UNICODE", "UNICODE11UTF8"), UTF_8),
    **dict.fromkeys(("GB18030", "GB180302000", "ISO2022GB18030", "CP54936"), "GB18030"),
    **dict.fromkeys(("GBK", "ISO2022GBK", "CP936", "WINDOWS936"), "GBK"),
    **dict.fromkeys(("GB2312", "GB231280", "ISO2022GB2312", "EUCCN", "ISO202258"), "gb2312"),
    **dict.fromkeys(("ASCII", "USASCII", "ISO646"), ASCII),
    **dict.fromkeys(("EUCKR", "KSC5601", "KSX1001", "KSC56011987"), "euc_kr"),
    **dict.fromkeys(("CP949", "UHC", "WINDOWS949"), "cp949"),
    **dict.fromkeys(("SHIFTJIS", "SJIS", "XSJIS"), "shift_jis"),
    **dict.fromkeys(("CP932", "WINDOWS31J", "MS932"), "cp932"),
    **dict.fromkeys(("BIG5", "CP950"), "big5"),
    "EUCJP": "euc_jp",
    "ISO2022JP": "iso2022_jp",
    "ISO2022KR": "euc_kr",
    "KOI8R": "koi8_r",
    "TIS620": "tis_620",
    "LATIN1": "latin_1",
    "LATIN2": "iso8859_2",
    "LATIN9": "iso8859_15",
    **{f"ISO8859{part}": f"iso8859_{part}" for part in range(2, 17) if part != 12},
    **dict.fromkeys(("ISO88591", "ISO8859"), "latin_1"),
    **{f"{kind}125{page}": f"cp125{page}" for kind in ("CP", "WINDOWS") for page in range(9)},
}
"""Names of other standards and systems, letters and digits only; Python's name for each."""

_WITHOUT_EXTENSIONS = frozenset({UTF_8, "GB18030", "GBK"})
_MULTI_BYTE = _WITHOUT_EXTENSIONS | frozenset(
    ["gb2312", "euc_kr", "cp949", "shift_jis", "cp932", "big5", "euc_jp", "iso2022_jp", "iso2022_jp_2"]
)


@dataclass(frozen=True, slots=True)
class _Designated:
    """The character set of an escape sequence (PS3.3 C.12.1.1.2); `prefix` is the one that Python knows."""

    codec: str
    is_high: bool
    prefix: bytes = b""


_SETS = {
    b"(B": _Designated(ASCII, is_high=False),
    b"(J": _Designated(ASCII, is_high=False),
    b"(I": _Designated("shift_jis", is_high=False),
    **dict.fromkeys((b"$B", b"$@", b"$(B", b"$(@"), _Designated("iso2022_jp", is_high=False, prefix=b"\x1b$B")),
    b"$(D": _Designated("iso2022_jp_2", is_high=False, prefix=b"\x1b$(D"),
    **dict.fromkeys((b"$A", b"$(A"), _Designated("gb2312", is_high=False, prefix=b"\x1b$A")),
    b"$(C": _Designated("euc_kr", is_high=False, prefix=b"\x1b$(C"),
    b")I": _Designated("shift_jis", is_high=True),
    b"$)A": _Designated("gb2312", is_high=True),
    b"$)B": _Designated("euc_jp", is_high=True),
    b"$)C": _Designated("euc_kr", is_high=True),
    b"%G": _Designated(UTF_8, is_high=True),
    **{
        b"-" + final: _Designated(_SINGLE[number], is_high=True)
        for final, number in zip(
            (b"A", b"B", b"C", b"D", b"F", b"G", b"H", b"L", b"M", b"T", b"V", b"Y", b"_", b"b", b"f"),
            (100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 157, 179, 199, 203, 226),
            strict=True,
        )
    },
}
_DESIGNATION = re.compile(rb"\x1b(\$[()]?[@-~]|[(),\-%][@-~])")
_CHUNK = re.compile(rb"(?:\x1b(?:\$[()]?[@-~]|[(),\-%][@-~]))|[^\x1b]+|\x1b")


def encodings_of(specific_character_set: str) -> tuple[str, ...]:
    r"""Return Python's names for the values of SpecificCharacterSet; those that are unknown are left out.

    Misspellings, the term with or without code extensions, and names of other standards are understood.

    >>> encodings_of("ISO_IR 192"), encodings_of("\\ISO 2022 IR 87"), encodings_of("ISO-IR 100")
    (('UTF8',), ('ascii', 'iso2022_jp'), ('latin_1',))
    >>> encodings_of("GB2312"), encodings_of("ISO_IR 149"), encodings_of("KLINGON")
    (('gb2312',), ('euc_kr',), ())
    """
    found = [_encoding(term) for term in specific_character_set.split("\\")]
    alone = [encoding for encoding in found if encoding in _WITHOUT_EXTENSIONS]
    return (alone[0],) if alone else tuple(dict.fromkeys(filter(None, found)))


def is_known(specific_character_set: str) -> bool:
    r"""Whether every value of SpecificCharacterSet is understood.

    >>> is_known("\\ISO 2022 IR 87"), is_known("ISO_IR 100\\KLINGON")
    (True, False)
    """
    return all(_encoding(term) for term in specific_character_set.split("\\"))


@lru_cache(maxsize=256)
def _encoding(term: str) -> str:
    upper = term.strip(" \0").upper()
    number = _ISO_IR.fullmatch(upper)
    if number and int(number[1]) in _BY_NUMBER:
        return _BY_NUMBER[int(number[1])]
    return _BY_NAME.get(_WORD.sub("", upper), "") if upper else ASCII


def read_text(
    raw: bytes, encodings: Sequence[str], otherwise: Sequence[str] = (), *, delimiters: bytes = b"\\"
) -> tuple[str, str]:
    r"""Return a text and why its reading is in doubt; that is empty if there is no doubt.

    `encodings` are those declared, `otherwise` those to be tried for bytes beyond a declared ASCII. At `delimiters`
    and control characters the character sets are again those at the beginning (PS3.5 6.1.2.5.3).

    >>> read_text(b"M\xfcller", ("latin_1",))
    ('Müller', '')
    >>> read_text("Müller".encode(), ("latin_1",))
    ('Müller', 'not in the character set latin_1')
    """
    if raw.startswith(_BYTE_ORDER_MARK):  # of UTF-8, and of nothing else
        text, doubt = read_text(raw[len(_BYTE_ORDER_MARK) :], (UTF_8,), otherwise, delimiters=delimiters)
        return text, doubt or ("" if encodings[0] == UTF_8 else _not_in(encodings))
    if _ESCAPE in raw:
        return _Reader(encodings, otherwise, delimiters).read(raw)
    if raw.isascii():
        return raw.decode(ASCII), ""
    return _without_escapes(raw, encodings, otherwise)


def oddities(encoding: str) -> Callable[[bytes], object]:
    r"""Return a quick search for what makes a text beyond ASCII need `read_text`: None for nearly all in Latin 1.

    >>> odd = oddities("latin_1")
    >>> odd(b"M\xfcller"), odd("Müller".encode()) is None
    (None, False)
    """
    return (_ODD_IN_LATIN_1 if encoding in _LATIN_1 else _ANYTHING).search


def folded(text: str) -> str:
    r"""Return the form in which texts are compared: without case, letters and their accents composed.

    >>> folded("Scha\u0308del") == folded("SCHÄDEL")
    True
    """
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", apart.casefold())


def _without_escapes(raw: bytes, encodings: Sequence[str], otherwise: Sequence[str]) -> tuple[str, str]:
    first = encodings[0]
    if oddities(first)(raw) is None:
        return raw.decode(first), ""
    declared = _decoded(raw, first)
    if first == UTF_8:
        return (declared, "") if declared is not None else (raw.decode(first, "replace"), _not_in(encodings))
    unicode = _decoded(raw, UTF_8)
    if unicode is not None and _is_meant(unicode, raw, declared, first):
        return unicode, _not_in(encodings)
    if declared is not None:
        return _checked(raw, declared, first)
    return _in_another(raw, encodings, otherwise)


def _is_meant(unicode: str, raw: bytes, declared: str | None, first: str) -> bool:
    """Whether bytes that can be UTF-8 are UTF-8, and not text in another character set that looks so by chance."""
    if declared is None or first == ASCII:
        return True
    if first in _MULTI_BYTE:
        words = _WORD_IN_UTF_8.findall(unicode)
        rest = _WORD_IN_UTF_8.sub("", _EVIDENT_IN_UTF_8.sub("", unicode))
        return rest.isascii() and all(len(set(word)) >= _LEAST_LETTERS for word in words)
    if _CONTROLS.search(declared) or (first in _LATIN_1 and len(unicode) + 2 <= len(raw)):
        return True
    return _encodable(unicode, first)


def _checked(raw: bytes, text: str, encoding: str) -> tuple[str, str]:
    """Return a text of its declared character set, and whether it is one of Windows or of another script."""
    if encoding in _MULTI_BYTE:
        is_latin = encoding in ("GB18030", "GBK") and _WITHIN_WORD.search(raw)
        return text, f"perhaps {_not_in((encoding,))}" if is_latin else ""
    if _CONTROLS.search(text):
        windows = _decoded(raw, "cp1252") if encoding in _LATIN_1 else None
        return windows or text, _not_in((encoding,))
    is_foreign = encoding in _LATIN_1 and _FOREIGN.search(raw)
    return text, f"perhaps {_not_in((encoding,))}" if is_foreign else ""


def _in_another(raw: bytes, encodings: Sequence[str], otherwise: Sequence[str]) -> tuple[str, str]:
    """Return a text that the first character set does not have: read in another of them, else with replacements."""
    for encoding in encodings[1:]:
        text = _decoded(raw, encoding)
        if text is not None:
            return text, f"without the escape sequence of the character set {encoding}"
    wider = {"gb2312": "GB18030", "euc_kr": "cp949", "shift_jis": "cp932"}.get(encodings[0], "")
    text = _decoded(raw, wider) if wider else None
    if text is not None:
        return text, _not_in(encodings)
    last = otherwise[0] if encodings[0] == ASCII and otherwise else encodings[0]
    return raw.decode(last, "replace"), _not_in(encodings)


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeError:
        return None


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True


def _not_in(encodings: Sequence[str]) -> str:
    return f"not in the character set {'/'.join(encodings)}"


class _Reader:
    """Reads text with escape sequences; `doubt` is the first reason for which it may be read wrongly."""

    def __init__(self, encodings: Sequence[str], otherwise: Sequence[str], delimiters: bytes) -> None:
        self._encodings = encodings
        self._otherwise = otherwise
        self._delimiters = delimiters
        self._single = {bytes((one,)) for one in delimiters}
        self._delimited = re.compile(b"(?<=[" + re.escape(delimiters) + rb"\t\n\f\r])")
        self._low: _Designated | None = None
        self._high: _Designated | None = None
        self._latest: _Designated | None = None  # of those for high bytes, whatever was reset since
        self.doubt = ""

    def read(self, raw: bytes) -> tuple[str, str]:
        """Return the text and the reason for doubt."""
        text = "".join(self._read_chunk(chunk) for chunk in _CHUNK.findall(raw))
        return text, self.doubt

    def _read_chunk(self, chunk: bytes) -> str:
        if chunk.startswith(_ESCAPE):
            return self._designate(chunk)
        if self._low is not None and self._low.codec != ASCII:
            return "".join(self._read_run(run) for run in self._runs(chunk))
        texts = []
        for number, part in enumerate(self._delimited.split(chunk)):
            if number:
                self._low = self._high = None
            texts.append(self._read_part(part))
        return "".join(texts)

    def _runs(self, chunk: bytes) -> list[bytes]:
        """Split text in a designated character set; of two-byte characters, also at blanks and a sure delimiter."""
        if not (self._low and self._low.prefix):
            return _HIGH.findall(chunk)
        return [run for word in _WORDS.findall(chunk) for run in self._at_delimiter(word)]

    def _at_delimiter(self, word: bytes) -> list[bytes]:
        """Split an odd number of bytes of two-byte characters, if only one of them can be a delimiter."""
        places = [place for place in range(0, len(word), 2) if word[place] in self._delimiters]
        if len(word) % 2 == 0 or len(places) != 1:
            return [word]
        self._doubt("an escape sequence that is missing before a delimiter")
        place = places[0]
        return list(filter(None, (word[:place], word[place : place + 1], word[place + 1 :])))

    def _designate(self, escape: bytes) -> str:
        found = _SETS.get(escape[1:])
        if found is None:
            self._doubt("an unknown escape sequence")
            return "\N{REPLACEMENT CHARACTER}" + escape[1:].decode(ASCII, "replace")
        if found.codec not in (*self._encodings, ASCII):
            self._doubt("an escape sequence that SpecificCharacterSet does not name")
        if found.is_high:
            self._high = self._latest = found
        else:
            self._low = found
        return ""

    def _read_part(self, part: bytes) -> str:
        """Read what has no delimiter in it but at its end, ASCII in its lower half."""
        if self._high is None and not part.isascii():
            if self._latest is None or self._encodings[0] != ASCII:
                return self._unextended(part)
            self._doubt("an escape sequence that is missing after a delimiter")
            self._high = self._latest
        if self._high is None:
            return part.decode(ASCII)
        return "".join(self._read_run(run) for run in _HIGH.findall(part))

    def _read_run(self, run: bytes) -> str:
        """Read bytes of which all are in the upper half, or none."""
        designated = self._low if run.isascii() else self._high
        if designated is None or (designated.prefix and (not run.strip(b" \0") or run in self._single)):
            return self._unextended(run)
        if run.isascii() and designated.codec == "shift_jis":
            return self._strictly(run.translate(_TO_HIGH), "shift_jis")
        if designated.prefix:
            return self._strictly(designated.prefix + run, "iso2022_jp_2")
        return self._strictly(run, designated.codec)

    def _unextended(self, part: bytes) -> str:
        if part.isascii():
            return part.decode(ASCII)
        text, doubt = _without_escapes(part, self._encodings, self._otherwise)
        self._doubt(doubt)
        return text

    def _strictly(self, raw: bytes, encoding: str) -> str:
        try:
            return raw.decode(encoding)
        except UnicodeError:
            self._doubt(_not_in(self._encodings))
            return raw.decode(encoding, "replace")

    def _doubt(self, why: str) -> None:
        self.doubt = self.doubt or why


_TO_HIGH = bytes(byte | 0x80 if 0x20 < byte < 0x7F else byte for byte in range(256))
