"""An answer that looks like any other, but is larger than any that was proven whole: its halves show whether it is.

A PACS may stop at any number, and give its answers in any order. If it has stopped, at least one of the halves brings
something new; if it has not, they bring the same once more, which is needed once for each new size at a node.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from qrkit.query import Request
from qrkit.windows.facts import Answered
from qrkit.windows.outcome import Assumption, Doubt
from qrkit.windows.progress import Progress
from qrkit.windows.spans import BIRTH, DATE, TIME, Span, Window

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
