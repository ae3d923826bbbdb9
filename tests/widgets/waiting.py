"""Waiting on a condition while a loop runs."""

import asyncio
from collections.abc import Callable

LIMIT = 10.0
"""Seconds."""


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until the condition is true; `TimeoutError` if it does not become so in time."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - the widgets looked at set no asyncio.Event
            await asyncio.sleep(0.005)
