"""Where the objects of a job go: into this workspace, or by C-MOVE to a store node."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pydicom.dataset import Dataset

from qrkit import errors
from qrkit.dimse.retrieve import MoveWatch, Retrieval, Suboperations
from qrkit.find.object_list import ObjectList
from qrkit.jobs import RetrieveRequest
from qrkit.node import Method, Node
from qrkit.retrieve.arrivals import Arrivals
from qrkit.retrieve.expected import uid_of
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.reachability import MoveTarget, Unreached, naming
from qrkit.retrieve.stored import StoredInstances

logger = logging.getLogger(__name__)


class Destination(Protocol):
    """Where the objects of a job go.

    Attributes
    ----------
    is_here
        Whether they arrive in this workspace.
    """

    is_here: bool

    def stored(self, active: ActiveItem) -> set[str]:
        """Return the SOP Instances of an item that are already there."""

    def fetch(self, method: Method, retrieval: Retrieval, identifier: Dataset, active: ActiveItem) -> Suboperations:
        """Have the node send by C-GET or C-MOVE; errors as `qrkit.dimse.retrieve.Retrieval`."""

    def settle(self, active: ActiveItem) -> None:
        """Return when ``active.stored`` has what is at the destination."""


class WorkspaceDestination:
    """The workspace itself: C-GET on the same association, or C-MOVE into our Storage SCP.

    Parameters
    ----------
    target
        Our Storage SCP, by the AE title by which the node knows it.
    stored
        What is here.
    scp_error
        Gives why our Storage SCP does not listen, or None if it does.
    connections
        Returns how many connections it has accepted.
    """

    is_here = True

    def __init__(
        self,
        arrivals: Arrivals,
        node: Node,
        target: MoveTarget,
        *,
        stored: StoredInstances,
        scp_error: Callable[[], errors.QrkitError | None],
        connections: Callable[[], int],
    ) -> None:
        self._arrivals = arrivals
        self._node = node
        self._target = target
        self._stored = stored
        self._scp_error = scp_error
        last_sign = arrivals.active.last_sign
        self._reach = _Reach(node.name, target, connections=connections, last_sign=last_sign)

    def stored(self, active: ActiveItem) -> set[str]:
        """Return the SOP Instances whose files are here and need not come again.

        Of what is not listed, those from this node.
        """
        name = self._node.name
        stored = self._stored.of(active.places, source=name)
        if active.lacking or not active.is_listed:
            held = self._stored.of_request(active.item.request, source=name)
            active.came_elsewhere(held)
            stored |= held.keys()
        return fetched_again(stored, active) if active.item.request.refetch else stored

    def fetch(self, method: Method, retrieval: Retrieval, identifier: Dataset, active: ActiveItem) -> Suboperations:
        """Have the node send to us."""
        if method is Method.GET:
            return retrieval.get(identifier, self._arrivals.receiver_for_item(active, self._node.name))
        error = self._scp_error()
        if error is not None:
            raise error
        active.move_message_id = retrieval.message_id_to_come
        job_id = active.item.job_id
        watch = MoveWatch(
            last_sign=lambda: self._arrivals.active.last_sign(job_id), expected=len(_wanted(identifier, active))
        )
        self._reach.begin(active, retrieval.own_address)
        with naming(self._target, retrieval.own_address):
            return retrieval.move(identifier, self._target.ae_title, watch)

    def settle(self, active: ActiveItem) -> None:
        """Return when the rows of all arrived objects are written."""
        active.move_message_id = 0
        self._reach.end(active)
        self._arrivals.drain()


class _Reach:
    """Knows whether any object of a job has arrived by C-MOVE, and marks the items of which none has.

    `connections` returns how many connections our Storage SCP has accepted; `last_sign` when the last bytes for a job
    arrived.
    """

    def __init__(
        self, node: str, target: MoveTarget, *, connections: Callable[[], int], last_sign: Callable[[str], float]
    ) -> None:
        self._node = node
        self._target = target
        self._connections = connections
        self._last_sign = last_sign
        self._before: dict[int, tuple[str, int]] = {}
        self._unreached: list[ActiveItem] = []
        self._is_reached = False

    def begin(self, active: ActiveItem, own_address: str) -> None:
        """Note that a C-MOVE of an item begins, over an association from this address of ours."""
        self._before.setdefault(active.item.item_id, (own_address, self._connections()))

    def end(self, active: ActiveItem) -> None:
        """Mark an item whose C-MOVE has sent nothing, unless the node has sent anything for its job."""
        begun = self._before.pop(active.item.item_id, None)
        if begun is None:
            return
        if max(active.last_sign, self._last_sign(active.item.job_id)) > -math.inf or self._is_reached:
            self._is_reached = True
            for other in (*self._unreached, active):
                other.unreached = None
            self._unreached = []
            return
        address, connections = begun
        target = replace(self._target, address=self._target.address or address)
        active.unreached = Unreached(
            node=self._node, target=target, connections=max(self._connections() - connections, 0)
        )
        self._unreached.append(active)


def fetched_again(stored: set[str], active: ActiveItem) -> set[str]:
    """Return those of some stored objects that an earlier try of a refetch has received."""
    before = active.item.outcome
    if not (before.received and before.missing):
        return set()
    return {key for key in stored if uid_of(key) not in before.missing}


def _wanted(identifier: Dataset, active: ActiveItem) -> frozenset[str]:
    """Return the SOP Instances that a request should bring; empty where none are listed."""
    asked = identifier.get("SOPInstanceUID") or ()
    return frozenset([asked] if isinstance(asked, str) else asked) or active.expected or frozenset()


class StoreNodeDestination:
    """A store node: what it has is known by C-FIND there if it can be queried, else by the counters of C-MOVE.

    Parameters
    ----------
    target
        The store node.
    list_objects
        Lists what the store node has for some requests; see `qrkit.find.object_lister.ObjectLister`.
    """

    is_here = False

    def __init__(
        self, target: Node, list_objects: Callable[[Sequence[RetrieveRequest]], Sequence[ObjectList]]
    ) -> None:
        self._target = target
        self._list_objects = list_objects

    def stored(self, active: ActiveItem) -> set[str]:
        """Return none: what a store node has already is sent again, since it may have asked for that."""
        del active
        return set()

    def fetch(self, method: Method, retrieval: Retrieval, identifier: Dataset, active: ActiveItem) -> Suboperations:
        """Have the node send to the store node."""
        if method is Method.GET:
            raise errors.InputError("Only C-MOVE delivers to a store node.", advice="Leave the method to qrkit.")
        expected = len(_wanted(identifier, active)) if active.list.is_counted else 0
        target = MoveTarget(
            ae_title=self._target.ae_title,
            address=self._target.host,
            port=self._target.port,
            store_node=self._target.name,
        )
        with naming(target, retrieval.own_address):
            return retrieval.move(identifier, target.ae_title, MoveWatch(expected=expected))

    def settle(self, active: ActiveItem) -> None:
        """Count what is at the store node."""
        expected, counted = active.expected or frozenset(), active.suboperations
        found = self._found(active.item.request)
        if found:
            known = {key for key in expected if uid_of(key) in found}
            active.stored |= known if expected and not active.lacking else found
        elif expected and (counted.completed or 0) >= len(expected) and not counted.failed:
            active.stored |= expected
        else:
            active.reported = counted.completed or 0
        active.received = max(active.received, counted.completed or 0, len(active.stored))

    def _found(self, request: RetrieveRequest) -> set[str]:
        """Return the objects that the store node lists; none where it cannot be asked, so the counters decide."""
        (listed,) = self._list_objects([request])
        if listed.error is not None:
            logger.warning("%s could not be asked for its objects: %s", self._target.name, listed.error)
        return {listed_object.SOPInstanceUID for listed_object in listed.objects}
