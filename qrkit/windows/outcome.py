"""What came of a request that was asked in windows: what was found out, and what is left unproven."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from qrkit.errors import NodeError
from qrkit.windows.spans import DATE, Span, Window, days_said

_LISTED = 3
"""Windows that a sentence names; the list of windows has all."""


class Doubt(Enum):
    """Why an answer is not proven complete: sentences about windows, with a reason."""

    CUT_OFF = "{where}: {reason}, and it cannot be split further"
    UNTIMED = "{where}: studies without StudyTime can only be asked for all at once, which is beyond the cap"
    NO_BIRTH = "{where}: rows without PatientBirthDate can only be asked for all at once, which is beyond the cap"
    NEITHER = "{where}: studies with neither StudyTime nor PatientBirthDate cannot be asked for, and there are some"
    UNDATED = "studies without StudyDate can only be asked for all at once, which is beyond the cap"
    FAILED = "{where}: {reason}"
    NOT_ASKED = "{where}: not asked any more, after {reason}"
    UNPARTED = "{where}: {reason}, and nothing parts them to see whether there are more"
    IGNORED = "{reason}, and as the node ignores StudyDate, it cannot be split"


class Assumption(Enum):
    """What an answer rests on besides the node's honesty: sentences about windows, with a reason."""

    NO_BIRTH = "no row of {where} lacks PatientBirthDate, as none that was found does"
    NEITHER = "no study of {where} lacks both StudyTime and PatientBirthDate, as none that was found does"
    INITIALS = (
        "no patient lacks both PatientBirthDate and a PatientName that begins with A to Z or as one that was found"
    )
    CLEARED = "{reason}, but smaller windows found no more"


@dataclass(frozen=True, slots=True)
class Note:
    """A doubt or an assumption about a window."""

    kind: Doubt | Assumption
    window: Window
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One window that was asked: how many answers, or why there are none; `is_split` if it was not the last word."""

    window: Window
    count: int | None
    failure: str = ""
    is_split: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """How a request went.

    Attributes
    ----------
    asked
        The windows, in order.
    doubts, assumptions
        Sentences without a full stop.
    errors
        Of the windows that failed for good.
    has_answer
        Whether any window succeeded.
    unusable
        Keys by which the node cannot be split, and why.
    """

    asked: tuple[Asked, ...] = ()
    doubts: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    errors: tuple[NodeError, ...] = ()
    has_answer: bool = True
    unusable: tuple[tuple[str, str], ...] = ()

    @property
    def splits(self) -> int:
        """How many windows were split."""
        return sum(one.is_split for one in self.asked)


def sentences(notes: Iterable[Note]) -> tuple[str, ...]:
    """Return what is to be said, windows of one kind and reason together.

    >>> days = [Window(spans=(("StudyDate", Span(day, day)),)) for day in (1, 2)]
    >>> sentences(Note(Assumption.NO_BIRTH, day) for day in days)
    ('no row of 0001-01-01 to 0001-01-02 lacks PatientBirthDate, as none that was found does',)
    """
    grouped: dict[tuple[Doubt | Assumption, str], list[Window]] = {}
    for note in notes:
        grouped.setdefault((note.kind, note.reason), []).append(note.window)
    return tuple(
        kind.value.format(where=_where(windows), reason=reason) for (kind, reason), windows in grouped.items()
    )


def _where(windows: Sequence[Window]) -> str:
    days = [span for one in windows if _is_days(one) and (span := one.span(DATE))]
    labels = [*(days_said(span) or "all days" for span in _joined(days))]
    labels += dict.fromkeys(one.label() for one in windows if not _is_days(one))
    shown = ", ".join(labels[:_LISTED])
    return shown if len(labels) <= _LISTED else f"{shown} and {len(labels) - _LISTED} more"


def _is_days(window: Window) -> bool:
    return [keyword for keyword, _ in window.spans] == [DATE] and not window.keys


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return ranges of days in order, those that follow one another put together."""
    joined: list[Span] = []
    for span in sorted(set(spans), key=lambda one: (one.first or 0, one.last or 0)):
        last = joined[-1].last if joined else None
        if last is not None and span.first is not None and span.first <= last + 1:
            joined[-1] = Span(joined[-1].first, span.last)
        else:
            joined.append(span)
    return joined
