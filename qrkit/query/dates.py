"""Dates and times as people give them, and as DICOM matches them (PS3.4 C.2.2.2.5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from qrkit.errors import InputError

_DATE = re.compile(r"(\d{4})([-.]?)(\d{2})\2(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{1,2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?", re.ASCII)
_LAST_DAYS = re.compile(r"last (\d{1,4}) (day|week)s?", re.ASCII)
_FIRST = date(1900, 1, 1)
_LAST = time(23, 59, 59, 999999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """A range of days, both ends included.

    >>> Dates(first=date(2026, 1, 1), last=date(2026, 1, 31)).matching
    '20260101-20260131'
    """

    first: date
    last: date

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
    """Return the days meant by a single date or a pair, or by one or both ends; None if nothing is given.

    From-only ends today, until-only starts 1900-01-01, a reversed pair is swapped. ``last 7 days`` is today and the
    seven days before, ``last 2 weeks`` likewise.

    Raises
    ------
    InputError
        If one is no date, or both ways are used.

    >>> dates("last 7 days", None, None, today=date(2026, 1, 9)).matching
    '20260102-20260109'
    >>> dates(None, "2026-01-05", None, today=date(2026, 1, 9)).matching
    '20260105-20260109'
    """
    if single is not None:
        if first is not None or last is not None:
            raise InputError("Give either a date (one, or a pair) or its ends, not both.")
        first, last = _ends(single, today=today)
    if first is None and last is None:
        return None
    start = _FIRST if first is None else parse_date(first, today=today)
    end = today if last is None else parse_date(last, today=today)
    return Dates(first=min(start, end), last=max(start, end))


def _ends(single: object, *, today: date) -> tuple[object, object]:
    found = _LAST_DAYS.fullmatch(" ".join(single.lower().split())) if isinstance(single, str) else None
    if found:
        return today - timedelta(days=int(found[1]) * (7 if found[2] == "week" else 1)), today
    return _pair(single, "date") if _is_pair(single) else (single, single)


def times(pair: object, first: object, last: object) -> Times | None:
    """Return the times of day meant by a pair, or by one or both ends; None if nothing is given.

    An open start is 000000, an open end 235959.999999, a reversed pair is swapped.

    Raises
    ------
    InputError
        If one is no time, or both ways are used.

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
    return Times(first=min(start, end), last=max(start, end))


def parse_date(value: object, *, today: date) -> date:
    """Return the day meant by a date, datetime, pandas Timestamp, text, ``today`` or ``yesterday``.

    Raises
    ------
    InputError
        If it is no date.

    >>> parse_date("20260131", today=date(2026, 2, 1)), parse_date("yesterday", today=date(2026, 2, 1))
    (datetime.date(2026, 1, 31), datetime.date(2026, 1, 31))
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    found = _DATE.fullmatch(text)
    try:
        if found:
            return date(int(found[1]), int(found[3]), int(found[4]))
        return datetime.fromisoformat(text).date()
    except ValueError as error:
        raise InputError(f"{value!r} is no date; write 2026-01-31, 20260131, today or yesterday.") from error


def parse_time(value: object) -> time:
    """Return the time of day meant by a time, datetime or text such as 8:30, 0830 or 083000.5.

    Raises
    ------
    InputError
        If it is no time of day.

    >>> parse_time("8:30"), parse_time("083000.5")
    (datetime.time(8, 30), datetime.time(8, 30, 0, 500000))
    """
    if isinstance(value, datetime):
        return value.time()
    if isinstance(value, time):
        return value.replace(tzinfo=None)
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if found:
            hour, minute, second, fraction = found.groups(default="0")
            return time(int(hour), int(minute), int(second), int(fraction.ljust(6, "0")))
    except ValueError:
        found = None
    raise InputError(f"{value!r} is no time of day; write 8:30, 0830 or 083000.")


def _is_pair(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _pair(value: object, what: str) -> tuple[object, object]:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return value[0], value[1]
    raise InputError(f"A {what} range is a pair, such as (first, last), not {value!r}.")


def _tm(moment: time) -> str:
    text = f"{moment:%H%M%S}"
    return f"{text}.{moment.microsecond:06d}" if moment.microsecond else text
