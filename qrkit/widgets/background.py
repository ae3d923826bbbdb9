"""Work that takes its time, in a thread, while the page stays usable; the page learns of it through the pump."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from qrkit.widgets.pump import Pump


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
