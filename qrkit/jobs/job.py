"""The values of retrieve jobs: requests, outcomes, and rows of the state.

A job has items; an item is one C-GET or C-MOVE request at STUDY, SERIES or IMAGE level. The outcome of an item
compares the SOP Instances that were expected with those that are stored, never the peer's word alone.

Jobs as the command line prints them with ``--format json``; other programs rely on the names.

Whether what a job is to bring fits on the disk: its estimate against the free space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from qrkit.errors import InputError
from qrkit.node import Method
from qrkit.uids import is_valid_uid
from qrkit.words import volume


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


class PausedBy(Enum):
    """Who paused a job: a user, who alone lets it go on, or the worker, because of the disk, until there is room."""

    USER = "user"
    DISK = "disk"


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
    priority
        Jobs of a higher one go first; the same for most.
    estimated_bytes
        That it will bring here, by what came earlier; None if nobody knows.
    lack_of_room
        Why it rests from the beginning: it does not fit on the disk; empty: it does.
    """

    node: str
    requests: tuple[RetrieveRequest, ...]
    method: Method = Method.AUTO
    destination: str = ""
    user: str = ""
    source: str = ""
    after: tuple[str, ...] | None = None
    priority: int = 0
    estimated_bytes: int | None = None
    lack_of_room: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome:
    """The outcome of one item.

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
    error, advice
        The last error, and what to do about it.
    note
        What came along that is no error, such as objects that nobody asked for.
    transient
        Whether another try may succeed without anybody changing anything; not kept.
    proven
        Whether the list of what to expect is proven; None: the item has not ended, or ended before this was recorded.
    why
        The reasons against it.
    """

    state: JobState
    expected: int | None = None
    stored: int = 0
    missing: tuple[str, ...] = ()
    received: int = 0
    bytes: int = 0
    error: str = ""
    advice: str = ""
    note: str = ""
    transient: bool = False
    proven: bool | None = None
    why: tuple[str, ...] = ()

    @property
    def doubt(self) -> str:
        """The reasons why the list of what to expect is not proven, as one sentence; empty: there are none."""
        return doubt_in_words(self.why)

    @property
    def state_in_words(self) -> str:
        """The state for people, who read of a complete item whether that is proven."""
        return state_in_words(self.state, proven=self.proven)

    @property
    def said(self) -> str:
        """The error with its advice, for people."""
        return f"{self.error} {self.advice}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item of a job, as the state holds it. Times are UTC, ISO 8601.

    Attributes
    ----------
    attempts
        How often a worker took it.
    failures
        Failed tries in a row.
    deaths
        Workers in a row that died with it before anything new had come.
    not_before
        When it is tried again.
    started, finished
        When a worker took it last, and when it ended.
    """

    item_id: int
    job_id: str
    position: int
    request: RetrieveRequest
    outcome: ItemOutcome
    attempts: int = 0
    failures: int = 0
    deaths: int = 0
    not_before: str | None = None
    started: str | None = None
    finished: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job, as the state holds it. Times are UTC, ISO 8601.

    Attributes
    ----------
    error, advice
        Of the first item that has one.
    reason
        Why nothing of it is under way, while that is so: the hours of its node, the disk, a node out of reach.
    not_before
        When a node that was out of reach is tried again.
    failures
        How often in a row it was out of reach.
    paused_by
        Who paused it.
    estimated_bytes
        That it will bring here, by what came earlier; None if nobody knows, or if somebody who knew of it has let it
        go on.
    proven
        Whether what to expect is proven for all of its items; None: this is not known of each.
    why
        The reasons against it, those of the first items that have some.
    """

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
    advice: str = ""
    reason: str = ""
    priority: int = 0
    not_before: str | None = None
    failures: int = 0
    paused_by: PausedBy | None = None
    cancel_requested: bool = False
    estimated_bytes: int | None = None
    proven: bool | None = None
    why: tuple[str, ...] = ()
    items: tuple[ItemRow, ...] = field(default=())

    @property
    def doubt(self) -> str:
        """The reasons why what to expect is not proven, as one sentence; empty: there are none."""
        return doubt_in_words(self.why)

    @property
    def state_in_words(self) -> str:
        """The state for people, who read of a complete job whether that is proven."""
        return state_in_words(self.state, proven=self.proven)

    @property
    def said(self) -> str:
        """The error with its advice, for people."""
        return f"{self.error} {self.advice}".strip()

    @property
    def needs_worker(self) -> bool:
        """Whether it goes on only while a worker lives: all but what has ended, and what a user lets rest."""
        rests = self.paused_by is PausedBy.USER and not self.cancel_requested
        return not self.state.is_final and not rests


def state_in_words(state: JobState, *, proven: bool | None) -> str:
    """Return a state for people.

    >>> state_in_words(JobState.COMPLETE, proven=True), state_in_words(JobState.COMPLETE, proven=False)
    ('complete', 'complete, not proven')
    """
    is_doubted = state is JobState.COMPLETE and proven is False
    return f"{state.value}, not proven" if is_doubted else state.value


def doubt_in_words(why: Sequence[str]) -> str:
    """Return the reasons why a list of what to expect is not proven, as one sentence.

    >>> doubt_in_words(["the node does not count its objects"])
    'Not verified, as what to expect could not be proven: the node does not count its objects.'
    """
    return f"Not verified, as what to expect could not be proven: {'; '.join(why)}." if why else ""


def job_to_json(job: JobRow) -> dict[str, Any]:
    """Return a job with its items as plain values; `error` is the whole sentence, `advice` its last part."""
    return {
        "job_id": job.job_id,
        "state": job.state.value,
        "node": job.node,
        "method": job.method.value,
        "destination": job.destination,
        "priority": job.priority,
        "expected": job.expected,
        "stored": job.stored,
        "bytes": job.bytes,
        "estimated_bytes": job.estimated_bytes,
        "proven": job.proven,
        "why": list(job.why),
        "error": job.said,
        "advice": job.advice,
        "reason": job.reason,
        "not_before": job.not_before,
        "paused_by": job.paused_by.value if job.paused_by else None,
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
        "proven": result.proven,
        "why": list(result.why),
        "error": result.said,
        "advice": result.advice,
        "note": result.note,
        "attempts": item.attempts,
        "failures": item.failures,
        "not_before": item.not_before,
        "started": item.started,
        "finished": item.finished,
    }


def still_to_come(job: JobRow) -> int:
    """Return how many bytes a job will still bring, by its estimate; 0 where nobody knows, or nothing more comes."""
    return 0 if job.state.is_final else max((job.estimated_bytes or 0) - job.bytes, 0)


def lack_of_room(to_come: int, *, free: int, floor: int, others: int = 0) -> str:
    """Return in words that so many bytes do not fit; nothing where they do.

    Parameters
    ----------
    free
        Bytes that are free where its objects go.
    floor
        Bytes of them that stay free.
    others
        Bytes that other jobs under way are to bring there.

    >>> lack_of_room(3_000_000, free=9_000_000, floor=1_000_000, others=6_000_000)
    'About 3.0 MB are to come, and there is room for 2.0 MB beside what other jobs bring'
    """
    room = max(free - floor - others, 0)
    if to_come <= room:
        return ""
    beside = " beside what other jobs bring" if others else ""
    return f"About {volume(to_come)} are to come, and there is room for {volume(room)}{beside}"
