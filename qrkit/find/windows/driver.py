"""The window driver: asks a request in windows, until each is below suspicion or cannot be split further.

It does no I/O. It yields the requests of windows, which may be sent in any order or at once, is sent what came of
each, and returns what is proven.

An answer that looks like any other, but is larger than any that was proven whole: its halves show whether it is.

A PACS may stop at any number, and give its answers in any order. If it has stopped, at least one of the halves brings
something new; if it has not, they bring the same once more, which is needed once for each new size at a node.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from qrkit.find.windows.days import ask_days
from qrkit.find.windows.ranges import ask_parts
from qrkit.find.windows.results import Assumption, Doubt, Failure, FailureKind, WindowAnswer, WindowsResult
from qrkit.find.windows.state import WindowContext, WindowState, WindowStep, whole_of
from qrkit.find.windows.window import BIRTH, DATE, TIME, Span, Window
from qrkit.query import Request

_FULL = Span(None, None)


def ask_again_in_halves(
    state: WindowState, window: Window, answer: WindowAnswer
) -> Generator[tuple[Request, ...], Sequence[WindowAnswer], str]:
    """Ask for an answer again in two halves; return why it was cut off, or an empty text."""
    if not state.is_bulk or state.list_key(window) or not state.caps.wants_proof(answer.count):
        return ""
    reason = f"{answer.count} answers are more than any request was seen to get whole"
    for keyword in (DATE, TIME, BIRTH):
        halves = _halves(state, window, answer, keyword)
        if not halves:
            continue
        before = len(state.found)
        answers = yield from state.ask(halves)
        if len(state.found) > before:
            state.caps.confirm(answer.count)
            return f"{answer.count} answers were not all that there are"
        came = {uid for half in answers for uid in half.uids}
        expected = {row.uid for row in answer.rows if row.value(keyword) is not None} or answer.uids
        if expected <= came and keyword not in state.unusable:
            state.caps.clear(answer.count)
            if keyword != DATE or window.span(DATE) == _FULL:  # those without a value are in neither half
                state.note(Assumption.CLEARED, window, reason)
            return ""
    state.note(Doubt.UNPARTED, window, reason)
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


def _is_empty(span: Span) -> bool:
    return span.first is not None and span.last is not None and span.first > span.last


WindowSteps = Generator[tuple[Request, ...], Sequence[WindowAnswer], WindowsResult]
"""Yields requests, is sent their answers in the same order, returns the result."""


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
            state.caps.clear(count)
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
            complete = yield from ask_days(state, window, settle)
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
        complete &= yield from _split(state, window, f"{cap} answers are as many as this node gives at most")
    return complete
