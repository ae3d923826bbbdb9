"""Results as the window driver sees them: the answer to one window or its failure, and the outcome of all windows.

The outcome of a request that was asked in windows contains what was found, and what is left unproven.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pyarrow as pa

from qrkit import errors
from qrkit.errors import NodeError
from qrkit.find.windows.window import BIRTH, DATE, TIME, Span, Window, days_said
from qrkit.tables import Level, unique_key

_EPOCH = 719_163
"""The ordinal of 1970-01-01, from which Arrow counts days."""

_OUT_OF_RESOURCES = frozenset({0xA700, 0xA701, 0xA702, 0x0213})
"""Statuses by which a node refuses a request that is too large (PS3.4 C.4.1.1.4, PS3.7 C.4.3)."""


class FailureKind(Enum):
    """How a request fails, which decides what is asked next.

    TOO_MUCH
        The node says so (0xA700): less may get through.
    BROKEN
        The association ended, or nothing came in time: less, on a new association, may get through.
    AWAY
        There is no association to be had.
    REFUSED
        The node does not answer such a request.
    ENDED
        We have ended it: by a limit of the node's settings, or because the query was stopped.
    """

    TOO_MUCH = "too much at once"
    BROKEN = "broke off"
    AWAY = "not reached"
    REFUSED = "refused"
    ENDED = "ended by us"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed."""

    kind: FailureKind
    error: errors.NodeError
    count: int = 0  # answers that came before
    rows: pa.Table | None = None  # these answers, where they are kept


def failure_of(error: errors.NodeError, count: int = 0, rows: pa.Table | None = None) -> Failure:
    """Return what an error means for the requests to come.

    >>> failure_of(errors.StatusError("", status=0xA700)).kind, failure_of(errors.NodeTimeout("")).kind
    (<FailureKind.TOO_MUCH: 'too much at once'>, <FailureKind.BROKEN: 'broke off'>)
    """
    if isinstance(error, errors.StatusError):
        kind = FailureKind.TOO_MUCH if error.status in _OUT_OF_RESOURCES else FailureKind.REFUSED
    elif isinstance(error, (errors.AssociationAborted, errors.ConnectionLost, errors.NodeTimeout)):
        kind = FailureKind.BROKEN
    elif isinstance(error, errors.LimitReached):
        kind = FailureKind.ENDED
    elif isinstance(error, errors.ProtocolError):
        kind = FailureKind.REFUSED
    else:
        kind = FailureKind.AWAY
    return Failure(kind=kind, error=error, count=count, rows=rows)


@dataclass(frozen=True, slots=True)
class Row:
    """One answer: StudyDate and PatientBirthDate as ordinals, StudyTime as minute of the day; None is blank.

    Of a PatientName its first letter, as it is written. `uid` is the content of a row without a Unique Key.
    """

    uid: str
    day: int | None = None
    minute: int | None = None
    birth: int | None = None
    patient: str = ""
    initial: str = ""
    has_key: bool = True

    def value(self, keyword: str) -> int | None:
        """Return what a range key is matched against."""
        return {DATE: self.day, TIME: self.minute, BIRTH: self.birth}[keyword]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAnswer:
    """The answer to one request."""

    count: int = 0  # answers, those that came twice and those without a Unique Key included
    rows: tuple[Row, ...] = ()  # each Unique Key once, and each content of rows without one
    failure: Failure | None = None  # why there is no answer; the other fields are empty then
    returned: frozenset[str] = field(default=frozenset({DATE, TIME, BIRTH}))
    """Range keys that have a value in any of the rows."""
    # whether each row above that was asked for has its rows in it: a suspicious number is a coincidence then
    has_all: bool = False

    @property
    def uids(self) -> frozenset[str]:
        """The Unique Keys in the answer, and the contents of rows without one."""
        return frozenset(row.uid for row in self.rows)

    @property
    def has_keys(self) -> bool:
        """Whether every row has a Unique Key."""
        return all(row.has_key for row in self.rows)


def window_answer(table: pa.Table, level: Level) -> WindowAnswer:
    """Return what the driver looks at in a table of answers.

    >>> found = window_answer(pa.table({"StudyInstanceUID": ["1.2", "1.2", None]}), Level.STUDY)
    >>> found.count, [row.uid for row in found.rows], found.has_keys
    (3, ['1.2', '[]'], False)
    """
    count = table.num_rows
    table = table.slice(0, _MOST_ROWS)
    size = table.num_rows
    keys = row_keys(table, level)
    days, births = (_numbers(table, name, pa.int32(), size) for name in (DATE, BIRTH))
    moments = _numbers(table, TIME, pa.int64(), size)
    patients, names = (_texts(table, name) for name in ("PatientID", "PatientName"))
    rows = {
        key: Row(
            key,
            None if day is None else day + _EPOCH,
            None if moment is None else moment // 60_000_000,
            None if birth is None else birth + _EPOCH,
            patient or "",
            (name or "")[:1],
            has_key,
        )
        for (key, has_key), day, moment, birth, patient, name in zip(
            keys, days, moments, births, patients, names, strict=True
        )
    }
    filled = {DATE: days, TIME: moments, BIRTH: births}
    returned = frozenset(name for name, values in filled.items() if any(value is not None for value in values))
    return WindowAnswer(count=count, rows=tuple(rows.values()), returned=returned)


def row_keys(table: pa.Table, level: Level) -> list[tuple[str, bool]]:
    """Return the Unique Key of each row, or else the content of the row; and whether it is a Unique Key.

    >>> row_keys(pa.table({"StudyInstanceUID": ["1.2", ""], "StudyID": ["a", "b"]}), Level.STUDY)
    [('1.2', True), ("[('StudyID', 'b')]", False)]
    """
    unique = unique_key(level)
    uids = table[unique].to_pylist() if unique in table.column_names else [None] * table.num_rows
    blank = [row for row, uid in enumerate(uids) if not uid]
    contents = dict(zip(blank, map(_content, table.take(blank).to_pylist()), strict=True)) if blank else {}
    return [(uid, True) if uid else (contents[row], False) for row, uid in enumerate(uids)]


def _content(values: dict[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in values.items() if value))


def _texts(table: pa.Table, name: str) -> list[str | None]:
    texts: list[str | None] = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
    return texts


def _numbers(table: pa.Table, name: str, kind: pa.DataType, size: int) -> list[int | None]:
    if name not in table.column_names:
        return [None] * size
    values: list[int | None] = table[name].cast(kind).to_pylist()
    return values


_MOST_ROWS = 65_536
"""Rows of one answer that the driver looks at: a larger answer is not split any more, unless it fails."""

_LISTED = 3
"""Windows that a sentence names; the list of windows has all."""


class Doubt(Enum):
    """Why an answer is not proven complete: sentences about windows, with a reason."""

    CUT_OFF = "{where}: {reason}, and the query cannot be split further"
    UNTIMED = "{where}: studies without StudyTime cannot be queried in parts and exceed the node's cap"
    NO_BIRTH = "{where}: rows without PatientBirthDate cannot be queried in parts and exceed the node's cap"
    NEITHER = "{where}: studies with neither StudyTime nor PatientBirthDate cannot be asked for, and there are some"
    UNDATED = "studies without StudyDate cannot be queried in parts and exceed the node's cap"
    FAILED = "{where}: {reason}"
    NOT_ASKED = "{where}: not asked any more, after {reason}"
    UNPARTED = "{where}: {reason}, and no key splits this query, so rows may be missing"
    UNREPEATED = "{where}: {reason}, and smaller windows did not return all of them, so rows may be missing"
    UNKEYED = "{reason}, so nothing shows whether there are more"
    IGNORED = "{reason}. The node ignores StudyDate, so the query cannot be split by date"


class Assumption(Enum):
    """An assumption on which an answer depends: sentences about windows, with a reason."""

    NO_BIRTH = "no row of {where} lacks PatientBirthDate, as none that was found does"
    NEITHER = "no study of {where} lacks both StudyTime and PatientBirthDate, as none that was found does"
    INITIALS = (
        "no patient lacks both PatientBirthDate and a PatientName that begins with A to Z or as one that was found"
    )
    CLEARED = "{reason}. Smaller windows found no further rows"


@dataclass(frozen=True, slots=True)
class WindowNote:
    """A doubt or an assumption about a window."""

    kind: Doubt | Assumption
    window: Window
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRecord:
    """One window that was asked: how many answers, or why there are none; `is_split` if it was not the last word."""

    window: Window
    count: int | None
    failure: str = ""
    is_split: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsResult:
    """How a request went."""

    windows: tuple[WindowRecord, ...] = ()  # those that were asked, in order
    # `doubts` and `assumptions`: sentences without a full stop
    doubts: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    errors: tuple[NodeError, ...] = ()  # of the windows that failed for good
    has_answer: bool = True  # whether any window succeeded
    unusable: tuple[tuple[str, str], ...] = ()  # keys by which the node cannot be split, and why

    @property
    def splits(self) -> int:
        """How many windows were split."""
        return sum(one.is_split for one in self.windows)


def sentences(notes: Iterable[WindowNote]) -> tuple[str, ...]:
    """Return the sentences for notes, windows of one kind and reason together.

    >>> days = [Window(spans=(("StudyDate", Span(day, day)),)) for day in (1, 2)]
    >>> sentences(WindowNote(Assumption.NO_BIRTH, day) for day in days)
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
