"""When something that recurs is due: hourly, or at a time of some weekdays, by the clock of a time zone.

Around a change of summer time, a time of day that is skipped is due as much later as the clock is put forward, and
one that comes twice is due when it comes first. So each day has its run, and none has two. Hours are real hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from qrkit.errors import InputError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVERY_DAY = frozenset(range(7))
_NAMED = {
    "daily": _EVERY_DAY,
    "nightly": _EVERY_DAY,
    "every day": _EVERY_DAY,
    "every night": _EVERY_DAY,
    "weekdays": frozenset(range(5)),
    "weekends": frozenset((5, 6)),
}
_HOURLY = re.compile(r"(?:hourly|every hour)(?: at :?([0-5]\d))?", re.ASCII)
_AT = re.compile(r"(.+?)(?: at ([01]?\d|2[0-3]):([0-5]\d))?", re.ASCII)
_NIGHT = time(2, 0)
_ADVICE = "Write hourly, hourly at :15, daily at 02:00, weekdays at 22:30, or mon,thu at 3:00."


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """When something is due, again and again.

    Attributes
    ----------
    at
        Time of day; None: every hour.
    minute
        Of every hour, where there is no time of day.
    weekdays
        0 for Monday to 6 for Sunday.
    zone
        IANA name of the time zone, such as Europe/Berlin.
    """

    at: time | None = None
    minute: int = 0
    weekdays: frozenset[int] = _EVERY_DAY
    zone: str = "UTC"

    def following(self, moment: datetime) -> datetime:
        """Return the first moment after this one at which it is due, in UTC.

        >>> nightly = parse_recurrence("daily at 02:30", "Europe/Berlin")
        >>> nightly.following(datetime(2026, 3, 28, 12, tzinfo=UTC))  # at 2:00 the clock is put forward to 3:00
        datetime.datetime(2026, 3, 29, 1, 30, tzinfo=datetime.timezone.utc)
        """
        zone = zone_of(self.zone)
        if self.at is None:
            return self._next_hour(moment, zone)
        day = moment.astimezone(zone).date() - timedelta(days=1)
        while True:
            if day.weekday() in self.weekdays:
                due = datetime.combine(day, self.at.replace(fold=0), zone).astimezone(UTC)
                if due > moment:
                    return due
            day += timedelta(days=1)

    def _next_hour(self, moment: datetime, zone: ZoneInfo) -> datetime:
        # minute by minute: there are zones half an hour off, and one that is put forward by half an hour
        due = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        while due.astimezone(zone).minute != self.minute:
            due += timedelta(minutes=1)
        return due

    def missed(self, due: datetime, now: datetime, *, most: int = 1_000) -> int:
        """Return how often it was due after `due` and until `now`, at most `most`: runs that nobody made.

        >>> one, three = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (1, 3))
        >>> parse_recurrence("hourly").missed(one, three)
        2
        """
        count = 0
        while count < most and (due := self.following(due)) <= now:
            count += 1
        return count

    def __str__(self) -> str:
        if self.at is None:
            return f"hourly at :{self.minute:02d}" if self.minute else "hourly"
        named = {days: name for name, days in reversed(_NAMED.items())}
        days = named.get(self.weekdays) or ",".join(_DAYS[day] for day in sorted(self.weekdays))
        return f"{days} at {self.at:%H:%M}"


def parse_recurrence(text: str, zone: str = "UTC") -> Recurrence:
    """Return what is meant by a text such as ``weekdays at 22:30``; without a time of day, 02:00 is meant.

    Raises
    ------
    InputError
        If nothing is, or there is no such time zone.

    >>> [str(parse_recurrence(text)) for text in ("Mon,thursday at 3:00", "nightly", "hourly")]
    ['mon,thu at 03:00', 'daily at 02:00', 'hourly']
    """
    zone_of(zone)
    plain = " ".join(text.lower().split())
    hourly = _HOURLY.fullmatch(plain)
    if hourly:
        return Recurrence(minute=int(hourly[1] or 0), zone=zone)
    found = _AT.fullmatch(plain)
    weekdays = _weekdays(found[1]) if found else frozenset[int]()
    if found is None or not weekdays:
        raise InputError(f"{text!r} does not say when something recurs.", advice=_ADVICE)
    at = time(int(found[2]), int(found[3])) if found[2] else _NIGHT
    return Recurrence(at=at, weekdays=weekdays, zone=zone)


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"There is no time zone {name!r}.", advice="Give one like Europe/Berlin, America/New_York or UTC."
        ) from error


def _weekdays(text: str) -> frozenset[int]:
    if text in _NAMED:
        return _NAMED[text]
    names = [name for name in re.split(r"[, ]+", text.removeprefix("every ")) if name]
    days = [
        next((number for number, day in enumerate(_DAYS) if name.startswith(day) and _is_day(name, number)), -1)
        for name in names
    ]
    return frozenset() if -1 in days else frozenset(days)


_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _is_day(name: str, number: int) -> bool:
    return _FULL[number].startswith(name.removesuffix("s")) or _FULL[number] == name
