"""The items that are being retrieved now, and the ended ones that still lack objects: whose an arriving object is."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import Any

from qrkit.jobs import ItemRow
from qrkit.retrieve.item import ActiveItem
from qrkit.store.header import ObjectHeader

_MOST_LATE = 100_000
"""Missing SOP Instance UIDs that are remembered of ended items; the oldest are forgotten first."""

_MOST_UNNAMED = 1_000
"""Ended items without a list of what they lack that are remembered."""


class ActiveItems:
    """The items being retrieved right now, and what ended ones lack, to be looked up by what arrives."""

    def __init__(self) -> None:
        self._items: dict[int, ActiveItem] = {}
        self._late: dict[str, ActiveItem] = {}
        self._unnamed: dict[int, ActiveItem] = {}
        self._lock = threading.Lock()

    def add(self, active: ActiveItem) -> None:
        """Have an item's objects admitted from now on."""
        with self._lock:
            self._items[active.item.item_id] = active
            self._unnamed.pop(active.item.item_id, None)

    def remove(self, active: ActiveItem) -> None:
        """Admit no more objects for an item."""
        with self._lock:
            self._items.pop(active.item.item_id, None)

    def expect_late(self, item: ItemRow, missing: Iterable[str], *, node: str, stored: Iterable[str] = ()) -> None:
        """Have what an item lacks admitted although the item has ended.

        Where `missing` names nothing, all objects of its study, series or images are; those `stored` are not new.
        """
        wanted = frozenset(missing)
        ended = ActiveItem(item, node=node, expected=wanted, has_ended=True)
        with self._lock:
            if not wanted:
                ended.stored.update(stored)
                self._unnamed[item.item_id] = ended
            for uid in wanted:
                self._late.pop(uid, None)  # so that it counts among the newest
                self._late[uid] = ended
            for remembered, most in ((self._late, _MOST_LATE), (self._unnamed, _MOST_UNNAMED)):
                _forget_oldest(remembered, most)

    def last_sign(self, job_id: str) -> float:
        """Return when the last bytes for any item of a job arrived, by the monotonic clock."""
        with self._lock:
            items = tuple(self._items.values())
        return max((active.last_sign for active in items if active.item.job_id == job_id), default=-math.inf)

    def late(self, sop_instance_uid: str) -> ActiveItem | None:
        """Return the ended item that lacks an object."""
        with self._lock:
            return self._late.get(sop_instance_uid)

    def candidates(self, sop_instance_uid: str, move_message_id: int) -> tuple[ActiveItem, ...]:
        """Return the items that an object may belong to.

        Those that expect it, else the ended one that lacks it, else those of its C-MOVE, else all; then those that
        have ended without a list of what they lack. Of several items, those come first whose C-MOVE sends it, then
        those that did not take it yet.
        """
        with self._lock:
            items = tuple(self._items.values())
            late = self._late.get(sop_instance_uid)
            unnamed = tuple(self._unnamed.values())

        def is_of_move(active: ActiveItem) -> bool:
            return bool(move_message_id) and active.move_message_id == move_message_id

        def place(active: ActiveItem) -> tuple[bool, bool]:
            return not is_of_move(active), active.has_taken(sop_instance_uid)

        of_move = _those(active for active in items if is_of_move(active))
        lacking: tuple[ActiveItem, ...] = () if late is None else (late,)
        if late is not None and any(active.node != late.node for active in of_move):
            lacking = (*of_move, late)  # another node sends the same object
        found = _those(active for active in items if active.wants(sop_instance_uid)) or lacking or of_move or items
        return (*sorted(found, key=place), *unnamed)

    def sharing(self, sop_instance_uid: str, header: ObjectHeader, taker: ActiveItem) -> tuple[ActiveItem, ...]:
        """Return the other items under way that expect an object by name, or to which it belongs at the same node."""
        with self._lock:
            items = tuple(self._items.values())
        return _those(
            active
            for active in items
            if active is not taker
            and (active.means(sop_instance_uid, header) or active.node == taker.node)
            and active.admits(sop_instance_uid, header)
            and active.requested_place(sop_instance_uid, header) is None
        )


def lacking_unnamed(items: Iterable[ActiveItem], header: ObjectHeader) -> ActiveItem | None:
    """Return the item that an object with another StudyInstanceUID fits, since its study was merged.

    The node sent it for one of these items, counts more objects of it than have come, and does not list them by name.
    """
    fitting = (active for active in items if active.lacking)
    return next((one for one in fitting if one.item.request.StudyInstanceUID != header.StudyInstanceUID), None)


def _those(items: Iterable[ActiveItem]) -> tuple[ActiveItem, ...]:
    return tuple(items)


def _forget_oldest(remembered: dict[Any, ActiveItem], most: int) -> None:
    while len(remembered) > most:
        del remembered[next(iter(remembered))]
