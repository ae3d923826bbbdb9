"""One item that is being retrieved: its expected, stored and missing objects, and what the node counts."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from qrkit import errors
from qrkit.dimse.retrieve import Suboperations
from qrkit.dimse.status import PENDING, SUCCESS, Category, Service, classify
from qrkit.find.object_list import ListedObject, ObjectList, not_listed
from qrkit.find.parents import canonical
from qrkit.jobs import ItemOutcome, ItemRow
from qrkit.retrieve.expected import ExpectedObjects, uid_of
from qrkit.retrieve.reachability import Unreached
from qrkit.retrieve.stored import ObjectPlace
from qrkit.store.header import ObjectHeader
from qrkit.tables import Level
from qrkit.words import counted

RUNAWAY = 50
"""Unexpected objects after which a retrieve is stopped: the node sends something else."""

_MOST_REPEATS = 4
"""Times that each object may come again in a try: some nodes send every object twice."""

_NOT_ASKED = not_listed("the node was not asked for its objects")


class ActiveItem:
    """An item that is being retrieved, as the batch and the network threads see it."""

    def __init__(
        self, item: ItemRow, *, node: str, expected: frozenset[str] | None = None, has_ended: bool = False
    ) -> None:
        self.item = item  # the row it stands for
        self.node = node  # name of the node that is asked
        self.list: ObjectList = _NOT_ASKED  # what the node lists
        self.objects = ExpectedObjects(series=item.request.SeriesInstanceUID)  # the keys by which objects are named
        self.expected = expected  # keys; None: unknown
        self.stored: set[str] = set()  # keys of the objects at the destination
        self.received = item.outcome.received  # objects, with those of earlier tries
        self.bytes = item.outcome.bytes
        self.refused = 0  # objects sent along that do not belong to it
        self.repeated = 0  # objects of this try that had come in it before
        self.failed = 0  # objects that the node counted as failed in the request of this try that ended with an error
        self.move_message_id = 0  # of the C-MOVE request under way; 0: none
        self.reported = 0  # objects that only the node's counters report at the destination
        self.unstored: dict[str, str] = {}  # why an object could not be stored here, by SOP Instance UID
        self.elsewhere: dict[str, tuple[str, str]] = {}  # study and series of objects that were requested by others
        self.other_versions: dict[str, tuple[str, str]] = {}  # transfer syntaxes of a stored and a new version
        self.syntaxes: dict[str, str] = {}  # transfer syntax in which an object came, by SOP Instance UID
        self.has_ended = has_ended  # its missing objects may still arrive
        self.suboperations = Suboperations()  # what the node has counted in this try
        self.first_error: errors.QrkitError | None = None  # of all tries
        self._error: errors.QrkitError | None = None
        self.unreached: Unreached | None = None  # its last C-MOVE has sent nothing to us
        self.notes: list[str] = []  # what else explains why objects are missing
        self.outcome: ItemOutcome | None = None
        # most objects that the counters of a retrieve of the whole item have named, without those refused in it
        self._named = 0
        self._named_failed: frozenset[str] = frozenset()  # what failed in it, and was not refused then
        self._refused_uids: set[str] = set()
        self._cut = ""  # why a retrieve of the whole item has ended early, if no counters say that nothing was left
        # an earlier try that nothing was known to be missing of has ended early all the same
        self._is_unanswered = bool(item.outcome.received) and item.outcome.expected is None
        if self._is_unanswered:
            self._cut = "an earlier retrieve has ended early"
        self._is_confirmed = False
        self._is_whole_try = False
        self._refused_before = 0
        self.last_sign = -math.inf  # when bytes for it came in this try, by the monotonic clock
        self._lock = threading.Lock()
        self._came: set[str] = set()
        self._came_in_try: set[str] = set()
        self._stored_before: frozenset[str] = frozenset()
        self._of_series: defaultdict[str, set[str]] = defaultdict(set)

    # what arrives

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of the expected objects that are not stored, in a stable order."""
        return tuple(sorted((self.expected or frozenset()) - self.stored))

    @property
    def is_runaway(self) -> bool:
        """Whether the node sends so much else, or the same so often, that the retrieve must be stopped."""
        return self.refused > RUNAWAY or self.repeated > RUNAWAY + _MOST_REPEATS * len(self.stored)

    def wants(self, sop_instance_uid: str) -> bool:
        """Whether this object was expected by name."""
        expected = self.expected or frozenset()
        return any(key in expected for key in self.objects.keys_of(sop_instance_uid))

    def means(self, sop_instance_uid: str, header: ObjectHeader) -> bool:
        """Whether this object was expected by name, in its study and series."""
        return self.wants(sop_instance_uid) and self.requested_place(sop_instance_uid, header) is None

    def admits(self, sop_instance_uid: str, header: ObjectHeader) -> bool:
        """Whether an object is of the study, series or images that were asked for, listed or not."""
        request = self.item.request
        if self.wants(sop_instance_uid):
            return True
        if request.level is Level.IMAGE:
            return sop_instance_uid in request.sop_instance_uids
        same_series = request.level is Level.STUDY or header.SeriesInstanceUID == request.SeriesInstanceUID
        return header.StudyInstanceUID == request.StudyInstanceUID and same_series

    def has_taken(self, sop_instance_uid: str) -> bool:
        """Whether an object was received for this item itself, not only for another."""
        return all(key in self._came for key in self.objects.keys_of(sop_instance_uid))

    def took(self, sop_instance_uid: str, header: ObjectHeader, size: int) -> None:
        """Count an object that is in its place; once, however often it comes."""
        key = self.objects.key(sop_instance_uid, header.SeriesInstanceUID)
        with self._lock:
            self.repeated += key in self._came_in_try
            self.unstored.pop(sop_instance_uid, None)
            if self.requested_place(sop_instance_uid, header) is not None:
                self.elsewhere[key] = header.StudyInstanceUID, header.SeriesInstanceUID
            self._has(key, header)
            if key not in self._came:
                self._came.add(key)
                if key not in self._stored_before:  # else it was sent before, in an earlier try
                    self.received += 1
                    self.bytes += size

    def holds(self, stored: Collection[str]) -> None:
        """Note objects that are at the destination, without having been received in this run."""
        self.stored.update(stored)
        self._stored_before |= frozenset(stored) - self._came

    def came_elsewhere(self, places: Mapping[str, tuple[str, str]]) -> None:
        """Note those of some stored objects that have another StudyInstanceUID than requested."""
        study = canonical(self.item.request.StudyInstanceUID)
        self.elsewhere.update({uid: own for uid, own in places.items() if canonical(own[0]) != study})

    def shares(self, sop_instance_uid: str, header: ObjectHeader) -> None:
        """Note an object that was received for another item and is in its place: it is not requested again."""
        with self._lock:
            self._has(self.objects.key(sop_instance_uid, header.SeriesInstanceUID), header)

    def _has(self, key: str, header: ObjectHeader) -> None:
        self.stored.add(key)
        self._came_in_try.add(key)
        self._of_series[canonical(header.SeriesInstanceUID)].add(key)
        self.touch()

    def refuse(self, sop_instance_uid: str) -> None:
        """Count an object that was sent along and does not belong to the item."""
        self.refused += 1
        self._refused_uids.add(sop_instance_uid)

    def touch(self) -> None:
        """Note that bytes for it have just been received."""
        self.last_sign = time.monotonic()

    # what is expected

    def expect(self, listed: ObjectList) -> None:
        """Expect what the node lists, besides what the request names."""
        request, self.list = self.item.request, listed
        self.objects = ExpectedObjects(listed.objects, request.SeriesInstanceUID)
        uids = (*request.expected, *request.sop_instance_uids, *self.item.outcome.missing)  # of an earlier try, too
        self.expected = self.objects.keys(uids) or None

    @property
    def places(self) -> Mapping[str, ObjectPlace]:
        """Where each expected object is looked for, by its key; the series is empty where it is not known."""
        study, series = self.item.request.StudyInstanceUID, self.objects.series
        return {key: ObjectPlace(uid_of(key), study, series(key)) for key in self.expected or ()}

    def requested_place(self, sop_instance_uid: str, header: ObjectHeader) -> tuple[str, str] | None:
        """Return the study and series by which an object was requested; None if these are its own."""
        key = self.objects.key(sop_instance_uid, header.SeriesInstanceUID)
        series = self.objects.series(key) or header.SeriesInstanceUID
        place = self.item.request.StudyInstanceUID, series
        own = header.StudyInstanceUID, header.SeriesInstanceUID
        return None if place == own or list(map(canonical, place)) == list(map(canonical, own)) else place

    def is_stored(self, listed: ListedObject) -> bool:
        """Whether a listed object is at the destination."""
        return self.objects.key(listed.SOPInstanceUID, listed.SeriesInstanceUID) in self.stored

    @property
    def short_series(self) -> tuple[str, ...]:
        """Series of which fewer objects are listed than the node counts, and of which not as many arrived either."""
        if not self.list.short_series:
            return ()
        stored = {uid: set(uids) for uid, uids in self._of_series.items()}
        for listed in self.list.objects:
            if self.is_stored(listed):
                stored.setdefault(canonical(listed.SeriesInstanceUID), set()).add(listed.SOPInstanceUID)
        return tuple(
            uid
            for uid, count in zip(self.list.short_series, self.list.short_counts, strict=True)
            if not count or len(stored.get(canonical(uid), ())) < count
        )

    @property
    def is_listed(self) -> bool:
        """Whether the objects are known that should come, by name or by number."""
        return (self.expected is not None or bool(self.list.counted)) and not self.list.silent_series

    @property
    def counted(self) -> int:
        """How many objects there are at least; 0: not known.

        By the node's own count, else by what it reports as sent, and by what an earlier try expected.
        """
        sent = 0 if self.list.is_counted else self._sent or 0
        return max(self.list.counted or 0, sent, self.item.outcome.expected or 0)

    @property
    def _sent(self) -> int | None:
        """How many objects the node's counters name, if they are more than those that are there."""
        there = max(len(self.stored), self.reported, self.received - self.item.outcome.received)
        named = self._named - len(
            self._named_failed & self._refused_uids
        )  # they were sent, and refused, in a later try
        return named if named > there else None

    @property
    def expected_number(self) -> int | None:
        """How many objects should arrive; None where this is not known."""
        if self.is_listed:
            return max(len((self.expected or frozenset()) | self.stored), self.counted)
        known = self.counted  # of what is not listed, by the counters or an earlier try alone
        return known if known > max(len(self.stored), self.reported) else None

    @property
    def lacking(self) -> int:
        """How many objects the node counts that are neither stored nor missing by name."""
        named = (self.expected or frozenset()) | self.stored
        return max(self.counted - len(named), 0) if self.is_listed else 0

    @property
    def is_open(self) -> bool:
        """Whether something is still to be fetched; where nothing is listed, the node's counters decide."""
        if (self.expected or frozenset()) - self.stored or self.lacking:
            return True
        if self.is_listed:  # a list that is not counted may lack what an error has cut off
            return self._is_unanswered and self.error is not None and not self._is_all_counted
        # what had been stored before says nothing of a retrieve that brought nothing
        has_come = self._came_in_try or self.stored - self._stored_before
        there = len(self.stored) if has_come else self.reported
        counted = self.suboperations
        has_ended = counted.status != PENDING
        number = max((counted.completed or 0) + (counted.remaining or 0), self.item.outcome.expected or 0)
        return not (has_ended and there) or bool(self._failed) or there < number

    @property
    def _failed(self) -> int:
        """How many objects of the item the node counts as failed in this try: not those that we refused."""
        return max((self.suboperations.failed or 0) - (self.refused - self._refused_before), 0)

    @property
    def _is_all_counted(self) -> bool:
        """Whether as many objects are there as the node counts."""
        listed = self.list
        return listed.is_counted and (listed.counted or 0) <= len(self.stored) and not listed.silent_series

    @property
    def is_contradicted(self) -> bool:
        """Whether all that is listed is there, yet the retrieve failed, or its counters name more objects."""
        if self.item.request.level is Level.IMAGE or not self.is_listed or self.missing or self.lacking:
            return False
        return (self._is_unanswered or self._sent is not None) and not self.is_runaway

    @property
    def error(self) -> errors.QrkitError | None:
        """The error of the last try."""
        return self._error

    @error.setter
    def error(self, error: errors.QrkitError | None) -> None:
        self._error = error
        self.first_error = self.first_error or error

    @property
    def has_progress(self) -> bool:
        """Whether something has arrived in this try."""
        return bool(self._came_in_try)

    @property
    def may_be_listed_later(self) -> bool:
        """Whether the node could not be asked for now, so that it is worth asking after the retrieve."""
        return self.list.error is not None and self.list.error.transient and not self.is_listed

    @property
    def missing_classes(self) -> tuple[str, ...]:
        """SOP Class of each missing object; an empty one for what is not listed, probably one of the same classes."""
        lacking = self.lacking or self.is_contradicted
        classes = [item.SOPClassUID for item in self.list.objects if lacking or not self.is_stored(item)]
        is_unknown = not self.list.objects or self.list.silent_series or lacking
        return (*classes, "") if is_unknown else tuple(classes)

    @property
    def wants_all(self) -> bool:
        """Whether the item is asked for as a whole: nothing is here, or what is missing cannot be named."""
        if self.item.request.level is Level.IMAGE:
            return False
        has_series = self.item.request.level is Level.STUDY and self.short_series
        return not self.stored or not self.is_listed or self.is_contradicted or bool(self.lacking and not has_series)

    # what the node counts

    def begin_try(self, *, in_parts: bool = False) -> None:
        """Forget what the node counted before."""
        self.suboperations = Suboperations()
        self._is_whole_try = self.wants_all and not in_parts
        self._refused_before = self.refused
        self._came_in_try = set()
        self.repeated, self.failed, self.last_sign = 0, 0, -math.inf

    def count(self, counted: Suboperations) -> None:
        """Add what the node counted for one of the requests of a try."""
        before, self.suboperations = self.suboperations, counted
        if before.status != PENDING:
            completed, failed = _sum(before.completed, counted.completed), _sum(before.failed, counted.failed)
            self.suboperations = replace(counted, completed=completed, failed=failed)
        are_sent = self.list.is_counted and (counted.completed or 0) >= (self.list.counted or math.inf)
        is_explained = counted.status == SUCCESS or bool(counted.failed or counted.warning or are_sent)
        self._keep_counters(counted, "" if is_explained else f"the retrieve ended with status 0x{counted.status:04X}")

    def break_off(self, counted: Suboperations, error: errors.NodeError) -> None:
        """Keep what the node had counted for a request before the error that ended it."""
        self.failed = counted.failed or 0
        self._keep_counters(counted, f"the retrieve failed: {error.message.rstrip('.')}")

    def _keep_counters(self, counted: Suboperations, cut: str) -> None:
        """Keep how many objects the counters name at most, and why the retrieve was cut short, if it was."""
        if not self._is_whole_try:
            self._is_unanswered = self._is_unanswered and bool(cut)
            return
        # what we refused is not of the item, and the node counts it as failed
        refused = min(self.refused - self._refused_before, counted.failed or 0)
        named = (counted.named or 0) - refused
        if named > self._named:
            self._named, self._named_failed = named, frozenset(counted.failed_uids) - self._refused_uids
        is_cut = bool(cut) and counted.named_in_all is None
        self._cut, self._is_unanswered = cut if is_cut else "", is_cut

    def end_try(self) -> None:
        """Compare what the node counted with what has arrived, if the item was asked for as a whole."""
        counted = self.suboperations
        if not self._is_whole_try or counted.status == PENDING or counted.completed is None:
            return
        there = counted.completed + (counted.failed or 0)
        self._is_confirmed = counted.status == SUCCESS and there == counted.completed == len(self.stored)

    @property
    def why(self) -> tuple[str, ...]:
        """Why it is not proven that everything that should come is known; empty: it is."""
        listed = self.list
        if self.item.request.level is Level.IMAGE:
            return ()
        reasons = [] if self._is_all_counted else list(listed.short)  # what is not listed may have come all the same
        if listed.uncounted and not self._is_confirmed:
            reasons.append(listed.uncounted)
        if self._sent is not None and self._sent != listed.counted:
            reasons.append(f"the node reports {counted(self._sent, 'object')}")
        if unnamed := len(self.elsewhere.keys() - (self.expected or frozenset())):
            reasons.append(f"{counted(unnamed, 'object')} arrived with another StudyInstanceUID, not listed")
        if self._cut:
            reasons.append(self._cut)
        if self.reported and not self.stored:
            reasons.append("the store node cannot be queried for what it received")
        return tuple(reasons)

    @property
    def may_come_later(self) -> bool:
        """Whether the node failed for now, or failed at some sub-operations; not if it reports that this was all."""
        if self.error is not None:
            return self.error.transient
        return bool(self._failed) or classify(Service.MOVE, self.suboperations.status).transient

    @property
    def may_come_late(self) -> bool:
        """Whether objects are missing, or nothing shows that none are: the node neither lists nor counts any."""
        is_unknown = not self.is_listed and not self.suboperations.completed
        return self.is_open or self.is_contradicted or is_unknown

    @property
    def is_explained(self) -> bool:
        """Whether no more will come: the retrieve failed, the node reports what failed, or has no such study."""
        counted = self.suboperations
        if self.list.is_absent and not (counted.completed or counted.remaining):
            return True
        is_warning = classify(Service.MOVE, counted.status).category is Category.WARNING
        return self.error is not None or (is_warning and self._failed >= len(self.missing) + self.lacking)


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second
