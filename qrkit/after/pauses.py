"""When a handler that has failed is tried again."""

from __future__ import annotations

from datetime import timedelta

_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 3_600, 21_600))
LONGEST_PAUSE = _PAUSES[-1]
"""A run that is due later than that was put off by a clock that was wrong."""


def pause_after(attempts: int, *, most: int, transient: bool = True) -> timedelta | None:
    """Return how long to wait after a failure; None: no more.

    Growing, so that a receiver that is restarted is met soon, and one that is down for a night is not worn out.

    Parameters
    ----------
    attempts
        How often it was tried.
    most
        How often it may be tried in all.
    transient
        Whether the same may work later without anybody changing anything.

    >>> [pause_after(tried, most=3) for tried in (1, 2, 3)]
    [datetime.timedelta(seconds=30), datetime.timedelta(seconds=120), None]
    >>> pause_after(1, most=3, transient=False) is None
    True
    """
    if not transient or attempts >= most:
        return None
    return _PAUSES[min(max(attempts, 1), len(_PAUSES)) - 1]
