"""What one query has found so far, and what the node makes of the keys by which it was split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from qrkit.find.windows.results import Row, WindowAnswer
from qrkit.find.windows.window import BIRTH, DATE, SLACK, TIME, Window

_MANY = 0.2
"""Share of answers beyond a window from which the key counts as ignored; single ones are broken values."""

_FEW = 3


class FoundRows:
    """The answers of all windows, by StudyDate.

    Attributes
    ----------
    blank
        Range keys that some answer has no value for.
    initials
        First letters of PatientName, as they are written; an empty text for a name that is blank.
    blank_in_both
        Whether some answer has neither StudyTime nor PatientBirthDate.
    """

    def __init__(self) -> None:
        self.blank: set[str] = set()
        self.blank_in_both = False
        self.initials: set[str] = set()
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
    """Whether so many answers lie outside a window that the node must have ignored a key of it."""
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
