"""Paused and waiting jobs, and the reason: too little disk space, or outside the retrieve hours of their node."""

from __future__ import annotations

import sqlalchemy as sa

from qrkit.jobs import JobRow, JobState, PausedBy, still_to_come
from qrkit.store.job_transitions import RUNNING, active_jobs, follow, get_job
from qrkit.store.jobs import job_row
from qrkit.store.schema import job_items, jobs, workers
from qrkit.store.state import State


class JobPauses:
    """The jobs of a workspace that qrkit has paused; they resume automatically."""

    def __init__(self, state: State) -> None:
        self._state = state

    def pause_for_disk(self, job_id: str, reason: str, *, disk: str = "") -> None:
        """Pause a job until a disk has space again; a paused job is left as it is.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.transaction() as connection:
            job = get_job(connection, job_id)
            if not (job.paused or job.cancel_requested or JobState(job.state).is_final):
                values = {"paused": True, "paused_by": PausedBy.DISK.value, "reason": reason, "rests_on": disk}
                follow(connection, job_id, self._state.now(), **values)

    def paused_for_disk(self, disk: str = "") -> tuple[JobRow, ...]:
        """Return the jobs that are paused for space on this or an unknown disk, without their items."""
        mine = jobs.c.rests_on.in_(("", disk))
        wanted = sa.select(jobs).where(jobs.c.paused_by == PausedBy.DISK.value, jobs.c.paused, mine)
        with self._state.reading() as connection:
            return tuple(job_row(job) for job in connection.execute(wanted.order_by(jobs.c.created)))

    def resume_from_disk(self, job_id: str) -> None:
        """Resume a job that was paused for disk space.

        Raises
        ------
        NotFound
            If there is no such job.
        """
        with self._state.transaction() as connection:
            if get_job(connection, job_id).paused_by == PausedBy.DISK.value:
                follow(connection, job_id, self._state.now(), paused=False, paused_by="", reason="")

    def bytes_to_come(self, disk: str = "", *, before: JobRow | None = None) -> int:
        """Return how many bytes the jobs that run will still bring here, by their estimates.

        Parameters
        ----------
        disk
            Where that is: what workers of other disks are fetching does not come here.
        before
            Only those that were asked for before this one.
        """
        wanted = sa.select(jobs).where(
            *active_jobs(), jobs.c.state == RUNNING, jobs.c.destination == "", _not_elsewhere(disk)
        )
        if before is not None:
            wanted = wanted.where(sa.tuple_(jobs.c.created, jobs.c.job_id) < (before.created, before.job_id))
        with self._state.reading() as connection:
            return sum(still_to_come(job_row(job)) for job in connection.execute(wanted))

    def explain(self, node: str, reason: str) -> None:
        """Set the reason why the jobs of a node wait; empty: not because of the node."""
        busy = sa.select(job_items.c.job_id).where(job_items.c.state == sa.literal_column(f"'{RUNNING}'"))
        which = (
            *active_jobs(),
            jobs.c.node == node,
            jobs.c.reason != reason,
            jobs.c.job_id.not_in(busy),
            jobs.c.not_before.is_(None),
        )
        with self._state.reading() as connection:  # a worker looks often, and seldom has news
            if connection.execute(sa.select(jobs.c.job_id).where(*which).limit(1)).first() is None:
                return
        with self._state.transaction() as connection:
            connection.execute(jobs.update().where(*which).values(reason=reason))


def _not_elsewhere(disk: str) -> sa.ColumnElement[bool]:
    """Return the condition that no worker of another disk fetches a job just now."""
    elsewhere = (
        sa.select(job_items.c.job_id)
        .join(workers, workers.c.worker_id == job_items.c.worker_id)
        .where(job_items.c.state == sa.literal_column(f"'{RUNNING}'"), workers.c.disk.not_in(("", disk)))
    )
    return jobs.c.job_id.not_in(elsewhere)
