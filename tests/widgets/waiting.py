"""Waiting on a condition while a loop runs, and on what runs in the background."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import wait

from qrkit.widgets.panel import Background

LIMIT = 10.0
"""Seconds."""


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition is true; `TimeoutError` if it does not become so in time."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - the widgets looked at set no asyncio.Event
            await asyncio.sleep(0.005)


def finish(background: Background) -> None:
    """Let what runs end, and hand it over, as the kernel's loop would."""
    wait([future for future, _, _ in background._waiting], timeout=60)
    assert not background.tick()


def pages_end() -> None:
    """Wait for what closed pages still have running: a workspace cannot close the connections that threads use."""
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("page_")]:
        thread.join(LIMIT)
        assert not thread.is_alive(), "A page was not closed."
