"""Work that a worker does beside its retrieves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import Protocol

from qrkit.errors import StoreError

logger = logging.getLogger(__name__)

ERROR_PAUSE = 5.0
"""Seconds to wait where something went wrong."""


class BackgroundTask(Protocol):
    """Something that a worker runs in threads of its own as long as it runs itself."""

    @property
    def is_busy(self) -> bool:
        """Whether a worker that leaves when idle has to stay for it."""

    def start(self, worker_id: str) -> None:
        """Begin."""

    def take_over(self, alive_worker_ids: Collection[str]) -> None:
        """Take over what workers that are no longer alive have left; called with each heartbeat."""

    def stop(self) -> None:
        """End soon, and return when it has."""


class PollingThread:
    """Looks for something to do again and again, in a thread of its own, whatever goes wrong with a look.

    Parameters
    ----------
    name
        Of the thread, and for the log.
    look
        Looks once.
    every
        Seconds between two looks.

    Attributes
    ----------
    stopping
        Set when it is to end.
    """

    def __init__(self, name: str, look: Callable[[], None], *, every: float) -> None:
        self.stopping = threading.Event()
        self._look = look
        self._every = every
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Have it look now."""
        self._wake.set()

    def stop(self) -> None:
        """End, once the look that is under way has ended."""
        self.stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._look()
            except StoreError:  # the database may come back; what is to be done waits meanwhile
                logger.exception("The state cannot be used")
                self.stopping.wait(ERROR_PAUSE)
            except Exception:  # the worker must survive whatever is found
                logger.exception("An error inside qrkit, in looking for what is to be done: %s", self._thread.name)
                self.stopping.wait(ERROR_PAUSE)
            self._wake.wait(self._every)
            self._wake.clear()
