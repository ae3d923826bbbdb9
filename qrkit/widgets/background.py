"""Work that takes its time, in a thread, while the page stays usable; the page learns of it through the pump.

Brings what the state says to a widget: on the kernel's own loop, a few times a second, while there is need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

INTERVAL = 0.2
"""Seconds between two looks."""

_SHARE = 0.1
"""Part of the kernel's time that looking may take: where one look is slow, looks are fewer."""

_LONGEST = 15.0
"""Most seconds between two looks: a look at a database that is away may take half a minute, and then it is back."""


class Pump:
    """Calls a function five times a second until it says that nothing more will happen.

    It runs as one task on the loop on which it was made, so that widgets are never touched from another thread.
    Without a running loop, as in a script, it does nothing.

    Parameters
    ----------
    look
        Says whether to call it again; it must not raise.
    """

    def __init__(self, look: Callable[[], bool], *, interval: float = INTERVAL) -> None:
        self._look = look
        self._interval = interval
        self._task: asyncio.Task[None] | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # asyncio's only way to say that none runs
            self._loop = None

    @property
    def is_running(self) -> bool:
        """Whether it will look again by itself."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """Look again soon, and go on; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin)

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        if self._loop is not None and not self.is_running:
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            before = clock()
            if not self._look():
                return
            rest = min((clock() - before) / _SHARE, _LONGEST)
            await asyncio.sleep(max(self._interval, rest))


class Background:
    """Runs one call after another in a thread, and hands each outcome to the kernel's own loop.

    The thread never touches a widget.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._waiting: list[tuple[Future[Any], Callable[[Any], None], Callable[[BaseException], None]]] = []
        self._stop = Event()
        self._pump = Pump(self.tick)

    @property
    def is_busy(self) -> bool:
        """Whether something runs."""
        return bool(self._waiting)

    def run(
        self,
        call: Callable[[Callable[[], bool]], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start a call, which gets a function that says whether it should stop; return at once."""
        self._stop = stop = Event()
        self._waiting.append((self._threads.submit(call, stop.is_set), done, failed))
        self._pump.wake()

    def cancel(self) -> None:
        """Ask what runs to stop."""
        self._stop.set()

    def tick(self) -> bool:
        """Hand over what has ended; say whether anything still runs."""
        for entry in [one for one in self._waiting if one[0].done()]:
            self._waiting.remove(entry)
            future, done, failed = entry
            error = future.exception()
            if error is not None:
                failed(error)
            else:
                done(future.result())
        return self.is_busy

    def close(self) -> None:
        """Stop, and hand over no more."""
        self.cancel()
        self._pump.stop()
        self._waiting.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)
