"""A range of days, from its beginning to its end, in windows as long as they can be."""

from __future__ import annotations

import math

from qrkit.find.windows.ranges import divide
from qrkit.find.windows.results import Answered, Doubt, Trouble
from qrkit.find.windows.state import Progress, Settle, Step
from qrkit.find.windows.window import DATE, Span, Window

_EARLIEST = 693_596
"""1900-01-01: what an open range begins with."""

_GROWTH = 4
"""By how many times a window may be longer than the last one that got through."""

_GAP = 7
"""Days without any known answer that are asked apart from those with answers."""

_CLEAR = 3
"""Answers per day from which a day without any is strange."""

_LOOKS = 2
"""How often the ends of ranges are looked at."""


def sweep(progress: Progress, window: Window, settle: Settle) -> Step:
    """Ask a window of several days in shorter ones; return whether all of it is found."""
    return (yield from _Sweep(progress, window, settle).run())


class _Sweep:
    """One range of days being asked.

    Attributes
    ----------
    pending
        Days that are still to be asked, in order.
    longest
        Days that a window may have.
    learned
        Whether it is known how many answers a day has.
    trusts_gaps
        Whether days without a known answer may be asked at once: the node gives the oldest first.
    looks
        How often the ends of a range may still be looked at.
    """

    def __init__(self, progress: Progress, window: Window, settle: Settle) -> None:
        span = window.span(DATE) or Span(None, None)
        self.window = window
        self.progress = progress
        self.settle = settle
        self.low = _EARLIEST if span.first is None else span.first
        self.high = max(progress.knows.today if span.last is None else span.last, self.low)
        self.ends = (span.first, span.last)
        self.pending = [(self.low, self.high)]
        self.longest = max((self.high - self.low + 1) // (2 if progress.has_answer else _GROWTH), 1)
        self.learned = False
        self.looks = _LOOKS
        self.trusts_gaps = True
        self._guess(self.low, self.high)

    def run(self) -> Step:
        progress = self.progress
        is_open = self.window.span(DATE) == Span(None, None)
        if is_open:
            progress.note(Doubt.UNDATED, self.window)
        complete = not is_open
        while self.pending and not progress.stopped and DATE not in progress.unusable:
            heavy = self._take_heavy()
            if heavy is not None:
                complete &= yield from self._day(heavy, None)
                continue
            pieces = self._take_pieces()
            answers = yield from progress.ask([self._narrowed(*piece) for piece in pieces])
            for piece, answer in zip(pieces, answers, strict=True):
                complete &= yield from self._after(*piece, answer)
        for piece in self.pending:
            progress.skip(self._narrowed(*piece))
        return complete and not self.pending

    def _take_heavy(self) -> int | None:
        """Take the next day off, if it surely holds more than gets through."""
        first, last = self.pending[0]
        expected = self.progress.density.expect(first) if self.learned else 0
        if max(expected or 0, self.progress.found.on(first)) <= self.progress.room():
            return None
        self._take(first, last)
        return first

    def _take_pieces(self) -> list[tuple[int, int]]:
        """Take the next windows off."""
        pieces: list[tuple[int, int]] = []
        width = self.progress.knows.width if self.learned else 1
        while self.pending and len(pieces) < width:
            first, last = self.pending[0]
            if pieces and (self.progress.density.expect(first) or 0) > self.progress.room():
                break
            end = self._end(first, last)
            pieces.append((first, end))
            self._take(end, last)
        return pieces

    def _take(self, end: int, last: int) -> None:
        self.pending[0:1] = [(end + 1, last)] if end < last else []

    def _end(self, first: int, last: int) -> int:
        """Return the last day of the window that begins with a day."""
        if self.progress.single_days:
            return first
        known = self.progress.found.first_day(first)
        if self.trusts_gaps and known is not None and known - first >= _GAP:
            return min(known - 1, last)
        last = min(last, first + self.longest - 1)
        total, room = 0.0, self.progress.room()
        for day in range(first, last + 1):
            expected = self.progress.density.expect(day)
            if expected is None:
                return last
            total += expected
            if day > first and total + 2 * math.sqrt(total) > room:
                return day - 1
        return last

    def _after(self, first: int, last: int, answer: Answered) -> Step:
        """Do what the answer of a piece makes necessary."""
        size = last - first + 1
        if size == 1:
            return (yield from self._day(first, answer))
        window = self._narrowed(first, last)
        if answer.failure is None and not self.progress.suspicion(answer.count):
            if (yield from self._is_inclusive(first, last, answer)):
                self.progress.accept(window, answer)
                self.longest = max(self.longest, size * _GROWTH)
                self.learned |= answer.count > 0
                self.trusts_gaps &= not self.learned
                return True
        elif answer.failure is not None and not self._bears(window, answer):
            return False
        self.progress.mark_split(window)
        self.trusts_gaps = False
        self.longest = max(size // (2 if self.progress.has_answer else _GROWTH), 1)
        self._guess(first, last)
        self.pending = sorted([(first, last), *self.pending])
        return True

    def _bears(self, window: Window, answer: Answered) -> bool:
        """Whether to go on with a shorter window after a failure; else it is given up."""
        failure = answer.failure
        if failure is None or (failure.trouble is not Trouble.REFUSED and self.progress.bears(failure)):
            return True
        self.progress.give_up(window, failure)
        return False

    def _is_inclusive(self, first: int, last: int, answer: Answered) -> Step:
        """Whether the node takes the ends of a range for part of it, as PS3.4 C.2.2.2.5 says."""
        progress = self.progress
        if DATE in progress.leaky:
            progress.leaky.discard(DATE)
            progress.single_days = True
            return False
        days = {row.day for row in answer.rows}
        usual = progress.density.expect(first) if self.learned else answer.count / max(last - first - 1, 1)
        if not self.looks or DATE not in progress.returned or (first in days and last in days):
            self.looks = 0 if first in days and last in days else self.looks
            return True
        if (usual or 0) < _CLEAR:
            return True
        self.looks -= 1
        before = len(progress.found)
        empty = [day for day in (first, last) if day not in days]
        yield from progress.ask([self._narrowed(day, day) for day in empty])
        progress.single_days = len(progress.found) > before
        return not progress.single_days

    def _day(self, day: int, answer: Answered | None) -> Step:
        """Ask a single day, with or without the answer to it as a whole."""
        window = self._narrowed(day, day)
        if answer is None:
            complete = yield from divide(self.progress, window, self.settle, "a day holds more than the node gives")
        else:
            complete = yield from self.settle(self.progress, window, answer)
        found = self.progress.found.on(day)
        self.progress.density.learn(Span(day, day), [], found)
        self.learned = True
        self.longest = max(self.longest, _GROWTH)
        return complete

    def _guess(self, first: int, last: int) -> None:
        """Guess the answers per day of a range that was too large, by those that came."""
        density = self.progress.density
        days = [row.day for row in self.progress.found.within(self._narrowed(first, last)) if row.day is not None]
        least = 0.0 if math.isinf(self.progress.limit) else self.progress.limit / (last - first + 1)
        if days:
            least = max(least, len(days) / (max(days) - min(days) + 1))
        density.guess = max(density.guess or 0.0, least) or None

    def _narrowed(self, first: int, last: int) -> Window:
        start = self.ends[0] if first == self.low else first
        end = self.ends[1] if last == self.high else last
        return self.window.narrowed(DATE, Span(start, end))
