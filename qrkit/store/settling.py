"""The files that hold the answers: fresh Parquet files, which are settled into one DuckDB file from time to time.

The list of files is always read from the state in one snapshot, never from a directory listing.

A generation is written under a temporary name, renamed, and becomes the newest in one transaction, which also says
of each answer in it that it is settled. What was before it stays for a while, for those who read it just then. A
process that ends at any point leaves the answers where they were, and at most an unlisted file, which the
next settling removes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from filelock import FileLock, Timeout

from qrkit.errors import StoreError
from qrkit.store.duckdb_file import (
    LEVELS,
    SCHEMAS,
    STORAGE_VERSION,
    answers_in,
    attach_settled,
    literal,
    memory_connection,
    parquet_source,
    store_errors,
    tables_of_settled,
)
from qrkit.store.queries import DONE
from qrkit.store.schema import generations, queries
from qrkit.store.state import State, as_text, in_parts

MOST_FRESH = 64
"""Parquet files that are read together without becoming slow."""

DELAY = 900.0
"""Seconds that what has been settled stays, for those who are reading it."""

_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshAnswer:
    """An answer that is still a Parquet file of its own; `file` is relative to the folder of the results."""

    query_id: str
    level: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The files that together hold every answer, at one moment."""

    number: int  # of the newest generation; 0 before the first
    settled: str | None  # its file, relative to the folder of the results; None before the first
    fresh: tuple[FreshAnswer, ...]  # oldest first


def snapshot(state: State) -> Snapshot:
    """Return the files of this moment."""
    with state.reading() as connection:
        return read_snapshot(connection)


def read_snapshot(connection: sa.Connection) -> Snapshot:
    """Return the files of this moment, within a transaction."""
    newest = connection.execute(
        sa.select(generations.c.number, generations.c.file).order_by(generations.c.number.desc()).limit(1)
    ).one_or_none()
    fresh = connection.execute(
        sa.select(queries.c.query_id, queries.c.level, queries.c.result_file)
        .where(queries.c.state == DONE, queries.c.settled_in.is_(None), queries.c.result_file.is_not(None))
        .order_by(queries.c.finished, queries.c.query_id)
    )
    return Snapshot(
        number=newest.number if newest else 0,
        settled=newest.file if newest else None,
        fresh=tuple(FreshAnswer(query_id=query_id, level=level, file=file) for query_id, level, file in fresh),
    )


def settle(state: State, folder: Path, *, most_fresh: int = MOST_FRESH, delay: float = DELAY) -> int:
    """Settle the fresh answers if there are many, and return how many have been.

    One process does it at a time; another returns at once. First it removes the files that an earlier settling left:
    files of earlier generations, and settled Parquet files, stay for `delay` seconds. Up to `most_fresh` answers stay
    fresh. Raises StoreError if an answer cannot be read or the settled file cannot be written; nothing is changed
    then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".settle.lock", timeout=0):
            _remove_old(state, folder, delay=delay)
            before = snapshot(state)
            if len(before.fresh) <= most_fresh:
                return 0
            file = write_generation(folder, before)
            try:
                adopt_generation(state, before, file)
            except BaseException:
                (folder / file).unlink(missing_ok=True)
                raise
            return len(before.fresh)
    except Timeout:
        return 0


def write_generation(folder: Path, before: Snapshot) -> str:
    """Write all results of a snapshot to one new file, and return its name, which the state does not have yet.

    Raises StoreError if an answer cannot be read, or the file not be written.
    """
    # Its own name, should two machines on a shared folder without working locks write at once.
    name = f"settled-{before.number + 1:06d}-{uuid4().hex[:8]}.duckdb"
    part = folder / f"{name}.part"
    try:
        with store_errors(f"The settled results {part} cannot be written"), memory_connection(folder) as connection:
            connection.execute(f"ATTACH {literal(str(part))} AS fresh (STORAGE_VERSION '{STORAGE_VERSION}')")
            held = set()
            if before.settled is not None:
                attach_settled(connection, folder / before.settled)
                held = tables_of_settled(connection)
            _write_answers(connection, folder, before.fresh, held)
            _write_schemas(connection, folder, before.fresh, held)
            connection.execute("DETACH fresh")
        part.replace(folder / name)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return name


def adopt_generation(state: State, before: Snapshot, file: str) -> None:
    """Make a file the newest generation, in one transaction.

    Raises StoreError if another process has settled meanwhile.
    """
    number, settled = before.number + 1, [answer.query_id for answer in before.fresh]
    with state.transaction() as connection:
        now = state.now()
        connection.execute(
            generations.update().where(generations.c.retired.is_(None)).values(retired=now),
        )
        connection.execute(generations.insert().values(number=number, file=file, created=now))
        for some in in_parts(settled):
            connection.execute(queries.update().where(queries.c.query_id.in_(some)).values(settled_in=number))


def _write_answers(
    connection: duckdb.DuckDBPyConnection, folder: Path, fresh: Sequence[FreshAnswer], held: set[str]
) -> None:
    for tables in LEVELS:
        files = [folder / answer.file for answer in fresh if answer.level == tables.level]
        sources = [f"settled.{tables.answers}"] if tables.answers in held else []
        sources += [parquet_source(files)] if files else []
        if sources:
            union = " UNION ALL BY NAME ".join(f"SELECT * FROM {source}" for source in sources)  # noqa: S608 - quoted
            connection.execute(f"CREATE TABLE fresh.{tables.answers} AS {union}")


def _write_schemas(
    connection: duckdb.DuckDBPyConnection, folder: Path, fresh: Sequence[FreshAnswer], held: set[str]
) -> None:
    """Write down the columns and types of each result, which the union of all results does not keep."""
    arriving = pa.table(
        {
            "query_id": pa.array([answer.query_id for answer in fresh], pa.string()),
            "level": pa.array([answer.level for answer in fresh], pa.string()),
            "arrow_schema": pa.array(
                [_schema(folder / answer.file).serialize().to_pybytes() for answer in fresh], pa.binary()
            ),
        }
    )
    connection.register("arriving", arriving)
    connection.execute(f"CREATE TABLE fresh.{SCHEMAS} AS SELECT * FROM arriving")  # noqa: S608 - a constant
    connection.unregister("arriving")
    if SCHEMAS in held:
        connection.execute(f"INSERT INTO fresh.{SCHEMAS} SELECT * FROM settled.{SCHEMAS}")  # noqa: S608 - a constant


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"The result {file} cannot be read: {error}.") from error


def _remove_old(state: State, folder: Path, *, delay: float) -> None:
    limit = as_text(datetime.fromisoformat(state.now()) - timedelta(seconds=delay))
    _remove_generations(state, folder, limit)
    _remove_parquet(state, folder, limit)
    known = set(state.scalars(sa.select(generations.c.file)))
    for file in folder.glob("settled-*.duckdb.part*"):  # of a process that ended while settling
        _removed(file)
    for file in folder.glob("settled-*.duckdb"):
        if file.name not in known and _is_superfluous(state, file):
            _removed(file)
    for part in folder.glob("*/*.parquet.part"):  # of a process that ended while writing an answer
        with contextlib.suppress(FileNotFoundError):
            if part.stat().st_mtime < time.time() - _A_DAY:
                _removed(part)


def _is_superfluous(state: State, file: Path) -> bool:
    """Whether the state has all results of an unknown settled file, whose process ended before adopting it.

    If it does not, the state was lost and the file is all that is left of them.
    """
    try:
        held = answers_in(file)
    except StoreError:
        return False
    wanted = sa.select(queries.c.query_id).where(queries.c.state == DONE)
    return held <= set(state.scalars(wanted))


def _remove_generations(state: State, folder: Path, limit: str) -> None:
    retired = sa.select(generations.c.number, generations.c.file).where(generations.c.retired < limit)
    gone = [row.number for row in state.rows(retired) if _removed(folder / row.file)]
    if gone:
        with state.transaction() as connection:
            connection.execute(generations.delete().where(generations.c.number.in_(gone)))


def _remove_parquet(state: State, folder: Path, limit: str) -> None:
    """Remove the Parquet files of answers that have been in a settled file for long enough."""
    recent = sa.select(generations.c.number).where(generations.c.created >= limit)
    settled = sa.select(queries.c.query_id, queries.c.result_file).where(
        queries.c.result_file.is_not(None), queries.c.settled_in.is_not(None), queries.c.settled_in.not_in(recent)
    )
    gone = [row.query_id for row in state.rows(settled) if _removed(folder / row.result_file)]
    with state.transaction() as connection:
        for some in in_parts(gone):
            connection.execute(queries.update().where(queries.c.query_id.in_(some)).values(result_file=None))


def _removed(file: Path) -> bool:
    """Remove a file; False if it is open and the system forbids it (Windows), to retry later."""
    try:
        file.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True
