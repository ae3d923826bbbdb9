"""Whether what a job is to bring fits on the disk: its estimate against the free space."""

from __future__ import annotations

from qrkit.job.value import JobRow
from qrkit.words import volume


def lack_of_room(job: JobRow, *, free: int, floor: int) -> str:
    """Return in words that a job does not fit; nothing where it does, or where nobody knows its size.

    Parameters
    ----------
    free
        Bytes that are free where its objects go.
    floor
        Bytes of them that stay free.
    """
    to_come = (job.estimated_bytes or 0) - job.bytes
    room = max(free - floor, 0)
    if to_come <= room or job.state.is_final:
        return ""
    return f"About {volume(to_come)} are to come, and there is room for {volume(room)}"
