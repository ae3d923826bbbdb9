"""Tasks that a worker runs in threads of their own, in addition to its retrieves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import Protocol

from qrkit.errors import StoreError

logger = logging.getLogger(__name__)

ERROR_PAUSE = 5.0
"""Seconds to wait after an error."""


class BackgroundTask(Protocol):
    """A task that runs in its own threads as long as the worker."""

    @property
    def is_busy(self) -> bool:
        """True while an idle worker must keep running."""

    def start(self, worker_id: str) -> None:
        """Start the task."""

    def take_over(self, alive_worker_ids: Collection[str]) -> None:
        """Take over the work of workers that are no longer alive; called with each heartbeat."""

    def stop(self) -> None:
        """Stop soon, and return once stopped."""


class PollingThread:
    """Polls for work in a thread of its own, and continues after errors.

    Parameters
    ----------
    name
        Of the thread, and for the log.
    poll
        Looks for work once and does it.
    every
        Seconds between two polls.

    Attributes
    ----------
    stopping
        Set when it must stop.
    """

    def __init__(self, name: str, poll: Callable[[], None], *, every: float) -> None:
        self.stopping = threading.Event()
        self._poll = poll
        self._every = every
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the task."""
        self._thread.start()

    def wake(self) -> None:
        """Poll now."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the poll that is running."""
        self.stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._poll()
            except StoreError:  # the database may come back; the work waits meanwhile
                logger.exception("The state cannot be used")
                self.stopping.wait(ERROR_PAUSE)
            except Exception:  # the worker must survive every error of a task
                logger.exception("An error inside qrkit in the background task %s", self._thread.name)
                self.stopping.wait(ERROR_PAUSE)
            self._wake.wait(self._every)
            self._wake.clear()
