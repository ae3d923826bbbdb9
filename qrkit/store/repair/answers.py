"""Repair of query results whose files are damaged or missing: copied from another file, or reported as lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from filelock import FileLock

from qrkit.errors import StoreError, StoreInUse
from qrkit.store.duckdb_file import answers_in, is_of_another_duckdb, read_all, read_from
from qrkit.store.quarantine import is_whole_parquet, quarantine, writing
from qrkit.store.queries import DONE, FAILED
from qrkit.store.schema import generations, queries
from qrkit.store.settling import snapshot
from qrkit.store.state import State

_Arguments = ParamSpec("_Arguments")
_Content = TypeVar("_Content")

_AT_ONCE = 500
_PATIENCE = 60.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRepair:
    """The result of the repair of query results.

    Attributes
    ----------
    quarantined
        Names of the damaged files, as they are called now.
    saved
        Answers that were in one of them and are kept elsewhere now.
    lost
        Ids of the queries whose answers are lost.
    """

    quarantined: tuple[str, ...]
    saved: int
    lost: tuple[str, ...]


def repair_answers(state: State, folder: Path) -> AnswerRepair:
    """Check the files of all query results; quarantine damaged ones, and save what can be read of them.

    Raises
    ------
    StoreError
        If another version of DuckDB has written them, or nothing can be written.
    OSError
        If the disk or share does not give a file now; nothing has changed then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".settle.lock", timeout=_PATIENCE):
        quarantined, saved, lost = _repair_settled(state, folder)
        for answer in snapshot(state).fresh:
            path = folder / answer.file
            if not is_whole_parquet(path):
                if path.exists():
                    quarantined.append(quarantine(path).name)
                lost.append(answer.query_id)
        _give_up(state, lost)
    return AnswerRepair(quarantined=tuple(quarantined), saved=saved, lost=tuple(lost))


def _repair_settled(state: State, folder: Path) -> tuple[list[str], int, list[str]]:
    """Make Parquet files again of what is in a settled file that is not whole."""
    newest = snapshot(state).settled
    if newest is None or _is_whole(folder / newest):
        return [], 0, []
    if is_of_another_duckdb(folder / newest):
        raise StoreError(
            f"The settled results {folder / newest} were written by another version of DuckDB.",
            advice="pip install --upgrade duckdb",
        )
    saved: dict[str, str] = {}
    lost: list[str] = []
    held = _held_by(state, folder)
    for query_id, started, file in _settled_answers(state):
        if file is not None and is_whole_parquet(folder / file):
            saved[query_id] = file
        elif (table := _read_from_any(held, query_id)) is not None:
            saved[query_id] = write_answer(folder, f"{started[:4]}/{query_id}.parquet", table)
        else:
            lost.append(query_id)
    _make_fresh(state, saved)
    quarantined = [quarantine(folder / newest, with_endings=(".wal",)).name] if (folder / newest).exists() else []
    return quarantined, len(saved), lost


def unless_damaged(
    read: Callable[_Arguments, _Content], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Content | None:
    """Return what a settled file contains; None if it is damaged.

    Raises
    ------
    StoreInUse
        If another program has it open for writing.
    """
    try:
        return read(*args, **kwargs)
    except StoreInUse:
        raise
    except StoreError:
        return None


def _is_whole(file: Path) -> bool:
    if unless_damaged(read_all, file) is None:
        _read_bytes(file)
        return False
    return True


def _read_bytes(file: Path) -> None:
    """See whether the disk gives a file at all: one that it keeps for now is not damaged."""
    try:
        with file.open("rb") as opened:
            while opened.read(_CHUNK):
                pass
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(
            f"The settled results {file} cannot be read: {error.strerror}.", advice="Check that disk or share."
        ) from error


def _held_by(state: State, folder: Path) -> list[tuple[Path, set[str]]]:
    """Return the settled files that are there, the newest first, each with the answers in it."""
    with state.reading() as connection:
        names = connection.scalars(sa.select(generations.c.file).order_by(generations.c.number.desc())).all()
    files = [folder / name for name in names]
    return [(file, held) for file in files if (held := unless_damaged(answers_in, file)) is not None]


def _settled_answers(state: State) -> list[tuple[str, str, str | None]]:
    wanted = sa.select(queries.c.query_id, queries.c.started, queries.c.result_file).where(
        queries.c.state == DONE, queries.c.settled_in.is_not(None)
    )
    with state.reading() as connection:
        return [(row.query_id, row.started, row.result_file) for row in connection.execute(wanted)]


def _read_from_any(held: Sequence[tuple[Path, set[str]]], query_id: str) -> pa.Table | None:
    """Read an answer from the first settled file that still gives it: of a damaged one a part can often be read."""
    for file, answers in held:
        if query_id in answers and (table := unless_damaged(read_from, file, query_id)) is not None:
            return table
    return None


def write_answer(folder: Path, name: str, table: pa.Table) -> str:
    """Keep an answer as a Parquet file of its own, and return its name, relative to the folder.

    Raises
    ------
    DiskFull, StoreError
        If it cannot be written.
    """
    path = folder / name
    with writing("A saved answer"):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        pq.write_table(table, part, compression="zstd")
        part.replace(path)
    return name


def _make_fresh(state: State, saved: Mapping[str, str]) -> None:
    """List query results as Parquet files of their own, and forget all generations."""
    with state.transaction() as connection:
        connection.execute(generations.delete())
        for query_id, file in saved.items():
            mine = queries.update().where(queries.c.query_id == query_id)
            connection.execute(mine.values(settled_in=None, result_file=file))


def _give_up(state: State, lost: Sequence[str]) -> None:
    error = "its result was lost with a damaged file"
    with state.transaction() as connection:
        for start in range(0, len(lost), _AT_ONCE):
            mine = queries.c.query_id.in_(lost[start : start + _AT_ONCE])
            connection.execute(
                queries.update().where(mine).values(state=FAILED, error=error, result_file=None, settled_in=None)
            )
