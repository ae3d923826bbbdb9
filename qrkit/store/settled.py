"""One answer out of the settled file, with the columns and types that it had as a Parquet file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from qrkit.errors import StoreError
from qrkit.store.duckfile import attach_settled, identifier, memory_connection, store_errors
from qrkit.store.generations import snapshot
from qrkit.store.levels import of_level
from qrkit.store.state import State

SCHEMAS = "answer_schemas"
"""The table of a settled file that keeps the Arrow schema of each answer: query_id, level, arrow_schema."""


def tables_of_settled(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the names of the tables in the settled file that is attached."""
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'settled'").fetchall()
    return {str(name) for (name,) in rows}


def read_settled(state: State, folder: Path, query_id: str, offset: int, limit: int | None) -> pa.Table:
    """Return rows of an answer that has been settled; errors as `read_from`."""
    return read_from(folder / str(snapshot(state).settled), query_id, offset, limit)


def answers_in(file: Path) -> set[str]:
    """Return the ids of the queries whose answers are in a settled file.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    with store_errors(f"The settled results {file} cannot be read"), memory_connection(file.parent) as connection:
        attach_settled(connection, file)
        rows = connection.execute(f"SELECT query_id FROM settled.{SCHEMAS}").fetchall()  # noqa: S608 - a constant
    return {str(query_id) for (query_id,) in rows}


def read_all(file: Path) -> None:
    """Read all of a settled file, to see whether it is whole.

    Raises
    ------
    StoreError
        If any of it cannot be read.
    """
    with store_errors(f"The settled results {file} cannot be read"), memory_connection(file.parent) as connection:
        attach_settled(connection, file)
        for table in sorted(tables_of_settled(connection)):
            connection.execute(f"SELECT sum(hash(one)) FROM settled.{identifier(table)} one").fetchall()  # noqa: S608


def read_from(file: Path, query_id: str, offset: int = 0, limit: int | None = None) -> pa.Table:
    """Return rows of an answer out of a settled file.

    Raises
    ------
    StoreError
        If the settled file is not there, cannot be read, or has no such answer.
    """
    doing = f"The settled results {file} cannot be read"
    with store_errors(doing), memory_connection(file.parent) as connection:
        attach_settled(connection, file)
        known = connection.execute(
            f"SELECT level, arrow_schema FROM settled.{SCHEMAS} WHERE query_id = ?",  # noqa: S608 - a constant
            [query_id],
        ).fetchall()
        if not known:
            raise StoreError(f"{doing}: it has no answer of query {query_id}.")
        level, serialized = known[0]
        schema = pa.ipc.read_schema(pa.py_buffer(serialized))
        columns = ", ".join(map(identifier, schema.names))
        rows = connection.sql(
            f"SELECT {columns} FROM settled.{of_level(level).answers} WHERE query_id = ? "  # noqa: S608 - quoted
            "ORDER BY rowid LIMIT ? OFFSET ?",
            params=[query_id, limit, offset],
        ).to_arrow_table()
    return rows.cast(schema)
