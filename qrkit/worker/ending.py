"""The end of a worker's process when something in it may never end: it is then as if it had been killed.

What it had under way is taken over by the next worker, as after any death.
"""

from __future__ import annotations

import faulthandler
import sys

LEAVES_WITHIN = 30.0
"""Seconds after which a worker that is to end does, with status 1."""


def end_for_certain() -> None:
    """Have this process end in a while, whatever it waits for, unless it has ended by then or `calm_down` is called.

    Not by a thread of ours: a hanging database, disk or lock would hold that up, too. What all threads were at is in
    worker.err, or the journal of the service.
    """
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(LEAVES_WITHIN, exit=True, file=sys.__stderr__)


def calm_down() -> None:
    """Let this process live on."""
    faulthandler.cancel_dump_traceback_later()
