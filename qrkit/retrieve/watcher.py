"""Watches over a batch: writes its progress to the state, and reads from there whether it must end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from qrkit.errors import StoreError
from qrkit.jobs import ItemOutcome, ItemRow, JobState
from qrkit.retrieve.item import ActiveItem
from qrkit.stop import Stop
from qrkit.store.job_progress import JobControl, RunningItems

logger = logging.getLogger(__name__)

_EVERY = 0.25
"""Seconds between two looks at the state, and between two rows of progress."""

SLICE = 5.0
"""Seconds after which a batch makes room for another job of its node, as soon as an item has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Callbacks of a batch: what reports its progress, and what stops it."""

    on_progress: Callable[[ActiveItem], None]  # called often with the item under way
    # called once per item with its outcome, as soon as that is known
    on_done: Callable[[ItemRow, ItemOutcome], None]
    stop: Stop  # ends early what is under way
    # asked when an item has ended; True ends the batch there
    should_yield: Callable[[], bool] = lambda: False
    # called at the end of an item with the SOP Instance UIDs and bytes that arrived after its outcome
    on_late: Callable[[ItemRow, Collection[str], int], None] = lambda *_: None


class Watcher:
    """Watches over one batch: writes its progress, knows whether it must end.

    A state that cannot be used for a while does not end a retrieve: what comes is in the folder of the files, and its
    rows are written later.

    The batch ends if another worker has taken an item over, since this one gave no sign of life for too long: both
    would retrieve the same objects.
    """

    def __init__(
        self,
        under_way: RunningItems,
        job_id: str,
        ending: threading.Event,  # set when the worker ends
        *,
        node_is_closed: Callable[[], bool] = lambda: False,  # whether the hours of the node are over
        has_no_room: Callable[[], bool] = lambda: False,  # whether less disk space is free than must stay free
        worker_id: str | None = None,  # of the worker that runs the batch
    ) -> None:
        self._under_way = under_way
        self._job_id = job_id
        self._ending = ending
        self._node_is_closed = node_is_closed
        self._has_no_room = has_no_room
        self._began = time.monotonic()
        self._written = 0.0
        self._asked = 0.0
        self._control = JobControl()
        self._worker_id = worker_id
        self._is_lost = False
        self._cleared: set[int] = set()
        self.stop = Stop(self._should_stop)
        self.unheard = 0
        """Heartbeats of the worker since the last sign of life of the batch."""

    @property
    def is_cancelled(self) -> bool:
        """Whether the job is to be cancelled."""
        return self._control.cancel

    @property
    def has_no_room(self) -> bool:
        """Whether the disk is what ends it."""
        return not self._control.cancel and self._has_no_room()

    def progress(self, active: ActiveItem) -> None:
        """Write down how far an item is, at most a few times a second.

        That one with which workers have died gets on is written at once: another death is not its fault then.
        """
        self.unheard = 0
        now = time.monotonic()
        gets_on = bool(active.item.deaths) and len(active.stored) > active.item.outcome.stored
        if now - self._written < _EVERY and (not gets_on or active.item.item_id in self._cleared):
            return
        if gets_on:
            self._cleared.add(active.item.item_id)
        self._written = now
        outcome = ItemOutcome(
            state=JobState.RUNNING,
            stored=len(active.stored),
            received=active.received,
            bytes=active.bytes,
            expected=active.expected_number,
        )
        try:
            held = self._under_way.progress(active.item.item_id, outcome, worker_id=self._worker_id)
            if not held and not self._is_lost:
                logger.warning("Item %d of job %s is no longer ours", active.item.position + 1, self._job_id)
            self._is_lost = not held
        except StoreError as error:
            logger.warning("Progress cannot be written: %s", error)

    def _should_stop(self) -> bool:
        """Whether to end at once: cancelled, paused, no room for more, or the worker ends."""
        self.unheard = 0
        now = time.monotonic()
        if now - self._asked >= _EVERY:
            self._asked = now
            try:
                self._control = self._under_way.control(self._job_id)
            except StoreError as error:
                logger.warning("Requests to pause or cancel job %s cannot be read: %s", self._job_id, error)
        asked = self._control.cancel or self._control.pause
        return asked or self._is_lost or self._ending.is_set() or self._has_no_room()

    def should_yield(self) -> bool:
        """Whether to end with the item that has just ended: another job's turn, or the node's hours are over."""
        if self._node_is_closed():
            return True
        if time.monotonic() - self._began < SLICE:
            return False
        self._began = time.monotonic()  # the next look is a slice later
        try:
            return self._under_way.has_rival(self._job_id)
        except StoreError:
            return False
