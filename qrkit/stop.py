"""The token by which whatever waits or takes long is ended early."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from qrkit.errors import Cancelled

_TICK = 0.25
"""Seconds between two looks at whether the end is wanted."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Stop:
    """A request to stop, passed down to all work that waits.

    >>> Stop(lambda: True).check()
    Traceback (most recent call last):
    qrkit.errors.Cancelled: Cancelled.
    """

    # returns True from when on the work should end; called often, from any thread
    wanted: Callable[[], bool] = _never

    def check(self) -> None:
        """Return unless the work should end; raise `Cancelled` if it should."""
        if self.wanted():
            raise Cancelled("Cancelled.")

    def wait(self, seconds: float) -> None:
        """Wait for some time; raise `Cancelled` if the work should end before that."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _TICK))

    def or_when(self, also: Callable[[], bool]) -> Stop:
        """Return a token that ends the work for another reason too."""
        return Stop(lambda: self.wanted() or also())


NEVER = Stop()
"""For work that nothing ends early."""
