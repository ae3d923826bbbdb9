"""How a finished file gets its final name without ever taking the place of another, whoever else is at it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from qrkit.errors import ObjectUnreadable
from qrkit.store.part10 import read_file_head

_CHUNK = 1 << 20
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
"""What a full disk answers, or a full quota."""


def place(part: Path, folder: Path, sop_instance_uid: str, *, keep_part: bool = False) -> Path:
    """Give a finished file its name in a folder, and return where the object is now.

    An object that is there already is kept and the new file removed; the same SOP Instance with another data set
    or transfer syntax gets a name of its own beside the first, with the start of a SHA-256 of those two. So the same
    version has the same name, whoever sends it and whichever process is first.

    Parameters
    ----------
    keep_part
        Whether the part file stays, as a second name of what is in its place; only where the file system has such.
    """
    for name in _names(sop_instance_uid, part):
        path = folder / name
        if _moved(part, path, keep_part=keep_part):
            return path
        if _same_object(path, part):
            part.unlink(missing_ok=True)
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
    # What file systems without hard links answer: shares of Windows, exFAT, some object stores.
    _NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

    def _renamed(part: Path, final: Path, *, keep_part: bool) -> bool:
        """Give the file its second name, which fails when that is taken, then take away the first."""
        try:
            os.link(part, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _renamed_under_lock(part, final)
        if not keep_part:
            part.unlink()
        return True


def _renamed_under_lock(part: Path, final: Path) -> bool:
    """Rename where nothing refuses to overwrite: all processes look and rename one after the other."""
    if not part.exists() or not final.parent.exists():
        raise FileNotFoundError(final)
    with FileLock(part.parent / "place.lock"):
        if final.exists():
            return False
        part.rename(final)
        return True


def _names(sop_instance_uid: str, part: Path) -> Iterator[str]:
    """Give the names that the object may have, in the order of trying."""
    yield f"{sop_instance_uid}.dcm"
    with part.open("rb") as file:
        version = hashlib.sha256(read_file_head(file).transfer_syntax_uid.encode())
        while chunk := file.read(_CHUNK):
            version.update(chunk)
    yield f"{sop_instance_uid}.{version.hexdigest()[:8]}.dcm"
    yield f"{sop_instance_uid}.{version.hexdigest()}.dcm"


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
