"""DuckDB as qrkit opens it: in memory, without extensions from elsewhere, files read only where they are listed."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from qrkit.errors import InputError, StoreError, StoreInUse

# Readable by DuckDB 1.5 and by 2.x, which share a workspace where not every PC is updated at once.
STORAGE_VERSION = "v1.5.0"

_ADVICE = (
    "Check the results folder of the workspace and its free space; if a file is damaged, qrkit repair saves what "
    "can be read."
)

# "DUCK", then the version of the storage as a 64-bit number, behind a checksum.
_MAGIC_AT, _VERSION = 8, struct.Struct("<4sQ")

# What is not about the SQL, but about files and memory.
_OURS = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.OutOfMemoryException)


def memory_connection(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database; what does not fit into memory goes beside the results in `folder`."""
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

    Raises
    ------
    StoreInUse
        If another program has it open for writing, as a tool that people look into databases with may.
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
    """Let the connection read these files, and what is attached, and nothing else; for good."""
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
    """Make DuckDB's errors ours, where the SQL is.

    Parameters
    ----------
    doing
        What is being done, for the message: ``The results cannot be read``.
    """
    try:
        yield
    except duckdb.Error as error:
        raise StoreError(f"{doing}: {error}.", advice=_ADVICE) from error


@contextmanager
def sql_errors() -> Iterator[None]:
    """Make DuckDB's errors those of whoever wrote the SQL, unless they are about files or memory."""
    try:
        yield
    except _OURS as error:
        raise StoreError(f"The SQL cannot be run: {error}.", advice=_ADVICE) from error
    except duckdb.Error as error:
        raise InputError(str(error)) from error
