"""The window driver: asks a request in windows, until each is below suspicion or cannot be split further.

It does no I/O. It yields the requests of windows, which may be sent in any order or at once, is sent what came of
each, and returns what is proven.

A range of days is asked from its beginning to its end, in windows as long as they can be. If an answer is larger than
any that was proven whole, its halves show whether it is whole.

A PACS may stop at any number, and give its answers in any order. If it has stopped, at least one of the halves brings
something new; if it has not, they bring the same once more, which is needed once for each new size at a node.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Sequence

from qrkit.find.windows.ranges import ask_parts
from qrkit.find.windows.results import Assumption, Doubt, Failure, FailureKind, WindowAnswer, WindowsResult
from qrkit.find.windows.state import WindowContext, WindowState, WindowStep, whole_of
from qrkit.find.windows.window import BIRTH, DATE, TIME, Span, Window
from qrkit.query import Request
from qrkit.words import counted

_FULL = Span(None, None)

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

WindowSteps = Generator[tuple[Request, ...], Sequence[WindowAnswer], WindowsResult]
"""Yields requests, is sent their answers in the same order, returns the result."""


def ask_again_in_halves(
    state: WindowState, window: Window, answer: WindowAnswer
) -> Generator[tuple[Request, ...], Sequence[WindowAnswer], str]:
    """Ask for an answer again in two halves; return why it was cut off, or an empty text."""
    if not state.is_bulk or state.list_key(window) or not state.caps.wants_proof(answer.count):
        return ""
    reason = f"{answer.count} rows are more than this node has returned in one proven result"
    doubt = Doubt.UNPARTED
    for keyword in (DATE, TIME, BIRTH):
        halves = _halves(state, window, answer, keyword)
        if not halves:
            continue
        before = len(state.found)
        answers = yield from state.ask(halves)
        if len(state.found) > before:
            state.caps.confirm(answer.count)
            return f"the node returned only {counted(answer.count, 'row')}"
        came = {uid for half in answers for uid in half.uids}
        expected = {row.uid for row in answer.rows if row.value(keyword) is not None} or answer.uids
        if _lack_rows(halves, answer, keyword, came):
            doubt = Doubt.UNREPEATED
        if expected <= came and keyword not in state.unusable:
            state.clear(answer.count)
            if keyword != DATE or window.span(DATE) == _FULL:  # those without a value are in neither half
                state.note(Assumption.CLEARED, window, reason)
            return ""
    state.note(doubt, window, reason)
    return ""


def _halves(state: WindowState, window: Window, answer: WindowAnswer, keyword: str) -> list[Window]:
    """Return the windows to each side of the median of a key, or of the one day that all answers are of.

    Of days that the node does not tell, the range that was asked for is halved.
    """
    span = window.span(keyword) or _FULL
    known = [value for row in answer.rows if (value := row.value(keyword)) is not None]
    values = sorted(value for value in known if span.holds(value))
    if not known and keyword == DATE and span.first is not None and span.last is not None:
        values = [span.first, span.last]
    if not values or not state.can_split_by(keyword, window):
        return []
    middle = values[len(values) // 2] if known else (values[0] + values[1] + 1) // 2
    cut = middle if middle > values[0] else next((value for value in values if value > middle), middle + 1)
    least = cut if values[-1] > values[0] else middle
    sides = (Span(span.first, least - 1), Span(cut, span.last))
    return [window.narrowed(keyword, side) for side in sides if not _is_empty(side)]


def _lack_rows(halves: Sequence[Window], answer: WindowAnswer, keyword: str, came: Collection[str]) -> bool:
    """Whether rows of an answer did not come again although their value is in one of its halves."""
    spans = [half.span(keyword) or _FULL for half in halves]
    valued = ((row.uid, row.value(keyword)) for row in answer.rows if row.uid not in came)
    return any(value is not None and any(span.holds(value) for span in spans) for _, value in valued)


def _is_empty(span: Span) -> bool:
    return span.first is not None and span.last is not None and span.first > span.last


def ask_in_windows(request: Request, context: WindowContext) -> WindowSteps:
    """Ask one request, in as many windows as it takes; one, where nothing is suspicious."""
    state = WindowState(request, context)
    whole = whole_of(request)
    (answer,) = yield from state.ask((whole,))
    yield from settle(state, whole, answer)
    yield from _look_again(state)
    return state.result()


def settle(state: WindowState, window: Window, answer: WindowAnswer) -> WindowStep:
    """Do whatever the answer of a window makes necessary."""
    if answer.failure is not None:
        return (yield from _after_failure(state, window, answer.failure))
    if any(keyword in state.unusable for keyword in state.added(window)) or state.stopped:
        return False
    state.note_keys(window, answer)
    if state.is_whole_list(window, answer) or (answer.has_all and state.caps.known is None):
        state.accept(window, answer)
        return True
    reason = state.suspicion(answer.count)
    if not reason:
        reason = yield from ask_again_in_halves(state, window, answer)
    if not reason:
        state.accept(window, answer)
        return True
    state.limit = min(state.limit, answer.count - 1)
    return (yield from _split_capped(state, window, answer.count, reason))


def _split_capped(state: WindowState, window: Window, count: int, reason: str) -> WindowStep:
    """Split a window whose answer looks cut off, and find out whether it was."""
    before = len(state.found)
    if state.suspect is None and state.caps.known is None:
        state.suspect = count, before
    complete = yield from _split(state, window, reason)
    if state.suspect == (count, before):
        state.suspect = None
        if complete:
            state.clear(count)
            state.note(Assumption.CLEARED, window, reason)
    return complete


def _split(state: WindowState, window: Window, reason: str) -> WindowStep:
    """Ask the parts of a window."""
    state.mark_split(window)
    listed = state.list_key(window)
    if listed:
        return (yield from _split_list(state, window, listed))
    span = window.span(DATE)
    if span is not None and not span.is_single and state.is_bulk:
        if DATE not in state.unusable:
            complete = yield from _DayRange(state, window).run()
            if DATE not in state.unusable:
                return complete
        state.note(Doubt.IGNORED, window, reason)
        return False
    return (yield from ask_parts(state, window, settle, reason))


def _split_list(state: WindowState, window: Window, keyword: str) -> WindowStep:
    """Ask for each half of a list of UIDs: nothing can fall between them."""
    values = (dict(window.keys).get(keyword) or state.base.value(keyword)).split("\\")
    middle = len(values) // 2
    halves = [window.with_key(keyword, "\\".join(part)) for part in (values[:middle], values[middle:])]
    answers = yield from state.ask(halves)
    complete = True
    for half, answer in zip(halves, answers, strict=True):
        complete &= yield from settle(state, half, answer)
    return complete


def _after_failure(state: WindowState, window: Window, failure: Failure) -> WindowStep:
    """Ask for less after a failure, once more where it cannot be less, or give up."""
    added = state.added(window)
    if failure.kind is FailureKind.REFUSED and added:
        for keyword in added:
            state.unusable.setdefault(keyword, "the node refuses it")
        return False
    if not state.bears(failure):
        state.give_up(window, failure)
        return False
    if _is_splittable(state, window):
        return (yield from _split(state, window, str(failure.error.message).rstrip(".")))
    (again,) = yield from state.ask((window,))
    if again.failure is None:
        return (yield from settle(state, window, again))
    state.give_up(window, again.failure)
    return False


def _is_splittable(state: WindowState, window: Window) -> bool:
    if state.asks_one(window):
        return False
    return bool(state.list_key(window)) or any(
        state.can_split_by(keyword, window) for keyword in (*dict(window.spans), TIME, BIRTH)
    )


def _look_again(state: WindowState) -> WindowStep:
    """Split the windows whose answers were taken for whole before a cap of their size was proved."""
    cap = state.caps.known
    if not state.caps.is_proved or cap is None:
        return True
    complete = True
    for window in state.unsplit(cap):
        complete &= yield from _split(state, window, f"{cap} rows are as many as this node returns at most")
    return complete


class _DayRange:
    """One range of several days being asked in shorter ones."""

    def __init__(self, state: WindowState, window: Window) -> None:
        span = window.span(DATE) or Span(None, None)
        self.window = window
        self.state = state
        self.low = _EARLIEST if span.first is None else span.first
        self.high = max(state.knows.today if span.last is None else span.last, self.low)
        self.ends = (span.first, span.last)
        self.pending = [(self.low, self.high)]  # days that are still to be asked, in order
        # days that a window may have
        self.longest = max((self.high - self.low + 1) // (2 if state.has_answer else _GROWTH), 1)
        self.learned = False  # whether it is known how many answers a day has
        self.looks = _LOOKS  # how often the ends of a range may still be looked at
        # whether days without a known answer may be asked at once: the node gives the oldest first
        self.trusts_gaps = True
        self._guess(self.low, self.high)

    def run(self) -> WindowStep:
        """Ask; return whether all of it is found."""
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
            complete = yield from ask_parts(self.state, window, settle, "a day holds more than the node gives")
        else:
            complete = yield from settle(self.state, window, answer)
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
