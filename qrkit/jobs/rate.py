"""The rate at which a number grows, such as bytes per second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Rate:
    """A rate over a sliding window.

    Parameters
    ----------
    window
        Length of the window in seconds.
    clock
        Returns the time in seconds.
    """

    def __init__(self, *, window: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, amount: int) -> None:
        """Record the current amount."""
        now = self._clock()
        self._seen.append((now, amount))
        while len(self._seen) > 2 and now - self._seen[0][0] > self._window:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """Growth per second; 0 before there are two records."""
        if len(self._seen) < 2:
            return 0.0
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return max(0.0, (after - before) / (end - start)) if end > start else 0.0
