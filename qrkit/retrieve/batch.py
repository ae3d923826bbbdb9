"""A few items of one job, fetched from one node: list what is expected, fetch it, compare.

The items share associations: one to list, then one to fetch, so that hundreds of small studies don't cost
hundreds of negotiations. What is still missing after the first try is asked for once more, at IMAGE level, and
by the other method where the node has both. Before that, what C-GET may have left out because a presentation context
was refused is asked for in other contexts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from pydicom.uid import UID

from qrkit import errors
from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal, StorageAnswers, get_model, move_model, storage_proposals
from qrkit.dimse.find import find_proposals
from qrkit.dimse.retrieve import Retrieval
from qrkit.jobs import ItemOutcome, ItemRow
from qrkit.node import InformationModel, Method, Node
from qrkit.retrieve.admission import ActiveItem, ActiveItems
from qrkit.retrieve.destinations import Destination
from qrkit.retrieve.expected import list_objects
from qrkit.retrieve.item import Work, identifiers, is_out_of_reach, sop_classes, tries
from qrkit.stop import check, rest
from qrkit.uids import is_valid_uid

_MOST_BREAKS = 3
_MOST_REGROUPINGS = 4
_CONGESTED_FOR = (0.1, 0.3, 1.0)
"""Seconds between tries: a node counts an association until it has seen its end, our last one as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told of a batch, and who may stop it.

    Attributes
    ----------
    on_progress
        Called often with the item under way.
    on_done
        Called once per item with its outcome, as soon as that is known.
    should_stop
        Asked often; True ends the batch by `Cancelled`.
    should_yield
        Asked when an item has ended; True ends the batch there.
    on_late
        Told at the end of an item of which something came after its outcome: of SOP Instance UIDs, and of bytes.
    """

    on_progress: Callable[[ActiveItem], None]
    on_done: Callable[[ItemRow, ItemOutcome], None]
    should_stop: Callable[[], bool]
    should_yield: Callable[[], bool] = lambda: False
    on_late: Callable[[ItemRow, Collection[str], int], None] = lambda *_: None


class Batch:
    """Fetches items of one job."""

    def __init__(
        self,
        node: Node,
        method: Method,
        destination: Destination,
        active_items: ActiveItems,
        watch: Watch,
        *,
        calling_ae_title: str,
    ) -> None:
        self._node = node
        self._methods = tries(node, method)
        self._destination = destination
        self._active_items = active_items
        self._watch = watch
        self._calling_ae_title = calling_ae_title
        self._undone: list[Work] = []
        self._storage = StorageAnswers()
        self._has_yielded = False

    @property
    def undone(self) -> tuple[ItemRow, ...]:
        """The items of which nothing was told, such as after it has yielded or was stopped."""
        return tuple(work.active.item for work in self._undone)

    def run(self, items: Sequence[ItemRow]) -> None:
        """Fetch the items.

        Raises
        ------
        Cancelled
            If `Watch.should_stop` said so; `end` tells of the items that had no outcome then.
        """
        works = [Work(item, self._node.name) for item in items]
        self._undone = list(works)
        with ExitStack() as admitted:
            for work in works:
                self._active_items.add(work.active)
                admitted.callback(self._tell_late, work)
                admitted.callback(self._active_items.remove, work.active)
            self._list(works)
            self._fetch_all(works)
            unlisted = [work for work in works if work.may_be_listed_later]
            if unlisted and not self._has_yielded:
                self._list(unlisted, again=True)
                self._fetch_all(unlisted)
            for work in () if self._has_yielded else tuple(self._undone):
                self._name_refused(work)
                self._done(work)

    def _fetch_all(self, works: Sequence[Work]) -> None:
        for number, method in enumerate(self._methods):
            wanting = [work for work in works if work.is_open and (not number or work.is_worth_another_try)]
            self._fetch(wanting, method)
            if method is Method.GET:
                self._fetch_otherwise(works)

    def _tell_late(self, work: Work) -> None:
        uids, size = work.come_since
        if uids:
            self._watch.on_late(work.active.item, uids, size)

    def end(self, *, cancelled: bool) -> None:
        """Tell the outcome of all items that have none yet, as it is now."""
        for work in list(self._undone):
            self._done(work, cancelled=cancelled)

    def _done(self, work: Work, *, cancelled: bool = False) -> None:
        self._undone.remove(work)
        self._watch.on_done(work.active.item, work.outcome(cancelled=cancelled))

    def _list(self, works: Sequence[Work], *, again: bool = False) -> None:
        """Find out what is expected, and what of it is at the destination already."""
        for work in works:
            work.unlisted = None
        try:
            self._ask_for_objects(works)
        except errors.Cancelled:
            raise
        except errors.NodeError as error:
            if is_out_of_reach(error) and not again:
                raise
            for work in works:
                if not work.objects:
                    work.unlisted = error
        for work in works:
            self._expect(work)

    def _ask_for_objects(self, works: Sequence[Work]) -> None:
        if not self._node.can_find or self._node.information_model is InformationModel.PATIENT_STUDY_ONLY:
            return  # a model without series and images cannot be asked for them (PS3.4 C.6.3)
        with self._associate(find_proposals(self._node)) as association:
            for work in works:
                try:
                    listing = list_objects(
                        association, self._node, work.active.item.request, should_stop=self._watch.should_stop
                    )
                    work.objects, work.silent_series = listing.objects, listing.silent_series
                except errors.StatusError as error:
                    work.unlisted = error
                self._watch.on_progress(work.active)

    def _expect(self, work: Work) -> None:
        request, active = work.active.item.request, work.active
        uids = {item.SOPInstanceUID for item in work.objects} | set(request.expected) | set(request.sop_instance_uids)
        active.expected = frozenset(uids) or None
        series_of = {item.SOPInstanceUID: item.SeriesInstanceUID for item in work.objects}
        places = {
            uid: _folder(request.StudyInstanceUID, series_of.get(uid, request.SeriesInstanceUID)) for uid in uids
        }
        active.stored |= self._destination.held(places)
        self._watch.on_progress(active)

    def _fetch_otherwise(self, works: Sequence[Work]) -> None:
        """Ask again for what C-GET left out, by the presentation contexts that are left to try."""
        for _ in range(_MOST_REGROUPINGS):
            wanting = [work for work in works if work.is_open and work.is_worth_another_try]
            contexts = self._storage.otherwise(sop_classes(wanting))
            if not contexts:
                return
            offered = {"", *(context.abstract_syntax for context in contexts)}
            before = self._storage
            self._fetch([work for work in wanting if offered & set(work.missing_classes)], Method.GET, contexts)
            if self._storage == before:  # there was no association
                return

    def _name_refused(self, work: Work) -> None:
        refused = self._storage.refused(dict.fromkeys(work.missing_classes)) if work.is_open else ()
        if refused:
            names = ", ".join(UID(sop_class).name for sop_class in refused)
            work.notes.append(f"{self._node.name} accepted no presentation context for {names} by C-GET.")

    def _fetch(self, works: Sequence[Work], method: Method, storage: tuple[Proposal, ...] = ()) -> None:
        """Fetch what is missing of each; an association that breaks is replaced, unless nothing comes any more."""
        waiting = list(works)
        breaks = 0
        while waiting and not self._has_yielded:
            arrived = sum(work.active.received for work in works)
            try:
                self._fetch_in_turn(waiting, method, storage)
            except errors.NodeError as error:
                waiting[0].error = error
                breaks = 0 if sum(work.active.received for work in works) > arrived else breaks + 1
                if is_out_of_reach(error):
                    raise
                if isinstance(error, errors.NoContextAccepted) or breaks == _MOST_BREAKS:
                    for work in waiting:
                        work.error = error
                    return
                self._destination.settle(waiting[0].active, waiting[0].counted)
                del waiting[0]

    def _fetch_in_turn(self, waiting: list[Work], method: Method, storage: tuple[Proposal, ...]) -> None:
        """Fetch over one association; what is done leaves `waiting`."""
        with self._associated(waiting, method, storage) as association:
            if storage and len(association.contexts) < 2:  # refused again: nothing more can come
                waiting.clear()
            while waiting:
                self._fetch_one(association, waiting[0], method)
                work = waiting.pop(0)
                if not (work.is_open or work.may_be_listed_later):
                    self._done(work)
                if work.is_open or waiting:
                    check(self._watch.should_stop)
                if waiting:
                    rest(self._node.pause, self._watch.should_stop)
                if waiting and self._watch.should_yield():
                    self._has_yielded = True
                    waiting.clear()

    def _fetch_one(self, association: Association, work: Work, method: Method) -> None:
        retrieval = Retrieval(
            association,
            node=self._node,
            on_progress=lambda _: self._watch.on_progress(work.active),
            should_stop=lambda: self._watch.should_stop() or work.active.is_runaway,
        )
        work.begin_try()
        try:
            for identifier in identifiers(self._node, work):
                check(self._watch.should_stop)
                work.count(self._destination.fetch(method, retrieval, identifier, work.active))
            work.error = None
        except errors.Cancelled as stop:
            if not work.active.is_runaway:
                raise
            work.error = errors.ProtocolError(
                f"{self._node.name} sent more than {work.active.refused} objects that were not asked for.",
                advice="The retrieve was stopped; ask the PACS team how it answers at this level.",
            )
            raise work.error from stop
        except (errors.StatusError, errors.PortInUse, errors.InputError) as error:
            work.error = error
        self._destination.settle(work.active, work.counted)
        self._watch.on_progress(work.active)

    def _associate(self, proposals: Sequence[Proposal]) -> Association:
        """Associate, unless the batch is to end before the node has answered; ask again where it is congested."""
        for pause in _CONGESTED_FOR:
            with suppress(errors.Congested):
                return self._associate_once(proposals)
            rest(pause, self._watch.should_stop)
        return self._associate_once(proposals)

    def _associate_once(self, proposals: Sequence[Proposal]) -> Association:
        return associate(
            self._node,
            proposals,
            calling_ae_title=self._calling_ae_title,
            on_wait=lambda: check(self._watch.should_stop),
        )

    def _associated(self, works: Sequence[Work], method: Method, storage: tuple[Proposal, ...]) -> Association:
        """Associate; for C-GET with these storage contexts, or those that the missing objects want."""
        proposals = [Proposal(abstract_syntax=move_model(self._node.information_model))]
        if method is Method.GET:
            proposals = [Proposal(abstract_syntax=get_model(self._node.information_model))]
            proposals += storage or storage_proposals(sop_classes(works))
        association = self._associate(proposals)
        if method is Method.GET:
            taken = [(one.abstract_syntax, one.transfer_syntax) for one in association.contexts.values()]
            self._storage = self._storage.after(proposals, taken)
        return association


def _folder(study_instance_uid: str, series_instance_uid: str) -> str:
    """Return the folder of a series, relative to that of the files; empty where its UID is not known."""
    return f"{study_instance_uid}/{series_instance_uid}" if is_valid_uid(series_instance_uid) else ""
