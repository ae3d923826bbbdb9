"""Whether what a job is to bring fits on the disk: its estimate against the free space."""

from __future__ import annotations

from qrkit.job.value import JobRow
from qrkit.words import volume


def still_to_come(job: JobRow) -> int:
    """Return how many bytes a job will still bring, by its estimate; 0 where nobody knows, or nothing more comes."""
    return 0 if job.state.is_final else max((job.estimated_bytes or 0) - job.bytes, 0)


def lack_of_room(to_come: int, *, free: int, floor: int) -> str:
    """Return in words that so many bytes do not fit; nothing where they do.

    Parameters
    ----------
    free
        Bytes that are free where its objects go.
    floor
        Bytes of them that stay free.
    """
    room = max(free - floor, 0)
    if to_come <= room:
        return ""
    return f"About {volume(to_come)} are to come, and there is room for {volume(room)}"
