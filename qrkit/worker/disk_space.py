"""Disk space for retrieved objects: jobs that do not fit are paused with a reason, and resumed later."""

from __future__ import annotations

import logging
from contextlib import suppress

from qrkit.jobs import JobRow, lack_of_room, still_to_come
from qrkit.settings import Settings
from qrkit.store.files import FileStore
from qrkit.store.job_queue import JobPauses
from qrkit.store.state import State
from qrkit.words import volume

logger = logging.getLogger(__name__)

_MARGIN = 0.1
"""Share of the floor that must be free above it before a job resumes, so that it is not paused again at once."""


class DiskSpace:
    """The disk of the received objects, on which `floor` bytes stay free."""

    def __init__(self, files: FileStore, pauses: JobPauses, *, floor: int) -> None:
        self._files = files
        self._pauses = pauses
        self._floor = floor
        self._disk = ""

    @classmethod
    def of(cls, settings: Settings, state: State) -> DiskSpace:
        """Return the disk space of a workspace."""
        files = FileStore(settings.files, free_space_floor=settings.free_space_floor)
        return cls(files, JobPauses(state), floor=settings.free_space_floor)

    @property
    def disk(self) -> str:
        """Identifier of the disk, to distinguish disks of other sites; empty if the folder cannot be written."""
        if not self._disk:
            with suppress(OSError):
                self._disk = self._files.disk()
        return self._disk

    def is_exhausted(self) -> bool:
        """Whether no more objects can be stored: the disk is too full, or the folder cannot be written."""
        try:
            return self._files.free_space() < self._floor or not self._files.is_writable()
        except OSError:
            return True

    def pause(self, job_id: str) -> None:
        """Pause a job until there is space."""
        reason = (
            f"Less than {self._floor / 1e6:,.0f} MB are free on the disk of {self._files.folder}. "
            "The job resumes automatically when there is space."
        )
        if not self._files.is_writable():
            reason = f"{self._files.folder} cannot be written or is missing. The job resumes automatically."
        logger.warning("Job %s is paused: %s", job_id, reason)
        self._pauses.pause_for_disk(job_id, reason, disk=self.disk)

    def shortage(self, to_come: int, *, job: JobRow | None = None) -> str:
        """Return why a job of this size must wait; empty if it fits or its size is unknown.

        A job of unknown size may run until the floor is reached. If two running jobs do not fit together,
        the later one waits. Without a job, the bytes are those of a new one.
        """
        if not to_come:
            return ""
        others = self._pauses.bytes_to_come(self.disk, before=job)
        try:
            lack = lack_of_room(to_come, free=self._files.free_space(), floor=self._floor, others=others)
        except OSError:  # the retrieve itself will report that
            return ""
        return lack and (
            f"{lack}. The disk of {self._files.folder} keeps {volume(self._floor)} free. The job "
            "starts when there is enough space, or when you resume it."
        )

    def has_space_for(self, job: JobRow) -> bool:
        """Whether the estimated rest of a job still fits; a job that does not fit is paused."""
        lack = self.shortage(still_to_come(job), job=job)
        if lack:
            logger.warning("Job %s is paused: %s", job.job_id, lack)
            self._pauses.pause_for_disk(job.job_id, lack, disk=self.disk)
        return not lack

    def resume_jobs(self) -> None:
        """Resume the jobs that are paused for disk space, if there is space for them again."""
        try:
            free, is_writable = self._files.free_space(), self._files.is_writable()
        except OSError:
            return
        floor = round(self._floor * (1 + _MARGIN))
        if free < floor or not is_writable:
            return
        waiting = self._pauses.paused_for_disk(self.disk)
        others = self._pauses.bytes_to_come(self.disk) if waiting else 0
        for job in waiting:
            if not lack_of_room(still_to_come(job), free=free, floor=floor, others=others):
                others += still_to_come(job)
                logger.info("Job %s resumes: there is disk space", job.job_id)
                self._pauses.resume_from_disk(job.job_id)
