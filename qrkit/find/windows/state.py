"""The state of one request that is being asked in windows: what was asked, found and learned."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

from qrkit.find.windows.caps import Caps
from qrkit.find.windows.found_rows import Density, FoundRows, beyond, lacking
from qrkit.find.windows.results import (
    Assumption,
    Doubt,
    Failure,
    FailureKind,
    WindowAnswer,
    WindowNote,
    WindowRecord,
    WindowsResult,
    sentences,
)
from qrkit.find.windows.window import BIRTH, DATE, TIME, Span, Window, bounds, parse_days, parse_minutes
from qrkit.query import Request
from qrkit.tables import Level, unique_key
from qrkit.words import counted

WindowStep = Generator[tuple[Request, ...], Sequence[WindowAnswer], bool]
"""Asks something, and returns whether all of it is found."""

Settle = Callable[["WindowState", Window, WindowAnswer], WindowStep]
"""Asks whatever the response to a window makes necessary."""

_TIMED = (Level.STUDY, Level.SERIES, Level.IMAGE)

_PATIENCE = {
    FailureKind.TOO_MUCH: (12, 40),
    FailureKind.BROKEN: (3, 8),
    FailureKind.AWAY: (0, 0),
    FailureKind.REFUSED: (0, 0),
    FailureKind.ENDED: (0, 0),
}
"""Failures in a row that are borne, each followed by a smaller window: before anything was answered, and after."""

_MOST_ROWLESS = 16
"""Windows that may break off before a single row was received; then nothing smaller will get through either.

From 1900 until today it takes up to 15 halves to reach one day."""

_MOST_WINDOWS = 300
"""Windows beyond one for each row found: a node that needs more does not heed what is asked."""

_MOST_VAIN = {Level.PATIENT: 30}
_USUALLY_VAIN = 12
"""Windows of a key that fail, before any succeeds, until the node is taken to ignore it.

Patients have nothing to be split by but their dates of birth, so it takes more halves until one gets through."""

_WILDCARDS = frozenset("*?")

_MOST_FAILED = 3
"""Windows that may fail for good before the rest is not asked any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowContext:
    """The knowledge that the windows of one query share."""

    caps: Caps  # of the node
    today: int  # the day, as an ordinal, with which an open range ends
    width: int = 2  # how many windows are asked at once
    wildcards: bool = False  # whether the node is known to match wildcards
    unusable: tuple[tuple[str, str], ...] = ()  # keys by which the node's profile says it cannot be split, and why


class WindowState:
    """One request being asked."""

    def __init__(self, base: Request, knows: WindowContext) -> None:
        self.base = base
        self.knows = knows
        self.caps = knows.caps
        self.density = Density()
        # `found` and `density`: what the windows have brought, and what it tells of those to come
        self.found = FoundRows()
        # how many answers get through, as far as it is known
        self.limit = math.inf if knows.caps.known is None else knows.caps.known - 1
        self.unusable = dict(knows.unusable)  # keys by which the node cannot be split, and why
        self.leaky: set[str] = set()  # keys whose windows did not bring everything again that lies in them
        self.has_answer = False  # whether any window succeeded
        self.in_a_row = 0  # windows that have failed since the last one that succeeded
        # windows that broke off while no row at all was received; windows that are empty prove nothing
        self.rowless = 0
        self.stopped = ""  # why nothing is asked any more; empty: it goes on
        self.matched: set[str] = set()  # added keys by which something was found, so that the node seems to know them
        self.returned: set[str] = set()  # range keys that answers have values of
        self.sees_births = False  # whether there was an answer in which rows without PatientBirthDate could have been
        self.single_days = False  # whether days are asked one by one, since the node leaves out the ends of a range
        self.ignores_list = False
        # whether an answer needed a proof, or did not fill a list, and had rows that no answer can be compared by
        self.needs_keys = False
        # the size of an answer that may be cut off and is being split, and how much was found by then
        self.suspect: tuple[int, int] | None = None
        self._brought: defaultdict[str, set[str]] = defaultdict(set)
        self._vain: Counter[str] = Counter()
        self._asked: dict[Window, WindowRecord] = {}
        self._notes: dict[WindowNote, None] = {}
        self._failed: list[Failure] = []

    @property
    def is_bulk(self) -> bool:
        """Whether it is not asked below one row of the level above, of which anything may be the number."""
        above = [unique_key(level) for level in _TIMED if level is not self.base.level]
        return not any(uid and "\\" not in uid for uid in map(self.base.value, above))

    def ask(
        self, windows: Sequence[Window]
    ) -> Generator[tuple[Request, ...], Sequence[WindowAnswer], Sequence[WindowAnswer]]:
        """Ask windows at once; return the answer of each."""
        if not windows:
            return ()
        answers = yield tuple(window.request(self.base) for window in windows)
        for window, answer in zip(windows, answers, strict=True):
            self._observe(window, answer)
        if len(self._asked) > _MOST_WINDOWS + len(self.found):
            self.stopped = f"{len(self._asked)} windows brought no more than {len(self.found)} rows"
        return answers

    def _observe(self, window: Window, answer: WindowAnswer) -> None:
        failure = answer.failure
        if failure is not None:
            self._asked[window] = WindowRecord(window=window, count=None, failure=str(failure.error))
            for keyword in self.added(window):
                self._vain[keyword] += keyword not in self.matched
                if self._vain[keyword] >= _MOST_VAIN.get(self.base.level, _USUALLY_VAIN):
                    self.unusable.setdefault(keyword, "the node fails as without it")
            self.caps.is_told |= failure.kind is FailureKind.TOO_MUCH
            if failure.kind is not FailureKind.REFUSED and failure.count >= self.caps.largest:
                self.limit = min(self.limit, failure.count)
                self.caps.largest = max(self.caps.largest, failure.count)
            return
        self._asked[window] = WindowRecord(window=window, count=answer.count)
        self.has_answer, self.in_a_row = True, 0
        self.returned |= answer.returned
        self.sees_births |= bool(answer.count) and window.span(BIRTH) is None
        if self.is_bulk:
            self.caps.observe(answer.count, answer.uids)
        listed = self._listed_uids(window)
        self.ignores_list |= len(listed) > 1 and answer.has_keys and not answer.uids.issubset(listed)
        self._verify(window, answer)
        for keyword in self.added(window):
            self._brought[keyword] |= answer.uids
        self.found.add(answer)
        if self.suspect is not None and len(self.found) > self.suspect[1]:
            self.caps.confirm(self.suspect[0])
            self.suspect = None

    def _verify(self, window: Window, answer: WindowAnswer) -> None:
        """Look whether the node has heeded the keys that were added, and brings again what is known."""
        if answer.rows:
            self.matched.update(self.added(window))
        for keyword in (DATE, *self.added(window)):
            if window.span(keyword) != Span(None, None) and beyond(answer, window, keyword):
                self.unusable.setdefault(keyword, "the node ignores it")
        if self.suspicion(answer.count) or not len(self.found):
            return
        some, most = lacking(answer, self.found.within(window))
        added = self.added(window)
        if most and added:
            self.unusable.setdefault(added[-1], "the node does not match it as PS3.4 requires")
        elif some:
            self.leaky.update(added or (DATE,))

    def brings_all(self, keyword: str, window: Window) -> bool:
        """Whether windows by a key brought every known row of a window that has a value of it.

        What the ranges of another key found, those of this one must find too: some nodes leave out the ends.
        """
        brought = self._brought[keyword]
        return all(row.uid in brought for row in self.found.within(window) if row.value(keyword) is not None)

    def list_key(self, window: Window) -> str:
        """Return the Unique Key for which a window has a list of UIDs that the node respects, or an empty text."""
        keys = dict(self.base.keys) | dict(window.keys)
        levels = [level for level in _TIMED if level is not self.base.level or not self.ignores_list]
        return next((name for level in levels if "\\" in keys.get(name := unique_key(level), "")), "")

    def asks_one(self, window: Window) -> bool:
        """Whether a window asks for one Unique Key of its own level, so that no part of it is smaller."""
        (value, *others) = self._listed_uids(window)
        return bool(value) and not others and not _WILDCARDS.intersection(value)

    def is_whole_list(self, window: Window, answer: WindowAnswer) -> bool:
        """Whether a window has a list of UIDs of its own level, and each of them was answered."""
        uids = self._listed_uids(window)
        return len(uids) > 1 and answer.uids.issuperset(uids)

    def note_keys(self, window: Window, answer: WindowAnswer) -> None:
        """Take note of an answer whose rows prove nothing, for want of Unique Keys."""
        listed = self._listed_uids(window)
        is_short = len(listed) > 1 and len(answer.rows) < len(listed)
        needs_proof = self.suspicion(answer.count) or self.caps.wants_proof(answer.count)
        self.needs_keys |= not answer.has_keys and self.is_bulk and bool(is_short or needs_proof)

    def clear(self, count: int) -> None:
        """Take note that an answer of this size was whole; rows without Unique Keys do not prove it."""
        if not self.needs_keys:
            self.caps.clear(count)

    def _listed_uids(self, window: Window) -> list[str]:
        unique = unique_key(self.base.level)
        return (dict(window.keys).get(unique) or self.base.value(unique)).split("\\")

    def added(self, window: Window) -> tuple[str, ...]:
        """Return the keys of a window that the request itself lacks, except StudyDate."""
        keywords = (*dict(window.spans), *dict(window.keys))
        return tuple(one for one in keywords if one != DATE and not self.base.value(one))

    def accept(self, window: Window, answer: WindowAnswer) -> None:
        """Learn from an answer that is whole."""
        span = window.span(DATE)
        is_checked = answer.has_all or self.list_key(window) or self.asks_one(window)
        if self.is_bulk and not is_checked and (span is None or not span.is_single):
            self.caps.accept(answer.count)
        if span is not None and len(window.spans) == 1 and not window.keys:
            self.density.learn(span, [row.day for row in answer.rows if row.day is not None], answer.count)
        self.density.add_values(answer.rows)

    def suspicion(self, count: int) -> str:
        """Return why an answer may be cut off; below one row of the level above any number may be right."""
        return self.caps.suspicion(count) if self.is_bulk or self.caps.known is not None else ""

    def was_asked(self, window: Window) -> bool:
        """Whether a window was asked as it is."""
        return window in self._asked

    def room(self) -> float:
        """Return how many answers a window should get at most."""
        return self.limit if self.caps.known is None else min(self.limit, self.caps.known - 1)

    def can_split_by(self, keyword: str, window: Window) -> bool:
        """Whether a range key can narrow a window."""
        if keyword in self.unusable or not self.is_bulk:
            return False
        span = window.span(keyword)
        if span is not None:
            low, high = bounds(keyword, span) if keyword != DATE else (0, 0 if span.is_single else 1)
            return low < high
        if self.base.value(keyword) or (len(self.found) and keyword not in self.returned):
            return False
        date = window.span(DATE)
        return keyword == BIRTH or (keyword == TIME and date is not None and date.is_single)

    def note(self, kind: Doubt | Assumption, window: Window, reason: str = "") -> None:
        """Write down a doubt or an assumption."""
        self._notes[WindowNote(kind, window, reason)] = None

    def mark_split(self, window: Window) -> None:
        """Write down that a window was not the last word."""
        if window in self._asked:
            self._asked[window] = replace(self._asked[window], is_split=True)

    def bears(self, failure: Failure) -> bool:
        """Whether to try smaller windows after a failure."""
        self.in_a_row += 1
        self.rowless += failure.kind is FailureKind.BROKEN and not failure.count and not len(self.found)
        return not self._is_hopeless(failure)

    def _is_hopeless(self, failure: Failure) -> bool:
        is_too_often = self.in_a_row > _PATIENCE[failure.kind][self.has_answer]
        return is_too_often or (self.rowless > _MOST_ROWLESS and not len(self.found))

    def give_up(self, window: Window, failure: Failure) -> None:
        """Write down that a window has failed for good; after several, or without hope, nothing more is asked."""
        self._failed.append(failure)
        self.note(Doubt.FAILED, window, str(failure.error.message).rstrip("."))
        is_hopeless = self._is_hopeless(failure) and failure.kind is not FailureKind.REFUSED
        if is_hopeless or len(self._failed) >= _MOST_FAILED:
            self.stopped = str(failure.error.message).rstrip(".")

    def skip(self, window: Window) -> None:
        """Write down that a window is not asked any more."""
        if self.stopped:
            self.note(Doubt.NOT_ASKED, window, self.stopped)

    def unsplit(self, count: int) -> list[Window]:
        """Return the windows with at least this many answers that were accepted as complete."""
        return [one.window for one in self._asked.values() if not one.is_split and (one.count or 0) >= count]

    def result(self) -> WindowsResult:
        """Return how it went."""
        if self.needs_keys:
            rows = counted(self.found.without_key, "row")
            reason = f"{rows} without {unique_key(self.base.level)} cannot be distinguished"
            self.note(Doubt.UNKEYED, Window(), reason)
        return WindowsResult(
            windows=tuple(self._asked.values()),
            doubts=sentences(note for note in self._notes if isinstance(note.kind, Doubt)),
            assumptions=sentences(note for note in self._notes if isinstance(note.kind, Assumption)),
            errors=tuple(failure.error for failure in self._failed),
            has_answer=self.has_answer,
            unusable=tuple(self.unusable.items()),
        )


def whole_of(base: Request) -> Window:
    """Return the window of all that a request asks for."""
    spans: dict[str, Span] = {}
    if base.level in _TIMED:
        asked = base.value(DATE)
        days = parse_days(asked)
        if days is not None or not asked:
            spans[DATE] = days or Span(None, None)
        minutes = parse_minutes(base.value(TIME))
        if minutes is not None:
            spans[TIME] = minutes
    return Window(spans=tuple(spans.items()))
