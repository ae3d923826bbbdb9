r"""Attribute matching done here (PS3.4 C.2.2.2): whether a value that a node returned answers a matching key.

A node may ignore a key and say success, so what it answers is judged again. No row that some reading of the standard
lets a node return may be lost by that, hence the wider of two readings where there are two: a person name matches in
any case, without accents, in any component group, and by the components that are given; a time or date-time that
leaves something out stands for all of it.

Values are the text of a table's column: DICOM text, values parted by a backslash, dates and times as ISO 8601.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial

from qrkit.tables import keyword_vr

Judge = Callable[[str], bool]


class Match(Enum):
    """Whether a value answers what was asked for; UNSURE if a node could take it for one."""

    YES = "yes"
    UNSURE = "unsure"
    NO = "no"

    @classmethod
    def sure(cls, is_match: bool) -> Match:  # noqa: FBT001 - the answer itself
        """Return YES or NO."""
        return cls.YES if is_match else cls.NO


_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_FINAL_SIGMA, _SIGMA = "\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}"
_ONE_VALUE = frozenset({"LT", "ST", "UT", "UR"})
"""Value representations in which a backslash parts nothing (PS3.5 6.2)."""
_MOMENT = r"\d{4,14}(?:\.\d{1,6})?"
_MOMENTS = re.compile(rf"({_MOMENT})?(-)?({_MOMENT})?", re.ASCII)
_LATEST_MOMENT = "99991231235959999999"
_LATEST_TIME = "235959999999"


def local_judge(keyword: str, asked: str) -> Judge | None:
    """Return whether a value answers a matching key, as a function; None if it cannot be judged here.

    Not judged are universal matching, which asks for nothing, value representations without matching, private keys,
    and date-times with an offset from UTC.

    >>> is_doe = local_judge("PatientName", "doe^j*")
    >>> is_doe("Doe^John"), is_doe("Roe^Jane")
    (True, False)
    >>> local_judge("StudyDescription", "Chest*")("CHEST PA"), local_judge("StudyDate", "*")
    (False, None)
    """
    vr = keyword_vr(keyword)
    make = _JUDGES.get(vr)
    judge = make(asked.strip(" ")) if make and set(asked) - set("* ") else None
    return partial(_any_value, judge, vr in _ONE_VALUE) if judge else None


def _any_value(judge: Judge, is_one_value: bool, value: str) -> bool:  # noqa: FBT001 - bound by position
    """Whether one of the values answers; a value that could not be decoded counts as an answer."""
    if _UNREADABLE in value:
        return True
    parts = [value] if is_one_value else value.split("\\")
    return any(judge(reading.strip(" ")) for part in parts for reading in _readings(part))


def _readings(value: str) -> tuple[str, ...]:
    """Return a text, and what it is if its node names Latin 1 but writes UTF-8, as some do."""
    if value.isascii():
        return (value,)
    try:
        return value, value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return (value,)


def _text(asked: Sequence[str]) -> Judge:
    """Single value and wildcard matching of one or several values; case counts (PS3.4 C.2.2.2.1, C.2.2.2.4)."""
    values = [unicodedata.normalize("NFC", value) for value in asked]
    exact = frozenset(value for value in values if not set(value) & set("*?"))
    patterns = [_pattern(value) for value in values if value not in exact]

    def judge(value: str) -> bool:
        normal = unicodedata.normalize("NFC", value)
        return normal in exact or any(pattern.fullmatch(normal) for pattern in patterns)

    return judge


def _pattern(asked: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one) or re.escape(one) for one in asked), re.DOTALL)


def _name(asked: str) -> Judge:
    """Each component group that is given is found among those of the name (PS3.5 6.2.1)."""
    judges = [_group(group) for group in _groups(asked) if group]
    return lambda value: all(any(judge(group) for group in _groups(value)) for judge in judges)


def _group(asked: str) -> Judge:
    whole = _pattern(asked)
    components = [_pattern(part.strip(" ")) if part.strip(" ") else None for part in asked.split("^")]

    def judge(group: str) -> bool:
        if whole.fullmatch(group):
            return True
        parts = [part.strip(" ") for part in group.split("^")]
        parts += [""] * (len(components) - len(parts))
        return all(one is None or one.fullmatch(part) for one, part in zip(components, parts, strict=False))

    return judge


def _groups(name: str) -> list[str]:
    """Return the component groups of a name in lower case, without accents and trailing delimiters."""
    apart = unicodedata.normalize("NFD", name)
    bare = "".join(one for one in apart if unicodedata.category(one) != "Mn")
    folded = unicodedata.normalize("NFC", bare).lower().replace(_FINAL_SIGMA, _SIGMA)
    return [group.rstrip("^ ") for group in folded.split("=")]


def _number(asked: str) -> Judge:
    """Compare numbers by what they are worth, so that 1 answers 01."""
    wanted = float(asked)

    def judge(value: str) -> bool:
        try:
            return float(value) == wanted
        except ValueError:
            return True  # what is no number cannot be judged

    return judge


def _date(asked: str) -> Judge:
    """Range matching of dates, both ends included (PS3.4 C.2.2.2.5); a missing end is open."""
    first, last = _ends(asked)
    return lambda value: (first or "0") <= _digits(value) <= (last or "9")


def _time(asked: str) -> Judge:
    """Range matching of times; a range that ends before it begins goes over midnight."""
    first, last = (_digits(end) for end in _ends(asked))
    low, high = first.ljust(12, "0"), last + _LATEST_TIME[len(last) :]

    def judge(value: str) -> bool:
        moment = _digits(value).ljust(12, "0")
        return low <= moment <= high if low <= high else moment >= low or moment <= high

    return judge


def _moment(asked: str) -> Judge | None:
    """Range matching of date-times without an offset from UTC; 2026-0500 may be one, and is not judged."""
    found = _MOMENTS.fullmatch(asked)
    if found is None or (found[1] and found[3] and len(found[3]) == 4):
        return None
    first, last = (_digits(end) for end in _ends(asked))
    low, high = first.ljust(20, "0"), last + _LATEST_MOMENT[len(last) :]

    def judge(value: str) -> bool:
        if any(sign in value for sign in "+-"):
            return True
        digits = _digits(value)
        return low <= digits + _LATEST_MOMENT[len(digits) :] and digits.ljust(20, "0") <= high

    return judge


def _ends(asked: str) -> tuple[str, str]:
    first, dash, last = asked.partition("-")
    return (first, last) if dash else (first, first)


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value, flags=re.ASCII)


_JUDGES: dict[str, Callable[[str], Judge | None]] = {
    **dict.fromkeys(("AE", "CS", "LO", "SH", "UC"), lambda asked: _text(asked.split("\\"))),
    **dict.fromkeys(_ONE_VALUE, lambda asked: _text([asked])),
    **dict.fromkeys(("IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"), _number),
    "AS": lambda asked: asked.__eq__,
    "DA": _date,
    "DT": _moment,
    "PN": _name,
    "TM": _time,
    "UI": lambda asked: frozenset(asked.split("\\")).__contains__,  # PS3.4 C.2.2.2.2; one UID is a list of one
}
