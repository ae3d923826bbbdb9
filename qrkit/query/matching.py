"""Matching values: what may stand in a key of an Identifier (PS3.4 C.2.2.2), by its value representation (PS3.5 6.2).

What is not a valid value is refused before anything is sent. In particular no text may have a backslash, which
would make it several values, or a control character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time

from qrkit.errors import InputError
from qrkit.tables import keyword_vr
from qrkit.uids import is_valid_uid

_LENGTHS = {"AE": 16, "AS": 4, "CS": 16, "LO": 64, "LT": 10240, "PN": 64 * 3 + 2, "SH": 16, "ST": 1024}
_UNLIMITED = ("UC", "UR", "UT")
_WHOLE = ("IS", "US", "SS", "UL", "SL", "UV", "SV")
_DECIMAL = ("DS", "FL", "FD")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_FORMS = {
    "DA": (
        re.compile(r"\d{8}|(?=.*\d)(\d{8})?-(\d{8})?", re.ASCII),
        "20260131, or a range such as 20260101-20260131",
    ),
    "TM": (
        re.compile(r"(?=.*\d)(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?(-(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?", re.ASCII),
        "083000, or a range such as 080000-120000",
    ),
    "DT": (re.compile(r"(?=.*\d)[\d.&+-]{1,54}", re.ASCII), "20260131083000, or a range of two, parted by a hyphen"),
    "AT": (re.compile(r"[0-9A-Fa-f]{8}", re.ASCII), "eight hexadecimal digits"),
    **dict.fromkeys(_WHOLE, (re.compile(r"[+-]?\d{1,18}", re.ASCII), "a whole number")),
    **dict.fromkeys(_DECIMAL, (re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII), "a number")),
}


def matching_value(keyword: str, value: object) -> str:
    r"""Return the text of a matching value; empty for universal matching (None, an empty text, ``*``).

    A list of UIDs, or UIDs parted by backslashes, is List of UID Matching. Dates and times may be Python's.

    Raises
    ------
    InputError
        If the key cannot have such a value.

    >>> matching_value("PatientName", "Doe^J*"), matching_value("StudyInstanceUID", ["1.2", "1.3"])
    ('Doe^J*', '1.2\\1.3')
    >>> matching_value("AccessionNumber", "A1\\A2")
    Traceback (most recent call last):
    qrkit.errors.InputError: AccessionNumber cannot have a backslash, which parts values; ask for one value at a time.
    """
    vr = keyword_vr(keyword)
    text = _uid_list(keyword, value) if vr == "UI" else _text(keyword, value)
    if text in ("", "*"):
        return ""
    if vr == "DA":
        text = _ISO_DATE.sub(r"\1\2\3", text)
    if vr != "UI":
        _check(keyword, vr, text)
    return text


def is_single_value(keyword: str, value: str) -> bool:
    r"""Whether a matching value names exactly one thing: no wildcard, no list, not empty.

    >>> is_single_value("PatientID", "Q1"), is_single_value("PatientID", "Q*"), is_single_value("StudyID", "")
    (True, False, False)
    """
    if keyword_vr(keyword) == "UI":
        return bool(value) and "\\" not in value
    return bool(value) and not any(wildcard in value for wildcard in "*?")


def has_wildcard(keyword: str, value: str) -> bool:
    """Whether a matching value is matched by wildcards (PS3.4 C.2.2.2.4).

    >>> has_wildcard("PatientID", "Q*"), has_wildcard("PatientID", "Q1"), has_wildcard("StudyInstanceUID", "1.2")
    (True, False, False)
    """
    return keyword_vr(keyword) != "UI" and any(wildcard in value for wildcard in "*?")


def _uid_list(keyword: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        uids: Sequence[object] = value.split("\\")
    elif isinstance(value, Sequence):
        uids = value
    else:
        raise InputError(f"{keyword} is a UID or a list of UIDs, not {value!r}.")
    stripped = [uid.strip(" \0") if isinstance(uid, str) else uid for uid in uids]
    if stripped in ([""], ["*"]):
        return ""
    wrong = [uid for uid in stripped if not isinstance(uid, str) or not is_valid_uid(uid)]
    if wrong or not stripped:
        shown = repr(wrong[0]) if wrong else "an empty list"
        raise InputError(
            f"{keyword} needs UIDs, digits and dots, at most 64 characters, without wildcards; not {shown}."
        )
    return "\\".join(dict.fromkeys(str(uid) for uid in stripped))


def _text(keyword: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (date, time)):
        return _moment(keyword, value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"{keyword} takes one text or number, not {value!r}; only UIDs may be lists.")
    return str(value).strip(" ")


def _moment(keyword: str, value: date | time) -> str:
    vr = keyword_vr(keyword)
    if vr == "DA" and isinstance(value, date):
        return f"{value:%Y%m%d}"
    if vr == "TM" and isinstance(value, (time, datetime)):
        return f"{value:%H%M%S}"
    if vr == "DT" and isinstance(value, datetime):
        return f"{value:%Y%m%d%H%M%S}"
    raise InputError(f"{keyword} has the value representation {vr}; {value!r} does not fit.")


def _check(keyword: str, vr: str, text: str) -> None:
    if "\\" in text:
        raise InputError(f"{keyword} cannot have a backslash, which parts values; ask for one value at a time.")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InputError(f"{keyword} cannot have control characters.")
    if vr in _FORMS:
        form, described = _FORMS[vr]
        if not form.fullmatch(text):
            raise InputError(f"{keyword} must be {described}, without wildcards; {text!r} is not.")
    elif vr in _LENGTHS:
        _check_length(keyword, vr, text)
    elif vr not in _UNLIMITED and vr != "UN":
        raise InputError(f"{keyword} has the value representation {vr}, which cannot be matched; ask for it instead.")


def _check_length(keyword: str, vr: str, text: str) -> None:
    if len(text) > _LENGTHS[vr]:
        raise InputError(f"{keyword} has at most {_LENGTHS[vr]} characters, not {len(text)}.")
    if vr == "PN" and any(len(group) > 64 for group in text.split("=")):
        raise InputError(f"{keyword} has at most 64 characters in each component group.")
    if vr in ("AE", "CS", "AS") and not text.isascii():
        raise InputError(f"{keyword} has the value representation {vr}, which takes plain ASCII only.")
