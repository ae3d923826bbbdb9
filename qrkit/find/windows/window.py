"""Windows: a request narrowed by ranges and other keys, and how they are written (PS3.4 C.2.2.2.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date

from qrkit.query import Request

_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
LAST_MINUTE = 24 * 60 - 1
_BIRTHS = (693_596, 740_000)  # 1900-01-01 to 2027
_MIDNIGHT, _DAY_END = "000000.000000", "235959.999999"


@dataclass(frozen=True, slots=True)
class Span:
    """A range in units of its key, both ends included; None is open.

    >>> Span(1, 3).size, Span(None, 3).size, Span(2, 2).is_single
    (3, None, True)
    """

    first: int | None
    last: int | None

    @property
    def size(self) -> int | None:
        """How many units; None if an end is open."""
        return None if self.first is None or self.last is None else self.last - self.first + 1

    @property
    def is_single(self) -> bool:
        """Whether it is one unit."""
        return self.first is not None and self.first == self.last

    def holds(self, value: int, *, slack: int = 0) -> bool:
        """Whether a value lies in it, or outside it by the slack at most."""
        below = self.first is not None and value < self.first - slack
        return not below and not (self.last is not None and value > self.last + slack)


DATE, TIME, BIRTH = "StudyDate", "StudyTime", "PatientBirthDate"
"""Keys that are matched by range: days as ordinals, minutes of the day, days again."""

SLACK = {DATE: 0, TIME: 2, BIRTH: 0}
"""Units by which rows may lie outside a window, since seams overlap."""


def bounds(keyword: str, span: Span) -> tuple[int, int]:
    """Return the ends of a range of times or dates of birth; an open one ends where people's dates of birth do.

    >>> bounds(TIME, Span(None, 10)), bounds(BIRTH, Span(740_000, None))
    ((0, 10), (740000, 740000))
    """
    least, most = (0, LAST_MINUTE) if keyword == TIME else _BIRTHS
    first = least if span.first is None else span.first
    last = max(most, first) if span.last is None else span.last
    return min(first, last), last


def parse_days(text: str) -> Span | None:
    """Return the days of a matching value; None if it has none that can be read.

    >>> parse_days("20260101-20260103").size, parse_days("-20260101").first, parse_days("")
    (3, None, None)
    """
    first, dash, last = text.partition("-")
    ends = [_ordinal(one) for one in ((first, last) if dash else (first, first))]
    if ends == [None, None]:
        return None
    return Span(*ends)


def written_days(span: Span) -> str:
    """Return the matching value of some days.

    >>> written_days(Span(date(2026, 1, 1).toordinal(), None)), written_days(Span(1, 1))
    ('20260101-', '00010101')
    """
    first, last = (_day_text(one) for one in (span.first, span.last))
    return first if span.is_single else f"{first}-{last}" if first or last else ""


def written_minutes(span: Span, within: str = "") -> str:
    """Return the matching value of some minutes of a day, a minute more at each seam.

    There are PACS that leave out the ends of a range, and such that compare nothing below the minute; so that
    nothing falls between two windows of either, each reaches into its neighbour.

    `within`: the matching value that was asked for; a window does not reach beyond it.

    >>> written_minutes(Span(0, 599)), written_minutes(Span(600, 1439))
    ('000000-100059.999999', '095900-235959.999999')
    >>> written_minutes(Span(500, 600), "0830-0930")
    '083000-093059.999999'
    """
    low, high = span.first or 0, LAST_MINUTE if span.last is None else span.last
    first = f"{_clock(max(low - 1, 0))}00.000000"
    last = f"{_clock(min(high + 1, LAST_MINUTE))}59.999999"
    if within:
        least, most = _ends(within)
        first, last = max(first, least), min(last, most)
    return f"{first.removesuffix('.000000')}-{last.removesuffix('.000000')}"


def parse_minutes(text: str) -> Span | None:
    """Return the minutes of a matching value; None if it is not a range, or one over midnight.

    >>> parse_minutes("080000-120000"), parse_minutes("0800")
    (Span(first=480, last=720), None)
    """
    if "-" not in text:
        return None
    first, last = _ends(text)
    if first > last:
        return None
    return Span(int(first[:2]) * 60 + int(first[2:4]), int(last[:2]) * 60 + int(last[2:4]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of what a request asks for."""

    spans: tuple[tuple[str, Span], ...] = ()  # range keys, with what of them this window asks for
    keys: tuple[tuple[str, str], ...] = ()  # other matching keys that narrow it down

    def span(self, keyword: str) -> Span | None:
        """Return the range of a key; None if it is not narrowed by it."""
        return dict(self.spans).get(keyword)

    def narrowed(self, keyword: str, span: Span) -> Window:
        """Return the window with the range of a key set."""
        return replace(self, spans=tuple((dict(self.spans) | {keyword: span}).items()))

    def with_key(self, keyword: str, value: str) -> Window:
        """Return the window with another key set."""
        return replace(self, keys=tuple((dict(self.keys) | {keyword: value}).items()))

    def request(self, base: Request) -> Request:
        """Return the request for it."""
        asked = base
        for keyword, span in self.spans:
            text = written_minutes(span, base.value(TIME)) if keyword == TIME else written_days(span)
            asked = asked.with_key(keyword, text)
        for keyword, value in self.keys:
            asked = asked.with_key(keyword, value)
        return asked

    def label(self) -> str:
        """Return it for people, without what could name a patient.

        >>> Window(spans=(("StudyTime", Span(0, 599)),), keys=(("PatientID", "Q*"),)).label()
        'StudyTime 00:00 to 09:59, PatientID by beginning'
        """
        parts = [_SAID[keyword](span) for keyword, span in self.spans]
        parts += [f"{keyword} by {'beginning' if value.endswith('*') else 'value'}" for keyword, value in self.keys]
        return ", ".join(filter(None, parts)) or "everything at once"


def days_said(span: Span) -> str:
    """Return some days for people.

    >>> days_said(Span(1, 2)), days_said(Span(None, 2)), days_said(Span(None, None))
    ('0001-01-01 to 0001-01-02', 'until 0001-01-02', '')
    """
    first, last = (date.fromordinal(one).isoformat() if one is not None else "" for one in (span.first, span.last))
    if span.is_single:
        return first
    return f"{first} to {last}" if first and last else f"from {first}" if first else f"until {last}" if last else ""


def _births_said(span: Span) -> str:
    """Return dates of birth by their years, without the day, for privacy."""
    first, last = (str(date.fromordinal(one).year) if one is not None else "" for one in (span.first, span.last))
    return (
        " ".join(filter(None, ("born", first and f"from {first}", last and f"until {last}"))) if first or last else ""
    )


def _minutes_said(span: Span) -> str:
    first, last = span.first or 0, LAST_MINUTE if span.last is None else span.last
    return f"StudyTime {first // 60:02}:{first % 60:02} to {last // 60:02}:{last % 60:02}"


_SAID = {DATE: days_said, TIME: _minutes_said, BIRTH: _births_said}


def _ordinal(text: str) -> int | None:
    found = _DAY.fullmatch(text.strip().replace(".", ""))
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).toordinal() if found else None
    except ValueError:
        return None


def _day_text(ordinal: int | None) -> str:
    return "" if ordinal is None else date.fromordinal(ordinal).isoformat().replace("-", "")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}{minute % 60:02}"


def _ends(text: str) -> tuple[str, str]:
    first, dash, last = text.partition("-")
    return _padded(first, _MIDNIGHT), _padded(last if dash else first, _DAY_END)


def _padded(moment: str, rest: str) -> str:
    return moment + rest[len(moment) :]
