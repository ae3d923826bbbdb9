"""Whether there is room for what jobs bring, and what is said to those that wait for some."""

from __future__ import annotations

import logging
from contextlib import suppress

from qrkit.jobs import JobRow, lack_of_room, still_to_come
from qrkit.settings import Settings
from qrkit.store.files import FileStore
from qrkit.store.job_pauses import JobPauses
from qrkit.store.state import State
from qrkit.words import volume

logger = logging.getLogger(__name__)

_MARGIN = 0.1
"""Share of the floor that must be free above it before a job goes on, so that it does not rest again at once."""


class DiskSpace:
    """The disk of the received objects.

    Parameters
    ----------
    floor
        Bytes that stay free on it.
    """

    def __init__(self, files: FileStore, pauses: JobPauses, *, floor: int) -> None:
        self._files = files
        self._pauses = pauses
        self._floor = floor
        self._disk = ""

    @classmethod
    def of(cls, settings: Settings, state: State) -> DiskSpace:
        """Return that of a workspace."""
        files = FileStore(settings.files, free_space_floor=settings.free_space_floor)
        return cls(files, JobPauses(state), floor=settings.free_space_floor)

    @property
    def disk(self) -> str:
        """What tells it from the disks of other sites; empty where the folder cannot be written."""
        if not self._disk:
            with suppress(OSError):
                self._disk = self._files.disk()
        return self._disk

    def is_exhausted(self) -> bool:
        """Whether nothing more may come: too little is free, or the folder cannot be written or is gone."""
        try:
            return self._files.free_space() < self._floor or not self._files.is_writable()
        except OSError:
            return True

    def pause(self, job_id: str) -> None:
        """Let a job rest until there is room."""
        reason = (
            f"Less than {self._floor / 1e6:,.0f} MB are free on the disk of {self._files.folder}: "
            "it goes on by itself when there is room."
        )
        if not self._files.is_writable():
            reason = f"{self._files.folder} cannot be written, or is not there: it goes on by itself when it can."
        logger.warning("Job %s rests: %s", job_id, reason)
        self._pauses.pause_for_disk(job_id, reason, disk=self.disk)

    def shortage(self, to_come: int, *, job: JobRow | None = None) -> str:
        """Return why what is to bring so many bytes rests; nothing where they fit, or nobody knows how many.

        That which nobody knows of ends at the floor, if it does. Of jobs that run at once and do not fit together,
        the later one rests.

        Parameters
        ----------
        job
            Of which they are; without it, of a new one.
        """
        if not to_come:
            return ""
        others = self._pauses.bytes_to_come(self.disk, before=job)
        try:
            lack = lack_of_room(to_come, free=self._files.free_space(), floor=self._floor, others=others)
        except OSError:  # for another reason than this estimate it will not get far
            return ""
        return lack and (
            f"{lack}. The disk of {self._files.folder} keeps {volume(self._floor)} free. The job "
            "starts when there is enough space, or when you resume it."
        )

    def has_space_for(self, job: JobRow) -> bool:
        """Whether what a job will probably bring still fits; one that does not rests from now on."""
        lack = self.shortage(still_to_come(job), job=job)
        if lack:
            logger.warning("Job %s rests: %s", job.job_id, lack)
            self._pauses.pause_for_disk(job.job_id, lack, disk=self.disk)
        return not lack

    def resume_jobs(self) -> None:
        """Let the jobs go on that rest for the disk, if there is room for them again."""
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
                logger.info("Job %s goes on: there is room", job.job_id)
                self._pauses.resume_from_disk(job.job_id)
