"""The rows that one request has found so far, and how they spread over days, times and dates of birth."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from statistics import fmean

from qrkit.find.windows.results import Row, WindowAnswer
from qrkit.find.windows.window import BIRTH, DATE, SLACK, TIME, Span, Window, bounds

_MANY = 0.2
"""Share of answers beyond a window from which the key counts as ignored; single ones are broken values."""

_FEW = 3


class FoundRows:
    """The answers of all windows, by StudyDate."""

    def __init__(self) -> None:
        self.blank: set[str] = set()  # range keys that some answer has no value for
        self.blank_in_both = False  # whether some answer has neither StudyTime nor PatientBirthDate
        # first letters of PatientName, as they are written; an empty text for a name that is blank
        self.initials: set[str] = set()
        self.without_key = 0  # rows without a Unique Key, each content once
        self._days: dict[int | None, dict[str, Row]] = defaultdict(dict)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, answer: WindowAnswer) -> int:
        """Take note of answers, and return how many are new."""
        before = self._size
        for row in answer.rows:
            rows = self._days[row.day]
            if row.uid not in rows:
                rows[row.uid] = row
                self._size += 1
                self.without_key += not row.has_key
                self._note_blanks(row)
        return self._size - before

    def _note_blanks(self, row: Row) -> None:
        for keyword in (DATE, TIME, BIRTH):
            if row.value(keyword) is None:
                self.blank.add(keyword)
        self.initials.add(row.initial)
        self.blank_in_both |= row.minute is None and row.birth is None

    def first_day(self, start: int) -> int | None:
        """Return the first day with answers, from a day on."""
        return min((day for day in self._days if day is not None and day >= start), default=None)

    def on(self, day: int) -> int:
        """Return how many answers a day has."""
        return len(self._days.get(day, ()))

    def within(self, window: Window) -> list[Row]:
        """Return the answers that lie in a window for certain: not near its seams."""
        return [row for row in self._of_days(window) if _lies_in(row, window)]

    def _of_days(self, window: Window) -> Iterator[Row]:
        span = window.span(DATE)
        if span is not None and span.is_single and span.first is not None:
            yield from self._days.get(span.first, {}).values()
            return
        for day, rows in self._days.items():
            if span is None or (day is not None and span.holds(day)):
                yield from rows.values()


def beyond(answer: WindowAnswer, window: Window, keyword: str) -> bool:
    """Whether too many answers lie outside a window: the node ignored a key of it."""
    outside = sum(1 for row in answer.rows if not _may_lie_in(row, window, keyword))
    return outside > _MANY * len(answer.rows)


def lacking(answer: WindowAnswer, expected: list[Row]) -> tuple[bool, bool]:
    """Return whether some, and whether most, of the answers are missing that a window must get again."""
    came = {row.uid for row in answer.rows}
    missing = sum(1 for row in expected if row.uid not in came)
    return missing > 0, missing >= _FEW and 2 * missing > len(expected)


def _may_lie_in(row: Row, window: Window, keyword: str) -> bool:
    span = window.span(keyword)
    if span is not None:
        value = row.value(keyword)
        if value is None:  # a range matches no blank; but a StudyDate may have been too broken to be read
            return keyword == DATE
        return span.holds(value, slack=SLACK[keyword])
    wanted = dict(window.keys).get(keyword, "")
    known = {"PatientID": row.patient, "PatientName": row.initial}
    if keyword in known and wanted.endswith("*"):
        return known[keyword].upper().startswith(wanted[:-1].upper())
    return True


def _lies_in(row: Row, window: Window) -> bool:
    for keyword, span in window.spans:
        value = row.value(keyword)
        if span.first is None and span.last is None:
            continue
        if value is None or not span.holds(value):
            return False
    keys = dict(window.keys)
    told = ((keys.pop("PatientID", "*"), row.patient), (keys.pop("PatientName", "*"), row.initial))
    return not keys and all(wanted.endswith("*") and text.startswith(wanted[:-1]) for wanted, text in told)


_NEAR = 35
"""Days to each side from which a day's number is guessed."""

_SAMPLE = 5_000
"""Values of a key that are kept: its distribution changes little."""

_ENOUGH = 30
"""Values from which a distribution is known."""


class Density:
    """Answers per day, and how they spread over the other range keys."""

    def __init__(self) -> None:
        self.guess: float | None = None  # answers per day as far as nothing better is known; None before anything is
        self._days: dict[int, float] = {}
        self._values: dict[str, list[int]] = {TIME: [], BIRTH: []}
        self._seen: set[str] = set()

    def learn(self, span: Span, days: Sequence[int], count: int) -> None:
        """Take note of all answers of a range of days; without StudyDates they are spread evenly."""
        if span.first is None or span.last is None:
            return
        size = span.last - span.first + 1
        if size > 20 * _NEAR:  # such long windows are nearly empty; their middle does not matter
            self._days |= dict.fromkeys((*range(span.first, span.first + _NEAR), *_tail(span.last)), count / size)
            return
        counts = Counter(days)
        for day in range(span.first, span.last + 1):
            self._days[day] = counts[day] if days else count / size

    def add_values(self, rows: Iterable[Row]) -> None:
        """Record the times and birth dates of complete answers."""
        if all(len(values) >= _SAMPLE for values in self._values.values()):
            return
        for row in rows:
            if row.uid in self._seen:
                continue
            self._seen.add(row.uid)
            for keyword, values in self._values.items():
                value = row.value(keyword)
                if value is not None:
                    values.append(value)

    def expect(self, day: int) -> float | None:
        """Return how many answers a day will get: as the same day of the weeks around it, else as the days around.

        >>> density = Density()
        >>> density.learn(Span(1, 14), [7] * 3 + [14] * 5, 8)
        >>> density.expect(21), density.expect(200)
        (4.0, None)
        """
        if day in self._days:
            return self._days[day]
        weeks = [self._days[near] for step in range(7, _NEAR + 1, 7) for near in _around(day, step, self._days)]
        if weeks:
            return fmean(weeks)
        days = [self._days[near] for step in range(1, _NEAR + 1) for near in _around(day, step, self._days)]
        return fmean(days[:7]) if days else self.guess

    def parts(self, keyword: str, span: Span, count: int, own: Iterable[Row] = ()) -> list[Span]:
        """Return a range of a key cut into parts with about equal numbers of answers; always two or more.

        `own`: answers of the range itself, if there are any; the distribution is taken from all others where they are
        few.
        """
        values = [value for row in own if (value := row.value(keyword)) is not None and span.holds(value)]
        everybody = [value for value in self._values[keyword] if span.holds(value)]
        values = sorted(everybody if len(everybody) >= _ENOUGH or len(values) < _ENOUGH else values)
        cuts = _cuts(values, count, bounds(keyword, span))
        if keyword == BIRTH:
            cuts = _at_whole_years(cuts, bounds(keyword, span))
        starts = [span.first, *sorted(cuts)]
        ends = [*(cut - 1 for cut in sorted(cuts)), span.last]
        return [Span(start, end) for start, end in zip(starts, ends, strict=True)]


def _cuts(values: Sequence[int], count: int, ends: tuple[int, int]) -> set[int]:
    """Return where parts begin, each with as many of the values; one value that most have becomes a part of its own.

    >>> sorted(_cuts([5, 7, 9], 3, (0, 20))), sorted(_cuts([5, 5, 5], 2, (0, 20))), _cuts([], 2, (0, 20))
    ([7, 9], [5, 6], {10})
    """
    lowest, highest = ends
    cuts = {values[len(values) * part // count] for part in range(1, count)} if values else set()
    cuts = {cut for cut in cuts if lowest < cut <= highest}
    if values and (not cuts or cuts == {values[0]}):
        cuts = {cut for cut in (values[0], values[0] + 1) if lowest < cut <= highest}
    return cuts or {(lowest + highest + 1) // 2}


def _at_whole_years(cuts: set[int], ends: tuple[int, int]) -> set[int]:
    """Return dates of birth at the first day of their year, if as many parts are left: some PACS know no more.

    >>> births = {date(1961, 7, 1).toordinal(), date(1990, 2, 3).toordinal()}
    >>> sorted(date.fromordinal(one).isoformat() for one in _at_whole_years(births, (700_000, 740_000)))
    ['1961-01-01', '1990-01-01']
    >>> sorted(_at_whole_years({715_000, 715_001}, (700_000, 740_000)))
    [715000, 715001]
    """
    rounded = {date.fromordinal(cut).replace(month=1, day=1).toordinal() for cut in cuts}
    is_as_good = len(rounded) == len(cuts) and min(rounded) > ends[0]
    return rounded if is_as_good else cuts


def parts_needed(expected: float, room: float) -> int:
    """Return into how many parts something must be cut, so that none will be larger than `room`.

    >>> parts_needed(700, 499), parts_needed(200, 499), parts_needed(10, 1)
    (2, 2, 11)
    """
    least = expected / room if room >= 1 else expected
    for parts in range(max(2, math.floor(least)), 10_000):
        part = expected / parts
        if part + 2.5 * math.sqrt(part) <= room or part < 1:
            return parts
    return 10_000


def _around(day: int, step: int, known: dict[int, float]) -> list[int]:
    return [near for near in (day - step, day + step) if near in known]


def _tail(last: int) -> range:
    return range(last - _NEAR + 1, last + 1)
