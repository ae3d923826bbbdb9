"""The items that are being retrieved now, and the ended ones that still lack objects: whose an arriving object is."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from qrkit.jobs import ItemRow
from qrkit.retrieve.item import ActiveItem
from qrkit.store.header import ObjectHeader

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

        Those that expect it, else the ended one that lacks it, else those of its C-MOVE, else all. Of several items,
        those come first whose C-MOVE sends it, then those that did not take it yet.
        """
        with self._lock:
            items = tuple(self._items.values())
            late = self._late.get(sop_instance_uid)

        def is_of_move(active: ActiveItem) -> bool:
            return bool(move_message_id) and active.move_message_id == move_message_id

        def place(active: ActiveItem) -> tuple[bool, bool]:
            return not is_of_move(active), active.has_taken(sop_instance_uid)

        of_move = _those(active for active in items if is_of_move(active))
        lacking: tuple[ActiveItem, ...] = () if late is None else (late,)
        if late is not None and any(active.node != late.node for active in of_move):
            lacking = (*of_move, late)  # another node sends the same object
        found = _those(active for active in items if active.wants(sop_instance_uid)) or lacking or of_move or items
        return tuple(sorted(found, key=place))

    def sharing(self, sop_instance_uid: str, header: ObjectHeader, taker: ActiveItem) -> tuple[ActiveItem, ...]:
        """Return the other items under way that expect an object by name, or to which it belongs at the same node."""
        with self._lock:
            items = tuple(self._items.values())
        return _those(
            active
            for active in items
            if active is not taker
            and (active.wants(sop_instance_uid) or active.node == taker.node)
            and active.admits(sop_instance_uid, header)
        )


def _those(items: Iterable[ActiveItem]) -> tuple[ActiveItem, ...]:
    return tuple(items)
