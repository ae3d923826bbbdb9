"""Attribute matching of C-FIND: which stored values answer a matching key (PS3.4 C.2.2.2).

Pure: a key becomes a function of the stored value. Values are DICOM text, or tuples of it where the element
has several values.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Matcher = Callable[[str], bool]

_WILDCARD_VR = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Value representations in which `*` and `?` are wildcards (PS3.4 C.2.2.2.4)."""
_RANGE_VR = frozenset({"DA", "TM", "DT"})
_ANY_CASE_VR = frozenset({"PN"})


def key_matcher(vr: str, values: Sequence[str], *, wildcards: bool = True, any_case: bool = False) -> Matcher:
    """Return a function that decides whether one stored value matches the key.

    Several key values mean a list of UIDs (PS3.4 C.2.2.2.2), or any of the values: the multiple value
    matching that most archives offer.

    Parameters
    ----------
    vr
        Value representation of the key.
    values
        The key's values; none, or a single empty one, matches everything (PS3.4 C.2.2.2.3).
    wildcards
        Whether `*` and `?` count as wildcards; otherwise they are ordinary letters.
    any_case
        Compare without regard to case; person names always are (PS3.4 C.2.2.2.1).

    Examples
    --------
    >>> key_matcher("DA", ["20260101-20260131"])("20260115")
    True
    >>> key_matcher("PN", ["muel*^a*"])("Mueller^Anna^^Dr.")
    True
    """
    wanted = [value for value in values if value != ""]
    if not wanted:
        return lambda _: True
    matchers = [_one_matcher(vr, value, wildcards=wildcards, any_case=any_case) for value in wanted]
    if len(matchers) == 1:
        return matchers[0]
    return lambda stored: any(matches(stored) for matches in matchers)


def matches_any(matcher: Matcher, stored: Sequence[str]) -> bool:
    """Whether a value of a multi-valued element matches (ModalitiesInStudy, PS3.4 C.2.2.2.1)."""
    return any(matcher(value) for value in stored) if stored else matcher("")


def datetime_range_matcher(date_key: str, time_key: str) -> Callable[[str, str], bool]:
    """Return combined date-time matching of two range keys, where it was negotiated (PS3.4 C.2.2.2.5.1).

    Examples
    --------
    >>> in_range = datetime_range_matcher("20260105-20260107", "1000-1800")
    >>> in_range("20260106", "0300"), in_range("20260105", "0300")
    (True, False)
    """
    first_date, last_date = _ends(date_key)
    first_time, last_time = _ends(time_key)
    first = (first_date or "00000000", _time_floor(first_time) if first_time else "")
    last = (last_date or "99999999", _time_ceiling(last_time) if last_time else "~")
    return lambda day, time: first <= (day, _time_floor(time)) <= last


def is_wildcard(vr: str, value: str) -> bool:
    """Whether a key value holds a wildcard that counts in this value representation."""
    return vr in _WILDCARD_VR and ("*" in value or "?" in value)


def _one_matcher(vr: str, value: str, *, wildcards: bool, any_case: bool) -> Matcher:
    if vr in _RANGE_VR:
        return _range_matcher(vr, value)
    if vr == "PN":
        return _name_matcher(value, wildcards=wildcards)
    if vr in {"IS", "DS", "US", "UL", "SS", "SL", "FD", "FL"}:
        return _number_matcher(value)
    if vr == "UI":
        return lambda stored: stored == value
    return _text_matcher(value, wildcards=wildcards and vr in _WILDCARD_VR, any_case=any_case)


def _text_matcher(value: str, *, wildcards: bool, any_case: bool) -> Matcher:
    wanted = _folded(value) if any_case else value.strip(" ")
    if not wildcards or not ("*" in value or "?" in value):
        return lambda stored: (_folded(stored) if any_case else stored.strip(" ")) == wanted
    if set(wanted) == {"*"}:
        return lambda _: True
    pattern = re.compile(_wildcard_pattern(wanted), re.DOTALL)
    return lambda stored: pattern.fullmatch(_folded(stored) if any_case else stored.strip(" ")) is not None


def _wildcard_pattern(value: str) -> str:
    return "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in value)


def _name_matcher(value: str, *, wildcards: bool) -> Matcher:
    """Person names: any case, any component group, missing trailing components ignored (PS3.5 6.2.1)."""
    matchers = [
        _text_matcher(group.rstrip("^ "), wildcards=wildcards, any_case=True)
        for group in value.split("=")
        if group.rstrip("^ ")
    ]

    def matches(stored: str) -> bool:
        groups = [group.rstrip("^ ") for group in stored.split("=")]
        return all(any(one(group) for group in groups) for one in matchers)

    return matches


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().strip(" ")


def _number_matcher(value: str) -> Matcher:
    """Numbers match by value, so that `1` finds `01`."""

    def matches(stored: str) -> bool:
        try:
            return float(stored) == float(value)
        except ValueError:
            return stored.strip() == value.strip()

    return matches


def _ends(key: str) -> tuple[str, str]:
    """Both ends of a range key; a single value is its own end, a missing end is empty."""
    first, dash, last = key.strip().partition("-")
    return (first.strip(), last.strip()) if dash else (first.strip(), first.strip())


def _range_matcher(vr: str, value: str) -> Matcher:
    """Range matching (PS3.4 C.2.2.2.5.1); a time stands for the whole of what it leaves out."""
    first, last = _ends(value)
    floor, ceiling = (_date_text, _date_text) if vr == "DA" else (_time_floor, _time_ceiling)
    low = floor(first) if first else ""
    high = ceiling(last) if last else "~"
    return lambda stored: bool(stored) and low <= floor(stored) <= high


def _date_text(value: str) -> str:
    return value.replace(".", "")


def _time_floor(value: str) -> str:
    """Return the first moment a partial time stands for: `10` is 10:00:00.000000."""
    digits = value.replace(":", "").replace(".", "")
    return digits.ljust(12, "0")


def _time_ceiling(value: str) -> str:
    """Return the last moment a partial time stands for: `10` ends at 10:59:59.999999."""
    digits = value.replace(":", "").replace(".", "")
    return digits + "235959999999"[len(digits) :]
