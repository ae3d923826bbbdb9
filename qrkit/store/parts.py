"""The ``.part`` files that objects are written to until they are whole.

Making a file takes longer than filling it with a small object (ext4: 50 to 350 µs against 10), and the sender waits
meanwhile. So there is one open already for the next object, made while the sender prepares that.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MOST_SPARES = 16
_MACHINE = f"{zlib.crc32(socket.gethostname().encode()):08x}"


class PartFiles:
    """Makes files of unique names in one folder, for any number of threads.

    Parameters
    ----------
    folder
        Made when it is missed, if the one that it is in is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spares: list[tuple[Path, int]] = []
        self._kept: set[Path] = set()

    def take(self) -> tuple[Path, int]:
        """Return a new file and its open descriptor.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        while self._spares:
            with contextlib.suppress(IndexError):  # another thread was quicker
                path, file = self._spares.pop()
                if os.fstat(file).st_nlink:
                    return path, file
                os.close(file)  # somebody has tidied up the folder
        return self._new()

    def ready(self) -> None:
        """Have a file for the next `take`; what goes wrong is told by that."""
        self._discard_kept()
        if len(self._spares) < _MOST_SPARES:
            with contextlib.suppress(OSError):
                self._spares.append(self._new())

    def close(self) -> None:
        """Remove the files that nobody took."""
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

        Parameters
        ----------
        older_than
            Seconds since the last byte was written, for those of other machines, which cannot be asked.
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
        except FileNotFoundError:  # a new workspace, or somebody has tidied up
            self.folder.mkdir(exist_ok=True)
            return path, os.open(path, _OPEN, 0o666)


def _is_orphan(name: str) -> bool:
    """Whether a file was made on this machine by a process that has ended."""
    machine, _, rest = name.partition("-")
    process = rest.partition("-")[0]
    return machine == _MACHINE and process.isdigit() and not psutil.pid_exists(int(process))
