r"""Attribute matching done here (PS3.4 C.2.2.2): whether a value that a node returned answers a matching key.

A node may ignore a key and say success, so what it answers is judged again. No row that some reading of the standard
lets a node return may be lost by that, hence the wider of two readings where there are two: a person name matches in
any case, without accents, in any component group, and by the components that are given; a time or date-time that
leaves something out stands for all of it. What nodes do besides, such as ignoring case, is told apart by `Match`.

Values are the text of a table's column: DICOM text, values parted by a backslash, dates and times as ISO 8601.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial

from qrkit.character_sets import folded
from qrkit.query.matches import ESCAPES, Judge, Match, pattern, scripts
from qrkit.query.name_matching import name_judge
from qrkit.tables import keyword_vr, read_modalities

_ORDER = tuple(Match)
_ONE_VALUE = frozenset({"LT", "ST", "UT", "UR"})
"""Value representations in which a backslash parts nothing (PS3.5 6.2)."""
FREE_TEXT = frozenset({"LO", "SH", "UC", *_ONE_VALUE})
"""Value representations besides PN in which nodes compare more freely than the standard."""
_LONGEST = {"AE": 16, "CS": 16, "SH": 16, "LO": 64}
"""Characters of a value (PS3.5 6.2); nodes cut off longer ones."""
_MODALITIES = frozenset({"ModalitiesInStudy", "Modality"})
_OTHER_CHARACTERS = re.compile(r"[^\w*?]+|_")
_QUALIFIED = re.compile(r"[\^@&/]")
"""Where an identifier ends and the name of its issuer begins or ends."""
_MOMENT = r"\d{4,14}(?:\.\d{1,6})?"
_MOMENTS = re.compile(rf"({_MOMENT})?(-)?({_MOMENT})?", re.ASCII)
_LATEST_MOMENT = "99991231235959999999"
_LATEST_TIME = "235959999999"


def local_judge(keyword: str, asked: str) -> Judge | None:
    """Return whether a value answers a matching key, as a function; None if it cannot be judged here.

    Not judged are universal matching, which asks for nothing, value representations without matching, private keys,
    and date-times with an offset from UTC.

    >>> is_doe = local_judge("PatientName", "doe^j*")
    >>> is_doe("Doe^John").name, is_doe("Roe^Jane").name
    ('YES', 'NO')
    >>> local_judge("StudyDescription", "Chest*")("CHEST PA").name, local_judge("StudyDate", "*")
    ('ALIKE', None)
    """
    vr = keyword_vr(keyword)
    plain = asked.strip(" ")
    if not set(asked) - set("* "):
        return None
    if keyword in _MODALITIES and not set(asked) & set("*?"):
        return modality_judge(frozenset(plain.upper().split("\\")))
    judge = (
        _text(keyword, vr, plain) if vr in (*FREE_TEXT, "AE", "CS") else _JUDGES[vr](plain) if vr in _JUDGES else None
    )
    return partial(_any_value, judge, vr) if judge else None


def is_identifier(keyword: str) -> bool:
    """Whether a key names one thing, as PatientID and AccessionNumber do."""
    return keyword_vr(keyword) in FREE_TEXT and keyword.endswith(("ID", "IDs", "Number"))


def modality_judge(codes: frozenset[str]) -> Judge:
    """Return whether a value of ModalitiesInStudy or Modality has one of some codes.

    >>> [modality_judge(frozenset({"CT"}))(text).name for text in ("ct/sr", "OCT", "*")]
    ['YES', 'NO', 'UNSURE']
    """

    def judge(value: str) -> Match:
        found = read_modalities(value)
        if found.codes.isdisjoint(codes):
            return Match.NO if found.are_known else Match.UNSURE
        return Match.YES

    return judge


def _sure(is_match: bool) -> Match:  # noqa: FBT001 - the answer itself
    return Match.YES if is_match else Match.NO


def _any_value(judge: Judge, vr: str, value: str) -> Match:
    """Whether one of the values answers; a text that could not be decoded cannot be judged."""
    if vr != "PN" and ESCAPES.search(value):
        return Match.UNSURE
    parts = [value] if vr in _ONE_VALUE else value.split("\\")
    found = {judge(reading.strip(" ")) for part in parts for reading in _readings(part)}
    return next(match for match in _ORDER if match in found)


def _readings(value: str) -> tuple[str, ...]:
    """Return a text, and what it is if its node names Latin 1 but writes UTF-8, as some do."""
    if value.isascii():
        return (value,)
    try:
        return value, value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return (value,)


def _text(keyword: str, vr: str, asked: str) -> Judge:
    """Single value and wildcard matching of one or several values; case counts (PS3.4 C.2.2.2.1, C.2.2.2.4)."""
    values = [unicodedata.normalize("NFC", value) for value in ([asked] if vr in _ONE_VALUE else asked.split("\\"))]
    exact = frozenset(value for value in values if not set(value) & set("*?"))
    patterns = [pattern(value) for value in values if value not in exact]
    make = _words if vr in FREE_TEXT and not is_identifier(keyword) else _identifier
    resembles = [make(value) for value in values]
    own_scripts = scripts(asked)

    def judge(value: str) -> Match:
        normal = unicodedata.normalize("NFC", value)
        if normal in exact or any(one.fullmatch(normal) for one in patterns):
            return Match.YES
        is_cut = len(normal) >= _LONGEST.get(vr, len(normal) + 1)
        if any(one(normal) for one in resembles) or (is_cut and any(one.startswith(normal) for one in exact)):
            return Match.ALIKE
        written = scripts(normal)
        is_other = own_scripts and written and own_scripts.isdisjoint(written)
        return Match.UNSURE if is_other and make is _words else Match.NO

    return judge


def _words(asked: str) -> Callable[[str], bool]:
    """Whether a text contains what is asked for, in any case, width, accents and punctuation, as many nodes do.

    Whole words without wildcards may stand in any order.
    """
    words = [word for word in map(_spelt, _OTHER_CHARACTERS.split(asked)) if word]
    if any(len(word) == 1 or set(word) & set("*?") for word in words):
        words = [_spelt(asked)]
    sought = [pattern(f"*{word}*") for word in words]
    return lambda value: bool(sought) and all(word.fullmatch(_spelt(value)) for word in sought)


def _identifier(asked: str) -> Callable[[str], bool]:
    """Whether an identifier is the same in any case, width and punctuation, without leading zeros and its issuer."""
    bare = _bare(asked).lstrip("0")
    sought = pattern(bare)

    def is_alike(value: str) -> bool:
        parts = (value, *_QUALIFIED.split(value))
        return bool(bare) and any(sought.fullmatch(_bare(part).lstrip("0")) for part in parts)

    return is_alike


def _spelt(text: str) -> str:
    """Return a text without what it is written in, an umlaut or two letters."""
    return re.sub(r"([aou])e", r"\1", _bare(text))


def _bare(text: str) -> str:
    apart = unicodedata.normalize("NFKD", folded(text))
    return _OTHER_CHARACTERS.sub("", "".join(one for one in apart if unicodedata.category(one) != "Mn"))


def _number(asked: str) -> Judge:
    """Compare numbers by what they are worth, so that 1 answers 01."""
    wanted = float(asked)

    def judge(value: str) -> Match:
        try:
            return _sure(float(value) == wanted)
        except ValueError:
            return Match.UNSURE  # what is no number cannot be judged

    return judge


def _date(asked: str) -> Judge:
    """Range matching of dates, both ends included (PS3.4 C.2.2.2.5); a missing end is open."""
    first, last = _ends(asked)
    return lambda value: _sure((first or "0") <= _digits(value) <= (last or "9"))


def _time(asked: str) -> Judge:
    """Range matching of times; a range that ends before it begins goes over midnight."""
    first, last = (_digits(end) for end in _ends(asked))
    low, high = first.ljust(12, "0"), last + _LATEST_TIME[len(last) :]

    def judge(value: str) -> Match:
        moment = _digits(value).ljust(12, "0")
        return _sure(low <= moment <= high if low <= high else moment >= low or moment <= high)

    return judge


def _moment(asked: str) -> Judge | None:
    """Range matching of date-times without an offset from UTC; 2026-0500 may be one, and is not judged."""
    found = _MOMENTS.fullmatch(asked)
    if found is None or (found[1] and found[3] and len(found[3]) == 4):
        return None
    first, last = (_digits(end) for end in _ends(asked))
    low, high = first.ljust(20, "0"), last + _LATEST_MOMENT[len(last) :]

    def judge(value: str) -> Match:
        if any(sign in value for sign in "+-"):
            return Match.UNSURE
        digits = _digits(value)
        return _sure(low <= digits + _LATEST_MOMENT[len(digits) :] and digits.ljust(20, "0") <= high)

    return judge


def _ends(asked: str) -> tuple[str, str]:
    first, dash, last = asked.partition("-")
    return (first, last) if dash else (first, first)


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value, flags=re.ASCII)


def _one_of(asked: str) -> Judge:
    wanted = frozenset(asked.split("\\"))
    return lambda value: _sure(value in wanted)


_JUDGES: dict[str, Callable[[str], Judge | None]] = {
    **dict.fromkeys(("IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"), _number),
    "AS": _one_of,
    "DA": _date,
    "DT": _moment,
    "PN": name_judge,
    "TM": _time,
    "UI": _one_of,  # PS3.4 C.2.2.2.2; one UID is a list of one
}
