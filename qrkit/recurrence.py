"""When something recurs: hourly, on weekdays, monthly or quarterly, by the clock of a time zone.

cronsim does the arithmetic; the words are ours. Around a change of summer time, a skipped time of day is due as much
later as the clock is put forward, and a repeated one is due the first time. So each due day has exactly one run.
Hours are real hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from qrkit.errors import InputError
from qrkit.hours import WEEKDAYS, parse_time, parse_weekdays, time_zone, weekday_words
from qrkit.words import shown

_HOURLY = re.compile(r"(?:hourly|every hour)(?:(?: at :?| :)([0-5]\d))?", re.ASCII)
_AT = re.compile(r"(.+?)(?: at (\S+)| (\d{1,2}:\d\d))?", re.ASCII)
_DAY_OF = re.compile(r"(?:on )?(?:the )?(.+?) of (?:(?:the|each|every) )?(month|quarter)")
_EACH = re.compile(r"(monthly|quarterly|every month|every quarter)(?: on)?(?: the)?(?: (.+))?")
_NUMBER = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: day)?", re.ASCII)
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_NIGHT = 2 * 60
_FEWEST_DAYS = 28
_FIRST_MONTHS, _LAST_MONTHS = "1,4,7,10", "3,6,9,12"
_ADVICE = (
    "Write hourly, hourly at :15, daily at 02:00, weekdays at 22:30, Mon-Fri 06:00, mon,thu at 3:00, "
    "monthly on the 1st, last day of the month, first Monday of the month at 6:00, or quarterly."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """When something is due, again and again."""

    text: str  # in words, as `parse_recurrence` reads them
    cron: str  # as the five fields of cron
    zone: str = "UTC"  # IANA name of the time zone, such as Europe/Berlin

    def following(self, moment: datetime) -> datetime:
        """Return the first moment after this one at which it is due, in UTC.

        >>> nightly = parse_recurrence("daily at 02:30", "Europe/Berlin")
        >>> nightly.following(datetime(2026, 3, 28, 12, tzinfo=UTC))  # at 2:00 the clock is put forward to 3:00
        datetime.datetime(2026, 3, 29, 1, 30, tzinfo=datetime.timezone.utc)
        """
        zone = time_zone(self.zone)
        local = moment.astimezone(zone)
        if self.text.startswith("hourly"):
            return next(CronSim(self.cron, local)).astimezone(UTC)
        # by the wall clock without its changes, from a day before: a change may have skipped or repeated this hour
        wall_clock = CronSim(self.cron, local.replace(tzinfo=None, fold=0) - timedelta(days=1))
        return next(due for time in wall_clock if (due := time.replace(tzinfo=zone).astimezone(UTC)) > moment)

    def missed(self, due: datetime, now: datetime, *, most: int = 1_000) -> int:
        """Return how often it was due after `due` and until `now`, at most `most`: runs that did not happen.

        >>> one, three = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (1, 3))
        >>> parse_recurrence("hourly").missed(one, three)
        2
        """
        count = 0
        while count < most and (due := self.following(due)) <= now:
            count += 1
        return count

    def __str__(self) -> str:
        return self.text


def parse_recurrence(text: str, zone: str = "UTC") -> Recurrence:
    """Return the recurrence of a text such as ``weekdays at 22:30``; without a time of day, at 02:00.

    Raise `InputError` if the text cannot be read, or there is no such time zone.

    >>> texts = ("Mon,thursday at 3:00", "nightly", "hourly", "Last day of the month", "first Monday of the quarter")
    >>> [str(parse_recurrence(text)) for text in texts[:3]]
    ['mon,thu at 03:00', 'daily at 02:00', 'hourly']
    >>> [str(parse_recurrence(text)) for text in texts[3:]]
    ['monthly on the last day at 02:00', 'quarterly on the first Monday at 02:00']
    """
    if time_zone(zone) is None:
        raise InputError("A schedule needs a time zone.", advice="Write it as Europe/Berlin.")
    plain = " ".join(text.lower().split())
    hourly = _HOURLY.fullmatch(plain)
    if hourly:
        minute = int(hourly[1] or 0)
        words = f"hourly at :{minute:02d}" if minute else "hourly"
        return Recurrence(text=words, cron=f"{minute} * * * *", zone=zone)
    match = _AT.fullmatch(plain)
    at = _minute_of_day(match[2] or match[3]) if match else None
    days = _days(match[1]) if match else None
    if at is None or days is None:
        raise InputError(f"{shown(text)} is not a recurrence.", advice=_ADVICE)
    hour, minute = divmod(at, 60)
    words, fields = days
    return Recurrence(text=f"{words} at {hour:02d}:{minute:02d}", cron=f"{minute} {hour} {fields}", zone=zone)


def _minute_of_day(text: str | None) -> int | None:
    minute = _NIGHT if text is None else parse_time(text)
    return None if minute is None or minute >= 24 * 60 else minute


def _days(text: str) -> tuple[str, str] | None:
    """Return the days in words and as cron's day of month, month and day of week; None if they cannot be read."""
    of, each = _DAY_OF.fullmatch(text), _EACH.fullmatch(text)
    if of:
        return _days_of_month(of[1], is_quarterly=of[2] == "quarter")
    if each:
        return _days_of_month(each[2] or "1st", is_quarterly="quarter" in each[1])
    weekdays = parse_weekdays(text)
    if not weekdays:
        return None
    return weekday_words(weekdays), f"* * {','.join(str((day + 1) % 7) for day in sorted(weekdays))}"


def _days_of_month(which: str, *, is_quarterly: bool) -> tuple[str, str] | None:
    """Return one day of each month, or of each quarter: of its first month, or the last day of its last month."""
    every = "quarterly" if is_quarterly else "monthly"
    months = (_LAST_MONTHS if which.startswith("last") else _FIRST_MONTHS) if is_quarterly else "*"
    if which in ("last", "last day"):
        return f"{every} on the last day", f"L {months} *"
    number = _NUMBER.fullmatch(which)
    if number or which == "first day":
        day = int(number[1]) if number else 1
        if not 1 <= day <= _FEWEST_DAYS:
            raise InputError(
                f"Not every month has a day {day}.", advice=f"Write a day from 1 to {_FEWEST_DAYS}, or the last day."
            )
        return f"{every} on the {_ordinal(day)}", f"{day} {months} *"
    ordinal, _, name = which.partition(" ")
    weekdays = parse_weekdays(name)
    if len(weekdays) != 1 or ordinal not in (*_ORDINALS, "last"):
        return None
    (weekday,) = weekdays
    place = "L" if ordinal == "last" else f"#{_ORDINALS[ordinal]}"
    written = ordinal if ordinal == "last" else list(_ORDINALS)[2 * (_ORDINALS[ordinal] - 1)]
    return f"{every} on the {written} {WEEKDAYS[weekday].title()}", f"* {months} {(weekday + 1) % 7}{place}"


def _ordinal(day: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{day}{'th' if 10 < day < 20 else endings.get(day % 10, 'th')}"
