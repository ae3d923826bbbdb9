"""How a finished file gets its final name without ever taking the place of another, whoever else is at it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from qrkit.store.part10 import read_file_head

_CHUNK = 1 << 20
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What file systems without hard links answer: shares of Windows, exFAT, some object stores."""


def place(part: Path, folder: Path, sop_instance_uid: str) -> Path:
    """Give a finished file its name in a folder, and return where the object is now.

    An object that is there already is kept and the new file removed; the same SOP Instance with another data set
    or transfer syntax gets a name of its own beside the first, with the start of its SHA-256.
    """
    first = folder / f"{sop_instance_uid}.dcm"
    if _moved(part, first):
        return first
    same = next((held for held in _held(folder, first) if _same_object(held, part)), None)
    if same is not None:
        part.unlink(missing_ok=True)
        return same
    digest = sha256_of(part)
    for length in (8, 64):
        beside = folder / f"{sop_instance_uid}.{digest[:length]}.dcm"
        if _moved(part, beside):
            return beside
        if _same_object(beside, part):  # by another process, since we looked
            break
    part.unlink(missing_ok=True)
    return beside


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _moved(part: Path, final: Path) -> bool:
    """Move a file to a name that is free; False if it is taken."""
    try:
        return _renamed(part, final)
    except FileNotFoundError:  # the folder, which is made only when it is missed
        final.parent.mkdir(parents=True, exist_ok=True)
        return _renamed(part, final)


if os.name == "nt":

    def _renamed(part: Path, final: Path) -> bool:
        """Rename; Windows itself refuses when the name is taken."""
        try:
            part.rename(final)
        except FileExistsError:
            return False
        return True

else:

    def _renamed(part: Path, final: Path) -> bool:
        """Give the file its second name, which fails when that is taken, then take away the first."""
        try:
            os.link(part, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _renamed_under_lock(part, final)
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


def _held(folder: Path, first: Path) -> Iterator[Path]:
    """Give the files of the SOP Instance in the folder, which is listed only when the first is another object."""
    yield first
    beside = re.compile(re.escape(first.stem) + r"\.[0-9a-f]{8}([0-9a-f]{56})?\.dcm")
    yield from (path for path in folder.iterdir() if beside.fullmatch(path.name))


def _same_object(held: Path, part: Path) -> bool:
    """Whether two files have the same transfer syntax and data set; who sent them does not matter."""
    with held.open("rb") as one, part.open("rb") as other:
        heads = read_file_head(one), read_file_head(other)
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
