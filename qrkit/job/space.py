"""Whether what a job is to bring fits on the disk: its estimate against the free space."""

from __future__ import annotations

from qrkit.job.value import JobRow
from qrkit.words import volume


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
