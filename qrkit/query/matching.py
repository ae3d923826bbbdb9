"""Matching values: what a key of an Identifier may contain (PS3.4 C.2.2.2), by its value representation (PS3.5 6.2).

What is not a valid value is refused before anything is sent. In particular no text may contain a control character or
a backslash, which separates values.

Some keys take several values, separated by commas in a text: UIDs, which DICOM matches as a list (PS3.4 C.2.2.2.2),
and AccessionNumber and PatientID, for which DICOM has no list, so that each value is a request of its own. A query
stores several values as one text, separated by backslashes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time

from qrkit.errors import InputError
from qrkit.query.dates import as_day, is_missing
from qrkit.tables import keyword_vr
from qrkit.uids import is_usable_uid, is_valid_uid, is_well_formed_uid
from qrkit.words import shown

_LENGTHS = {"AE": 16, "AS": 4, "CS": 16, "LO": 64, "LT": 10240, "PN": 64 * 3 + 2, "SH": 16, "ST": 1024}
_UNLIMITED = ("UC", "UR", "UT")
_WHOLE = ("IS", "US", "SS", "UL", "SL", "UV", "SV")
_DECIMAL = ("DS", "FL", "FD")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MOMENT = r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:\+\d{4}|-(?:0\d|1[0-2])\d{2})?"
_ENDS = {
    "DA": re.compile(r"(\d*)-?(\d*)", re.ASCII),
    "TM": re.compile(r"([\d.]*)-?([\d.]*)", re.ASCII),
    "DT": re.compile(rf"({_MOMENT})?-?({_MOMENT})?", re.ASCII),
}
"""By value representation: the ends of a range, or a single value; a DT may have an offset from UTC."""
_LISTS = ("AccessionNumber", "PatientID")
"""Keys besides UIDs that take several values. The first that has several is asked value by value."""
_FORMS = {
    "DA": (
        re.compile(r"\d{8}|(?=.*\d)(\d{8})?-(\d{8})?", re.ASCII),
        "20260131, or a range such as 20260101-20260131",
    ),
    "TM": (
        re.compile(r"(?=.*\d)(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?(-(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?", re.ASCII),
        "083000, or a range such as 080000-120000",
    ),
    "DT": (
        re.compile(r"(?=.*\d)[\d.&+-]{1,54}", re.ASCII),
        "20260131083000, or a range with a hyphen",
    ),
    "AT": (re.compile(r"[0-9A-Fa-f]{8}", re.ASCII), "eight hexadecimal digits"),
    **dict.fromkeys(_WHOLE, (re.compile(r"[+-]?\d{1,18}", re.ASCII), "a whole number")),
    **dict.fromkeys(_DECIMAL, (re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII), "a number")),
}

_GIVE_VALUES = "Give at least one value, or leave it out."

_ONE_CODE = "Ask for one code at a time; several modalities by modalities=…, such as CT,MR."


def matching_value(keyword: str, value: object) -> str:
    r"""Return the text of a matching value; empty for universal matching (None, an empty text, ``*``).

    UIDs, AccessionNumber and PatientID take several values: a list, tuple, set or pandas column of them, or one text
    with commas. A comma within a value needs a list: ``["A,1"]``. Dates and times may be Python's.

    Raise `InputError` if the key cannot have such a value.

    >>> matching_value("PatientName", "Doe^J*"), matching_value("StudyInstanceUID", ["1.2", "1.3"])
    ('Doe^J*', '1.2\\1.3')
    >>> matching_value("AccessionNumber", "A1, A2"), matching_value("AccessionNumber", ["A,1"])
    ('A1\\A2', 'A,1')
    >>> matching_value("StationName", "CT1\\CT2")
    Traceback (most recent call last):
    qrkit.errors.InputError: StationName cannot contain a backslash. Ask for one value at a time.
    """
    vr = keyword_vr(keyword)
    if takes_list(keyword):
        values = _values(keyword, value)
        return "\\".join(_checked_list(keyword, vr, values))
    return _checked(keyword, vr, _text(keyword, value))


def takes_list(keyword: str) -> bool:
    """Whether a key may be asked for several values at once.

    >>> takes_list("StudyInstanceUID"), takes_list("AccessionNumber"), takes_list("PatientName")
    (True, True, False)
    """
    return keyword_vr(keyword) == "UI" or keyword in _LISTS


def is_enumerated(keyword: str, value: str) -> bool:
    r"""Whether a key has several values for which DICOM has no list, so that each needs a request.

    >>> is_enumerated("AccessionNumber", "A1\\A2"), is_enumerated("StudyInstanceUID", "1.2\\1.3")
    (True, False)
    """
    return keyword in _LISTS and "\\" in value


def is_single_value(keyword: str, value: str) -> bool:
    r"""Whether a matching value names exactly one thing: no wildcard, no list, not empty.

    >>> is_single_value("PatientID", "Q1"), is_single_value("PatientID", "Q*"), is_single_value("StudyID", "")
    (True, False, False)
    """
    return bool(value) and "\\" not in value and not has_wildcard(keyword, value)


def has_wildcard(keyword: str, value: str) -> bool:
    """Whether a matching value is matched by wildcards (PS3.4 C.2.2.2.4).

    >>> has_wildcard("PatientID", "Q*"), has_wildcard("PatientID", "Q1"), has_wildcard("StudyInstanceUID", "1.2")
    (True, False, False)
    """
    return any(wildcard in value for wildcard in "*?") and keyword_vr(keyword) != "UI"


def _values(keyword: str, value: object) -> list[object]:
    """Return the values of a key that takes several; none for universal matching, which a list never means."""
    if isinstance(value, str):
        parts = [part.strip(" \0") for part in re.split(r"[,\\]" if keyword_vr(keyword) == "UI" else ",", value)]
        given: list[object] = [part for part in parts if part]
        if value.strip(" \0") and not given:
            raise InputError(f"{keyword} is an empty list.", advice=_GIVE_VALUES)
        given = [] if given == ["*"] else given
    elif value is None:
        given = []
    elif (listed := as_list(value)) is None:
        given = [value]
    elif not listed:
        raise InputError(f"{keyword} is an empty list.", advice=_GIVE_VALUES)
    else:
        given = [item.strip(" \0") if isinstance(item, str) else item for item in listed]
    return given


def as_list(value: object) -> list[object] | None:
    """Return the items of a list, set, pandas column, generator or other iterable; None for a text or a single value.

    >>> as_list(("a", "b")), as_list({"b", "a"}), as_list("a,b"), as_list({1: "a"}.values())
    (['a', 'b'], ['a', 'b'], None, ['a'])
    """
    if isinstance(value, AbstractSet):
        return sorted(value, key=str)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    if getattr(value, "ndim", 0) == 1 and hasattr(value, "tolist"):
        return list(value.tolist())
    is_single = isinstance(value, (bytes, Mapping)) or hasattr(value, "encode") or hasattr(value, "ndim")
    return list(value) if isinstance(value, Iterable) and not is_single else None


def refuse_missing(name: str, values: Sequence[object]) -> None:
    """Refuse a list with missing values or empty texts: it was probably not meant so."""
    missing = sum(map(is_missing, values))
    empty = sum(isinstance(value, str) and not value.strip(" \0") for value in values)
    if missing or empty:
        what = "missing or empty" if missing and empty else "missing" if missing else "empty"
        advice = "Remove them." if empty else "Remove them, as by dropna()."
        raise InputError(f"{name}: {missing + empty} of {len(values)} values are {what}.", advice=advice)


def _checked_list(keyword: str, vr: str, values: Sequence[object]) -> list[str]:
    refuse_missing(keyword, values)
    if any(isinstance(value, str) and value == "*" for value in values):
        raise InputError(f"{keyword}: a list with * in it asks for everything.", advice="Leave the key out.")
    check = _checked_uid if vr == "UI" else _checked_text
    return list(dict.fromkeys(check(keyword, vr, value) for value in values))


def _checked_uid(keyword: str, vr: str, value: object) -> str:  # noqa: ARG001 - as `_checked_text`
    if isinstance(value, str) and (is_well_formed_uid(value) or _is_odd_uid(value)):
        return value
    raise InputError(
        f"{keyword} needs UIDs, digits and dots, at most 64 characters, without wildcards; not {shown(value)}.",
        advice="Write numbers with single dots between, such as 1.2.840.",
    )


def _is_odd_uid(value: str) -> bool:
    """Whether a value may be what a node calls a UID, such as a GUID, and is not a UID with a typing error."""
    return is_usable_uid(value) and not is_valid_uid(value)


def _checked_text(keyword: str, vr: str, value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas reads a column of numbers with gaps as floats
    return _checked(keyword, vr, _text(keyword, value))


def _text(keyword: str, value: object) -> str:
    if value is None:
        return ""
    if as_list(value) is not None:
        raise InputError(f"{keyword} takes one value. Only UIDs, AccessionNumber and PatientID take a list.")
    day = as_day(value) if keyword_vr(keyword) == "DA" else None
    if day is None and is_missing(value):
        raise InputError(
            f"{keyword}: the value is missing ({shown(value)}).", advice="Give a value, or leave the key out."
        )
    if isinstance(day or value, (date, time)):
        return _moment(keyword, day or value)
    if not isinstance(value, (str, int, float)) and getattr(value, "ndim", 1) == 0 and hasattr(value, "item"):
        value = value.item()  # a number of NumPy
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"{keyword} takes a text or a number, not {shown(value)}.")
    try:
        return unicodedata.normalize("NFC", str(value)).strip(" ")  # as character sets have letters and accents
    except ValueError as error:  # Python does not write numbers of thousands of digits
        raise InputError(f"{keyword} takes a text or a number, not {shown(value)}.") from error


def _moment(keyword: str, value: object) -> str:
    vr = keyword_vr(keyword)
    if vr == "DA" and isinstance(value, date):
        return f"{value:%Y%m%d}"
    if vr == "TM" and isinstance(value, (time, datetime)):
        return f"{value:%H%M%S}"
    if vr == "DT" and isinstance(value, datetime):
        return f"{value:%Y%m%d%H%M%S}"
    raise InputError(f"{keyword} has the value representation {vr}; {shown(value)} does not fit.")


def _checked(keyword: str, vr: str, text: str) -> str:
    if text in ("", "*"):
        return ""
    if vr == "DA":
        text = _ISO_DATE.sub(r"\1\2\3", text)
    _check(keyword, vr, text)
    return text


def _check(keyword: str, vr: str, text: str) -> None:
    if "\\" in text:
        advice = "Separate several values by commas." if keyword in _LISTS else "Ask for one value at a time."
        raise InputError(f"{keyword} cannot contain a backslash.", advice=advice)
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise InputError(f"{keyword} cannot have control characters.")
    if vr == "CS" and "," in text:
        raise InputError(f"{keyword} takes one code; {shown(text)} has a comma.", advice=_ONE_CODE)
    if vr in _FORMS:
        _check_form(keyword, vr, text)
    elif vr in _LENGTHS:
        _check_length(keyword, vr, text)
    elif vr not in _UNLIMITED and vr != "UN":
        raise InputError(f"{keyword} has the value representation {vr}, which cannot be matched; ask for it instead.")


def _check_form(keyword: str, vr: str, text: str) -> None:
    form, described = _FORMS[vr]
    if not form.fullmatch(text):
        raise InputError(f"{keyword} must be {described}, without wildcards; {shown(text)} is not.")
    if vr in _ENDS:
        _check_exists(keyword, vr, text)


def _check_exists(keyword: str, vr: str, text: str) -> None:
    """Refuse a date or time that no calendar or clock has, and a range that ends before it begins.

    Some nodes take times in reverse order for hours over midnight, others for nothing, or swap them.
    """
    range_ends = _ENDS[vr].fullmatch(text)
    given = [end for end in range_ends.groups() if end] if range_ends else [text]
    wrong = next((end for end in given if not _exists(end.partition("+")[0].partition("-")[0], vr)), None)
    if wrong is not None:
        what = {"DA": "a day", "TM": "a time of day"}.get(vr, "a date and time")
        raise InputError(f"{keyword}: {shown(wrong)} is not {what} that exists.", advice=f"Enter {_FORMS[vr][1]}.")
    if range_ends and range_ends[1] and range_ends[2] and _ends_before(range_ends[1], range_ends[2], vr):
        advice = "Give the earlier one first."
        if vr == "TM":
            advice = f"For hours over midnight, query {given[0]}-235959.999999 and 000000-{given[1]} separately."
        raise InputError(f"{keyword}: {text} ends before it begins.", advice=advice)


def _ends_before(first: str, last: str, vr: str) -> bool:
    """Whether a range ends before it begins; not judged is one with offsets from UTC, or that may be one moment.

    What the last end leaves out stands for all of it: 0830-08 ends at 08:59:59.
    """
    if vr == "DT" and (not (first + last).replace(".", "").isdigit() or len(last) == 4):
        return False
    return first.replace(".", "") > last.replace(".", "").ljust(20, "9")


def _exists(digits: str, vr: str) -> bool:
    """Whether a DA, TM or DT as DICOM writes it, with its end left out or not, is a day and a time."""
    day, clock = {"DA": (digits, ""), "TM": ("", digits)}.get(vr, (digits[:8], digits[8:]))
    whole_day = (day + "00010101"[len(day) :]) if day else "00010101"
    whole_clock = clock.partition(".")[0].ljust(6, "0")
    if whole_clock.endswith("60"):  # a leap second (PS3.5 table 6.2-1)
        whole_clock = f"{whole_clock[:4]}59"
    try:
        datetime.strptime(whole_day + whole_clock, "%Y%m%d%H%M%S")  # noqa: DTZ007 - DICOM's times have no zone
    except ValueError:
        return False
    return True


def _check_length(keyword: str, vr: str, text: str) -> None:
    if len(text) > _LENGTHS[vr]:
        raise InputError(f"{keyword} has at most {_LENGTHS[vr]} characters, not {len(text)}.")
    if vr == "PN" and any(len(group) > 64 for group in text.split("=")):
        raise InputError(f"{keyword} has at most 64 characters in each component group.")
    if vr in ("AE", "CS", "AS") and not text.isascii():
        raise InputError(f"{keyword} has the value representation {vr}, which takes plain ASCII only.")
