"""The received objects: DICOM files under their UIDs, written while they arrive.

``<folder>/<StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm``, byte for byte as received. Until an object
is whole, it is a ``.part`` file in ``.incoming`` of the same folder, since its study and series stand in its data
set; small ones are written only then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from qrkit.errors import ObjectUnreadable
from qrkit.receipt import Arrival, Refused
from qrkit.store.header import HeaderIncomplete, ObjectHeader, ends_early, read_header
from qrkit.store.part10 import NO_SPACE, PartFiles, file_head, place, read_file_head
from qrkit.uids import is_usable_uid, path_name

_log = logging.getLogger(__name__)

# PS3.4 B.2.3 and PS3.7 annex C.
_OUT_OF_RESOURCES = 0xA700
_DOES_NOT_MATCH = 0xA900
_CANNOT_UNDERSTAND = 0xC000
_PROCESSING_FAILURE = 0x0110

_HEAD = 1 << 16
"""Bytes of a data set that are held in memory to find its UIDs in."""

_LOOKED_AT = (1 << 20, 1 << 24, 1 << 26)
"""Bytes that are read again from the file where those are not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object that is in its place."""

    path: Path  # the file; if the object was stored before, the earlier file
    relative: str  # the same path, relative to the folder of the files, with "/"
    size: int  # bytes of the file
    header: ObjectHeader
    arrival: Arrival
    receipt: Path | None = None  # a second name until `FileStore.listed`; finds the file if this process dies before

    @property
    def is_another_version(self) -> bool:
        """Whether the same SOP Instance with other bytes was here before; then both are kept."""
        return self.path.stem != path_name(self.arrival.sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenObject:
    """A whole object in its part file, which is closed; `size` is the file's, in bytes."""

    part: Path
    size: int
    header: ObjectHeader


class FileStore:
    """Takes arriving objects, for any number of threads and processes; a `qrkit.receipt.Receiver` stands before it.

    If less than `free_space_floor` bytes are free on the disk of `folder`, objects are refused with 0xA700. `indexed`
    is called with each object once it is in its place, on the thread that received it, so it should only queue it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        free_space_floor: int,
        indexed: Callable[[StoredObject], None] = lambda _: None,
        keep_receipts: bool = False,  # whether objects have receipts, which `listed` removes
    ) -> None:
        self.folder = folder
        self.incoming = folder / ".incoming"
        self.parts = PartFiles(self.incoming)
        self._floor = free_space_floor
        self._indexed = indexed
        self._keep_receipts = keep_receipts
        self._receipts: set[Path] = set()
        self._free = 0
        self._free_until = float("-inf")
        self._is_writable = False
        self._was_there = False

    def begin(self, arrival: Arrival) -> IncomingFile:
        """Start to take an object.

        Raises Refused if its UID cannot be a file name, the disk is full, or the folder is not there.
        """
        if not is_usable_uid(arrival.sop_instance_uid):
            raise Refused(_CANNOT_UNDERSTAND, "Affected SOP Instance UID is not a valid UID")
        try:
            free = self.free_space()
        except OSError as error:
            raise _refusal(error) from error
        if free < self._floor:
            raise Refused(_OUT_OF_RESOURCES, "Out of resources: the disk is full")
        return IncomingFile(self, arrival)

    def ready(self) -> None:
        """Get ready for the next object, while its sender is."""
        self.parts.ready()

    def close(self) -> None:
        """Remove what was made ready and not needed."""
        self.parts.close()

    def free_space(self) -> int:
        """Return the free bytes of the disk, as of at most a second ago.

        Raises OSError if the folder is not there and cannot be made. One that was there before and is gone, such as a
        share that is no longer mounted, is not made again: what came would lie elsewhere.
        """
        now = time.monotonic()
        if now >= self._free_until:
            self.incoming.mkdir(parents=not self._was_there, exist_ok=True)
            self._was_there = True
            self._is_writable = os.access(self.incoming, os.W_OK)
            self._free = shutil.disk_usage(self.folder).free
            self._free_until = now + 1.0
        return self._free

    def is_writable(self) -> bool:
        """Whether files can be made there as of at most a second ago: not on a file system that became read-only."""
        try:
            self.free_space()
        except OSError:
            return False
        return self._is_writable

    def disk(self) -> str:
        """Return an identifier of the disk of the files, which is the same for all sites that share the folder.

        Raises OSError if the folder is not there, or cannot be written.
        """
        self.free_space()
        path = self.incoming / "disk"
        with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(uuid4().hex)
        return path.read_text(encoding="ascii")

    def sweep(self, *, older_than: float = 86_400.0) -> int:
        """Remove what was left by processes that ended while receiving, and return how many files.

        `older_than`: seconds since the last byte was written, for files of other machines.
        """
        return self.parts.sweep(older_than=older_than)

    def unlisted(self, *, older_than: float = 86_400.0) -> list[Path]:
        """Return the receipts of objects that processes have filed and not listed before they ended; see `sweep`."""
        return [part for part in self.parts.receipts(older_than=older_than) if part not in self._receipts]

    def take_up(self, stored: StoredObject) -> None:
        """Take note that an object will have its row, so that its receipt is not given as left by anybody."""
        if stored.receipt is not None:
            self._receipts.add(stored.receipt)

    def listed(self, stored: StoredObject) -> None:
        """Take note that an object has its row, so that it needs no receipt any more."""
        if stored.receipt is not None:
            self.parts.discard(stored.receipt)
            self._receipts.discard(stored.receipt)

    def keep(self, written: WrittenObject, arrival: Arrival) -> StoredObject:
        """Put a whole file in its place, report it by `indexed`, and return it; on failure the file is removed.

        Raises Refused if it cannot be put there.
        """
        header = written.header
        folder = self.folder / series_folder(header)
        receipt = written.part if self._keep_receipts else None
        try:
            if receipt is not None:
                self._receipts.add(receipt)
            path = place(written.part, folder, path_name(arrival.sop_instance_uid), keep_part=self._keep_receipts)
            relative = f"{series_folder(header)}/{path.name}"
            stored = StoredObject(
                path=path, relative=relative, size=written.size, header=header, arrival=arrival, receipt=receipt
            )
            self._indexed(stored)
        except BaseException as error:
            self.parts.discard(written.part)
            self._receipts.discard(written.part)
            if isinstance(error, OSError):
                raise _refusal(error) from error
            raise
        return stored


class IncomingFile:
    """An object that is being written: a `qrkit.receipt.Incoming` that can also read the object's header."""

    __slots__ = ("_arrival", "_file", "_head", "_header", "_part", "_refused", "_size", "_start", "_store")

    def __init__(self, store: FileStore, arrival: Arrival) -> None:
        self._store = store
        self._arrival = arrival
        self._start = file_head(arrival)
        self._head = bytearray()
        self._size = len(self._start)
        self._part: Path | None = None
        self._file: int | None = None
        self._refused: Refused | None = None
        self._header: ObjectHeader | None = None

    def write(self, fragment: memoryview) -> None:
        """Write the next fragment of the data set; `commit` reports a failure."""
        self._size += len(fragment)
        if self._refused is not None:
            return
        try:
            if self._file is not None:
                _write_all(self._file, fragment)
                return
            self._head += fragment
            if len(self._head) > _HEAD:
                self._open()
        except OSError as error:
            self._refused = _refusal(error)

    @property
    def header(self) -> ObjectHeader:
        """The header of the object, once it is whole.

        Raises Refused if its UIDs are missing or wrong, or it could not be written.
        """
        if self._refused is not None:
            raise self._refused
        if self._header is None:
            self._header = self._checked(self._read_header())
        return self._header

    def commit(self) -> StoredObject:
        """Put the object in its place and return it; only then is success sent to the peer.

        Raises Refused if its UIDs are missing or wrong, or it cannot be written. Nothing is left of it.
        """
        return self._store.keep(self.finish(), self._arrival)

    def finish(self) -> WrittenObject:
        """Close the file of a whole object and leave it to the caller; raises as `commit`."""
        try:
            header = self.header
            if self._file is None:
                self._open()
            self._close()
            part, self._part = self._part, None
            if part is None:  # `_open` has named it; for the type checker
                raise Refused(_PROCESSING_FAILURE, "The object cannot be written")
            return WrittenObject(part=part, size=self._size, header=header)
        except OSError as error:
            raise _refusal(error) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget the object, unless it has been put in its place."""
        self._close()
        if self._part is not None:
            self._store.parts.discard(self._part)
            self._part = None

    def _checked(self, header: ObjectHeader) -> ObjectHeader:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
            if not is_usable_uid(getattr(header, keyword)):
                raise Refused(_CANNOT_UNDERSTAND, f"{keyword} is missing or not a valid UID")
        if header.SOPInstanceUID != self._arrival.sop_instance_uid:
            raise Refused(_DOES_NOT_MATCH, "SOPInstanceUID is not the Affected SOP Instance UID")
        return header

    def _open(self) -> None:
        """Open the file and write what has been held in memory up to now."""
        self._part, self._file = self._store.parts.take()
        _write_all(self._file, self._start + self._head)

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def _read_header(self) -> ObjectHeader:
        syntax = self._arrival.transfer_syntax_uid
        try:
            with contextlib.suppress(HeaderIncomplete):
                return read_header(self._head, syntax, whole=self._file is None)
            return self._read_header_again(syntax)
        except (ObjectUnreadable, HeaderIncomplete) as error:
            raise Refused(_CANNOT_UNDERSTAND, "The data set cannot be read") from error

    def _read_header_again(self, transfer_syntax_uid: str) -> ObjectHeader:
        """Read the header from the file, since it is not in the first bytes."""
        data_set = self._size - len(self._start)
        if self._part is not None:
            with self._part.open("rb") as file:
                for length in _LOOKED_AT:
                    file.seek(len(self._start))
                    with contextlib.suppress(HeaderIncomplete):
                        return read_header(file.read(length), transfer_syntax_uid, whole=length >= data_set)
        raise HeaderIncomplete


def _write_all(file: int, content: bytes | memoryview) -> None:
    written = os.write(file, content)
    while written < len(content):
        written += os.write(file, memoryview(content)[written:])


def _refusal(error: OSError) -> Refused:
    """Return the refusal for the peer when a file cannot be written; the log has the details."""
    if error.errno in NO_SPACE:
        return Refused(_OUT_OF_RESOURCES, "Out of resources: the disk is full")
    _log.error("A received object cannot be written: %s", error)
    return Refused(_PROCESSING_FAILURE, f"The object cannot be written: {error.strerror}"[:64])


def is_own_failure(comment: str) -> bool:
    """Whether an object was refused because of this machine; else because of the object itself.

    >>> is_own_failure("Out of resources: the disk is full"), is_own_failure("The data set cannot be read")
    (True, False)
    """
    return comment.startswith(("Out of resources", "The object cannot be written"))


def series_folder(header: ObjectHeader) -> str:
    """Return the folder of an object, relative to that of the files, with "/"."""
    return f"{path_name(header.StudyInstanceUID)}/{path_name(header.SeriesInstanceUID)}"


def stored_file(folder: Path, relative: str) -> StoredObject:
    """Return the stored object of a file that is in its place but was never listed.

    Raises ObjectUnreadable if it is no DICOM file, or was cut; OSError if it cannot be read.
    """
    path = folder / relative
    with path.open("rb") as file:
        head = read_file_head(file)
        file.seek(head.data_set_start)
        data_set = file.read()
        try:
            header = read_header(data_set, head.transfer_syntax_uid, whole=True)
        except HeaderIncomplete as error:
            raise ObjectUnreadable(f"{relative} is not whole.") from error
        if ends_early(data_set, head.transfer_syntax_uid):
            raise ObjectUnreadable(f"{relative} is not whole.")
    arrival = Arrival(
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        transfer_syntax_uid=head.transfer_syntax_uid,
        sender=head.sender,
    )
    return StoredObject(path=path, relative=relative, size=path.stat().st_size, header=header, arrival=arrival)


def filed_object(folder: Path, receipt: Path) -> StoredObject | None:
    """Return the object of a receipt; None where it is not in its place.

    Raises ObjectUnreadable if it is no DICOM file; OSError if it cannot be read.
    """
    said = stored_file(folder, receipt.relative_to(folder).as_posix())
    place, name = folder / series_folder(said.header), path_name(said.header.SOPInstanceUID)
    path = next((one for one in place.glob(f"{name}*.dcm") if one.samefile(receipt)), None)
    if path is None:
        return None
    return replace(said, path=path, relative=path.relative_to(folder).as_posix(), receipt=receipt)


def first_transfer_syntax(stored: StoredObject) -> str:
    """Return the transfer syntax of the first version of an object that has several; empty if it cannot be read."""
    path = stored.path.with_name(f"{path_name(stored.arrival.sop_instance_uid)}.dcm")
    try:
        with path.open("rb") as file:
            return read_file_head(file).transfer_syntax_uid
    except (OSError, ObjectUnreadable):
        return ""
