"""Whether the clock of this machine was put back: what waits for a time by it would wait too long."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

_STEP = 2.0
"""Seconds by which a clock may be put back unnoticed, as it is all the time where it is kept right."""


class PutBack:
    """Notices when a clock is put back.

    Parameters
    ----------
    now
        Gives the time by it.
    elapsed
        Seconds that never go back.
    """

    def __init__(self, now: Callable[[], datetime], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._elapsed = elapsed
        self._last = now(), elapsed()

    def look(self) -> float:
        """Return by how many seconds the clock was put back since the last look; 0 if it was not."""
        before, since = self._last
        self._last = now, at = self._now(), self._elapsed()
        back = (at - since) - (now - before).total_seconds()
        return back if back > _STEP else 0.0
