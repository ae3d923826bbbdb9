"""The DICOM files of received objects: head (PS3.10 7.1), ``.part`` file while one arrives, and final name.

The head is written by hand and not by pydicom, since it is written for every received object while the sender waits.
A final name never replaces another file, even if several processes place files at once. Creating a file takes longer
than writing a small object to it (ext4: 50 to 350 µs against 10), and the sender waits meanwhile. Therefore one part
file is always open for the next object, created while the sender prepares it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import psutil
from filelock import FileLock

from qrkit.errors import ObjectUnreadable
from qrkit.receipt import Arrival
from qrkit.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

logger = logging.getLogger(__name__)

_PREAMBLE = bytes(128) + b"DICM"
_GROUP_LENGTH = struct.Struct("<HH2sHL")
_LENGTH_AT = len(_PREAMBLE)

_CHUNK = 1 << 20
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
"""Error numbers of a full disk or quota."""

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MOST_SPARES = 16
_LOCK_PATIENCE = 10.0
"""Seconds for a lock that is held while files are renamed: some file systems answer as if it were always held."""
_WITHOUT_LOCKS: set[Path] = set()
"""Folders on file systems without locks."""
_MACHINE = f"{zlib.crc32(socket.gethostname().encode()):08x}"


def file_head(arrival: Arrival) -> bytes:
    """Return the bytes of a file before its data set."""
    before, after = _around_instance(arrival.sop_class_uid, arrival.transfer_syntax_uid, arrival.sender)
    instance = _element(0x0003, b"UI", arrival.sop_instance_uid)
    length = len(before) + len(instance) + len(after)
    return b"".join((_PREAMBLE, _GROUP_LENGTH.pack(2, 0, b"UL", 4, length), before, instance, after))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHead:
    """The head of a file: transfer syntax, start of its data set in bytes, and sender."""

    transfer_syntax_uid: str
    data_set_start: int
    sender: str = ""


def read_file_head(file: BinaryIO) -> FileHead:
    """Read the head of a DICOM file, from its first byte on.

    Raises ObjectUnreadable if it is no DICOM file with File Meta Information length and transfer syntax.
    """
    start = _LENGTH_AT + _GROUP_LENGTH.size
    head = file.read(start)
    if len(head) < start or head[128:132] != b"DICM" or head[132:136] != b"\x02\x00\x00\x00":
        raise ObjectUnreadable("A file in the folder of received objects is not a DICOM file with a valid head.")
    length = int(_GROUP_LENGTH.unpack_from(head, _LENGTH_AT)[4])
    elements = file.read(length)
    found = re.search(rb"\x02\x00\x10\x00UI..([0-9.]*)", elements, re.DOTALL)
    if found is None:
        raise ObjectUnreadable("A file in the folder of received objects does not name its transfer syntax.")
    sender = re.search(rb"\x02\x00\x16\x00AE..([ -~]{1,16})", elements, re.DOTALL)
    return FileHead(
        transfer_syntax_uid=found[1].decode("ascii"),
        data_set_start=start + length,
        sender="" if sender is None else sender[1].decode("ascii").strip(),
    )


@lru_cache(maxsize=256)
def _around_instance(sop_class_uid: str, transfer_syntax_uid: str, sender: str) -> tuple[bytes, bytes]:
    """Return the elements before and after MediaStorageSOPInstanceUID, of which there are few kinds."""
    version = struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\x00\x01"
    before = version + _element(0x0002, b"UI", sop_class_uid)
    after = (
        _element(0x0010, b"UI", transfer_syntax_uid)
        + _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID)
        + _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
    )
    return before, after + _element(0x0016, b"AE", sender) if sender else after


def _element(element: int, vr: bytes, text: str) -> bytes:
    """Encode an element of group 0002 with a short VR, padded to an even length (PS3.5 6.2)."""
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def place(part: Path, folder: Path, stem: str, *, keep_part: bool = False) -> Path:
    """Give a finished file its name, a stem with ".dcm", in a folder, and return where the object is now.

    An existing copy of the object is kept and the new file removed. The same SOP Instance with another data set or
    transfer syntax gets a name of its own in the same folder, with the start of a SHA-256 of those two. So the same
    version always has the same name, whatever its sender and whichever process is first. With
    `keep_part` the part file stays as a second name of the placed file, if the file system has hard links.
    """
    for name in _names(stem, part):
        path = folder / name
        if _moved(part, path, keep_part=keep_part):
            return path
        if _same_object(path, part):
            _remove(part)
            return path
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder / name))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _moved(part: Path, final: Path, *, keep_part: bool) -> bool:
    """Move a file to a name that is free; False if it is taken."""
    try:
        return _renamed(part, final, keep_part=keep_part)
    except FileNotFoundError:  # the folder, which is made only when it is missed
        if not part.exists():
            raise
        final.parent.mkdir(parents=True, exist_ok=True)
        return _renamed(part, final, keep_part=keep_part)


if os.name == "nt":

    def _renamed(part: Path, final: Path, *, keep_part: bool) -> bool:
        """Rename; Windows itself refuses when the name is taken."""
        del keep_part
        try:
            part.rename(final)
        except FileExistsError:
            return False
        return True

else:
    # What is no matter of links: renaming fails likewise. File systems without links answer nearly anything else:
    # EPERM, ENOTSUP, ENOSYS and EMLINK shares of Windows and exFAT, EACCES, EXDEV, EINVAL and EIO FUSE and overlays.
    _NOT_OF_LINKS = {errno.ENOENT, errno.EROFS, errno.ENAMETOOLONG, *NO_SPACE}

    def _renamed(part: Path, final: Path, *, keep_part: bool) -> bool:
        """Give the file its second name, which fails when that is taken, then take away the first."""
        try:
            os.link(part, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _NOT_OF_LINKS:
                raise
            renamed = _renamed_without_link(part, final)
            _report_no_links(error.errno)
            return renamed
        if not keep_part:
            _remove(part)
        return True


def _renamed_without_link(part: Path, final: Path) -> bool:
    """Rename where nothing refuses to overwrite; copy where the folders are on different file systems."""
    if not part.exists() or not final.parent.exists():
        raise FileNotFoundError(final)
    try:
        return _renamed_in_turn(part, final, part.parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    copy = final.with_name(f".{part.name}")
    try:
        shutil.copyfile(part, copy)
        is_renamed = _renamed_in_turn(copy, final, part.parent)
    finally:
        copy.unlink(missing_ok=True)
    if is_renamed:
        _remove(part)
    return is_renamed


def _renamed_in_turn(file: Path, final: Path, locks: Path) -> bool:
    """Rename to a name that an empty file holds first; all processes do so one after the other, if they can.

    So none takes the empty file of another for an object that was damaged.
    """
    with _turn(locks):
        try:
            final.touch(exist_ok=False)
        except FileExistsError:
            return False
        try:
            file.replace(final)
        except BaseException:
            final.unlink(missing_ok=True)
            raise
    return True


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, unless its file system has none; that may show in any error, or in none."""
    with contextlib.ExitStack() as stack:
        if folder not in _WITHOUT_LOCKS:
            try:
                stack.enter_context(FileLock(folder / "place.lock", timeout=_LOCK_PATIENCE))
            except (OSError, NotImplementedError) as error:
                if isinstance(error, OSError) and error.errno in NO_SPACE:
                    raise
                _WITHOUT_LOCKS.add(folder)
        yield


def _remove(part: Path) -> None:
    """Remove a file of which the object has another name; what cannot be removed is swept later."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


@cache
def _report_no_links(number: int) -> None:
    """Log that files are renamed, once for each error number."""
    logger.warning(
        "The file system of the received objects makes no hard links: %s. Files are renamed.", os.strerror(number)
    )


def _names(stem: str, part: Path) -> Iterator[str]:
    """Give the names that the object may have, in the order of trying."""
    yield f"{stem}.dcm"
    with part.open("rb") as file:
        version = hashlib.sha256(read_file_head(file).transfer_syntax_uid.encode())
        while chunk := file.read(_CHUNK):
            version.update(chunk)
    yield f"{stem}.{version.hexdigest()[:8]}.dcm"
    yield f"{stem}.{version.hexdigest()}.dcm"


def _same_object(held: Path, part: Path) -> bool:
    """Whether two files have the same transfer syntax and data set; who sent them does not matter."""
    with held.open("rb") as one, part.open("rb") as other:
        try:
            heads = read_file_head(one), read_file_head(other)
        except ObjectUnreadable:  # the one that is here was damaged since
            return False
        sizes = [
            os.fstat(file.fileno()).st_size - head.data_set_start
            for file, head in zip((one, other), heads, strict=True)
        ]
        if heads[0].transfer_syntax_uid != heads[1].transfer_syntax_uid or sizes[0] != sizes[1]:
            return False
        while chunk := one.read(_CHUNK):
            if chunk != other.read(_CHUNK):
                return False
    return True


class PartFiles:
    """Makes files of unique names in one folder, for any number of threads.

    A missing folder is created, but not the one that contains it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spares: list[tuple[Path, int]] = []
        self._kept: set[Path] = set()

    def take(self) -> tuple[Path, int]:
        """Return a new file and its open descriptor. Raises OSError if it cannot be made."""
        while self._spares:
            with contextlib.suppress(IndexError):  # another thread was quicker
                path, file = self._spares.pop()
                if os.fstat(file).st_nlink:
                    return path, file
                os.close(file)  # the folder was cleaned up
        return self._new()

    def ready(self) -> None:
        """Create a file for the next `take`, which reports a failure."""
        self._discard_kept()
        if len(self._spares) < _MOST_SPARES:
            with contextlib.suppress(OSError):
                self._spares.append(self._new())

    def close(self) -> None:
        """Remove the files that were not taken."""
        while self._spares:
            path, file = self._spares.pop()
            os.close(file)
            self.discard(path)
        self._discard_kept()

    def discard(self, part: Path) -> None:
        """Remove a file that is not needed; one on a disk that has become read-only with the next `ready`."""
        try:
            part.unlink(missing_ok=True)
        except OSError:
            self._kept.add(part)

    def _discard_kept(self) -> None:
        for part in list(self._kept):
            with contextlib.suppress(OSError):  # the disk is as it was
                part.unlink(missing_ok=True)
                self._kept.discard(part)

    def sweep(self, *, older_than: float) -> int:
        """Remove what processes left half written that have ended, and return how many files.

        `older_than`: seconds since the last byte was written, for those of other machines, which cannot be asked.
        """
        swept = 0
        for part in self._left(older_than, filed=False):
            with contextlib.suppress(OSError):  # taken, still open on Windows, or on a disk that became read-only
                part.unlink()
                swept += 1
        return swept

    def receipts(self, *, older_than: float) -> Iterator[Path]:
        """Give what such processes left that is a second name of a file in its place, which they had not listed."""
        return self._left(older_than, filed=True)

    def _left(self, older_than: float, *, filed: bool) -> Iterator[Path]:
        limit = time.time() - older_than
        for part in self.folder.glob("*.part"):
            with contextlib.suppress(OSError):
                there = part.stat()
                if (there.st_nlink > 1) is filed and (_is_orphan(part.name) or there.st_mtime < limit):
                    yield part

    def _new(self) -> tuple[Path, int]:
        path = self.folder / f"{_MACHINE}-{os.getpid()}-{uuid4().hex}.part"
        try:
            return path, os.open(path, _OPEN, 0o666)
        except FileNotFoundError:  # a new workspace, or the folder was cleaned up
            self.folder.mkdir(exist_ok=True)
            return path, os.open(path, _OPEN, 0o666)


def _is_orphan(name: str) -> bool:
    """Whether a file was made on this machine by a process that has ended."""
    machine, _, rest = name.partition("-")
    process = rest.partition("-")[0]
    return machine == _MACHINE and process.isdigit() and has_ended(int(process))


def has_ended(pid: int) -> bool:
    """Whether a process of this machine has ended, also if its parent has not noticed it yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
