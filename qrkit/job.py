"""Retrieve jobs as values: what is to be fetched, and what became of it.

A job has items; an item is one C-GET or C-MOVE request at STUDY, SERIES or IMAGE level. The outcome of an item
compares the SOP Instances that were expected with those that are stored, never the peer's word alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from qrkit.errors import InputError
from qrkit.node import Method
from qrkit.uids import is_valid_uid


class JobState(Enum):
    """Where a job or an item is."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in (JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRequest:
    """One thing to fetch: a study, a series, or images of one series.

    Attributes
    ----------
    patient_id
        Needed where the node's information model is Patient Root.
    expected
        SOP Instance UIDs that should arrive, where they are already known.
    """

    level: str
    StudyInstanceUID: str
    SeriesInstanceUID: str = ""
    sop_instance_uids: tuple[str, ...] = ()
    patient_id: str = ""
    expected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needed = {"STUDY": 1, "SERIES": 2, "IMAGE": 3}.get(self.level)
        if needed is None:
            raise InputError(f"Objects are fetched at level STUDY, SERIES or IMAGE, not {self.level!r}.")
        uids = [self.StudyInstanceUID, self.SeriesInstanceUID][:needed] + list(self.sop_instance_uids)
        bad = next((uid for uid in uids if not is_valid_uid(uid)), None)
        if bad is not None:
            raise InputError(f"A {self.level} retrieve needs valid UIDs of its study and series; {bad!r} is none.")
        if needed == 3 and not self.sop_instance_uids:
            raise InputError("An IMAGE retrieve needs at least one SOPInstanceUID.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A retrieve to be queued.

    Attributes
    ----------
    node
        Name of the node to ask.
    destination
        Name of a store node that shall receive by C-MOVE; empty: this workspace.
    user
        Who asked.
    source
        Where the requests come from, such as a query's or plan's id.
    after
        Names of the handlers that are to run after arrival; None: the automatic ones of the site.
    """

    node: str
    requests: tuple[RetrieveRequest, ...]
    method: Method = Method.AUTO
    destination: str = ""
    user: str = ""
    source: str = ""
    after: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """What became of one item.

    Attributes
    ----------
    expected
        Number of SOP Instances expected; None where nobody could say.
    stored
        How many of them are at the destination.
    missing
        SOP Instance UIDs expected and not there.
    received
        Objects and bytes that came over the wire for this item (already held ones did not).
    """

    state: JobState
    expected: int | None = None
    stored: int = 0
    missing: tuple[str, ...] = ()
    received: int = 0
    bytes: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item of a job, as the state holds it."""

    item_id: int
    job_id: str
    position: int
    request: RetrieveRequest
    outcome: ItemOutcome
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job, as the state holds it. Times are UTC, ISO 8601."""

    job_id: str
    node: str
    method: Method
    destination: str
    user: str
    source: str
    state: JobState
    created: str
    started: str | None = None
    finished: str | None = None
    expected: int = 0
    stored: int = 0
    received: int = 0
    bytes: int = 0
    error: str = ""
    cancel_requested: bool = False
    items: tuple[ItemRow, ...] = field(default=())


def job_state(items: Sequence[ItemOutcome]) -> JobState:
    """Return the state of a job from those of its items.

    Any running: running. All alike: that. Complete beside anything final that is not complete: partial.

    >>> done, lost = ItemOutcome(state=JobState.COMPLETE), ItemOutcome(state=JobState.FAILED)
    >>> job_state([done, done]).value, job_state([done, lost]).value, job_state([lost]).value
    ('complete', 'partial', 'failed')
    """
    states = {item.state for item in items}
    if not states:
        return JobState.COMPLETE
    if not all(state.is_final for state in states):
        started = JobState.RUNNING in states or any(state.is_final for state in states)
        return JobState.RUNNING if started else JobState.QUEUED
    if len(states) == 1:
        return states.pop()
    if JobState.CANCELLED in states:
        return JobState.CANCELLED
    if any(item.stored for item in items) or states & {JobState.COMPLETE, JobState.PARTIAL}:
        return JobState.PARTIAL
    return JobState.FAILED


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
        return JobState.COMPLETE
    if cancelled:
        return JobState.CANCELLED
    return JobState.PARTIAL if stored else JobState.FAILED


def job_to_json(job: JobRow) -> dict[str, Any]:
    """Return a job as the command line prints it with ``--format json``."""
    return {
        "job_id": job.job_id,
        "state": job.state.value,
        "node": job.node,
        "method": job.method.value,
        "destination": job.destination,
        "expected": job.expected,
        "stored": job.stored,
        "bytes": job.bytes,
        "error": job.error,
        "items": [_item_to_json(item) for item in job.items],
    }


def _item_to_json(item: ItemRow) -> Mapping[str, Any]:
    request, result = item.request, item.outcome
    return {
        "level": request.level,
        "StudyInstanceUID": request.StudyInstanceUID,
        "SeriesInstanceUID": request.SeriesInstanceUID or None,
        "state": result.state.value,
        "expected": result.expected,
        "stored": result.stored,
        "received": result.received,
        "bytes": result.bytes,
        "missing": list(result.missing),
        "error": result.error,
    }
