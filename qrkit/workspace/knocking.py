"""How a node that lets no association in for now is asked again: few tries, growing pauses, within a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds; the last one goes on."""


class Knocking:
    """One query at a node's door, over all its threads (temporary congestion, local limit exceeded: PS3.8 9.3.4).

    Parameters
    ----------
    limit
        Seconds for which a node is asked again that lets none of our associations in.
    clock
        Of the monotonic kind.
    """

    def __init__(self, limit: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._inside = 0
        self._alone_since: float | None = None
        self._lock = Lock()

    def let_in(self) -> None:
        """Note that an association was made."""
        with self._lock:
            self._inside += 1
            self._alone_since = None

    def left(self) -> None:
        """Note that an association has ended."""
        with self._lock:
            self._inside -= 1

    def pause(self, tries: int) -> float | None:
        """Return after how many seconds to try again after so many tries in vain; None: no more.

        While an association of ours is open, there is always another try.

        >>> [Knocking(6.0, clock=lambda: 0.0).pause(tries) for tries in (1, 4, 5)]
        [0.5, 5.0, None]
        """
        pause = _PAUSES[min(tries, len(_PAUSES)) - 1]
        with self._lock:
            if self._inside:
                return pause
            now = self._clock()
            if self._alone_since is None:
                self._alone_since = now
            return pause if now + pause - self._alone_since <= self._limit else None
