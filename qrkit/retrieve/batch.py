"""A few items of one job, retrieved from one node: list what is expected, fetch it, compare.

The items share associations: one to list, then one to fetch, so that hundreds of small studies don't cost
hundreds of negotiations. What is still missing after the first try is asked for once more, by image where it can be
named, and by the other method where the node has both. Before that, what C-GET may have left out because a
presentation context was refused is asked for in other contexts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from qrkit import errors
from qrkit.dimse.association import Association
from qrkit.dimse.contexts import Proposal, StorageAnswers, get_model, move_model
from qrkit.dimse.retrieve import Retrieval, Suboperations
from qrkit.dimse.status import DATA_SET_MISMATCH
from qrkit.find.object_list import ObjectList
from qrkit.jobs import ItemRow, JobState, RetrieveRequest
from qrkit.node import Method, Node
from qrkit.retrieve.admission import ActiveItems
from qrkit.retrieve.destinations import Destination
from qrkit.retrieve.identifiers import (
    associate_patiently,
    identifiers,
    is_of_method,
    is_out_of_reach,
    is_worth_another_try,
    tries,
)
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.late_objects import arrived_since, wait_for_late_objects
from qrkit.retrieve.outcomes import outcome_of
from qrkit.retrieve.parts import Parts, has_ended_early, may_be_divided
from qrkit.retrieve.transfer_syntaxes import (
    by_contexts,
    may_contexts_help,
    refusals,
    storage_contexts,
    wanted_classes,
)
from qrkit.retrieve.watcher import Watch

_MOST_BREAKS = 3
_MOST_REGROUPINGS = 4


_ENDS = (errors.AssociationAborted, errors.ConnectionLost, errors.NodeTimeout)


class _UsedAssociationEnded(Exception):
    """An association that was used before has ended without any object of the next item."""

    def __init__(self, error: errors.NodeError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSource:
    """Where a batch comes from.

    Attributes
    ----------
    node
        The node that is asked.
    method
        Of the job.
    calling_ae_title
        By which we ask.
    list_objects
        Lists what the node has for some requests; see `qrkit.find.object_lister.ObjectLister`.
    one_request
        Whether the node is known to answer one request in each association.
    """

    node: Node
    method: Method
    calling_ae_title: str
    list_objects: Callable[[Sequence[RetrieveRequest]], Sequence[ObjectList]]
    one_request: Callable[[], bool] = lambda: False


class Batch:
    """Fetches items of one job."""

    def __init__(
        self, source: BatchSource, destination: Destination, active_items: ActiveItems, watch: Watch
    ) -> None:
        self._node = source.node
        self._source = source
        self._methods = tries(source.node, source.method)
        self._destination = destination
        self._active_items = active_items
        self._watch = watch
        self._undone: list[ActiveItem] = []
        self._late: list[ActiveItem] = []  # asked for in this pass, and their objects may come late
        self._storage = StorageAnswers()
        self._has_yielded = False
        self._one_request = False
        self._refuses_lists = False
        self._vain_parts = False  # whether an item was asked for in parts, and nothing came of it

    @property
    def undone(self) -> tuple[ItemRow, ...]:
        """The items without an outcome, such as after it has yielded or was stopped."""
        return tuple(active.item for active in self._undone)

    def run(self, items: Sequence[ItemRow]) -> None:
        """Fetch the items.

        Raises
        ------
        Cancelled
            If `Watch.stop` wants it; `end` gives the items without an outcome theirs.
        """
        all_active = [ActiveItem(item, node=self._node.name) for item in items]
        self._undone = list(all_active)
        with ExitStack() as admitted:
            for active in all_active:
                if self._destination.is_here:
                    self._active_items.add(active)
                admitted.callback(self._tell_late, active)
                admitted.callback(self._active_items.remove, active)
            self._list(all_active)
            self._fetch_all(all_active)
            unlisted = [active for active in all_active if active.may_be_listed_later]
            if unlisted and not self._has_yielded:
                self._list(unlisted, again=True)
                self._fetch_all(unlisted)
            for active in () if self._has_yielded else tuple(self._undone):
                active.notes += refusals(self._storage, active)
                self._done(active)

    def _fetch_all(self, items: Sequence[ActiveItem]) -> None:
        for number, method in enumerate(self._methods):
            wanting = [
                active
                for active in items
                if active in self._undone
                and (active.is_open or active.is_contradicted)
                and self._may_help(active, number)
            ]
            for some in by_contexts(wanting) if method is Method.GET else [wanting]:
                self._fetch(some, method)
                for active in some:
                    if active in self._undone and self._may_divide(active):
                        self._fetch_parts(active, method)
                if method is Method.GET:
                    self._fetch_otherwise(some)

    def _may_divide(self, active: ActiveItem) -> bool:
        """Whether an item is asked for in parts: not without any object if parts of another were vain."""
        if self._has_yielded or not self._destination.is_here or (self._vain_parts and not active.has_progress):
            return False
        return may_be_divided(active)

    def _may_help(self, active: ActiveItem, number: int) -> bool:
        """Whether a try is of use: the first, one after an error that may pass, or one by another method."""
        if not number or active.error is None or is_worth_another_try(active.error):
            return True
        before = self._methods[number - 1]
        return self._methods[number] is not before and is_of_method(active.error, before)

    def _tell_late(self, active: ActiveItem) -> None:
        uids, size = arrived_since(active)
        if uids:
            self._watch.on_late(active.item, uids, size)

    def end(self, *, cancelled: bool) -> None:
        """Report the outcome of all items that have none yet, as it is now."""
        for active in list(self._undone):
            self._done(active, cancelled=cancelled)

    def _done(self, active: ActiveItem, *, cancelled: bool = False) -> None:
        self._undone.remove(active)
        active.outcome = outcome_of(active, cancelled=cancelled)
        if self._destination.is_here and active.outcome.state in (JobState.PARTIAL, JobState.FAILED):
            self._active_items.expect_late(
                active.item, active.outcome.missing, node=self._node.name, stored=active.stored
            )
        self._watch.on_done(active.item, active.outcome)

    def _list(self, items: Sequence[ActiveItem], *, again: bool = False) -> None:
        """Find out what is expected, and what of it is at the destination already."""
        lists = self._source.list_objects([active.item.request for active in items])
        for listed in lists:
            if listed.error is not None and is_out_of_reach(listed.error) and not again:
                raise listed.error
        for active, listed in zip(items, lists, strict=True):
            active.expect(listed)
            active.holds(self._destination.stored(active))
            self._watch.on_progress(active)

    def _fetch_otherwise(self, items: Sequence[ActiveItem]) -> None:
        """Ask again for what C-GET left out, by the presentation contexts that are left to try.

        An item of which nothing more came by all other contexts that may help is not asked for by yet others.
        """
        vain: list[ActiveItem] = []
        for _ in range(_MOST_REGROUPINGS):
            wanting = [one for one in items if one.is_open and is_worth_another_try(one.error) and one not in vain]
            wanting = [one for one in wanting if may_contexts_help(self._storage, one)]
            contexts = self._storage.otherwise(tuple(wanted_classes(wanting)))
            if not contexts:
                return
            offered = {"", *(context.abstract_syntax for context in contexts)}
            before = self._storage
            again = [active for active in wanting if offered & set(active.missing_classes)]
            stored = [len(active.stored) for active in again]
            self._fetch(again, Method.GET, contexts)
            if self._storage == before:  # there was no association
                return
            vain += [active for active, count in zip(again, stored, strict=True) if len(active.stored) == count]

    def _fetch(self, items: Sequence[ActiveItem], method: Method, storage: tuple[Proposal, ...] = ()) -> None:
        """Fetch what is missing of each, and wait once for the late objects of all of them."""
        self._fetch_over_associations(items, method, storage)
        late, self._late = self._late, []
        if late:
            stop = self._watch.stop
            wait_for_late_objects(late, self._node.timeouts.inactivity, stop, self._watch.on_progress)
        for active in late:
            self._settle(active)
            self._watch.on_progress(active)
            if not _lacks_something(active):
                self._done(active)
        if any(map(_lacks_something, late)):
            self._watch.stop.check()

    def _fetch_over_associations(
        self, items: Sequence[ActiveItem], method: Method, storage: tuple[Proposal, ...]
    ) -> None:
        """Fetch each; an association that breaks is replaced, unless nothing comes any more.

        Over an association that was used before, that is no fault of the item: it is asked for again over a new one,
        and so are all others then.
        """
        self._one_request = self._one_request or self._source.one_request()
        waiting = list(items)
        breaks = 0
        before: tuple[int, int] | None = None  # the items left and objects received when one last ended so
        while waiting and not self._has_yielded:
            arrived = sum(active.received for active in items)
            try:
                self._fetch_in_turn(waiting, method, storage)
            except _UsedAssociationEnded as ended:
                self._one_request = True
                left = len(waiting), sum(active.received for active in items)
                if left == before:
                    waiting[0].error = ended.error
                    self._ended(waiting.pop(0), method)
                before = left
            except errors.NodeError as error:
                waiting[0].error = error
                breaks = 0 if sum(active.received for active in items) > arrived else breaks + 1
                if is_out_of_reach(error):
                    raise
                if isinstance(error, errors.NoContextAccepted) or breaks == _MOST_BREAKS:
                    for active in waiting:
                        active.error = error
                    return
                self._ended(waiting.pop(0), method)

    def _fetch_in_turn(self, waiting: list[ActiveItem], method: Method, storage: tuple[Proposal, ...]) -> None:
        """Fetch over one association; what is done leaves `waiting`."""
        with self._associated(waiting, method, storage) as association:
            if storage and len(association.contexts) < 2:  # refused again: nothing more can come
                waiting.clear()
            while waiting:
                self._fetch_over(association, waiting[0], method)
                active = waiting.pop(0)
                self._ended(active, method)
                if active.is_open or waiting:
                    self._watch.stop.check()
                if waiting:
                    self._watch.stop.wait(self._node.pause)
                if waiting and self._watch.should_yield():
                    self._has_yielded = True
                    waiting.clear()
                if self._one_request:
                    return

    def _fetch_over(self, association: Association, active: ActiveItem, method: Method) -> None:
        """Fetch one item; distinguish an association that has ended because it was used before."""
        received = active.received
        try:
            self._fetch_one(association, active, method)
        except _ENDS as error:
            if association.is_used and active.received == received:
                raise _UsedAssociationEnded(error) from error
            raise

    def _fetch_one(
        self, association: Association, active: ActiveItem, method: Method, part: tuple[str, ...] = ()
    ) -> None:
        retrieval = Retrieval(
            association,
            node=self._node,
            on_progress=lambda _: self._watch.on_progress(active),
            stop=self._watch.stop.or_when(lambda: active.is_runaway),
        )
        active.begin_try(in_parts=bool(part))
        try:
            self._ask_for(active, method, retrieval, part)
            active.error = None
        except errors.Cancelled as stop:
            if not active.is_runaway:
                raise
            active.error = errors.ProtocolError(
                f"{self._node.name} sent more than {active.refused} objects that were not asked for.",
                advice="The retrieve was stopped; ask the PACS team how it answers at this level.",
            )
            active.break_off(Suboperations(), active.error)
            raise active.error from stop
        except (errors.StatusError, errors.PortInUse, errors.InputError) as error:
            active.error = error

    def _fetch_parts(self, active: ActiveItem, method: Method) -> None:
        """Ask for what is missing in ever smaller parts, since one object may have ended the request for all."""
        parts, error, before = Parts(active.missing), active.error, len(active.stored)
        part = parts.take()
        while part:
            try:
                with self._associated([active], method, ()) as association:
                    while part:
                        self._watch.stop.check()
                        self._fetch_one(association, active, method, part)
                        error, part = active.error or error, self._next_part(parts, part, active)
            except errors.NodeError as broken:
                if is_out_of_reach(broken):
                    raise
                active.error = error = broken
                part = self._next_part(parts, part, active)
        self._vain_parts |= len(active.stored) == before
        active.error = error if active.missing else None
        self._watch.on_progress(active)
        if not _lacks_something(active):
            self._done(active)

    def _next_part(self, parts: Parts, part: tuple[str, ...], active: ActiveItem) -> tuple[str, ...]:
        self._settle(active)
        if active.error is not None or has_ended_early(active):
            parts.failed(part, missing=active.missing)
        return parts.take()

    def _ended(self, active: ActiveItem, method: Method) -> None:
        """Compare the received with the expected objects, at once unless more may arrive late."""
        if method is Method.MOVE and self._destination.is_here and active.may_come_late:
            self._late.append(active)
            return
        self._settle(active)
        self._watch.on_progress(active)
        if active in self._undone and not _lacks_something(active):
            self._done(active)

    def _ask_for(self, active: ActiveItem, method: Method, retrieval: Retrieval, part: tuple[str, ...]) -> None:
        """Send the requests for what is missing; a list of UIDs that the node refuses is asked for UID by UID."""
        try:
            self._send(active, method, retrieval, part)
        except errors.StatusError as error:
            is_list = not active.wants_all and len(active.missing) > 1
            if error.status != DATA_SET_MISMATCH or not is_list or self._refuses_lists:
                raise
            self._refuses_lists = True
            self._send(active, method, retrieval, part)

    def _send(self, active: ActiveItem, method: Method, retrieval: Retrieval, part: tuple[str, ...]) -> None:
        for identifier in identifiers(self._node, active, by_uid=self._refuses_lists, part=part):
            self._watch.stop.check()
            try:
                counted = self._destination.fetch(method, retrieval, identifier, active)
            except errors.NodeError as error:
                active.break_off(retrieval.state, error)
                raise
            active.count(counted)

    def _settle(self, active: ActiveItem) -> None:
        self._destination.settle(active)
        active.end_try()

    def _associated(self, items: Sequence[ActiveItem], method: Method, storage: tuple[Proposal, ...]) -> Association:
        """Associate; for C-GET with these storage contexts, or those that the missing objects want."""
        proposals = [Proposal(abstract_syntax=move_model(self._node.information_model))]
        if method is Method.GET:
            proposals = [Proposal(abstract_syntax=get_model(self._node.information_model))]
            proposals += storage or storage_contexts(items)
        association = associate_patiently(
            self._node, proposals, calling_ae_title=self._source.calling_ae_title, stop=self._watch.stop
        )
        if method is Method.GET:
            taken = [(context.abstract_syntax, context.transfer_syntax) for context in association.contexts.values()]
            self._storage = self._storage.after(proposals, taken)
        return association


def _lacks_something(active: ActiveItem) -> bool:
    return active.is_open or active.is_contradicted or active.may_be_listed_later
