"""Slow work of a page: calls in a thread, and repeated reads of the state on the kernel's own loop.

Widgets are changed on that loop only, a few times a second, and only while something can change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from qrkit.stop import Stop

INTERVAL = 0.2
"""Seconds between two calls."""

_SHARE = 0.1
"""Share of the kernel's time that the calls may take: if one is slow, the next waits longer."""

_LONGEST = 15.0
"""Most seconds between two calls: one to an unreachable database may take half a minute."""


class Poller:
    """Calls a function five times a second until it returns False.

    It runs as one task on the loop on which it was created, so that no other thread changes a widget. Without a
    running loop, as in a script, it does nothing.

    Parameters
    ----------
    poll
        Returns whether to call it again; it must not raise.
    """

    def __init__(self, poll: Callable[[], bool], *, interval: float = INTERVAL) -> None:
        self._poll = poll
        self._interval = interval
        self._task: asyncio.Task[None] | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # asyncio's only sign that none is running
            self._loop = None

    @property
    def is_running(self) -> bool:
        """Whether it will call again by itself."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """Call again soon and continue; any thread may call this."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin)

    def stop(self) -> None:
        """Stop calling."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        if self._loop is not None and not self.is_running:
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            if not self._poll():
                return
            wait = min((clock() - before) / _SHARE, _LONGEST)
            await asyncio.sleep(max(self._interval, wait))


class Background:
    """Runs one call after another in a thread, and passes each outcome to the kernel's own loop.

    The thread changes no widget.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._waiting: list[tuple[Future[Any], Callable[[Any], None], Callable[[BaseException], None]]] = []
        self._stop = Event()
        self._poller = Poller(self.tick)

    @property
    def is_busy(self) -> bool:
        """Whether a call is running."""
        return bool(self._waiting)

    def run(
        self,
        call: Callable[[Stop], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start a call and return at once; the call gets the token that ends it."""
        self._stop = event = Event()
        self._waiting.append((self._threads.submit(call, Stop(event.is_set)), done, failed))
        self._poller.wake()

    def cancel(self) -> None:
        """Ask the running call to stop."""
        self._stop.set()

    def tick(self) -> bool:
        """Pass on the outcomes of ended calls; return whether any call is still running."""
        for entry in [waiting for waiting in self._waiting if waiting[0].done()]:
            self._waiting.remove(entry)
            future, done, failed = entry
            error = future.exception()
            if error is not None:
                failed(error)
            else:
                done(future.result())
        return self.is_busy

    def close(self) -> None:
        """Stop, and pass on no outcome."""
        self.cancel()
        self._poller.stop()
        self._waiting.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)
