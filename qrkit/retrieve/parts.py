"""The parts in which missing objects are asked for: one object that a node cannot send ends a whole request."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qrkit import errors
from qrkit.dimse.status import Category, Service, classify
from qrkit.retrieve.item import ActiveItem


class Parts:
    """Divides what is missing until what the node cannot send stands alone.

    One object out of many costs about twice as many requests as the number can be halved. After half as many that
    brought nothing, the node sends none of them.

    >>> parts = Parts(["1.1", "1.2", "1.3"])
    >>> parts.take(), parts.take()
    (('1.1',), ('1.2', '1.3'))
    >>> parts.failed(("1.2", "1.3"), missing=["1.2", "1.3"])
    >>> parts.take(), parts.take(), parts.take()
    (('1.2',), ('1.3',), ())
    """

    def __init__(self, missing: Sequence[str]) -> None:
        self._waiting = _halves(missing)
        self._left = self._most = len(missing).bit_length()

    def take(self) -> tuple[str, ...]:
        """Return the keys of the next part; empty at the end."""
        return self._waiting.pop(0) if self._waiting and self._left > 0 else ()

    def failed(self, part: Sequence[str], *, missing: Collection[str]) -> None:
        """Divide what is still missing of a part that ended with an error."""
        still = [key for key in part if key in missing]
        self._left = 2 * self._most if len(still) < len(part) else self._left - 1
        if len(still) > 1:
            self._waiting[:0] = _halves(still)


def _halves(keys: Sequence[str]) -> list[tuple[str, ...]]:
    middle = len(keys) // 2
    return [half for half in (tuple(keys[:middle]), tuple(keys[middle:])) if half]


def may_be_divided(active: ActiveItem) -> bool:
    """Whether one object may have ended the request for an item, so that the others are still to be had."""
    return len(active.missing) > 1 and not active.is_runaway and has_ended_early(active)


def has_ended_early(active: ActiveItem) -> bool:
    """Whether a request may have ended at one object.

    A node that failed before it sent anything has failed at an object if its status reports that it was unable to
    process (0xC000), if it counts some objects as failed and not all, or if it broke off. A warning does not count
    the others as failed. A node that is silent from the start may just not work.
    """
    error, counted = active.error, active.suboperations
    if error is None:
        is_warning = classify(Service.MOVE, counted.status).category is Category.WARNING
        return is_warning and (counted.failed or 0) < len(active.missing)
    if isinstance(error, errors.StatusError):
        unable = 0xC000 <= error.status <= 0xCFFF
        is_partial = active.has_progress or 0 < active.failed < len(active.missing)
        return unable or (classify(Service.MOVE, error.status).category is Category.FAILURE and is_partial)
    if isinstance(error, errors.NodeTimeout):
        return active.has_progress
    return isinstance(error, (errors.AssociationAborted, errors.ConnectionLost, errors.ProtocolError))
