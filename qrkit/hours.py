"""The hours in which a node may be fetched from: its quiet hours, such as the night, by its own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from qrkit.errors import InputError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES = 24 * 60
_ADVICE = "Write 22:00-06:00, or Mon-Fri 22:00-06:00, Sat-Sun 00:00-24:00."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Some hours of some weekdays; one that ends after midnight belongs to the day on which it begins."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, weekday: int, minute: int) -> bool:
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        return (weekday in self.days and minute >= self.start) or (
            (weekday - 1) % 7 in self.days and minute < self.end
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When a node may be fetched from; without windows: always."""

    windows: tuple[_Window, ...] = ()

    def is_open(self, local: datetime) -> bool:
        """Whether it may be fetched from now.

        Parameters
        ----------
        local
            The time by the node's clock.

        >>> night = parse_hours("Mon-Fri 22:00-06:00")
        >>> [night.is_open(datetime(2026, 1, day, hour)) for day, hour in ((30, 23), (31, 5), (31, 23), (30, 12))]
        [True, True, False, False]
        """
        minute = local.hour * 60 + local.minute
        return not self.windows or any(one.holds(local.weekday(), minute) for one in self.windows)

    def next_opening(self, local: datetime) -> datetime:
        """Return when it may be fetched from next; now, if it may.

        >>> parse_hours("Mon-Fri 22:00-06:00").next_opening(datetime(2026, 1, 31, 12)).isoformat()
        '2026-02-02T22:00:00'
        """
        if self.is_open(local):
            return local
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        openings = [
            midnight + timedelta(days=ahead, minutes=one.start)
            for one in self.windows
            for ahead in range(8)
            if (local.weekday() + ahead) % 7 in one.days
        ]
        return min(opening for opening in openings if opening > local)


def parse_hours(text: str) -> Hours:
    """Return the hours that are written as ``22:00-06:00``, or with weekdays before them, parted by commas.

    Raises
    ------
    InputError
        If they cannot be read.

    >>> len(parse_hours("Mon-Thu 19:00-07:00, Fri 19:00-24:00, Sat-Sun 00:00-24:00").windows), parse_hours("").windows
    (3, ())
    """
    return Hours(windows=tuple(_window(part.strip()) for part in text.split(",") if part.strip()))


def time_zone(name: str) -> tzinfo | None:
    """Return a time zone by its name in the IANA database; None for an empty one: this machine's own.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not there, a folder, a path
        raise InputError(f"There is no time zone {name!r}.", advice="Write it as Europe/Berlin.") from error


def _window(text: str) -> _Window:
    days, _, times = text.rpartition(" ")
    start, dash, end = times.partition("-")
    minutes = _minute(start), _minute(end)
    weekdays = _weekdays(days.strip().lower())
    if not dash or None in minutes or not weekdays or minutes[0] == minutes[1] or minutes[0] == _MINUTES:
        raise InputError(f"These are no hours: {text!r}.", advice=_ADVICE)
    return _Window(days=weekdays, start=minutes[0] or 0, end=minutes[1] or 0)


def _minute(text: str) -> int | None:
    """Return the minute of the day of ``22:00``; 24:00 is its end."""
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(hour) <= 2 and len(minute) == 2):
        return None
    whole = int(hour) * 60 + int(minute)
    return whole if int(minute) < 60 and whole <= _MINUTES else None


def _weekdays(text: str) -> frozenset[int]:
    """Return the days of ``mon-fri`` or ``sat``, Monday being 0; all for none, none for what cannot be read."""
    if not text:
        return frozenset(range(7))
    first, _, last = text.partition("-")
    last = last or first
    if first not in _DAYS or last not in _DAYS:
        return frozenset()
    start, end = _DAYS.index(first), _DAYS.index(last)
    return frozenset(day % 7 for day in range(start, end + 1 if end >= start else end + 8))
