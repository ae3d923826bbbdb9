"""The values of retrieve jobs: requests, outcomes, and rows of the state.

A job has items; an item is one C-GET or C-MOVE request at STUDY, SERIES or IMAGE level. The outcome of an item
compares the expected SOP Instances with the stored ones, and never relies on the peer's status alone. `job_to_json`
is the job as ``--format json`` prints it; other programs depend on its names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from qrkit.errors import InputError
from qrkit.node import Method
from qrkit.tables import Level
from qrkit.uids import is_usable_uid
from qrkit.words import out_of, shown, volume


class JobState(Enum):
    """The state of a job or an item."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True if the state changes no more without a user."""
        return self in (JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED)


class PausedBy(Enum):
    """Who paused a job: a user, who alone may resume it, or the worker, until the disk has enough free space."""

    USER = "user"
    DISK = "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveRequest:
    """A request for a study, a series, or images of one series."""

    level: Level
    StudyInstanceUID: str
    SeriesInstanceUID: str = ""
    sop_instance_uids: tuple[str, ...] = ()
    patient_id: str = ""  # required by the Patient Root information model
    expected: tuple[str, ...] = ()  # SOP Instance UIDs that should arrive, if they are known
    refetch: bool = False  # true to retrieve stored objects again, which may have other content at the node now

    def __post_init__(self) -> None:
        needed = {Level.STUDY: 1, Level.SERIES: 2, Level.IMAGE: 3}.get(self.level)
        if needed is None:
            raise InputError(
                f"{shown(str(self.level))} is not a valid retrieve level.", advice="Use STUDY, SERIES or IMAGE."
            )
        object.__setattr__(self, "level", Level(self.level))  # a caller in a notebook writes it as text
        uids = [self.StudyInstanceUID, self.SeriesInstanceUID][:needed] + list(self.sop_instance_uids)
        bad = next((uid for uid in uids if not is_usable_uid(uid)), None)
        if bad is not None:
            raise InputError(f"{shown(bad)} is not a valid UID in a {self.level} retrieve.")
        if needed == 3 and not self.sop_instance_uids:
            raise InputError("An IMAGE retrieve needs at least one SOPInstanceUID.")


def without_overlap(requests: Sequence[RetrieveRequest]) -> tuple[RetrieveRequest, ...]:
    """Return requests that have no object in common, so that each is retrieved and counted once per job.

    A series of a requested study, and images of a requested series, are part of that request. What was expected of
    them is expected of it.

    >>> study = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2")
    >>> series = [
    ...     RetrieveRequest(level=Level.SERIES, StudyInstanceUID=uid, SeriesInstanceUID="1.9", expected=("1.9.1",))
    ...     for uid in ("1.2", "1.3")
    ... ]
    >>> [(one.level.value, one.StudyInstanceUID, one.expected) for one in without_overlap([*series, study])]
    [('STUDY', '1.2', ('1.9.1',)), ('SERIES', '1.3', ('1.9.1',))]
    """
    groups: dict[tuple[str, ...], list[RetrieveRequest]] = {}
    whole = {_uids_of(request) for request in requests if request.level is not Level.IMAGE}
    for request in requests:
        study = (request.patient_id, request.StudyInstanceUID)
        key = study if study in whole else (*study, request.SeriesInstanceUID)
        groups.setdefault(key, []).append(request)
    return tuple(_together(some, is_whole=key in whole) for key, some in groups.items())


def _uids_of(request: RetrieveRequest) -> tuple[str, ...]:
    study = (request.patient_id, request.StudyInstanceUID)
    return study if request.level is Level.STUDY else (*study, request.SeriesInstanceUID)


def _together(requests: Sequence[RetrieveRequest], *, is_whole: bool) -> RetrieveRequest:
    """Return one request for some that overlap: the largest, or all images."""
    if len(requests) == 1:
        return requests[0]
    images = tuple(dict.fromkeys(uid for request in requests for uid in request.sop_instance_uids))
    expected = tuple(dict.fromkeys(uid for request in requests for uid in request.expected))
    refetch = any(request.refetch for request in requests)
    if not is_whole:
        return replace(requests[0], sop_instance_uids=images, expected=expected, refetch=refetch)
    largest = min(requests, key=lambda request: list(Level).index(request.level))
    return replace(largest, expected=tuple(dict.fromkeys((*expected, *images))), refetch=refetch)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A retrieve to be queued."""

    node: str  # name of the node that sends the objects
    requests: tuple[RetrieveRequest, ...]
    method: Method = Method.AUTO
    destination: str = ""  # name of the store node that receives by C-MOVE; empty: this workspace
    user: str = ""  # the user who asked for it
    source: str = ""  # the origin of the requests, such as the id of a query or plan
    doubts: tuple[str, ...] = ()  # why the list of the requests may be incomplete
    # names of the handlers for the received series; None: the automatic ones of the site
    after: tuple[str, ...] | None = None
    priority: int = 0  # jobs with a higher priority run first
    estimated_bytes: int | None = None  # estimated bytes to receive here; None if unknown
    lack_of_room: str = ""  # why the job starts paused: not enough free disk space; empty: there is enough


class _OutcomeInWords:
    """The state, the error and the doubts of an item or a job, in words."""

    __slots__ = ()
    state: JobState
    error: str
    advice: str
    proven: bool | None
    why: tuple[str, ...]

    @property
    def doubt(self) -> str:
        """The reasons why the expected objects are not proven, as one sentence; empty if there are none."""
        return _doubt(self.why)

    @property
    def state_in_words(self) -> str:
        """The state in words, for a complete item or job with whether that is proven."""
        return state_in_words(self.state, proven=self.proven)

    @property
    def error_text(self) -> str:
        """The error with its advice."""
        return f"{self.error} {self.advice}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome(_OutcomeInWords):
    """The outcome of one item."""

    state: JobState
    expected: int | None = None  # number of expected SOP Instances; None if unknown
    stored: int = 0  # number of them at the destination
    missing: tuple[str, ...] = ()  # expected SOP Instance UIDs that are not at the destination
    received: int = 0  # objects and bytes transferred for this item, without objects that were stored before
    bytes: int = 0
    error: str = ""  # the last error
    advice: str = ""  # what to do about it
    note: str = ""  # a remark that is not an error, such as objects that were not requested
    transient: bool = False  # True if a retry may succeed without any change; not stored
    # whether the list of expected objects is proven; None: the item has not ended, or ended before this was recorded
    proven: bool | None = None
    why: tuple[str, ...] = ()  # the reasons against it


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item of a job, as the state holds it. Times are UTC, ISO 8601."""

    item_id: int
    job_id: str
    position: int
    request: RetrieveRequest
    outcome: ItemOutcome
    attempts: int = 0  # number of times a worker took the item
    failures: int = 0  # consecutive failed attempts
    deaths: int = 0  # consecutive workers that died with the item before a new object arrived
    not_before: str | None = None  # time of the next attempt
    started: str | None = None  # when a worker took it last
    finished: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow(_OutcomeInWords):
    """One job, as the state holds it. Times are UTC, ISO 8601.

    Attributes
    ----------
    error, advice
        Error of the first item that has one.
    reason
        Why no item is running: the hours of the node, the disk, or an unreachable node; otherwise empty.
    not_before
        Time of the next attempt with an unreachable node.
    failures
        Consecutive attempts with an unreachable node.
    paused_by
        Who paused it.
    estimated_bytes
        Estimated bytes to receive here; None if unknown, or if a user resumed the job in spite of it.
    proven
        Whether what to expect is proven for all of its items, and the plan or query that lists them is complete;
        None: this is not known of each item.
    why
        The reasons against it: `doubts`, and those of the first items that have some.
    doubts
        Why the plan or query that lists the items may be incomplete, or is of another node.
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
    doubts: tuple[str, ...] = ()
    items: tuple[ItemRow, ...] = field(default=())

    @property
    def doubt(self) -> str:
        """The reasons why the job is not proven, as one sentence; empty if there are none."""
        return _doubt(self.why, self.doubts)

    def __repr__(self) -> str:
        proven = {None: "", True: ", proven", False: ", not proven"}[self.proven if self.state.is_final else None]
        return f"Job {self.job_id}: {self.state.value}, {out_of(self.stored, self.expected, 'object')} stored{proven}"

    @property
    def needs_worker(self) -> bool:
        """True if the job needs a worker: it has not ended, and no user paused it."""
        is_paused = self.paused_by is PausedBy.USER and not self.cancel_requested
        return not self.state.is_final and not is_paused


def _doubt(why: Sequence[str], doubts: Sequence[str] = ()) -> str:
    """Return reasons as one sentence. Those of a plan or query leave the expected number of each item known.

    >>> _doubt(["not counted"]), _doubt(["cut off"], ["cut off"])
    ('Not verified: not counted, so the expected number is unknown.', 'Not verified: cut off.')
    """
    ending = ", so the expected number is unknown" if set(why) - set(doubts) else ""
    return f"Not verified: {'; '.join(why)}{ending}." if why else ""


def state_in_words(state: JobState, *, proven: bool | None) -> str:
    """Return a state in words.

    >>> state_in_words(JobState.COMPLETE, proven=True), state_in_words(JobState.COMPLETE, proven=False)
    ('complete', 'complete, not proven')
    """
    is_doubted = state is JobState.COMPLETE and proven is False
    return f"{state.value}, not proven" if is_doubted else state.value


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
        "error": job.error_text,
        "advice": job.advice,
        "reason": job.reason,
        "not_before": job.not_before,
        "paused_by": job.paused_by.value if job.paused_by else None,
        "items": [item_to_json(item) for item in job.items],
    }


def item_to_json(item: ItemRow) -> dict[str, Any]:
    """Return an item as plain values."""
    request, result = item.request, item.outcome
    return {
        "level": request.level.value,
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
        "error": result.error_text,
        "advice": result.advice,
        "note": result.note,
        "attempts": item.attempts,
        "failures": item.failures,
        "not_before": item.not_before,
        "started": item.started,
        "finished": item.finished,
    }


def still_to_come(job: JobRow) -> int:
    """Return the estimated bytes that a job will still receive; 0 if they are unknown or the job has ended."""
    return 0 if job.state.is_final else max((job.estimated_bytes or 0) - job.bytes, 0)


def lack_of_room(to_come: int, *, free: int, floor: int, others: int = 0) -> str:
    """Return the sentence that there is not enough free disk space; empty if there is.

    Of the free bytes, `floor` must stay free, and other active jobs will still receive `others`.

    >>> lack_of_room(3_000_000, free=9_000_000, floor=1_000_000, others=6_000_000)
    'Not enough free disk space: about 3.0 MB needed, 2.0 MB free after other jobs'
    """
    room = max(free - floor - others, 0)
    if to_come <= room:
        return ""
    after = " after other jobs" if others else ""
    return f"Not enough free disk space: about {volume(to_come)} needed, {volume(room)} free{after}"
