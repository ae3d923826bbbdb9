"""Objects that arrive: admitted for the item they belong to, filed, and written into the instances table.

The network thread files an object and answers its sender; digest and row follow in a thread of their own, behind
a bounded queue, so that a slow database slows the sender down and never grows our memory.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from qrkit.errors import ObjectUnreadable, StoreError
from qrkit.receipt import Arrival, ByteSigns, Incoming, Receiver, Refused
from qrkit.retrieve.admission import ActiveItems, lacking_unnamed
from qrkit.retrieve.index_queue import IndexQueue
from qrkit.retrieve.item import ActiveItem
from qrkit.store.files import (
    FileStore,
    IncomingFile,
    StoredObject,
    WrittenObject,
    filed_object,
    first_transfer_syntax,
)
from qrkit.store.header import ObjectHeader
from qrkit.store.instances import InstanceAlias, InstanceRow, index_row
from qrkit.words import counted

logger = logging.getLogger(__name__)

NOT_AUTHORISED = 0x0124

_SIGN_EVERY = 0.25
"""Seconds between two signs of life while the bytes of an object come."""

_FOR_NOW = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, getattr(errno, "ESTALE", errno.EIO)}
"""Why a file cannot be read at this moment, and probably soon: the file itself is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of an object: the node's name, its job and item, if any, and whether the item had ended.

    `requested`: the study and series by which it was requested, if these are not its own.
    """

    source: str
    job_id: str | None = None
    item_id: int | None = None
    is_late: bool = False
    requested: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admissible:
    """For whom an object may be.

    Attributes
    ----------
    candidates
        Items that it may belong to; its header decides.
    waiting
        Those for whose C-MOVE its bytes are a sign of life.
    source
        Where it came from, if it belongs to none.
    keep
        Whether it is kept even then.
    asking
        Items for which the node surely sends it.
    """

    candidates: Sequence[ActiveItem]
    waiting: Sequence[ActiveItem]
    source: str
    keep: bool = False
    asking: Sequence[ActiveItem] = ()


class Arrivals:
    """Takes arriving objects for the items under way.

    Parameters
    ----------
    files
        Where objects are kept.
    active
        Items under way.
    add_rows
        Writes rows of the instances table, and aliases.
    count_late
        Counts objects, by their UIDs and bytes, for an item that had ended.
    node_name
        Gives the name of the node with a calling AE title, or an empty text.
    keep_unsolicited
        Whether what a known node sends without a job is kept; else it is refused.
    """

    def __init__(
        self,
        files: FileStore,
        active: ActiveItems,
        *,
        add_rows: Callable[[Sequence[InstanceRow], Sequence[InstanceAlias]], None],
        count_late: Callable[[int, Collection[str], int], None],
        node_name: Callable[[str], str],
        keep_unsolicited: bool = False,
    ) -> None:
        self.files = files
        self.active = active
        self._add_rows = add_rows
        self._count_late = count_late
        self._node_name = node_name
        self._keep_unsolicited = keep_unsolicited
        self._index_queue: IndexQueue[tuple[StoredObject, Origin]] = IndexQueue(self._write)

    def start(self) -> None:
        """Start to write rows."""
        self._index_queue.start()

    def stop(self) -> None:
        """Write the rows that are waiting, and end."""
        self._index_queue.stop()
        self.files.close()

    def hurry(self) -> None:
        """From now on wait for no state that is away; what is not listed then is found in the folder later."""
        self._index_queue.hurry()

    def drain(self) -> None:
        """Return when all that has arrived so far is in the instances table.

        Raises
        ------
        StoreError
            If some of it will not be, since the worker ends.
        """
        self._index_queue.drain()

    def list_left(self) -> None:
        """Have those objects listed that processes had filed and not listed when they were killed."""
        for receipt in self.files.unlisted():
            try:
                stored = filed_object(self.files.folder, receipt)
            except OSError as error:
                logger.warning("A file that was never listed cannot be read: %s", error.strerror)
            except ObjectUnreadable as error:
                logger.warning("A file that was never listed is not listed: %s", error)
                self.files.parts.discard(receipt)
            else:
                if stored is None:  # its file was removed
                    self.files.parts.discard(receipt)
                else:
                    self.files.take_up(stored)
                    self.filed(stored, self._origin(stored.arrival))

    def _origin(self, arrival: Arrival) -> Origin:
        late = self.active.late(arrival.sop_instance_uid)
        if late is None:
            return Origin(source=self._node_name(arrival.sender))
        return Origin(source=late.node, job_id=late.item.job_id, item_id=late.item.item_id, is_late=True)

    def receiver_for_item(self, active: ActiveItem, source: str) -> Receiver:
        """Return the receiver of a C-GET, whose objects are all meant for one item."""
        return _ItemReceiver(self, active, source)

    def receiver_for_caller(self, calling_ae_title: str) -> CallerReceiver:
        """Return the receiver of an association with our Storage SCP."""
        return CallerReceiver(self, self._node_name(calling_ae_title), keep_unsolicited=self._keep_unsolicited)

    def admit(
        self, arrival: Arrival, admissible: Admissible, header: ObjectHeader, keep: Callable[[], StoredObject]
    ) -> None:
        """Put a whole object in its place by `keep`, for the item it belongs to and all others that expect it.

        Raises
        ------
        Refused
            If it belongs to none, or cannot be put there.
        """
        uid = arrival.sop_instance_uid
        admitting = [candidate for candidate in admissible.candidates if candidate.admits(uid, header)]
        # of items that expect one SOP Instance UID in several series, the one of this series
        active = admitting[0] if admitting else lacking_unnamed(admissible.asking, header)
        if active is not None and active.wants(uid) and not active.means(uid, header):
            active = next((other for other in admitting if other.means(uid, header)), active)
        if active is None and not admissible.keep:
            for candidate in admissible.candidates:
                candidate.refuse(uid)
            raise Refused(NOT_AUTHORISED, "this object was not requested")
        with noted(() if active is None else (active,), uid):
            stored = keep()
        if active is None:
            self.filed(stored, Origin(source=admissible.source))
            return
        row = active.item
        if stored.is_another_version:
            active.other_versions[uid] = first_transfer_syntax(stored), arrival.transfer_syntax_uid
        active.syntaxes[uid] = arrival.transfer_syntax_uid
        # the source of a job's object is the queried node, even if another one delivered it
        origin = Origin(
            source=active.node,
            job_id=row.job_id,
            item_id=row.item_id,
            is_late=active.has_ended and uid not in active.stored,
            requested=active.requested_place(uid, header),
        )
        self.filed(stored, origin)
        active.took(uid, header, stored.size)
        for other in self.active.sharing(uid, header, active):
            other.shares(uid, header)

    def filed(self, stored: StoredObject, origin: Origin) -> None:
        """Have the row of a filed object written."""
        self._index_queue.put((stored, origin))

    def _write(self, batch: Sequence[tuple[StoredObject, Origin]]) -> None:
        rows: list[InstanceRow] = []
        unread: list[OSError] = []
        late: dict[int, dict[str, int]] = {}
        for stored, origin in batch:
            if origin.is_late and origin.item_id is not None:
                late.setdefault(origin.item_id, {})[stored.header.SOPInstanceUID] = stored.size
            try:
                rows.append(index_row(stored, source=origin.source, job_id=origin.job_id, item_id=origin.item_id))
            except OSError as error:  # the others are listed all the same
                if error.errno in _FOR_NOW:
                    unread.append(error)
                    continue
                # the file was removed
                logger.warning("SOP Instance %s cannot be listed: %s", stored.header.SOPInstanceUID, error.strerror)
        aliases = [_alias(stored, origin.requested) for stored, origin in batch if origin.requested is not None]
        self._add_rows(rows, aliases)
        for item_id, arrived in late.items():
            self._count_late(item_id, arrived.keys(), sum(arrived.values()))
        if unread:
            raise StoreError(
                f"{counted(len(unread), 'file')} cannot be read for now: {unread[0].strerror}."
            ) from unread[0]
        for stored, _ in batch:
            self.files.listed(stored)


@contextmanager
def noted(items: Sequence[ActiveItem], sop_instance_uid: str) -> Iterator[None]:
    """Note with some items why an object could not be stored here, so that the node is not blamed for it."""
    try:
        yield
    except Refused as refusal:
        for active in items:
            active.unstored[sop_instance_uid] = refusal.comment
        raise


def _alias(stored: StoredObject, requested: tuple[str, str]) -> InstanceAlias:
    study, series = requested
    return InstanceAlias(
        SOPInstanceUID=stored.header.SOPInstanceUID,
        path=stored.relative,
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
    )


class _ItemReceiver:
    def __init__(self, arrivals: Arrivals, active: ActiveItem, source: str) -> None:
        self._arrivals = arrivals
        self._active = active
        self._source = source

    def begin(self, arrival: Arrival) -> Incoming:
        self._active.touch()
        with noted((self._active,), arrival.sop_instance_uid):
            file = self._arrivals.files.begin(arrival)
        only = (self._active,)
        admissible = Admissible(candidates=only, waiting=only, source=self._source, asking=only)
        return _Admission(self._arrivals, admissible, file, arrival)

    def ready(self) -> None:
        self._arrivals.files.ready()


class CallerReceiver:
    """Takes the objects of one association with our Storage SCP, from this process or another."""

    def __init__(self, arrivals: Arrivals, source: str, *, keep_unsolicited: bool) -> None:
        self._arrivals = arrivals
        self._source = source
        self._keep = keep_unsolicited and bool(source)

    def begin(self, arrival: Arrival) -> Incoming:
        """Start to take an object."""
        admissible = self._admissible(arrival)
        with noted(admissible.candidates, arrival.sop_instance_uid):
            file = self._arrivals.files.begin(arrival)
        return _Admission(self._arrivals, admissible, file, arrival)

    def ready(self) -> None:
        """Get ready for the next object."""
        self._arrivals.files.ready()

    def touch(self, arrival: Arrival) -> None:
        """Note that an object is arriving in another process."""
        with suppress(Refused):
            self._admissible(arrival)

    def note_unstored(self, arrival: Arrival, why: str) -> None:
        """Note why another process could not write an object."""
        with suppress(Refused):
            for active in self._admissible(arrival).candidates:
                active.unstored[arrival.sop_instance_uid] = why

    def adopt(self, arrival: Arrival, written: WrittenObject) -> None:
        """Take an object that another process has received whole.

        Raises
        ------
        Refused
            With the status for the peer; then nothing is left of it.
        """
        try:
            admissible, files = self._admissible(arrival), self._arrivals.files
            self._arrivals.admit(arrival, admissible, written.header, lambda: files.keep(written, arrival))
        except Refused:
            self._arrivals.files.parts.discard(written.part)
            raise

    def _admissible(self, arrival: Arrival) -> Admissible:
        candidates = self._arrivals.active.candidates(arrival.sop_instance_uid, arrival.move_message_id)
        if not candidates and not self._keep:
            raise Refused(NOT_AUTHORISED, "this object was not requested")
        # what another node sends on its own is no sign of life, unless its object is expected by name
        waiting = [
            active
            for active in candidates
            if self._source in ("", active.node) or active.wants(arrival.sop_instance_uid)
        ]
        for active in waiting:
            active.touch()
        move = arrival.move_message_id
        asking = [active for active in waiting if move and active.move_message_id == move]
        if len(asking) > 1:  # the numbers are those of associations
            asking = []
        source = self._source or arrival.sender
        return Admissible(candidates=candidates, waiting=waiting, source=source, keep=self._keep, asking=asking)


class _Admission:
    """An object under way whose item is known for sure only when its header is."""

    def __init__(self, arrivals: Arrivals, admissible: Admissible, file: IncomingFile, arrival: Arrival) -> None:
        self._arrivals = arrivals
        self._admissible = admissible
        self._arrival = arrival
        self._file = file
        self._signs = ByteSigns(self._touch, every=_SIGN_EVERY)
        self.discard = file.discard

    def write(self, fragment: memoryview) -> None:
        self._file.write(fragment)
        self._signs.count(len(fragment))

    def _touch(self) -> None:
        for active in self._admissible.waiting:
            active.touch()

    def commit(self) -> None:
        with noted(self._admissible.candidates, self._arrival.sop_instance_uid):
            header = self._file.header
        self._arrivals.admit(self._arrival, self._admissible, header, self._file.commit)
