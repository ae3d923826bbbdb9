"""Objects that arrive after the final response to their C-MOVE, which PS3.4 C.4.2.3.1 forbids, or after it failed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from qrkit.retrieve.expected import uid_of
from qrkit.retrieve.item import ActiveItem
from qrkit.stop import Stop

_AFTER_FAILURE = 1.0
"""Seconds since the last object after which no more are expected from a C-MOVE that failed."""

_LOOK = 0.1


def wait_for_late_objects(
    items: Sequence[ActiveItem], inactivity: float, stop: Stop, on_progress: Callable[[ActiveItem], None]
) -> None:
    """Wait while objects are missing and may still come, whatever the counters of the node report.

    The items share one wait: a node that answers first and sends later sends one item after the other. Where the
    retrieve failed, or the node reports what is missing as failed, only what is just coming is waited for.

    Parameters
    ----------
    inactivity
        Seconds since the end of the C-MOVE, or the last object, after which no more come.
    stop
        Ends the wait early.
    on_progress
        Called with each item that has received something.
    """
    ended = time.monotonic()
    received = [active.received for active in items]
    while not stop.wanted():
        last_sign = max(active.last_sign for active in items)
        left = max(
            (_until(active, ended, last_sign, inactivity) for active in items if active.may_come_late),
            default=-math.inf,
        )
        left -= time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _LOOK))
        for number, active in enumerate(items):
            if active.received != received[number]:
                received[number] = active.received
                on_progress(active)


def _until(active: ActiveItem, ended: float, last_sign: float, inactivity: float) -> float:
    """Return the moment after which no more will come for an item."""
    if active.is_explained or (active.is_contradicted and not active.is_open):
        return last_sign + min(_AFTER_FAILURE, inactivity)
    return max(ended, last_sign) + inactivity


def arrived_since(active: ActiveItem) -> tuple[frozenset[str], int]:
    """Return the missing objects that arrived after the end of an item: SOP Instance UIDs, and bytes."""
    if active.outcome is None:
        return frozenset(), 0
    missing = set(active.outcome.missing) - set(map(uid_of, active.missing))
    return frozenset(missing), active.bytes - active.outcome.bytes
