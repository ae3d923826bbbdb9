"""A window that days can split no further: times of day, dates of birth, and at last how PatientIDs begin.

Studies without StudyTime are in no range of times, so a day is asked by ranges of PatientBirthDate too; what is left
unproven then are studies that have neither.

A window that no range can split is parted by the first letters of PatientIDs or names.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from string import ascii_uppercase

from qrkit.find.windows.found_rows import parts_needed
from qrkit.find.windows.results import Assumption, Doubt, WindowAnswer
from qrkit.find.windows.state import Settle, WindowState, WindowStep
from qrkit.find.windows.window import BIRTH, DATE, LAST_MINUTE, TIME, Span, Window
from qrkit.query import Request
from qrkit.tables import Level

_MOST = 40
"""Parts; with more, the requests are no longer in proportion to what they may find."""

_SPECIAL = frozenset("*?\\")


def beginnings(patients: Iterable[str], given: str = "") -> tuple[str, ...]:
    """Return matching values that separate known PatientIDs by their next letter; empty if there are none.

    They are no proof: PatientIDs that were not found may begin in other ways.

    `given`: the matching value by which the window is narrowed already.

    >>> beginnings(["Q100", "Q101", "Q2", "X7"]), beginnings(["Q100", "Q101", "Q2"], "Q*")
    (('Q*', 'X*'), ('Q1*', 'Q2*'))
    """
    start = given.removesuffix("*")
    if given and given == start:
        return ()
    known = sorted({one for one in patients if one.startswith(start) and not _SPECIAL.intersection(one)})
    if len(known) < 2:
        return ()
    first, last = known[0], known[-1]  # sorted, so that what these share all share
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    shared = first[:length]
    letters = sorted({one[len(shared)] for one in known if len(one) > len(shared)})
    own = (shared,) if shared in known else ()
    parts = (*own, *(f"{shared}{letter}*" for letter in letters))
    return parts if len(parts) <= _MOST else ()


def initials(known: Iterable[str]) -> tuple[str, ...]:
    """Return matching values for names by their first letter: A to Z, and what known names begin with.

    A lower-case letter is left out beside its capital: names match in any case (PS3.4 C.2.2.2.1).

    >>> initials(["d", "Å"])[-3:], len(initials([]))
    (('Y*', 'Z*', 'Å*'), 26)
    """
    letters = {one.upper() for one in known if one and not _SPECIAL.intersection(one)}
    return tuple(f"{letter}*" for letter in sorted(letters.union(ascii_uppercase)))


_FULL = {TIME: Span(0, LAST_MINUTE), BIRTH: Span(None, None)}

_EXCESS = 1.3
"""By how much a cut-off window is assumed to be larger than what it returned, where nothing is known."""

_UNEVEN = 3
"""By how many times more names begin with the commonest letter than with the mean one."""

_CoveredKeys = Generator[tuple[Request, ...], Sequence[WindowAnswer], list[str]]


def ask_parts(state: WindowState, window: Window, settle: Settle, reason: str) -> WindowStep:
    """Ask a window in parts by the keys that are left; return whether all of it is found."""
    state.mark_split(window)
    covered: list[str] = []
    if not window.keys:
        for keyword in (TIME, BIRTH):
            if window.span(keyword) is not None and state.can_split_by(keyword, window):
                return bool((yield from _by_ranges(state, window, settle, [keyword])))
        free = [key for key in (TIME, BIRTH) if window.span(key) is None and state.can_split_by(key, window)]
        covered = yield from _by_ranges(state, window, settle, free)
        if _is_proven(state, window, covered):
            return True
        if (yield from _by_initials(state, window, settle)):
            return True
    if not state.stopped:
        yield from _by_beginnings(state, window, settle, covered)
    _doubt(state, window, covered, state.stopped or reason)
    return False


def _by_ranges(state: WindowState, window: Window, settle: Settle, keywords: list[str]) -> _CoveredKeys:
    """Ask a window by ranges of each key; return the keys by which all was found that has a value of them."""
    count = parts_needed(_expected(state, window), state.room())
    own = state.found.within(window)
    parts = [
        (keyword, window.narrowed(keyword, span))
        for keyword in keywords
        for span in state.density.parts(keyword, window.span(keyword) or _FULL[keyword], count, own)
    ]
    answers = yield from state.ask([part for _, part in parts])
    complete = dict.fromkeys(keywords, True)
    for (keyword, part), answer in zip(parts, answers, strict=True):
        complete[keyword] &= yield from settle(state, part, answer)
    sound = state.matched.difference(state.leaky, state.unusable)
    return [
        keyword
        for keyword in keywords
        if complete[keyword]
        and (state.base.value(keyword) or (keyword in sound and state.brings_all(keyword, window)))
    ]


def _expected(state: WindowState, window: Window) -> float:
    known = len(state.found.within(window))
    day = window.span(DATE)
    usual = None
    if day is not None and day.first is not None and len(window.spans) == 1:
        usual = state.density.expect(day.first)
    return max(usual or 0.0, known if usual and usual > known else known * _EXCESS)


def _is_proven(state: WindowState, window: Window, covered: list[str]) -> bool:
    """Whether ranges have found everything; records the assumptions."""
    found = state.found
    if TIME in covered and BIRTH in covered and not found.blank_in_both:
        state.note(Assumption.NEITHER, window)
        return True
    if BIRTH in covered and BIRTH not in found.blank and state.sees_births:
        state.note(Assumption.NO_BIRTH, window)
        return True
    return False


def _doubt(state: WindowState, window: Window, covered: list[str], reason: str) -> None:
    if TIME in covered:
        state.note(Doubt.NEITHER if BIRTH in covered else Doubt.UNTIMED, window)
    elif BIRTH in covered:
        state.note(Doubt.NO_BIRTH, window)
    else:
        state.note(Doubt.CUT_OFF, window, reason)


def _by_initials(state: WindowState, window: Window, settle: Settle) -> WindowStep:
    """Look for patients that dates of birth cannot find by the first letters of names; return whether all are found.

    Only where wildcards are known to match (taken for letters they find nothing, as if there were none), and where
    the patients that are known already would fit.
    """
    asked = state.base
    is_open = asked.level is Level.PATIENT and not asked.value("PatientName") and not window.spans
    values = initials(state.found.initials)
    if not is_open or not state.knows.wildcards or state.stopped or len(state.found) > _fits(state, values):
        return False
    parts = [window.with_key("PatientName", value) for value in values]
    answers = yield from state.ask(parts)
    complete = True
    for part, answer in zip(parts, answers, strict=True):
        complete &= yield from settle(state, part, answer)
    if not complete or "PatientName" in {*state.leaky, *state.unusable} or "" in state.found.initials:
        return False
    state.note(Assumption.INITIALS, window)
    return True


def _fits(state: WindowState, values: Sequence[str]) -> float:
    """Return how many patients may be known at most, so that those of one first letter probably get through."""
    return state.room() * len(values) / _UNEVEN


def _by_beginnings(state: WindowState, window: Window, settle: Settle, covered: list[str]) -> WindowStep:
    """Look for what ranges cannot find by how PatientIDs begin; it proves nothing."""
    if state.base.value("PatientID") or "PatientID" in state.unusable or not state.is_bulk:
        return False
    if not state.was_asked(window):
        (answer,) = yield from state.ask((window,))
        if answer.failure is None and not state.suspicion(answer.count):
            return False
    known = state.found.within(window)
    if TIME in covered and all(row.minute is not None for row in known):
        return False
    values = beginnings((row.patient for row in known), dict(window.keys).get("PatientID", ""))
    parts = [window.with_key("PatientID", value) for value in values]
    answers = yield from state.ask(parts)
    for part, answer in zip(parts, answers, strict=True):
        yield from settle(state, part, answer)
    return False
