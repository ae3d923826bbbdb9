"""The window driver: asks a request in windows, until each is below suspicion or cannot be split further.

It does no I/O. It yields the requests of windows, which may be sent in any order or at once, is sent what came of
each, and returns what is proven.

An answer that looks like any other, but is larger than any that was proven whole: its halves show whether it is.

A PACS may stop at any number, and give its answers in any order. If it has stopped, at least one of the halves brings
something new; if it has not, they bring the same once more, which is needed once for each new size at a node.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from qrkit.find.windows.days import sweep
from qrkit.find.windows.ranges import divide
from qrkit.find.windows.results import Answered, Assumption, Doubt, Driven, Failure, Trouble
from qrkit.find.windows.state import Knowledge, Progress, Step, whole_of
from qrkit.find.windows.window import BIRTH, DATE, TIME, Span, Window
from qrkit.query import Request

_FULL = Span(None, None)


def look_in_halves(
    progress: Progress, window: Window, answer: Answered
) -> Generator[tuple[Request, ...], Sequence[Answered], str]:
    """Ask for an answer again in two halves; return why it was cut off, or an empty text."""
    if not progress.is_bulk or progress.list_key(window) or not progress.caps.wants_proof(answer.count):
        return ""
    reason = f"{answer.count} answers are more than any request was seen to get whole"
    for keyword in (DATE, TIME, BIRTH):
        halves = _halves(progress, window, answer, keyword)
        if not halves:
            continue
        before = len(progress.found)
        answers = yield from progress.ask(halves)
        if len(progress.found) > before:
            progress.caps.confirm(answer.count)
            return f"{answer.count} answers were not all that there are"
        came = {uid for half in answers for uid in half.uids}
        expected = {row.uid for row in answer.rows if row.value(keyword) is not None} or answer.uids
        if expected <= came and keyword not in progress.unusable:
            progress.caps.clear(answer.count)
            if keyword != DATE or window.span(DATE) == _FULL:  # those without a value are in neither half
                progress.note(Assumption.CLEARED, window, reason)
            return ""
    progress.note(Doubt.UNPARTED, window, reason)
    return ""


def _halves(progress: Progress, window: Window, answer: Answered, keyword: str) -> list[Window]:
    """Return the windows to each side of the median of a key, or of the one day that all answers are of.

    Of days that the node does not tell, the range that was asked for is halved.
    """
    span = window.span(keyword) or _FULL
    known = [value for row in answer.rows if (value := row.value(keyword)) is not None]
    values = sorted(value for value in known if span.holds(value))
    if not known and keyword == DATE and span.first is not None and span.last is not None:
        values = [span.first, span.last]
    if not values or not progress.can_split_by(keyword, window):
        return []
    middle = values[len(values) // 2] if known else (values[0] + values[1] + 1) // 2
    cut = middle if middle > values[0] else next((value for value in values if value > middle), middle + 1)
    least = cut if values[-1] > values[0] else middle
    sides = (Span(span.first, least - 1), Span(cut, span.last))
    return [window.narrowed(keyword, side) for side in sides if not _is_empty(side)]


def _is_empty(span: Span) -> bool:
    return span.first is not None and span.last is not None and span.first > span.last


Drive = Generator[tuple[Request, ...], Sequence[Answered], Driven]
"""Yields requests, is sent what came of each in the same order, returns how it went."""


def drive(request: Request, knowledge: Knowledge) -> Drive:
    """Ask one request, in as many windows as it takes; one, where nothing is suspicious."""
    progress = Progress(request, knowledge)
    whole = whole_of(request)
    (answer,) = yield from progress.ask((whole,))
    yield from settle(progress, whole, answer)
    yield from _look_again(progress)
    return progress.result()


def settle(progress: Progress, window: Window, answer: Answered) -> Step:
    """Do whatever the answer of a window makes necessary."""
    if answer.failure is not None:
        return (yield from _after_failure(progress, window, answer.failure))
    if any(keyword in progress.unusable for keyword in progress.added(window)) or progress.stopped:
        return False
    reason = progress.suspicion(answer.count)
    if not reason:
        reason = yield from look_in_halves(progress, window, answer)
    if not reason:
        progress.accept(window, answer)
        return True
    progress.limit = min(progress.limit, answer.count - 1)
    return (yield from _split_capped(progress, window, answer.count, reason))


def _split_capped(progress: Progress, window: Window, count: int, reason: str) -> Step:
    """Split a window whose answer looks cut off, and find out whether it was."""
    before = len(progress.found)
    if progress.suspect is None and progress.caps.known is None:
        progress.suspect = count, before
    complete = yield from _split(progress, window, reason)
    if progress.suspect == (count, before):
        progress.suspect = None
        if complete:
            progress.caps.clear(count)
            progress.note(Assumption.CLEARED, window, reason)
    return complete


def _split(progress: Progress, window: Window, reason: str) -> Step:
    """Ask the parts of a window."""
    progress.mark_split(window)
    listed = progress.list_key(window)
    if listed:
        return (yield from _split_list(progress, window, listed))
    span = window.span(DATE)
    if span is not None and not span.is_single and progress.is_bulk:
        if DATE not in progress.unusable:
            complete = yield from sweep(progress, window, settle)
            if DATE not in progress.unusable:
                return complete
        progress.note(Doubt.IGNORED, window, reason)
        return False
    return (yield from divide(progress, window, settle, reason))


def _split_list(progress: Progress, window: Window, keyword: str) -> Step:
    """Ask for each half of a list of UIDs: nothing can fall between them."""
    values = (dict(window.keys).get(keyword) or progress.base.value(keyword)).split("\\")
    middle = len(values) // 2
    halves = [window.with_key(keyword, "\\".join(part)) for part in (values[:middle], values[middle:])]
    answers = yield from progress.ask(halves)
    complete = True
    for half, answer in zip(halves, answers, strict=True):
        complete &= yield from settle(progress, half, answer)
    return complete


def _after_failure(progress: Progress, window: Window, failure: Failure) -> Step:
    """Ask for less after a failure, once more where it cannot be less, or give up."""
    added = progress.added(window)
    if failure.trouble is Trouble.REFUSED and added:
        for keyword in added:
            progress.unusable.setdefault(keyword, "the node refuses it")
        return False
    if not progress.bears(failure):
        progress.give_up(window, failure)
        return False
    if _is_splittable(progress, window):
        return (yield from _split(progress, window, str(failure.error.message).rstrip(".")))
    (again,) = yield from progress.ask((window,))
    if again.failure is None:
        return (yield from settle(progress, window, again))
    progress.give_up(window, again.failure)
    return False


def _is_splittable(progress: Progress, window: Window) -> bool:
    return bool(progress.list_key(window)) or any(
        progress.can_split_by(keyword, window) for keyword in (*dict(window.spans), TIME, BIRTH)
    )


def _look_again(progress: Progress) -> Step:
    """Split the windows whose answers were taken for whole before a cap of their size was proved."""
    cap = progress.caps.known
    if not progress.caps.is_proved or cap is None:
        return True
    complete = True
    for window in progress.unsplit(cap):
        complete &= yield from _split(progress, window, f"{cap} answers are as many as this node gives at most")
    return complete
