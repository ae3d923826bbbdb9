"""Repair of a damaged SQLite state: its readable rows are copied to a new file in its place.

The tables are made as the damaged file describes them, so that a state of an older version is migrated afterwards as
any other. Rows are read by ranges; one that touches a damaged page is halved until only the rows in it are missing.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from qrkit.errors import StateUnavailable
from qrkit.store.quarantine import quarantine
from qrkit.store.schema import metadata
from qrkit.store.state import is_damage_of_sqlite

_ENDINGS = ("-wal", "-shm")
_PROBES = 20_000
"""Ranges of a table that may fail before the rest of it is given up."""
_FAR = 1 << 40
"""Above any rowid of ours, where the last one cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRepair:
    """The result of the repair of a damaged state."""

    quarantined: Path  # the new path of the damaged file
    rows: dict[str, int]  # the number of rows read, by table
    incomplete: tuple[str, ...]  # tables with unreadable rows; their number may be unknown


def is_damaged(path: Path) -> bool:
    """Whether an SQLite file has damaged pages; one that is not there, or empty, has none.

    Raises StateUnavailable if it cannot be read for another reason.
    """
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",))
    except sqlite3.Error as error:
        if is_damage_of_sqlite(error):
            return True
        raise StateUnavailable(
            f"The state of the workspace, {path}, cannot be used: {error}.",
            advice="Check that you may write it, and that nothing locks it.",
        ) from error


def rebuild_state(path: Path) -> StateRepair:
    """Replace a damaged state by a copy of its readable rows; the damaged file is quarantined.

    Raises OSError if there is too little disk space; nothing has changed then.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".salvage-") as scratch:
        copy = _copied(path, Path(scratch))  # reading may change a file that has a write-ahead log
        with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(part)) as new:
            old.execute("PRAGMA writable_schema = ON")  # or a file shorter than it says is not read at all
            old.text_factory = lambda text: text.decode("utf-8", "replace")
            rows, incomplete = _copy_tables(old, new)
            new.commit()
    quarantined = quarantine(path, with_endings=_ENDINGS)
    part.rename(path)
    return StateRepair(quarantined=quarantined, rows=rows, incomplete=incomplete)


def _copied(path: Path, folder: Path) -> Path:
    for ending in ("", _ENDINGS[0]):
        source = path.with_name(path.name + ending)
        if source.exists():
            (folder / source.name).write_bytes(source.read_bytes())
    return folder / path.name


def _copy_tables(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[dict[str, int], tuple[str, ...]]:
    try:
        described = old.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    except sqlite3.DatabaseError:
        return {}, tuple(sorted(metadata.tables))
    rows: dict[str, int] = {}
    incomplete: list[str] = []
    for kind, name, sql in described:
        if kind == "table" and name in metadata.tables:
            new.execute(sql)
            rows[name], is_whole = _copy_table(old, new, name)
            if not is_whole:
                incomplete.append(name)
    for kind, _, sql in described:
        if kind == "index":
            new.execute(sql)
    return rows, tuple(incomplete)


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, name: str) -> tuple[int, bool]:
    """Copy the rows of a table that can be read; return how many, and whether that are all."""
    columns = [str(row[1]) for row in new.execute(f'PRAGMA table_info("{name}")')]
    texts = [column in _json_columns(name) for column in columns]
    named = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    copied, is_whole = 0, True
    for some in _readable(old, f'SELECT {named} FROM "{name}" WHERE rowid BETWEEN ? AND ?', name):  # noqa: S608 - ours
        if some is None:
            is_whole = False
            continue
        good = [row for row in some if all(_is_json(cell) for cell, text in zip(row, texts, strict=True) if text)]
        before = new.total_changes
        new.executemany(f'INSERT OR IGNORE INTO "{name}" ({named}) VALUES ({marks})', good)  # noqa: S608 - ours
        added = new.total_changes - before
        copied += added
        is_whole = is_whole and added == len(some)
    return copied, is_whole


def _readable(old: sqlite3.Connection, sql: str, name: str) -> Iterator[Sequence[tuple[Any, ...]] | None]:
    """Give rows in their order, range by range, and None for each row that cannot be read."""
    probes = 0
    ranges = [(0, _last(old, name))]
    while ranges:
        first, last = ranges.pop()
        try:
            yield old.execute(sql, (first, last)).fetchall()
        except sqlite3.DatabaseError:
            probes += 1
            if first == last or probes > _PROBES:
                yield None
                continue
            middle = (first + last) // 2
            ranges += [(middle + 1, last), (first, middle)]


def _last(old: sqlite3.Connection, name: str) -> int:
    try:
        (last,) = old.execute(f'SELECT max(rowid) FROM "{name}"').fetchone()  # noqa: S608 - ours
    except sqlite3.DatabaseError:
        return _FAR
    return int(last or 0)


def _json_columns(name: str) -> set[str]:
    return {column.name for column in metadata.tables[name].columns if isinstance(column.type, sa.JSON)}


def _is_json(cell: object) -> bool:
    try:
        return cell is None or json.loads(str(cell)) is not None or cell == "null"
    except ValueError:
        return False
