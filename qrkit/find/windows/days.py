"""A range of days, from its beginning to its end, in windows as long as they can be."""

from __future__ import annotations

import math

from qrkit.find.windows.ranges import ask_parts
from qrkit.find.windows.results import Doubt, FailureKind, WindowAnswer
from qrkit.find.windows.state import Settle, WindowState, WindowStep
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


def ask_days(state: WindowState, window: Window, settle: Settle) -> WindowStep:
    """Ask a window of several days in shorter ones; return whether all of it is found."""
    return (yield from _DayRange(state, window, settle).run())


class _DayRange:
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

    def __init__(self, state: WindowState, window: Window, settle: Settle) -> None:
        span = window.span(DATE) or Span(None, None)
        self.window = window
        self.state = state
        self.settle = settle
        self.low = _EARLIEST if span.first is None else span.first
        self.high = max(state.knows.today if span.last is None else span.last, self.low)
        self.ends = (span.first, span.last)
        self.pending = [(self.low, self.high)]
        self.longest = max((self.high - self.low + 1) // (2 if state.has_answer else _GROWTH), 1)
        self.learned = False
        self.looks = _LOOKS
        self.trusts_gaps = True
        self._guess(self.low, self.high)

    def run(self) -> WindowStep:
        state = self.state
        is_open = self.window.span(DATE) == Span(None, None)
        if is_open:
            state.note(Doubt.UNDATED, self.window)
        complete = not is_open
        while self.pending and not state.stopped and DATE not in state.unusable:
            heavy = self._take_heavy()
            if heavy is not None:
                complete &= yield from self._day(heavy, None)
                continue
            pieces = self._take_pieces()
            answers = yield from state.ask([self._narrowed(*piece) for piece in pieces])
            for piece, answer in zip(pieces, answers, strict=True):
                complete &= yield from self._after(*piece, answer)
        for piece in self.pending:
            state.skip(self._narrowed(*piece))
        return complete and not self.pending

    def _take_heavy(self) -> int | None:
        """Take the next day off, if it surely holds more than gets through."""
        first, last = self.pending[0]
        expected = self.state.density.expect(first) if self.learned else 0
        if max(expected or 0, self.state.found.on(first)) <= self.state.room():
            return None
        self._take(first, last)
        return first

    def _take_pieces(self) -> list[tuple[int, int]]:
        """Take the next windows off."""
        pieces: list[tuple[int, int]] = []
        width = self.state.knows.width if self.learned else 1
        while self.pending and len(pieces) < width:
            first, last = self.pending[0]
            if pieces and (self.state.density.expect(first) or 0) > self.state.room():
                break
            end = self._end(first, last)
            pieces.append((first, end))
            self._take(end, last)
        return pieces

    def _take(self, end: int, last: int) -> None:
        self.pending[0:1] = [(end + 1, last)] if end < last else []

    def _end(self, first: int, last: int) -> int:
        """Return the last day of the window that begins with a day."""
        if self.state.single_days:
            return first
        known = self.state.found.first_day(first)
        if self.trusts_gaps and known is not None and known - first >= _GAP:
            return min(known - 1, last)
        last = min(last, first + self.longest - 1)
        total, room = 0.0, self.state.room()
        for day in range(first, last + 1):
            expected = self.state.density.expect(day)
            if expected is None:
                return last
            total += expected
            if day > first and total + 2 * math.sqrt(total) > room:
                return day - 1
        return last

    def _after(self, first: int, last: int, answer: WindowAnswer) -> WindowStep:
        """Do what the answer of a piece makes necessary."""
        size = last - first + 1
        if size == 1:
            return (yield from self._day(first, answer))
        window = self._narrowed(first, last)
        if answer.failure is None and not self.state.suspicion(answer.count):
            if (yield from self._is_inclusive(first, last, answer)):
                self.state.accept(window, answer)
                self.longest = max(self.longest, size * _GROWTH)
                self.learned |= answer.count > 0
                self.trusts_gaps &= not self.learned
                return True
        elif answer.failure is not None and not self._bears(window, answer):
            return False
        self.state.mark_split(window)
        self.trusts_gaps = False
        self.longest = max(size // (2 if self.state.has_answer else _GROWTH), 1)
        self._guess(first, last)
        self.pending = sorted([(first, last), *self.pending])
        return True

    def _bears(self, window: Window, answer: WindowAnswer) -> bool:
        """Whether to try a shorter window after a failure; else it is given up."""
        failure = answer.failure
        if failure is None or (failure.kind is not FailureKind.REFUSED and self.state.bears(failure)):
            return True
        self.state.give_up(window, failure)
        return False

    def _is_inclusive(self, first: int, last: int, answer: WindowAnswer) -> WindowStep:
        """Whether the node includes the ends of a range, as PS3.4 C.2.2.2.5 requires."""
        state = self.state
        if DATE in state.leaky:
            state.leaky.discard(DATE)
            state.single_days = True
            return False
        days = {row.day for row in answer.rows}
        usual = state.density.expect(first) if self.learned else answer.count / max(last - first - 1, 1)
        if not self.looks or DATE not in state.returned or (first in days and last in days):
            self.looks = 0 if first in days and last in days else self.looks
            return True
        if (usual or 0) < _CLEAR:
            return True
        self.looks -= 1
        before = len(state.found)
        empty = [day for day in (first, last) if day not in days]
        yield from state.ask([self._narrowed(day, day) for day in empty])
        state.single_days = len(state.found) > before
        return not state.single_days

    def _day(self, day: int, answer: WindowAnswer | None) -> WindowStep:
        """Ask a single day, with or without the answer to it as a whole."""
        window = self._narrowed(day, day)
        if answer is None:
            complete = yield from ask_parts(self.state, window, self.settle, "a day holds more than the node gives")
        else:
            complete = yield from self.settle(self.state, window, answer)
        found = self.state.found.on(day)
        self.state.density.learn(Span(day, day), [], found)
        self.learned = True
        self.longest = max(self.longest, _GROWTH)
        return complete

    def _guess(self, first: int, last: int) -> None:
        """Guess the answers per day of a range that was too large, by those returned."""
        density = self.state.density
        days = [row.day for row in self.state.found.within(self._narrowed(first, last)) if row.day is not None]
        least = 0.0 if math.isinf(self.state.limit) else self.state.limit / (last - first + 1)
        if days:
            least = max(least, len(days) / (max(days) - min(days) + 1))
        density.guess = max(density.guess or 0.0, least) or None

    def _narrowed(self, first: int, last: int) -> Window:
        start = self.ends[0] if first == self.low else first
        end = self.ends[1] if last == self.high else last
        return self.window.narrowed(DATE, Span(start, end))
