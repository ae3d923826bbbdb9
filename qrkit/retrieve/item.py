"""One item on its way through a batch: what is expected of it, what came, and what it will be told.

The Identifiers by which an item is asked for: as a whole, or what is missing of it by image.

By which method an item is tried first and second, and which errors make any further try useless.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from qrkit import errors
from qrkit.dimse.contexts import COMMON_STORAGE
from qrkit.dimse.retrieve import Suboperations
from qrkit.dimse.status import PENDING, Service, classify
from qrkit.jobs import ItemOutcome, ItemRow, JobState, outcome
from qrkit.node import Method, Node
from qrkit.retrieve.admission import ActiveItem
from qrkit.retrieve.expected import ExpectedObject, unique_keys
from qrkit.words import counted


class Work:
    """One item on its way through a batch.

    Attributes
    ----------
    unlisted
        Why the node did not say what to expect, if it did not.
    """

    def __init__(self, item: ItemRow, node: str) -> None:
        self.active = ActiveItem(item, node=node)
        self.objects: tuple[ExpectedObject, ...] = ()
        self.silent_series = 0
        self.counted = Suboperations()
        self.error: errors.QrkitError | None = None
        self.unlisted: errors.NodeError | None = None
        self.notes: list[str] = []
        self._told: ItemOutcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is still to be fetched; where nobody can say what to expect, the counters tell."""
        active = self.active
        if active.missing or self.is_told:
            return bool(active.missing)
        there = len(active.stored) or active.untold
        has_ended = self.counted.status != PENDING
        return not (has_ended and there) or bool(self.counted.failed) or there < (self.counted.completed or 0)

    @property
    def is_told(self) -> bool:
        """Whether it is known of every object that it should come."""
        return self.active.expected is not None and not self.silent_series

    @property
    def is_worth_another_try(self) -> bool:
        """Whether the last error may have gone by now; a try without an error that left something out, too."""
        return self.error is None or self.error.transient

    @property
    def may_be_listed_later(self) -> bool:
        """Whether the node could not say for now what to expect, so that it is worth asking when all has come."""
        return self.unlisted is not None and self.unlisted.transient and not self.is_told

    @property
    def missing_classes(self) -> tuple[str, ...]:
        """SOP Class of each missing object; an empty one for what the node did not say."""
        told = [item.SOPClassUID for item in self.objects if item.SOPInstanceUID not in self.active.stored]
        return (*told, "") if not self.objects or self.silent_series else tuple(told)

    def begin_try(self) -> None:
        """Forget what the node counted before."""
        self.counted = Suboperations()

    def count(self, told: Suboperations) -> None:
        """Add what the node counted for one of the requests of a try."""
        before, self.counted = self.counted, told
        if before.status != PENDING:
            completed, failed = _sum(before.completed, told.completed), _sum(before.failed, told.failed)
            self.counted = replace(told, completed=completed, failed=failed)

    def outcome(self, *, cancelled: bool) -> ItemOutcome:
        """Return what became of the item, which is told by that."""
        active = self.active
        error, advice = self._explanation(cancelled=cancelled)
        state, note = self._state(error, cancelled=cancelled), self._note()
        if state is JobState.COMPLETE:  # nothing is wrong then, whatever went wrong on the way
            error, advice, note = "", "", f"{error} {note}".strip()
        self._told = ItemOutcome(
            state=state,
            expected=len(self._expected) if self._expected is not None else None,
            stored=len(active.stored) or active.untold,
            missing=active.missing,
            received=active.received,
            bytes=active.bytes,
            error=error,
            advice=advice,
            note=note,
            transient=self._may_come_later,
        )
        return self._told

    @property
    def come_since(self) -> tuple[frozenset[str], int]:
        """What came after the outcome was told, of that which was missing: SOP Instance UIDs, and bytes."""
        if self._told is None:
            return frozenset(), 0
        return frozenset(self._told.missing) & self.active.stored, self.active.bytes - self._told.bytes

    @property
    def _may_come_later(self) -> bool:
        """Whether the node failed for now, or failed at some sub-operations; not if it says that this was all."""
        if self.error is not None:
            return self.error.transient
        return bool(self.counted.failed) or classify(Service.MOVE, self.counted.status).transient

    def _state(self, error: str, *, cancelled: bool) -> JobState:
        active = self.active
        if active.untold and not active.stored:  # only the counters tell what is at a store node
            unfinished = JobState.CANCELLED if cancelled else JobState.PARTIAL
            return unfinished if self.is_open else JobState.COMPLETE
        return outcome(expected=self._expected, stored=active.stored, error=error, cancelled=cancelled)

    @property
    def _expected(self) -> list[str] | None:
        known = self.active.expected
        return sorted(known | self.active.stored) if known is not None and self.is_told else None

    def _explanation(self, *, cancelled: bool) -> tuple[str, str]:
        """Return what is wrong, and what to do about it."""
        said = [] if self.unlisted is None else [f"What to expect could not be asked: {self.unlisted}"]
        said += self.notes
        advice = ""
        if self.silent_series:
            said.append(f"The node lists no objects in {self.silent_series} series, so what came proves nothing.")
        if self.error is not None and self.is_open:
            said.append(self.error.message)
            advice = self.error.advice
        elif self.is_open and not cancelled:
            said.append(self._what_the_node_said())
            advice = "Retrieve again, or ask the PACS team for its log."
        return " ".join(dict.fromkeys(said)), advice

    def _note(self) -> str:
        said = []
        if self.active.refused:
            said.append(f"Refused, not having been asked for: {counted(self.active.refused, 'object')}.")
        if self.active.other_versions:
            said.append(
                f"{counted(self.active.other_versions, 'object')} came with other bytes than the same SOP Instance "
                "that is here; both are kept, the later one with the start of a digest in its name."
            )
        return " ".join(said)

    def _what_the_node_said(self) -> str:
        lack = "some objects did not come" if self.active.stored else "nothing came"
        if self.active.missing:
            lack = f"{counted(len(self.active.missing), 'object')} did not come"
        counters = f"{self.counted.completed} completed, {self.counted.failed or 0} failed"
        if self.counted.completed is None:
            counters = "no counters"
        return f"The node ended with status 0x{self.counted.status:04X} ({counters}), yet {lack}."


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def sop_classes(works: Sequence[Work]) -> tuple[str, ...]:
    """Return the SOP Classes of what is missing, most frequent first; the usual ones where a node did not say.

    So a second try has fewer classes and more presentation contexts for each.
    """
    counts = Counter(sop_class for work in works for sop_class in work.missing_classes)
    known = [sop_class for sop_class, _ in counts.most_common() if sop_class]
    return tuple(dict.fromkeys((*known, *COMMON_STORAGE))) if "" in counts else tuple(known)


UIDS_AT_ONCE = 100
"""SOP Instance UIDs in one IMAGE level request, so that its Identifier stays small."""


def identifiers(node: Node, work: Work) -> Iterator[Dataset]:
    """Give the Identifiers that ask for what is missing: as a whole where nothing is there, else by image."""
    request = work.active.item.request
    if request.level == "IMAGE" or (work.active.stored and work.is_told):
        yield from _by_image(node, work)
        return
    identifier = unique_keys(node, request)
    identifier.QueryRetrieveLevel = request.level
    if request.level == "SERIES":
        identifier.SeriesInstanceUID = request.SeriesInstanceUID
    yield identifier


def _by_image(node: Node, work: Work) -> Iterator[Dataset]:
    request = work.active.item.request
    series_of = {item.SOPInstanceUID: item.SeriesInstanceUID for item in work.objects}
    groups: dict[str, list[str]] = {}
    for uid in work.active.missing:
        groups.setdefault(series_of.get(uid, request.SeriesInstanceUID), []).append(uid)
    for series_instance_uid, uids in groups.items():
        for start in range(0, len(uids), UIDS_AT_ONCE):
            identifier = unique_keys(node, request)
            identifier.QueryRetrieveLevel = "IMAGE"
            identifier.SeriesInstanceUID = series_instance_uid
            identifier.SOPInstanceUID = uids[start : start + UIDS_AT_ONCE]
            yield identifier


def tries(node: Node, method: Method) -> tuple[Method, Method]:
    """Return the method of the first try and that of the second.

    >>> from dataclasses import replace
    >>> node = Node(name="pacs", host="10.1.2.3", ae_title="PACS")
    >>> [one.value for one in tries(node, Method.AUTO)], [one.value for one in tries(node, Method.MOVE)]
    (['get', 'move'], ['move', 'move'])
    >>> [one.value for one in tries(replace(node, can_get=False), Method.AUTO)]
    ['move', 'move']
    """
    if method is not Method.AUTO:
        return method, method
    able = [one for one, can in ((Method.GET, node.can_get), (Method.MOVE, node.can_move)) if can]
    if not able:
        raise errors.InputError(
            f"Node {node.name} can neither C-GET nor C-MOVE.", advice="Change the node, if that is not so."
        )
    if node.method in able:
        able.sort(key=lambda one: one is not node.method)
    return able[0], able[-1]


def is_out_of_reach(error: errors.NodeError) -> bool:
    """Whether the node cannot be associated with at all, so that asking for the next item is no use."""
    return isinstance(
        error,
        (
            errors.HostNotFound,
            errors.ConnectionRefused,
            errors.ConnectTimeout,
            errors.NetworkUnreachable,
            errors.TlsFailed,
            errors.AssociationRejected,
        ),
    )
