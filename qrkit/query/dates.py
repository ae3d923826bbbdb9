"""Dates and times as people give them, and as DICOM matches them (PS3.4 C.2.2.2.5).

The one reader of dates: Python's, those of NumPy and pandas, ISO 8601, DICOM's own text and ranges of it, and words.
A text is read as a whole or refused.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from qrkit.errors import InputError
from qrkit.words import shown

if TYPE_CHECKING:
    import numpy as np

DayLike: TypeAlias = "str | date | np.datetime64"
"""One day: ISO or DICOM text, ``today``, ``yesterday``, a date or datetime, pandas' Timestamp, NumPy's datetime64."""
DaysLike: TypeAlias = "DayLike | tuple[DayLike | None, DayLike | None] | list[DayLike]"
"""One day, a range or an ISO week as text, or a pair, in which None is an open end."""
TimeLike: TypeAlias = "str | time | datetime | np.datetime64"
"""A time of day: text such as 8:30 or 083000, a time or a datetime."""

_DATE = re.compile(r"(\d{4})([-.]?)(\d{2})\2(\d{2})", re.ASCII)
_DAY = r"\d{4}([-.]?)\d{2}\%d\d{2}"
_RANGE = re.compile(rf"({_DAY % 2})?\s*-\s*({_DAY % 4})?", re.ASCII)
_WORDED_RANGE = re.compile(r"(.*\S)?\s*(?:\.\.|/)\s*(\S.*)?|(.*\S) to (\S.*)")
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}([-.]?)\d{2}\2\d{2})[ t]?(\d{2}:?\d{2}(?::?\d{2}(?:\.\d+)?)?)(z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_TIME = re.compile(r"(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?", re.ASCII)
_WEEK_DATE = re.compile(r"\d{4}(-?)w\d{2}\1\d", re.ASCII)
_WEEK = re.compile(r"(\d{4})-?w(\d{2})", re.ASCII)
_LAST_DAYS = re.compile(r"last (\d{1,4}) (day|week)s?", re.ASCII)
_NAMED = tuple(f"{which} {unit}" for which in ("this", "last") for unit in ("week", "month", "year"))
_FIRST = date(1900, 1, 1)
_LAST = time(23, 59, 59, 999999)
_ADVICE = "Enter 2026-01-31, today, yesterday, last 7 days, last month, 2026-01, or 2026-01-01 to 2026-01-31."


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """A range of days, both ends included.

    Attributes
    ----------
    note
        A sentence if the dates are used otherwise than they were given; else empty.

    >>> Dates(first=date(2026, 1, 1), last=date(2026, 1, 31)).matching
    '20260101-20260131'
    """

    first: date
    last: date
    note: str = field(default="", compare=False, repr=False)

    @property
    def is_one_day(self) -> bool:
        """Whether it is a single day."""
        return self.first == self.last

    @property
    def matching(self) -> str:
        """The matching value of a DA."""
        first, last = f"{self.first:%Y%m%d}".rjust(8, "0"), f"{self.last:%Y%m%d}".rjust(8, "0")
        return first if self.is_one_day else f"{first}-{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """A range of times of day, both ends included.

    >>> Times(first=time(8), last=time(12, 30)).matching
    '080000-123000'
    """

    first: time
    last: time

    @property
    def matching(self) -> str:
        """The matching value of a TM."""
        return f"{_tm(self.first)}-{_tm(self.last)}"


def dates(single: object, first: object, last: object, *, today: date) -> Dates | None:
    """Return the days meant by a single date, a range or a pair, or by one or both ends; None if nothing is given.

    An open end is today, an open start 1900-01-01; a reversed pair is swapped, which `Dates.note` says. ``last 7
    days`` is today and the seven days before, ``last 2 weeks`` likewise; ``last month`` is the previous calendar
    month, as are ``last week`` (Monday to Sunday) and ``last year``; ``this month`` ends today. ``2026-01`` is the
    month, ``2026-W05`` the ISO week; so are pandas' Period and NumPy's months and years. A text range is
    ``20260101-20260131`` as DICOM writes it, with either end open, or ``2026-01-01 to 2026-01-31``, or with ``..`` or
    ``/`` (ISO 8601). Its ends may be months.

    Raises
    ------
    InputError
        If one is not a date, both ways are used, a pair has no ends, or a start without an end is in the future.

    >>> dates("last 7 days", None, None, today=date(2026, 1, 9)).matching
    '20260102-20260109'
    >>> dates("last month", None, None, today=date(2026, 3, 5)).matching
    '20260201-20260228'
    >>> dates("2026-01/2026-02", None, None, today=date(2026, 3, 5)).matching
    '20260101-20260228'
    >>> dates("20260105-", None, None, today=date(2026, 1, 9)).matching
    '20260105-20260109'
    >>> dates(None, "2026-01-05", None, today=date(2026, 1, 9)).matching
    '20260105-20260109'
    >>> dates("2026-W02", None, None, today=date(2026, 2, 1)).matching
    '20260105-20260111'
    >>> dates("2026-01-31 to 2026-01-05", None, None, today=date(2026, 2, 1)).note
    'The dates are in reverse order: used as 2026-01-05 to 2026-01-31.'
    """
    if single is not None:
        if first is not None or last is not None:
            raise InputError("Give either a date (one, or a pair) or its ends, not both.")
        first, last = _ends(single, today=today)
    if first is None and last is None:
        return None
    start = _FIRST if first is None else parse_date(first, today=today)
    end = today if last is None else parse_date(last, today=today)
    if start <= end:
        return Dates(first=start, last=end)
    if last is None:
        raise InputError(f"The start {start} is in the future.", advice="Check its year, or give an end.")
    return Dates(first=end, last=start, note=f"The dates are in reverse order: used as {end} to {start}.")


def _ends(single: object, *, today: date) -> tuple[object, object]:
    if isinstance(single, str):
        return _ends_of_text(" ".join(single.lower().split()), today=today) or (single, single)
    if (span := _span(single)) is not None:
        return span
    if getattr(single, "ndim", 0):
        raise InputError(
            "date takes one day or a pair, not a whole column.",
            advice="Give its ends: date=(column.min(), column.max()).",
        )
    return _pair(single, "date") if _is_pair(single) else (single, single)


def _ends_of_text(text: str, *, today: date) -> tuple[object, object] | None:
    """Return the ends of a range in words or as DICOM writes it; None if the text is not a range."""
    if text in _NAMED:
        return _named(text, today=today)
    if _MONTH.fullmatch(text):
        return _month(text)
    last_days = _LAST_DAYS.fullmatch(text)
    if last_days:
        return today - timedelta(days=int(last_days[1]) * (7 if last_days[2] == "week" else 1)), today
    week = _WEEK.fullmatch(text)
    if week:
        return _days_of_week(int(week[1]), int(week[2]))
    if _DATE.fullmatch(text):
        return None
    found = _RANGE.fullmatch(text)
    first, last = (found[1], found[3]) if found else (None, None)
    if not found and text.count("/") < 2 and (worded := _WORDED_RANGE.fullmatch(text)):
        first, last = worded[1] or worded[3], worded[2] or worded[4]
    months = [_month(end) if end else None for end in (first, last)]
    ends = (months[0][0] if months[0] else first, months[1][1] if months[1] else last)
    return ends if first or last else None


def _named(text: str, *, today: date) -> tuple[date, date]:
    """Return the first and the last day of this or the last week, month or year; of this one, the last is today."""
    which, unit = text.split()
    begins = {
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
        "year": today.replace(month=1, day=1),
    }[unit]
    if which == "this":
        return begins, today
    end = begins - timedelta(days=1)
    return {"week": begins - timedelta(days=7), "month": end.replace(day=1), "year": end.replace(month=1, day=1)}[
        unit
    ], end


def _month(text: str) -> tuple[date, date] | None:
    """Return the first and the last day of a month such as 2026-01; None if it is not one."""
    found = _MONTH.fullmatch(text)
    try:
        first = date(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        return None
    return None if first is None else (first, first.replace(day=monthrange(first.year, first.month)[1]))


def _span(value: Any) -> tuple[date, date] | None:  # noqa: ANN401 - any type that people have dates in
    """Return the first and the last day of pandas' Period, or of a month, week or year of NumPy; else None."""
    if type(value).__name__ == "Period":
        return value.start_time.date(), value.end_time.date()
    unit = _unit(value) if type(value).__name__ == "datetime64" else ""
    first = value.astype("datetime64[D]").item() if unit in ("Y", "M", "W") else None
    if not isinstance(first, date):
        return None
    last = {
        "W": first + timedelta(days=6),
        "M": first.replace(day=monthrange(first.year, first.month)[1]),
        "Y": first.replace(month=12, day=31),
    }[unit]
    return first, last


def _unit(value: Any) -> str:  # noqa: ANN401 - of NumPy, which is not imported here
    return str(value.dtype).partition("[")[2].rstrip("]").lstrip("0123456789")


def _days_of_week(year: int, week: int) -> tuple[date, date] | None:
    try:
        return date.fromisocalendar(year, week, 1), date.fromisocalendar(year, week, 7)
    except ValueError:
        return None


def times(pair: object, first: object, last: object) -> Times | None:
    """Return the times of day meant by a pair, or by one or both ends; None if nothing is given.

    An open start is 000000, an open end 235959.999999.

    Raises
    ------
    InputError
        If one is not a time, both ways are used, or the range goes over midnight: of a single day, that is two.

    >>> times(None, "08:30", None).matching
    '083000-235959.999999'
    """
    if pair is not None:
        if first is not None or last is not None:
            raise InputError("Give either a pair of times or its ends, not both.")
        first, last = _pair(pair, "time")
    if first is None and last is None:
        return None
    start = time() if first is None else parse_time(first)
    end = _LAST if last is None else parse_time(last)
    if start > end:
        raise InputError(
            f"The times {start} to {end} are in reverse order.",
            advice=f"For hours over midnight, query {start} to 23:59:59.999999 and 00:00:00 to {end} separately.",
        )
    return Times(first=start, last=end)


def parse_date(value: object, *, today: date) -> date:
    """Return the day meant by a date, datetime, pandas Timestamp, NumPy datetime64, text, ``today`` or ``yesterday``.

    Raises
    ------
    InputError
        If it is not a date, or a text that also gives a time of day.

    >>> parse_date("20260131", today=date(2026, 2, 1)), parse_date("yesterday", today=date(2026, 2, 1))
    (datetime.date(2026, 1, 31), datetime.date(2026, 1, 31))
    """
    day = as_day(value)
    if day is not None:
        return day
    if is_missing(_plain(value)):
        raise InputError(f"The date is missing ({shown(value)}).", advice="Give a date, or leave it out.")
    text = " ".join(value.lower().split()) if isinstance(value, str) else ""
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    if _DATE.fullmatch(text) is None and _ends_of_text(text, today=today):
        raise InputError(
            f"{shown(value)} is a range, where one date is needed.",
            advice="Use date for a range.",
        )
    moment = _MOMENT.fullmatch(text)
    if moment and re.search("[1-9]", moment[3]):
        raise InputError(
            f"{shown(value)} has a time of day, which a date does not.",
            advice="Use time_from and time_until.",
        )
    day = _day_of_text(moment[1] if moment else text)
    if day is None:
        raise InputError(
            f"{shown(value)} is not a date.",
            advice=_ADVICE,
        )
    return day


def _day_of_text(text: str) -> date | None:
    found = _DATE.fullmatch(text)
    try:
        if found:
            return date(int(found[1]), int(found[3]), int(found[4]))
        # Python skips the end of some texts, such as 2026013108.
        return date.fromisoformat(text.upper()) if _WEEK_DATE.fullmatch(text) else None
    except ValueError:
        return None


def as_day(value: object) -> date | None:
    """Return the day of a Python, pandas or NumPy date; None for anything else, and for a missing one.

    Raises
    ------
    InputError
        If it is a month or a year of NumPy.
    """
    plain = _plain(value)
    if is_missing(plain):
        return None
    if isinstance(plain, datetime):
        return plain.date()
    return plain if isinstance(plain, date) else None


def is_missing(value: object) -> bool:
    """Whether a value stands for a missing one: None, NaN, and pandas' NaT and NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)
    """
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, (float, date)) and value != value  # noqa: PLR0124 - what NaN and NaT are known by


def _plain(value: Any) -> object:  # noqa: ANN401 - any type that people have dates in
    """Return NumPy's date as Python's; anything else as it is. NumPy is not imported here."""
    if type(value).__name__ != "datetime64":
        return value
    if str(value) == "NaT":
        return float("nan")
    if _unit(value) in ("Y", "M", "W"):
        raise InputError(f"{value!s} is not a single day.", advice="Give a pair, such as (first, last).")
    day: object = value.astype("datetime64[D]").item()
    if isinstance(day, int):  # before or after the years that Python has; in microseconds NumPy would overflow
        raise InputError(f"{value!s} is not a date of the years 1 to 9999.", advice="Give another date.")
    moment: object = value.astype("datetime64[us]").item()
    return moment


def parse_time(value: object) -> time:
    """Return the time of day meant by a time, datetime or text such as 8:30, 0830 or 083000.5.

    Raises
    ------
    InputError
        If it is not a time of day.

    >>> parse_time("8:30"), parse_time("083000.5")
    (datetime.time(8, 30), datetime.time(8, 30, 0, 500000))
    """
    plain = _plain(value)
    if is_missing(plain):
        raise InputError(f"The time is missing ({shown(value)}).", advice="Give a time of day, or leave it out.")
    if isinstance(plain, datetime):
        return plain.time()
    if isinstance(plain, time):
        return plain.replace(tzinfo=None)
    found = _TIME.fullmatch(plain.strip()) if isinstance(plain, str) else None
    try:
        if found:
            hour, minute, second, fraction = found.groups(default="0")
            return time(int(hour), int(minute), int(second), int(fraction.ljust(6, "0")))
    except ValueError:
        found = None
    raise InputError(f"{shown(value)} is not a time of day.", advice="Enter 8:30, 0830 or 083000.")


def _is_pair(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _pair(value: object, what: str) -> tuple[object, object]:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        if value[0] is None and value[1] is None:
            raise InputError(f"The {what} range has no ends.", advice="Give at least one of them, or leave it out.")
        return value[0], value[1]
    raise InputError(f"A {what} range is a pair, such as (first, last), not {shown(value)}.")


def _tm(moment: time) -> str:
    text = f"{moment:%H%M%S}"
    return f"{text}.{moment.microsecond:06d}" if moment.microsecond else text
