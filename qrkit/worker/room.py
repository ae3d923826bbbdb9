"""Whether there is room for what jobs bring, and what is said to those that wait for some."""

from __future__ import annotations

import logging

from qrkit.store.files import FileStore
from qrkit.store.job_queue import JobQueue

logger = logging.getLogger(__name__)

_MARGIN = 0.1
"""Share of the floor that must be free above it before a job goes on, so that it does not rest again at once."""


class Room:
    """The disk of the received objects.

    Parameters
    ----------
    floor
        Bytes that stay free on it.
    """

    def __init__(self, files: FileStore, queue: JobQueue, *, floor: int) -> None:
        self._files = files
        self._queue = queue
        self._floor = floor

    def is_gone(self) -> bool:
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
        self._queue.pause_for_disk(job_id, reason)

    def resume_jobs(self) -> None:
        """Let the jobs go on that rest for the disk, if there is room again."""
        try:
            has_room = self._files.free_space() >= self._floor * (1 + _MARGIN) and self._files.is_writable()
        except OSError:
            return
        for job_id in self._queue.paused_for_disk() if has_room else ():
            logger.info("Job %s goes on: there is room", job_id)
            self._queue.resume_from_disk(job_id)
