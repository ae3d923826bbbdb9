"""Waiting for a socket that does not block, in ticks, so that somebody may end it."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable

TICK = 0.25
"""Seconds between two looks at whether somebody wants to end the waiting."""

OnWait = Callable[[], None]


def wait_patiently() -> None:
    """Do nothing: nobody wants to end the waiting."""


def wait_for(connection: socket.socket, event: int, until: float, on_wait: OnWait) -> None:
    """Return when a connection can be read or written, or has failed.

    Parameters
    ----------
    event
        ``selectors.EVENT_READ`` or ``EVENT_WRITE``.
    until
        By the monotonic clock.
    on_wait
        Called each tick; what it raises ends the waiting.

    Raises
    ------
    TimeoutError
        If it is not so in time.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection, event)
        while not selector.select(min(TICK, max(until - time.monotonic(), 0))):
            on_wait()
            if time.monotonic() >= until:
                raise TimeoutError("nothing came in time")
