"""Repair of query results: damaged or missing files are replaced by copies or reported, lost rows are recovered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from filelock import FileLock

from qrkit.errors import StoreError, StoreInUse
from qrkit.store.duckdb_file import LEVELS, answers_in, is_of_another_duckdb, read_all, read_from
from qrkit.store.quarantine import is_damage, is_whole_parquet, quarantine, write_parquet
from qrkit.store.queries import DONE, FAILED
from qrkit.store.results import ASKED
from qrkit.store.schema import generations, queries
from qrkit.store.settling import snapshot
from qrkit.store.state import State, as_text, in_parts

_Arguments = ParamSpec("_Arguments")
_Content = TypeVar("_Content")

_PATIENCE = 60.0
_CHUNK = 1 << 20

_UNPROVEN = {"complete": False, "why": ["the state was lost, and with it the coverage of this query"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRepair:
    """The result of the repair of query results."""

    quarantined: tuple[str, ...]  # new names of the damaged files
    saved: int  # answers that were in a damaged file and are stored elsewhere now
    lost: tuple[str, ...]  # ids of the queries whose answers are lost


def repair_answers(state: State, folder: Path) -> AnswerRepair:
    """Check the files of all query results; quarantine damaged ones, and save what can be read of them.

    Raises StoreError if another version of DuckDB has written them, or nothing can be written; OSError if the disk or
    share does not give a file now; nothing has changed then.
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
    settled = sa.select(queries.c.query_id, queries.c.started, queries.c.result_file).where(
        queries.c.state == DONE, queries.c.settled_in.is_not(None)
    )
    for query_id, started, file in state.rows(settled):
        if file is not None and is_whole_parquet(folder / file):
            saved[query_id] = file
        elif (table := _read_from_any(held, query_id)) is not None:
            saved[query_id] = _write_answer(folder, query_id, started, table)
        else:
            lost.append(query_id)
    _make_fresh(state, saved)
    quarantined = [quarantine(folder / newest, with_endings=(".wal",)).name] if (folder / newest).exists() else []
    return quarantined, len(saved), lost


def unless_damaged(
    read: Callable[_Arguments, _Content], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Content | None:
    """Return what a settled file contains; None if it is damaged.

    Raises StoreInUse if another program has it open for writing.
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
    names = state.scalars(sa.select(generations.c.file).order_by(generations.c.number.desc()))
    files = [folder / name for name in names]
    return [(file, held) for file in files if (held := unless_damaged(answers_in, file)) is not None]


def _read_from_any(held: Sequence[tuple[Path, set[str]]], query_id: str) -> pa.Table | None:
    """Read an answer from the first settled file that still gives it: of a damaged one a part can often be read."""
    for file, answers in held:
        if query_id in answers and (table := unless_damaged(read_from, file, query_id)) is not None:
            return table
    return None


def _write_answer(folder: Path, query_id: str, started: str, table: pa.Table) -> str:
    """Keep an answer as a Parquet file of its own, and return its name, relative to the folder."""
    name = f"{started[:4]}/{query_id}.parquet"
    write_parquet(table, folder / name, "A stored result")
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
        for some in in_parts(lost):
            mine = queries.c.query_id.in_(some)
            connection.execute(
                queries.update().where(mine).values(state=FAILED, error=error, result_file=None, settled_in=None)
            )


def recover_answers(state: State, folder: Path) -> int:
    """List the answers that are in the folder and not in the state; return how many.

    An answer without rows from an older version does not name its node, so it stays unlisted. Raises DiskFull or
    StoreError if an answer cannot be written; OSError if the disk or share does not give a file now.
    """
    known = set(state.scalars(sa.select(queries.c.query_id)))
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        if path.stem not in known and (table := _read(path)) is not None:
            found[path.stem] = _row(path.stem, path.relative_to(folder).as_posix(), table)
    for file in sorted(folder.glob("settled-*.duckdb"), reverse=True):
        for query_id in (unless_damaged(answers_in, file) or set()) - {*known, *found}:
            table = read_from(file, query_id)
            row = _row(query_id, "", table)
            if row:
                name = _write_answer(folder, query_id, row["started"], table)
                found[query_id] = row | {"result_file": name}
    rows = [row for row in found.values() if row]
    if rows:
        with state.transaction() as connection:
            connection.execute(queries.insert(), rows)
    return len(rows)


def _read(path: Path) -> pa.Table | None:
    """Read a query result; None if it is damaged."""
    try:
        return pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        if not is_damage(error):
            raise
        return None


def _row(query_id: str, file: str, table: pa.Table) -> dict[str, Any]:
    """Return the row of a query from its result; empty if the result does not contain its node."""
    asked = _asked(table.schema.metadata or {})
    # the lowest level whose unique key is there
    of_columns = next((one.level for one in reversed(LEVELS) if one.key in table.column_names), None)
    level = asked.get("level") or of_columns
    if not table.num_rows or level is None:
        return {}
    started = as_text(table["asked_at"][0].as_py().replace(tzinfo=UTC))
    return {
        "query_id": query_id,
        "node": table["node"][0].as_py(),
        "level": level,
        "request": asked.get("request") or {},
        "user": asked.get("user") or "",
        "state": DONE,
        "started": started,
        "finished": started,
        "row_count": table.num_rows,
        "coverage": _UNPROVEN,
        "result_file": file,
    }


def _asked(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    try:
        asked = json.loads(metadata.get(ASKED.encode(), b"{}"))
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}
