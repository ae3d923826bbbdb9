"""Work that follows an arrival but must not slow it down: done in batches, in a thread of its own.

A thread that works beside the network thread takes the interpreter lock from it each time (measured: half the
rate of small objects). So this one waits for a moment in which nothing arrives, unless many entries wait already or
a caller waits for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Generic, TypeVar

from qrkit.errors import StoreError

logger = logging.getLogger(__name__)

Entry = TypeVar("Entry")

_AT_ONCE = 200
_MANY = 2_000
_MOST = 10_000
_LOOK = 0.25
_PAUSES = (0.5, 1.0, 2.0)
"""Seconds between tries; the last again and again, so that a database that is back is noticed soon."""


class IndexQueue(Generic[Entry]):
    """Entries that wait to be processed, at most a few thousand: then `put` waits.

    `process` takes a batch, some entries of which it may have processed before. A `StoreError`, or a lack of memory,
    is tried again until it works or the queue is stopped; after any other error, each entry is tried alone.
    """

    def __init__(self, process: Callable[[Sequence[Entry]], None]) -> None:
        self._process = process
        self._waiting: deque[Entry] = deque()
        self._busy = False
        self._last_put = 0.0
        self._finished = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._hurrying = False
        self._has_given_up = False
        self._thread = threading.Thread(target=self._run, name="index queue", daemon=True)

    def start(self) -> None:
        """Start to process."""
        self._thread.start()

    def hurry(self) -> None:
        """From now on give up what the store does not take at once, since the process ends."""
        self._hurrying = True

    def stop(self) -> None:
        """Process what waits, and end; what the store does not take any more is given up."""
        self._stopping = self._hurrying = True
        self._wake.set()
        self._thread.join()

    def put(self, entry: Entry) -> None:
        """Add an entry; wait while there are too many, so that a slow store slows the sender down."""
        while len(self._waiting) >= _MOST and not self._hurrying:
            self._wake.set()
            time.sleep(0.01)
        self._waiting.append(entry)
        self._last_put = time.monotonic()
        if len(self._waiting) == _MANY:
            self._wake.set()

    def drain(self) -> None:
        """Return when all that was put before is processed; raise `StoreError` if anything was given up."""
        self._wake.set()
        with self._finished:
            while (self._waiting or self._busy) and self._thread.is_alive():
                self._finished.wait(0.1)
        if self._has_given_up:
            raise StoreError("Objects are filed, but could not be listed before the end.")

    def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            wanted = self._wake.wait(_LOOK)
            self._wake.clear()
            if wanted or self._stopping or time.monotonic() - self._last_put > _LOOK:
                while self._waiting:
                    self._process_some()

    def _process_some(self) -> None:
        self._busy = True  # before an entry leaves the deque, so that `drain` sees one or the other
        batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        self._try(batch)
        with self._finished:
            self._busy = False
            self._finished.notify_all()

    def _try(self, batch: Sequence[Entry]) -> None:
        try:
            self._insist(batch)
        except Exception:  # one odd file must not keep the others from being listed
            if len(batch) == 1:
                logger.exception("An object is filed, but could not be listed")
            for entry in batch if len(batch) > 1 else ():
                self._try([entry])

    def _insist(self, batch: Sequence[Entry]) -> None:
        for number, pause in enumerate(chain(_PAUSES, repeat(_PAUSES[-1]))):
            try:
                self._process(batch)
            except (StoreError, MemoryError):
                if not number:  # once, or a night without the database fills the log
                    logger.exception("%d objects are filed, but cannot be listed yet", len(batch))
                if self._hurrying:
                    self._has_given_up = True
                    return
                self._pause(pause)
            else:
                if number:
                    logger.info("%d objects that waited for the state are listed", len(batch))
                return

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._hurrying and time.monotonic() < deadline:
            time.sleep(0.1)
