"""Tasks that a worker runs in threads of their own, in addition to its retrieves."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from qrkit.errors import StoreError

logger = logging.getLogger(__name__)

ERROR_PAUSE = 5.0
"""Seconds to wait after an error."""


class BackgroundTask(ABC):
    """Polls for work in a thread of its own, does it in a few others, and continues after errors."""

    def __init__(self, name: str, *, every: float, at_once: int) -> None:
        self._worker_id = ""
        self._every = every  # seconds between two polls
        self._is_busy = True  # until it has polled for the first time
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}s", daemon=True)
        self._wake = threading.Event()
        self._stopping = threading.Event()

    @property
    def is_busy(self) -> bool:
        """True while an idle worker must keep running."""
        return self._is_busy

    def start(self, worker_id: str) -> None:
        """Start the task."""
        self._worker_id = worker_id
        self._thread.start()

    @abstractmethod
    def take_over(self, alive_worker_ids: Collection[str]) -> None:
        """Take over the work of workers that are no longer alive; called with each heartbeat."""

    def stop(self) -> None:
        """Stop after the poll and the work that are running."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @abstractmethod
    def _poll(self) -> None:
        """Look for work once, and start it."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._poll()
            except StoreError:  # the database may come back; the work waits meanwhile
                logger.exception("The state cannot be used")
                self._stopping.wait(ERROR_PAUSE)
            except Exception:  # the worker must survive every error of a task
                logger.exception("An error inside qrkit in the background task %s", self._thread.name)
                self._stopping.wait(ERROR_PAUSE)
            self._wake.wait(self._every)
            self._wake.clear()
