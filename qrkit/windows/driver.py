"""The window driver: asks a request in windows, until each is below suspicion or cannot be split further.

It does no I/O. It yields the requests of windows, which may be sent in any order or at once, is sent what came of
each, and returns what is proven.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from qrkit.query import Request
from qrkit.windows.divide import divide
from qrkit.windows.facts import Answered, Failure, Trouble
from qrkit.windows.outcome import Assumption, Doubt, Driven
from qrkit.windows.progress import Knowledge, Progress, Step, whole_of
from qrkit.windows.proof import look_in_halves
from qrkit.windows.spans import BIRTH, DATE, TIME, Window
from qrkit.windows.sweep import sweep

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
