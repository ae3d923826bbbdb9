"""The values of retrieve jobs: requests, outcomes, and rows of the state.

A job has items; an item is one C-GET or C-MOVE request at STUDY, SERIES or IMAGE level. The outcome of an item
compares the SOP Instances that were expected with those that are stored, never the peer's word alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

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
    error, advice
        The last error, and what to do about it.
    note
        What came along that is no error, such as objects that nobody asked for.
    transient
        Whether another try may succeed without anybody changing anything; not kept.
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
    items: tuple[ItemRow, ...] = field(default=())

    @property
    def said(self) -> str:
        """The error with its advice, for people."""
        return f"{self.error} {self.advice}".strip()

    @property
    def needs_worker(self) -> bool:
        """Whether it goes on only while a worker lives: all but what has ended, and what a user lets rest."""
        rests = self.paused_by is PausedBy.USER and not self.cancel_requested
        return not self.state.is_final and not rests
