"""The state machine of jobs and their items: which change may happen where, and what follows for the job.

::

                       CLAIM                END
        QUEUED ──────────────────► RUNNING ─────► COMPLETE
          ▲ ▲ │                      │ │ │ └────► PARTIAL  ──┐
          │ │ └─ CANCEL ─► CANCELLED │ │ └──────► FAILED   ──┤
          │ │                 ▲      │ └ CANCEL            │ │
          │ │                 └──────┼───┘  CANCELLED ─────┤ │
          │ └── PUT_OFF, GIVE_BACK ──┘                     │ │
          └──────────────────────── RETRY ─────────────────┴─┘

An item that waits in a paused job is told as paused; in the state it is queued. Nothing here does I/O:
`qrkit.store.jobs` applies it in transactions, and changes no state by any other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from qrkit.jobs.job import ItemOutcome, JobState


class Change(Enum):
    """What may happen to an item.

    Attributes
    ----------
    CLAIM
        A worker takes it.
    END
        Its worker tells what became of it.
    PUT_OFF
        Its worker has failed for now, and it is to be tried again later.
    GIVE_BACK
        Its worker ends, has died, or must make room; nothing is wrong with the item.
    CANCEL
        Somebody asked for its job to end, and no worker is at it.
    RETRY
        Somebody asks for what is not whole once more.
    GIVE_UP
        The node stays out of reach, so nothing more of its job is tried.
    ARRIVE
        What was missing came after all, when nobody waited for it any longer.
    """

    CLAIM = "claim"
    END = "end"
    PUT_OFF = "put off"
    GIVE_BACK = "give back"
    CANCEL = "cancel"
    RETRY = "retry"
    GIVE_UP = "give up"
    ARRIVE = "arrive"


_QUEUED, _RUNNING, _COMPLETE = JobState.QUEUED, JobState.RUNNING, JobState.COMPLETE
_PARTIAL, _FAILED, _CANCELLED = JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED

_MOVES: Mapping[Change, Mapping[JobState, frozenset[JobState]]] = {
    Change.CLAIM: {_QUEUED: frozenset({_RUNNING})},
    # a worker that was thought dead may still bring everything, and then nobody has to ask again
    Change.END: {
        _RUNNING: frozenset({_COMPLETE, _PARTIAL, _FAILED, _CANCELLED}),
        _QUEUED: frozenset({_COMPLETE}),
    },
    Change.PUT_OFF: {_RUNNING: frozenset({_QUEUED})},
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
    """Whether a change may lead an item from one state to another.

    >>> allows(Change.END, JobState.RUNNING, JobState.FAILED), allows(Change.END, JobState.COMPLETE, JobState.FAILED)
    (True, False)
    """
    return after in _MOVES[change].get(before, ())


def sources(change: Change, after: JobState) -> tuple[JobState, ...]:
    """Return the states from which a change may lead to this one.

    >>> [state.value for state in sources(Change.RETRY, JobState.QUEUED)]
    ['partial', 'failed', 'cancelled']
    """
    return tuple(before for before, targets in _MOVES[change].items() if after in targets)


def is_news(before: ItemOutcome, told: ItemOutcome, *, by_holder: bool) -> bool:
    """Whether what a worker tells of an item counts.

    Parameters
    ----------
    before
        What the state says.
    by_holder
        Whether the item is still that worker's own. Of one that was taken over, only success counts: its failure
        says nothing about what the other worker does.
    """
    return allows(Change.END, before.state, told.state) and (by_holder or told.state is _COMPLETE)


def job_state(items: Sequence[ItemOutcome], *, paused: bool = False) -> JobState:
    """Return the state of a job from those of its items.

    Any running: running. All alike: that. Complete beside anything final that is not complete: partial.

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

    Parameters
    ----------
    expected
        SOP Instance UIDs, or None where neither the plan nor the node could say; then the item is complete
        only if something is stored and no error was told.
    stored
        SOP Instance UIDs at the destination.

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
