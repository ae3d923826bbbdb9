"""DuckDB as qrkit opens it: in memory, without downloaded extensions, and restricted to listed files.

It also names the tables of each level, and reads one query result from the settled file, with the columns and types
of its original Parquet file.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, StoreError, StoreInUse
from qrkit.tables import Level
from qrkit.words import one_line

# Readable by DuckDB 1.5 and by 2.x, which share a workspace where not every PC is updated at once.
STORAGE_VERSION = "v1.5.0"

_ADVICE = Advice(
    "Check the results folder of the workspace and its free space. If a file is damaged, save what can be read",
    Action.REPAIR,
)

# "DUCK", then the version of the storage as a 64-bit number, behind a checksum.
_MAGIC_AT, _VERSION = 8, struct.Struct("<4sQ")

# What is not about the SQL, but about files and memory.
_OURS = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.OutOfMemoryException)

SCHEMAS = "answer_schemas"
"""The table of a settled file with the Arrow schema of each query result: query_id, level, arrow_schema."""


def memory_connection(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database, which spills into `folder` of the results."""
    return duckdb.connect(
        ":memory:",
        config={
            # Hospitals are offline, and SQL that names a variable of ours is a mistake.
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "temp_directory": str(folder / ".spill"),
        },
    )


def attach_settled(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Attach a settled file, read only, as `settled`.

    Raises StoreInUse if another program has it open for writing, as a tool that people look into databases with may.
    """
    try:
        connection.execute(f"ATTACH {literal(str(file))} AS settled (READ_ONLY)")
    except duckdb.IOException as error:
        if "lock" not in str(error).partition("\n")[0].replace(str(file), ""):
            raise
        holder = re.search(r"PID (\d+)", str(error))
        raise StoreInUse(
            f"{file} is open for writing in another program{f', process {holder[1]}' if holder else ''}.",
            advice="Close it there; to look into it, open it read only.",
        ) from error


def is_of_another_duckdb(file: Path) -> bool:
    """Whether a file that cannot be read is of a DuckDB that writes another storage version than ours."""
    with tempfile.TemporaryDirectory(prefix="qrkit-") as scratch, memory_connection(Path(scratch)) as connection:
        ours = Path(scratch) / "ours.duckdb"
        connection.execute(f"ATTACH {literal(str(ours))} AS ours (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("DETACH ours")
        magic, version = _storage_version(ours)
    theirs = _storage_version(file)
    return theirs[0] == magic and theirs[1] != version


def _storage_version(file: Path) -> tuple[bytes, int]:
    try:
        with file.open("rb") as opened:
            head = opened.read(_MAGIC_AT + _VERSION.size)
    except FileNotFoundError:
        return b"", 0
    if len(head) < _MAGIC_AT + _VERSION.size:
        return b"", 0
    magic, version = _VERSION.unpack_from(head, _MAGIC_AT)
    return bytes(magic), int(version)


def close_to_files(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Restrict the connection for good to these files and the attached databases."""
    connection.execute(f"SET allowed_paths = {literals(map(str, files))}")
    connection.execute("SET enable_external_access = false")


def parquet_source(files: Sequence[Path]) -> str:
    """Return what stands behind FROM to read Parquet files of different columns together."""
    return f"read_parquet({literals(map(str, files))}, union_by_name = true)"


def literal(text: str) -> str:
    """Quote a text, where DuckDB takes no parameter: paths in ATTACH, SET and views.

    >>> literal("/data/O'Hara")
    "'/data/O''Hara'"
    """
    return "'" + text.replace("'", "''") + "'"


def literals(texts: Iterable[str]) -> str:
    """Quote texts as a DuckDB list."""
    return "[" + ", ".join(map(literal, texts)) + "]"


def identifier(name: str) -> str:
    """Quote a name of a table or column.

    >>> identifier("StudyDate")
    '"StudyDate"'
    """
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Translate DuckDB's errors where the SQL is ours.

    `doing`: the subject of the message: ``The results cannot be read``.
    """
    try:
        yield
    except duckdb.Error as error:
        raise StoreError(f"{doing}: {error}.", advice=_ADVICE) from error


@contextmanager
def sql_errors() -> Iterator[None]:
    """Translate DuckDB's errors: those about files or memory are ours, all others are of the given SQL."""
    try:
        yield
    except _OURS as error:
        raise StoreError(f"The SQL cannot be run: {error}.", advice=_ADVICE) from error
    except duckdb.Error as error:
        lines = [line for line in map(str.strip, str(error).splitlines()) if line.strip("^")]
        raise InputError(one_line(" ".join(lines), most=300)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTables:
    """The names of the tables of one level."""

    level: str
    answers: str  # has every row of every answer
    newest: str  # has the newest of these rows for each node and key
    key: str  # the unique key of the level


LEVELS = (
    LevelTables(level=Level.PATIENT.value, answers="patient_answers", newest="patients", key="PatientID"),
    LevelTables(level=Level.STUDY.value, answers="study_answers", newest="studies", key="StudyInstanceUID"),
    LevelTables(level=Level.SERIES.value, answers="series_answers", newest="series", key="SeriesInstanceUID"),
    LevelTables(level=Level.IMAGE.value, answers="image_answers", newest="images", key="SOPInstanceUID"),
)


def of_level(level: str) -> LevelTables:
    """Return the tables of a level. Raises StoreError if there is no such level."""
    for tables in LEVELS:
        if tables.level == level:
            return tables
    raise StoreError(f"There are results of level PATIENT, STUDY, SERIES and IMAGE, not {level!r}.")


def tables_of_settled(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of the tables in the settled file that is attached."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'settled'").fetchall()
    return {str(name) for (name,) in rows}


@contextmanager
def _settled(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection with a settled file attached; StoreError if it cannot be read."""
    with store_errors(f"The settled results {file} cannot be read"), memory_connection(file.parent) as connection:
        attach_settled(connection, file)
        yield connection


def answers_in(file: Path) -> set[str]:
    """Return the ids of the queries whose answers are in a settled file. Raises StoreError if it cannot be read."""
    with _settled(file) as connection:
        rows = connection.execute(f"SELECT query_id FROM settled.{SCHEMAS}").fetchall()  # noqa: S608 - a constant
    return {str(query_id) for (query_id,) in rows}


def read_all(file: Path) -> int:
    """Read all of a settled file, to check that it is whole, and return the number of its tables.

    Raises StoreError if any of it cannot be read.
    """
    with _settled(file) as connection:
        tables = sorted(tables_of_settled(connection))
        for table in tables:
            connection.execute(f"SELECT sum(hash(one)) FROM settled.{identifier(table)} one").fetchall()  # noqa: S608
    return len(tables)


def read_from(file: Path, query_id: str, offset: int = 0, limit: int | None = None) -> pa.Table:
    """Return rows of an answer out of a settled file.

    Raises StoreError if the settled file is not there, cannot be read, or has no such answer.
    """
    with _settled(file) as connection:
        known = connection.execute(
            f"SELECT level, arrow_schema FROM settled.{SCHEMAS} WHERE query_id = ?",  # noqa: S608 - a constant
            [query_id],
        ).fetchall()
        if not known:
            raise StoreError(f"The settled results {file} cannot be read: it has no result of query {query_id}.")
        level, serialized = known[0]
        schema = pa.ipc.read_schema(pa.py_buffer(serialized))
        columns = ", ".join(map(identifier, schema.names))
        rows = connection.sql(
            f"SELECT {columns} FROM settled.{of_level(level).answers} WHERE query_id = ? "  # noqa: S608 - quoted
            "ORDER BY rowid LIMIT ? OFFSET ?",
            params=[query_id, limit, offset],
        ).to_arrow_table()
    return rows.cast(schema)
