"""Which arriving objects are taken, and for which item of a job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from qrkit.jobs import ItemRow
from qrkit.store.header import ObjectHeader

RUNAWAY = 50
"""So many objects that nobody asked for, and the retrieve is stopped: the node sends something else."""


class ActiveItem:
    """An item that is being retrieved, as the network threads see it.

    Attributes
    ----------
    item
        The row it stands for.
    node
        Name of the node that is asked.
    expected
        SOP Instance UIDs that should come; None where nobody could say.
    stored
        SOP Instance UIDs that came, or were held before.
    received, bytes, refused
        Objects that came for it, their size, and objects sent along that do not belong to it.
    move_message_id
        Message ID of the C-MOVE request under way, 0 for none.
    untold
        Number of objects that only the node's counters say are at the destination.
    other_versions
        Objects that came with other bytes than the same SOP Instance that is here; both are kept.
    has_ended
        Whether nobody waits for it any longer: what it lacked may still come.
    """

    def __init__(
        self, item: ItemRow, *, node: str, expected: frozenset[str] | None = None, has_ended: bool = False
    ) -> None:
        self.item = item
        self.node = node
        self.expected = expected
        self.stored: set[str] = set()
        self.received = item.outcome.received  # by earlier tries
        self.bytes = item.outcome.bytes
        self.refused = 0
        self.move_message_id = 0
        self.untold = 0
        self.other_versions = 0
        self.has_ended = has_ended
        self._last_arrival = time.monotonic()
        self._arrived = threading.Condition()

    @property
    def missing(self) -> tuple[str, ...]:
        """Expected SOP Instance UIDs that are not stored, in a stable order."""
        return tuple(sorted((self.expected or frozenset()) - self.stored))

    @property
    def is_runaway(self) -> bool:
        """Whether the node sends so much else that the retrieve must be stopped."""
        return self.refused > RUNAWAY

    def wants(self, sop_instance_uid: str) -> bool:
        """Whether this object was expected by name."""
        return self.expected is not None and sop_instance_uid in self.expected

    def admits(self, sop_instance_uid: str, header: ObjectHeader) -> bool:
        """Whether an object is of the study, series or images that were asked for, listed or not."""
        request = self.item.request
        if self.wants(sop_instance_uid):
            return True
        if request.level == "IMAGE":
            return sop_instance_uid in request.sop_instance_uids
        same_series = request.level == "STUDY" or header.SeriesInstanceUID == request.SeriesInstanceUID
        return header.StudyInstanceUID == request.StudyInstanceUID and same_series

    def took(self, sop_instance_uid: str, size: int) -> None:
        """Count an object that is in its place."""
        with self._arrived:
            self.stored.add(sop_instance_uid)
            self.received += 1
            self.bytes += size
            self.touch()
            self._arrived.notify_all()

    def touch(self) -> None:
        """Note that something came just now."""
        self._last_arrival = time.monotonic()

    def wait_for_late_objects(
        self, has_come: Callable[[], bool], patience: float, should_stop: Callable[[], bool]
    ) -> None:
        """Wait while objects still come: some nodes end C-MOVE before they arrive (PS3.4 C.4.2.3.1 forbids it).

        Parameters
        ----------
        has_come
            Whether no more are expected; asked again with each arrival.
        patience
            Seconds since the last arrival after which no more are expected.
        should_stop
            Asked four times a second; True gives up at once.
        """
        with self._arrived:
            while not (has_come() or should_stop()):
                left = self._last_arrival + patience - time.monotonic()
                if left <= 0:
                    return
                self._arrived.wait(min(left, 0.25))


_MOST_LATE = 100_000
"""Missing SOP Instance UIDs that are remembered of ended items; the oldest are forgotten first."""


class ActiveItems:
    """The items being retrieved right now, and what ended ones lack, to be looked up by what arrives."""

    def __init__(self) -> None:
        self._items: dict[int, ActiveItem] = {}
        self._late: dict[str, ActiveItem] = {}
        self._lock = threading.Lock()

    def add(self, active: ActiveItem) -> None:
        """Have an item's objects admitted from now on."""
        with self._lock:
            self._items[active.item.item_id] = active

    def remove(self, active: ActiveItem) -> None:
        """Admit no more objects for an item."""
        with self._lock:
            self._items.pop(active.item.item_id, None)

    def expect_late(self, item: ItemRow, missing: Iterable[str], *, node: str) -> None:
        """Have what an item lacks admitted although the item has ended."""
        wanted = frozenset(missing)
        ended = ActiveItem(item, node=node, expected=wanted, has_ended=True)
        with self._lock:
            for uid in wanted:
                self._late.pop(uid, None)  # so that it counts among the newest
                self._late[uid] = ended
            while len(self._late) > _MOST_LATE:
                del self._late[next(iter(self._late))]

    def late(self, sop_instance_uid: str) -> ActiveItem | None:
        """Return the ended item that lacks an object."""
        with self._lock:
            return self._late.get(sop_instance_uid)

    def candidates(self, sop_instance_uid: str, move_message_id: int) -> tuple[ActiveItem, ...]:
        """Return the items that an object may belong to.

        Those that expect it, else the ended one that lacks it, else those of its C-MOVE, else all.
        """
        with self._lock:
            items = tuple(self._items.values())
            late = self._late.get(sop_instance_uid)
        return (
            _those(active for active in items if active.wants(sop_instance_uid))
            or ((late,) if late is not None else ())
            or _those(active for active in items if move_message_id and active.move_message_id == move_message_id)
            or items
        )


def _those(items: Iterable[ActiveItem]) -> tuple[ActiveItem, ...]:
    return tuple(items)
