"""The state machine of jobs and their items: the changes of an item, its retries, and the state of its job.

::

                       CLAIM                END
        QUEUED ──────────────────► RUNNING ─────► COMPLETE
          ▲ ▲ │                      │ │ │ └────► PARTIAL  ──┐
          │ │ └─ CANCEL ─► CANCELLED │ │ └──────► FAILED   ──┤
          │ │                 ▲      │ └ CANCEL            │ │
          │ │                 └──────┼───┘  CANCELLED ─────┤ │
          │ └── POSTPONE, GIVE_BACK ─┘                     │ │
          └──────────────────────── RETRY ─────────────────┴─┘

An item that waits in a paused job is shown as paused; in the state it is queued. `qrkit.store` applies the changes in
transactions, and changes no state in any other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from qrkit.jobs.job import ItemOutcome, JobState

_QUEUED, _RUNNING, _COMPLETE = JobState.QUEUED, JobState.RUNNING, JobState.COMPLETE
_PARTIAL, _FAILED, _CANCELLED = JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED

LONGEST_PAUSE = 1_800.0
"""Seconds; a later time of the next attempt was written by a wrong clock."""


class Change(Enum):
    """The changes of an item."""

    CLAIM = "claim"  # a worker takes it
    END = "end"  # its worker reports the outcome
    POSTPONE = "postpone"  # the attempt failed temporarily, and a later one follows
    GIVE_BACK = "give back"  # its worker stops, died, or needs the association; the item has no fault
    CANCEL = "cancel"  # a user cancelled the job, and no worker runs the item
    RETRY = "retry"  # a user retries an incomplete item
    GIVE_UP = "give up"  # the node remains unreachable, so its job makes no further attempts
    ARRIVE = "arrive"  # missing objects arrived after the item had ended


_MOVES: Mapping[Change, Mapping[JobState, frozenset[JobState]]] = {
    Change.CLAIM: {_QUEUED: frozenset({_RUNNING})},
    # a worker that seemed dead may still complete the item, and then no retry is needed
    Change.END: {
        _RUNNING: frozenset({_COMPLETE, _PARTIAL, _FAILED, _CANCELLED}),
        _QUEUED: frozenset({_COMPLETE}),
    },
    Change.POSTPONE: {_RUNNING: frozenset({_QUEUED})},
    Change.GIVE_BACK: {_RUNNING: frozenset({_QUEUED})},
    Change.CANCEL: {_QUEUED: frozenset({_CANCELLED}), _RUNNING: frozenset({_CANCELLED})},
    Change.GIVE_UP: dict.fromkeys((_QUEUED, _RUNNING), frozenset({_PARTIAL, _FAILED})),
    Change.RETRY: dict.fromkeys((_PARTIAL, _FAILED, _CANCELLED), frozenset({_QUEUED})),
    Change.ARRIVE: {
        _PARTIAL: frozenset({_PARTIAL, _COMPLETE}),
        _FAILED: frozenset({_PARTIAL, _COMPLETE}),
        _CANCELLED: frozenset({_CANCELLED, _COMPLETE}),
    },
}


def allows(change: Change, before: JobState, after: JobState) -> bool:
    """Return whether a change may lead an item from one state to another.

    >>> allows(Change.END, JobState.RUNNING, JobState.FAILED), allows(Change.END, JobState.COMPLETE, JobState.FAILED)
    (True, False)
    """
    return after in _MOVES[change].get(before, ())


def sources(change: Change, after: JobState) -> tuple[JobState, ...]:
    """Return the states from which a change may lead to a state.

    >>> [state.value for state in sources(Change.RETRY, JobState.QUEUED)]
    ['partial', 'failed', 'cancelled']
    """
    return tuple(before for before, targets in _MOVES[change].items() if after in targets)


def is_news(before: ItemOutcome, reported: ItemOutcome, *, by_holder: bool) -> bool:
    """Return whether the outcome that a worker reports counts.

    `before` is the outcome in the state. If another worker took the item over, so that the report is not `by_holder`,
    only success counts: a failure does not affect the attempt of the other worker.
    """
    return allows(Change.END, before.state, reported.state) and (by_holder or reported.state is _COMPLETE)


def job_state(items: Sequence[ItemOutcome], *, paused: bool = False) -> JobState:
    """Return the state of a job from those of its items.

    Any item running: running. All items in one state: this state. Complete and other final states: partial.

    >>> done, lost = ItemOutcome(state=JobState.COMPLETE), ItemOutcome(state=JobState.FAILED)
    >>> job_state([done, done]).value, job_state([done, lost]).value, job_state([lost]).value
    ('complete', 'partial', 'failed')
    >>> job_state([done, ItemOutcome(state=JobState.QUEUED)], paused=True).value
    'paused'
    """
    states = {item.state for item in items}
    if not states:
        return _COMPLETE
    if _RUNNING in states:
        return _RUNNING
    if not all(state.is_final for state in states):
        if paused:
            return JobState.PAUSED
        return _RUNNING if any(state.is_final for state in states) else _QUEUED
    return _ended(items, states)


def _ended(items: Sequence[ItemOutcome], states: set[JobState]) -> JobState:
    if len(states) == 1:
        return next(iter(states))
    if _CANCELLED in states:
        return _CANCELLED
    if any(item.stored for item in items) or states & {_COMPLETE, _PARTIAL}:
        return _PARTIAL
    return _FAILED


def outcome(
    *,
    expected: Sequence[str] | None,
    stored: frozenset[str] | set[str],
    error: str = "",
    cancelled: bool = False,
) -> JobState:
    """Return the state of an item from what was expected and what is stored.

    Both are SOP Instance UIDs. If the expected ones are unknown (None), the item is complete only if something is
    stored and there was no error.

    >>> outcome(expected=["1", "2"], stored={"1", "2"}).value
    'complete'
    >>> outcome(expected=["1", "2"], stored={"1"}).value, outcome(expected=["1"], stored=set()).value
    ('partial', 'failed')
    """
    whole = bool(stored) and not error if expected is None else stored.issuperset(expected)
    if whole and (expected or stored):
        return _COMPLETE
    if cancelled:
        return _CANCELLED
    return _PARTIAL if stored else _FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The number of retries and the pauses before them."""

    most: int = 3  # retries after the first failure; a failure with new objects restarts the count
    first: float = 2.0  # seconds before the first retry
    growth: float = 3.0  # factor between consecutive pauses
    jitter: float = 0.2  # random share of a pause, so that many items do not retry at the same time

    def pause(self, failures: int, *, luck: float) -> float | None:
        """Return the seconds until the attempt after some failures in a row; None if there is none.

        `luck` is a random number from 0 to 1.

        >>> policy = RetryPolicy(most=3)
        >>> [policy.pause(failures, luck=0.5) for failures in (1, 2, 3, 4)]
        [2.0, 6.0, 18.0, None]
        >>> round(policy.pause(1, luck=0.0), 3), round(policy.pause(1, luck=1.0), 3)
        (1.6, 2.4)
        """
        if failures > self.most:
            return None
        # limits the exponent, since a site may allow a thousand retries
        exponent = min(failures - 1, 64)
        whole = min(self.first * self.growth**exponent, LONGEST_PAUSE / (1 + self.jitter))
        return whole * (1 + self.jitter * (2 * luck - 1))

    def next_try(self, failures: int, *, now: datetime, luck: float) -> datetime | None:
        """Return the time of the next attempt; parameters as `pause`."""
        pause = self.pause(failures, luck=luck)
        return None if pause is None else now + timedelta(seconds=pause)


def failures_after(failures: int, before: ItemOutcome, now: ItemOutcome) -> int:
    """Return the number of consecutive failures; an attempt with new objects restarts the count.

    Stored objects count, not received ones: a node may send the same object each time before it fails.

    >>> from qrkit.jobs.job import JobState
    >>> some, more = ItemOutcome(state=JobState.QUEUED, stored=3), ItemOutcome(state=JobState.PARTIAL, stored=4)
    >>> failures_after(2, some, more), failures_after(2, more, more)
    (1, 3)
    """
    return 1 if now.stored > before.stored else failures + 1
