"""Weekdays, times of day and time zones as people write them, and the retrieve hours of a node.

Schedules and retrieve hours are written in this one grammar: ``mon-fri``, ``sat,sun``, ``weekdays``; ``22:30``;
``Europe/Berlin``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from qrkit.errors import InputError
from qrkit.words import shown

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

EVERY_DAY = frozenset(range(7))

_NAMED = {
    "daily": EVERY_DAY,
    "weekdays": frozenset(range(5)),
    "weekends": frozenset((5, 6)),
    "nightly": EVERY_DAY,
    "every day": EVERY_DAY,
    "every night": EVERY_DAY,
}
_MINUTES = 24 * 60
_TIME = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_WINDOW = re.compile(r"\s*([^\d:]*?)\s*(\d[\d:]*)\s*-\s*(\d[\d:]*)\s*(?:,|$)", re.ASCII)
_HOURS_ADVICE = "Write 22:00-06:00, or Mon-Fri 22:00-06:00, Sat-Sun 00:00-24:00."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Some hours of some weekdays; one that ends after midnight belongs to the day on which it begins."""

    days: frozenset[int]
    start: int
    end: int

    def contains(self, weekday: int, minute: int) -> bool:
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        return (weekday in self.days and minute >= self.start) or (
            (weekday - 1) % 7 in self.days and minute < self.end
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The hours in which qrkit may retrieve from a node; without windows: always."""

    windows: tuple[_Window, ...] = ()

    def is_open(self, local: datetime) -> bool:
        """Return whether qrkit may retrieve at a time by the node's clock.

        >>> night = parse_hours("Mon-Fri 22:00-06:00")
        >>> [night.is_open(datetime(2026, 1, day, hour)) for day, hour in ((30, 23), (31, 5), (31, 23), (30, 12))]
        [True, True, False, False]
        """
        minute = local.hour * 60 + local.minute
        return not self.windows or any(window.contains(local.weekday(), minute) for window in self.windows)

    def next_opening(self, local: datetime) -> datetime:
        """Return when qrkit may retrieve next; now, if it may.

        >>> parse_hours("Mon-Fri 22:00-06:00").next_opening(datetime(2026, 1, 31, 12)).isoformat()
        '2026-02-02T22:00:00'
        """
        if self.is_open(local):
            return local
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        openings = [
            midnight + timedelta(days=ahead, minutes=window.start)
            for window in self.windows
            for ahead in range(8)
            if (local.weekday() + ahead) % 7 in window.days
        ]
        return min(opening for opening in openings if opening > local)


def parse_hours(text: str) -> Hours:
    """Return the hours of a text such as ``22:00-06:00``, or with weekdays before them, separated by commas.

    Raise `InputError` if the text cannot be read.

    >>> len(parse_hours("Mon-Thu 19:00-07:00, Fri 19:00-24:00, Sat,Sun 00:00-24:00").windows), parse_hours("").windows
    (3, ())
    """
    windows: list[_Window] = []
    position = 0
    while text[position:].strip(" ,"):
        match = _WINDOW.match(text, position)
        if match is None:
            raise _not_hours(text[position:].strip())
        windows.append(_window(*match.groups()))
        position = match.end()
    return Hours(windows=tuple(windows))


def _window(days: str, start: str, end: str) -> _Window:
    first, last = parse_time(start), parse_time(end)
    weekdays = parse_weekdays(days) if days else EVERY_DAY
    if first is None or last is None or not weekdays or first in (last, _MINUTES):
        raise _not_hours(f"{days} {start}-{end}".strip())
    return _Window(days=weekdays, start=first, end=last)


def _not_hours(text: str) -> InputError:
    return InputError(f"{shown(text)} is not a valid time range.", advice=_HOURS_ADVICE)


def parse_time(text: str) -> int | None:
    """Return the minute of the day of a time, whose end is 24:00; None if the text is not a time.

    >>> parse_time("22:30"), parse_time("2:05"), parse_time("24:00"), parse_time("25:00"), parse_time("22")
    (1350, 125, 1440, None, None)
    """
    match = _TIME.fullmatch(text.strip())
    if match is None or int(match[2]) > 59:
        return None
    minute = int(match[1]) * 60 + int(match[2])
    return minute if minute <= _MINUTES else None


def parse_weekdays(text: str) -> frozenset[int]:
    """Return the weekdays of a text, Monday is 0; none if it cannot be read.

    Names may be short, long or plural, with ranges and commas; or daily, weekdays, weekends.

    >>> [sorted(parse_weekdays(text)) for text in ("Mon-Fri", "sat,Sunday", "Fridays", "weekends", "sun-mon", "soon")]
    [[0, 1, 2, 3, 4], [5, 6], [4], [5, 6], [0, 6], []]
    """
    plain = " ".join(text.lower().split())
    if plain in _NAMED:
        return _NAMED[plain]
    days: set[int] = set()
    for part in re.split(r"[, ]+", re.sub(r"\s*-\s*", "-", plain.removeprefix("every "))):
        first, dash, last = part.partition("-")
        start, end = _weekday(first), _weekday(last if dash else first)
        if start is None or end is None:
            return frozenset()
        days.update(day % 7 for day in range(start, end + 1 if end >= start else end + 8))
    return frozenset(days)


def weekday_words(days: Collection[int]) -> str:
    """Return weekdays as `parse_weekdays` reads them.

    >>> weekday_words({0, 3}), weekday_words(range(5)), weekday_words(range(7))
    ('mon,thu', 'weekdays', 'daily')
    """
    named = next((name for name, known in _NAMED.items() if known == frozenset(days)), "")
    return named or ",".join(WEEKDAYS[day][:3] for day in sorted(days))


def _weekday(name: str) -> int | None:
    """Return the number of a weekday by at least three letters of its name, or its plural."""
    singular = name.removesuffix("s") if len(name) > 5 else name
    found = [number for number, day in enumerate(WEEKDAYS) if len(name) >= 3 and day.startswith(singular)]
    return found[0] if found else None


def time_zone(name: str) -> tzinfo | None:
    """Return a time zone by its name in the IANA database; None for an empty name: this machine's own.

    Raise `InputError` if there is none of that name.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not there, a folder, a path
        raise InputError(
            f"{shown(name)} is not a time zone.", advice="Write it as Europe/Berlin, America/New_York or UTC."
        ) from error


def local_zone() -> str:
    """Return the IANA name of this machine's time zone; UTC where the machine does not name it, as on Windows."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return named
    _, _, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
    return name or "UTC"
