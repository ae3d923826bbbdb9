"""Pauses that end at once when a batch is to end."""

from __future__ import annotations

import time
from collections.abc import Callable

from qrkit.errors import Cancelled

_TICK = 0.25


def check(should_stop: Callable[[], bool]) -> None:
    """Go on, unless somebody asked for the end.

    Raises
    ------
    Cancelled
        If somebody did.
    """
    if should_stop():
        raise Cancelled("Cancelled.")


def rest(seconds: float, should_stop: Callable[[], bool]) -> None:
    """Let a node have its pause.

    Raises
    ------
    Cancelled
        If somebody asks for the end meanwhile.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check(should_stop)
        time.sleep(min(left, _TICK))
