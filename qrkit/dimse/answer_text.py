"""Text of C-FIND answers in the character sets of PS3.3 C.12.1.1.2.

The result equals pydicom's, but where pydicom issues a Python warning, an error is raised: warnings cannot be caught
safely while several associations run in threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, handled_encodings, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

_ESCAPE = b"\x1b"
_ASCII_TERMS = ("ISO_IR 6", "ISO 2022 IR 6")
_SPELLING = re.compile(r"ISO[ _-]?(2022)?[ _-]?(?:IR)?[ _-]?(\d+)")
_FRAGMENT = re.compile(rb"\x1b?[^\x1b]*")
_DELIMITER = re.compile(b"[" + re.escape(bytes(sorted(TEXT_VR_DELIMS))) + b"]")
_WHOLE_TEXT = ("LT", "ST", "UT", "UR")


class MalformedValue(Exception):
    """A value that breaks PS3.5; `value` is the part that could be read, None if there is none."""

    def __init__(self, why: str, value: object = None) -> None:
        super().__init__(why)
        self.why = why
        self.value = value


def encodings_of(specific_character_set: str) -> tuple[str, ...]:
    r"""Return Python's names for the values of SpecificCharacterSet; empty if one is unknown.

    Common misspellings are understood. Encodings that allow no code extensions stand alone.

    >>> encodings_of("ISO_IR 192"), encodings_of("\\ISO 2022 IR 87"), encodings_of("ISO-IR 100")
    (('UTF8',), ('iso8859', 'iso2022_jp'), ('latin_1',))
    """
    terms = [_canonical(term) for term in specific_character_set.split("\\")]
    if any(term not in python_encoding for term in terms):
        return ()
    if terms[0] in STAND_ALONE_ENCODINGS:
        return (python_encoding[terms[0]],)
    if len(terms) == 1 and terms[0] in _ASCII_TERMS:
        return ("ascii",)
    return tuple(python_encoding[term] for term in terms if term not in STAND_ALONE_ENCODINGS)


def text_decoder(vr: str, encodings: Sequence[str], otherwise: Sequence[str]) -> Callable[[bytes], str | None]:
    r"""Return the decoder of a text in a character set.

    Padding is taken off, off each value where there may be several. Bytes that the character set does not have
    raise `MalformedValue`, with the text in replacement characters; in plain ASCII they are read by `otherwise`.

    >>> text_decoder("LO", ("latin_1",), ())(b"M\xfcller ")
    'Müller'
    """
    first = encodings[0]
    is_whole = vr in _WHOLE_TEXT

    def stripped(text: str) -> str | None:
        if is_whole:
            return text.rstrip(" \0") or None
        if "\\" in text:
            return "\\".join(part.strip(" \0") for part in text.split("\\"))
        return text.strip(" \0") or None

    def decode(raw: bytes) -> str | None:
        try:
            return stripped(raw.decode(first) if _ESCAPE not in raw else _decode_escaped(raw, encodings))
        except UnicodeError:
            why = f"not in the character set {'/'.join(encodings)}"
            codec = otherwise[0] if first == "ascii" and otherwise else first
            raise MalformedValue(why, stripped(raw.decode(codec, "replace"))) from None

    return decode


def _canonical(term: str) -> str:
    upper = term.strip(" \0").upper()
    if upper in python_encoding:
        return upper
    if upper in ("UTF-8", "UTF8"):
        return "ISO_IR 192"
    spelling = _SPELLING.fullmatch(upper)
    if spelling is None:
        return upper
    return f"ISO 2022 IR {spelling[2]}" if spelling[1] else f"ISO_IR {spelling[2]}"


def _decode_escaped(raw: bytes, encodings: Sequence[str]) -> str:
    """Decode text with code extensions (PS3.5 6.1.2.5.3); each part starts with an escape sequence."""
    return "".join(_decode_fragment(fragment, encodings) for fragment in _FRAGMENT.findall(raw) if fragment)


def _decode_fragment(fragment: bytes, encodings: Sequence[str]) -> str:
    if not fragment.startswith(_ESCAPE):
        return fragment.decode(encodings[0])
    length = 4 if fragment.startswith((b"\x1b$(", b"\x1b$)")) else 3
    encoding = CODES_TO_ENCODINGS.get(fragment[:length], "")
    if encoding not in encodings and encoding != "iso8859":
        raise UnicodeError("an escape sequence that SpecificCharacterSet does not announce")
    if encoding in handled_encodings:
        return fragment.decode(encoding)
    text = fragment[length:]
    reset = _DELIMITER.search(text)
    if reset is None:
        return text.decode(encoding)
    return text[: reset.start()].decode(encoding) + text[reset.start() :].decode(encodings[0])
