"""Repair of the list of objects: files that are not listed, and listed files that are damaged or missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from qrkit.errors import ObjectUnreadable
from qrkit.store.files import series_folder, stored_file
from qrkit.store.instances import InstanceRow, InstanceTable, index_row
from qrkit.store.part10 import sha256_of
from qrkit.store.quarantine import quarantine
from qrkit.store.schema import instances
from qrkit.store.state import State

_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRepair:
    """The result of the repair of the files folder."""

    listed: int  # objects that are listed now and were not before
    quarantined: tuple[str, ...]  # paths of the quarantined damaged files, relative to the folder
    gone: int  # listed objects without a file; the next request for them retrieves them again


def repair_objects(state: State, folder: Path, *, thorough: bool = False) -> ObjectRepair:
    """List the objects in the files folder, and quarantine damaged ones.

    The size of a listed file shows whether it is damaged. A `thorough` repair reads all files and compares their
    SHA-256, too. Raises OSError if the folder cannot be read.
    """
    table = InstanceTable(state)
    known = _known(state)
    waiting: list[InstanceRow] = []
    quarantined: list[str] = []
    listed, seen = 0, 0
    for relative in _objects(folder):
        size, digest = known.get(relative, (-1, ""))
        seen += relative in known
        if relative in known and _is_as_stored(folder / relative, size, digest if thorough else ""):
            continue
        row = None if relative in known else _row(folder, relative)
        if row is None:
            quarantine(folder / relative)
            quarantined.append(relative)
            continue
        waiting.append(row)
        listed += 1
        if len(waiting) >= _AT_ONCE:
            table.add_many(waiting)
            waiting.clear()
    table.add_many(waiting)
    return ObjectRepair(listed=listed, quarantined=tuple(quarantined), gone=len(known) - seen)


def has_lost_its_list(state: State, folder: Path) -> bool:
    """Whether there are objects in the folder of the files and none in the list: the state was lost, or another.

    One that has come just now, and whose row is about to be written, has a receipt: a second name.
    """
    table = InstanceTable(state)
    if not table.is_empty():
        return False
    settled = (path for path in _objects(folder) if (folder / path).stat().st_nlink == 1)
    return next(settled, None) is not None and table.is_empty()


def _known(state: State) -> dict[str, tuple[int, str]]:
    rows = state.rows(sa.select(instances.c.path, instances.c.size, instances.c.sha256))
    return {row.path: (row.size, row.sha256) for row in rows}


def _objects(folder: Path) -> Iterator[str]:
    """Give the paths of the objects, relative to the folder, study by study."""
    if not folder.is_dir():
        return
    for study in folder.iterdir():
        if not study.name.startswith(".") and study.is_dir():
            for path in sorted(study.glob("*/*.dcm")):
                yield path.relative_to(folder).as_posix()


def _is_as_stored(path: Path, size: int, digest: str) -> bool:
    return path.stat().st_size == size and (not digest or sha256_of(path) == digest)


def _row(folder: Path, relative: str) -> InstanceRow | None:
    """Return the row of an object that is not listed; None if it is none."""
    try:
        stored = stored_file(folder, relative)
    except ObjectUnreadable:
        return None
    return index_row(stored) if series_folder(stored.header) == relative.rpartition("/")[0] else None
