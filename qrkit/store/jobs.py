"""Retrieve jobs in the state, as users see them: created, listed, cancelled, paused, resumed, retried.

It converts between rows and the values of `qrkit.jobs`. Workers use `qrkit.store.job_queue` and
`qrkit.store.job_progress`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from qrkit.errors import InputError
from qrkit.jobs import Change, ItemOutcome, ItemRow, JobRow, JobState, NewJob, PausedBy, RetrieveRequest
from qrkit.node import Method
from qrkit.store.handler_runs import choose
from qrkit.store.job_transitions import QUEUED, follow, get_job, move_items
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import StateTable, field_names, value_of
from qrkit.tables import Level

_MOST_PRIORITY = 100


def item_values(job_id: str, position: int, request: RetrieveRequest) -> dict[str, Any]:
    """Return the columns of a new item."""
    # At IMAGE level the objects asked for are those expected, unless others are given.
    expected = request.expected or request.sop_instance_uids
    return {
        "job_id": job_id,
        "position": position,
        "level": request.level.value,
        "PatientID": request.patient_id,
        "StudyInstanceUID": request.StudyInstanceUID,
        "SeriesInstanceUID": request.SeriesInstanceUID,
        "sop_instance_uids": list(request.sop_instance_uids),
        "expected_uids": list(request.expected),
        "refetch": request.refetch,
        "state": JobState.QUEUED.value,
        "expected": len(expected) if expected else None,
        "missing": [],
        "why": [],
    }


def outcome_values(outcome: ItemOutcome) -> dict[str, Any]:
    """Return the columns of an outcome, except the state."""
    values = {name: getattr(outcome, name) for name in field_names(ItemOutcome) if name not in ("state", "transient")}
    return values | {"missing": list(outcome.missing), "why": list(outcome.why)}


def item_outcome(row: sa.Row[Any], *, paused: bool = False) -> ItemOutcome:
    """Return the outcome in an item's row; what waits in a paused job is paused."""
    state = JobState(row.state)
    if paused and state is JobState.QUEUED:
        state = JobState.PAUSED
    lists = {"missing": tuple(row.missing), "why": tuple(row.why)}
    return value_of(ItemOutcome, row, state=state, transient=False, **lists)


def item_row(row: sa.Row[Any], *, paused: bool = False) -> ItemRow:
    """Return an item from its row; what waits in a paused job is paused."""
    request = RetrieveRequest(
        level=Level.parse(row.level),
        StudyInstanceUID=row.StudyInstanceUID,
        SeriesInstanceUID=row.SeriesInstanceUID,
        sop_instance_uids=tuple(row.sop_instance_uids),
        patient_id=row.PatientID,
        expected=tuple(row.expected_uids),
        refetch=row.refetch,
    )
    return value_of(ItemRow, row, request=request, outcome=item_outcome(row, paused=paused))


def job_row(row: sa.Row[Any], items: tuple[ItemRow, ...] = ()) -> JobRow:
    """Return a job from its row."""
    lists = {"why": tuple(row.why), "doubts": tuple(row.doubts), "items": items}
    converted = {"method": Method(row.method), "state": JobState(row.state), **lists}
    return value_of(JobRow, row, paused_by=PausedBy(row.paused_by) if row.paused_by else None, **converted)


class JobTable(StateTable):
    """The retrieve jobs of a workspace."""

    def create(self, job: NewJob) -> str:
        """Queue a job with all its items, and return its id; without enough disk space it is paused from the start.

        Raises InputError if there is nothing to fetch, or the priority is none.
        """
        if not job.requests:
            raise InputError("The table has no rows, so there is nothing to retrieve.")
        job_id = uuid4().hex
        items = [item_values(job_id, position, request) for position, request in enumerate(job.requests)]
        rests = {"paused": True, "paused_by": PausedBy.DISK.value, "reason": job.lack_of_room}
        with self._state.transaction() as connection:
            connection.execute(
                jobs.insert().values(
                    job_id=job_id,
                    node=job.node,
                    method=job.method.value,
                    destination=job.destination,
                    user=job.user,
                    source=job.source,
                    priority=_checked(job.priority),
                    state=JobState.PAUSED.value if job.lack_of_room else QUEUED,
                    created=self._state.now(),
                    expected=sum(item["expected"] or 0 for item in items),
                    estimated_bytes=job.estimated_bytes,
                    proven=False if job.doubts else None,
                    why=list(job.doubts),
                    doubts=list(job.doubts),
                    **(rests if job.lack_of_room else {}),
                )
            )
            connection.execute(job_items.insert(), items)
            choose(connection, job_id, job.after)
        return job_id

    def get_summary(self, job_id: str) -> JobRow:
        """Return a job without its items, which may be many. Raises NotFound if there is none of that id."""
        with self._state.reading() as connection:
            return job_row(get_job(connection, job_id))

    def get(self, job_id: str) -> JobRow:
        """Return a job with its items, by its id or the first characters of it. Raises NotFound if there is none."""
        with self._state.reading() as connection:
            row = get_job(connection, job_id)
            items = connection.execute(
                sa.select(job_items).where(job_items.c.job_id == row.job_id).order_by(job_items.c.position)
            )
            return job_row(row, tuple(item_row(item, paused=row.paused) for item in items))

    def list(self, limit: int = 100, *, node: str | None = None, state: JobState | None = None) -> tuple[JobRow, ...]:
        """Return the newest jobs first, without their items."""
        wanted = sa.select(jobs).order_by(jobs.c.created.desc(), jobs.c.job_id).limit(limit)
        if node is not None:
            wanted = wanted.where(jobs.c.node == node)
        if state is not None:
            wanted = wanted.where(jobs.c.state == state.value)
        return tuple(map(job_row, self._state.rows(wanted)))

    def request_cancel(self, job_id: str) -> None:
        """Ask for a job to end: what is queued is cancelled now, what is running is for its worker to end.

        Raises NotFound if there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            queued = (job_items.c.job_id == job_id, job_items.c.state == QUEUED)
            move_items(connection, Change.CANCEL, JobState.CANCELLED, queued, finished=now, not_before=None)
            ended = JobState(get_job(connection, job_id).state).is_final
            asked = {} if ended else {"cancel_requested": True, "paused": False, "paused_by": "", "reason": ""}
            follow(connection, job_id, now, **asked)

    def pause(self, job_id: str, *, reason: str = "") -> None:
        """Pause a job: none of its items starts, and its worker gives back the running ones.

        `reason` is a sentence that names the user and the time. Raises NotFound if there is no such job.
        """
        with self._state.transaction() as connection:
            if not JobState(get_job(connection, job_id).state).is_final:
                follow(
                    connection, job_id, self._state.now(), paused=True, paused_by=PausedBy.USER.value, reason=reason
                )

    def resume(self, job_id: str) -> None:
        """Resume a paused job, and retry a waiting one now.

        A job that is paused because its estimate exceeds the free space resumes as well: the user decides. Raises
        NotFound if there is no such job.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            waiting = (job_items.c.job_id == job_id, job_items.c.state == QUEUED, job_items.c.not_before.is_not(None))
            connection.execute(job_items.update().where(*waiting).values(not_before=None))
            rests = get_job(connection, job_id).paused_by == PausedBy.DISK.value
            values: dict[str, object] = {"estimated_bytes": None} if rests else {}
            values |= {"paused": False, "paused_by": "", "reason": "", "not_before": None}
            follow(connection, job_id, now, **values)

    def retry(self, job_id: str) -> int:
        """Queue again what failed, is not whole, or was cancelled; return how many items that are.

        Raises NotFound if there is no such job.
        """
        afresh: dict[str, object] = {"error": "", "advice": "", "finished": None, "worker_id": None}
        afresh |= {"not_before": None, "proven": None, "why": []}
        with self._state.transaction() as connection:
            which = (job_items.c.job_id == job_id,)
            moved = move_items(connection, Change.RETRY, JobState.QUEUED, which, **afresh, failures=0, deaths=0)
            begun = {"cancel_requested": False, "paused": False, "paused_by": "", "failures": 0}
            follow(connection, job_id, self._state.now(), **begun)
            return len(moved)

    def set_priority(self, job_id: str, priority: int) -> None:
        """Set the priority of a job; higher ones run first.

        Raises NotFound if there is no such job; InputError if it is no priority.
        """
        with self._state.transaction() as connection:
            get_job(connection, job_id, lock=True)
            connection.execute(jobs.update().where(jobs.c.job_id == job_id).values(priority=_checked(priority)))


def _checked(priority: int) -> int:
    if not -_MOST_PRIORITY <= priority <= _MOST_PRIORITY:
        raise InputError(f"A priority is -{_MOST_PRIORITY} to {_MOST_PRIORITY}, not {priority}.")
    return priority
