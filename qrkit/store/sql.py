"""SQL for users: DuckDB with the query results and the state of a workspace as tables.

`patients`, `studies`, `series` and `images` have the newest row of each node and unique key; rows without that key
cannot be told apart, so each of them is kept. `patient_answers`, `study_answers`, `series_answers` and
`image_answers` have every row of every answer. `instances`, `queries`, `jobs`, `job_items`, `nodes`, `audit` and
`workers` are copies of the state. Times are UTC, without a zone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from qrkit.errors import InputError
from qrkit.node import Node, Timeouts, Tls
from qrkit.store import schema
from qrkit.store.duckdb_file import (
    LEVELS,
    LevelTables,
    attach_settled,
    close_to_files,
    identifier,
    memory_connection,
    parquet_source,
    sql_errors,
    store_errors,
    tables_of_settled,
)
from qrkit.store.results import ADDED, WARNINGS
from qrkit.store.settling import Snapshot, read_snapshot
from qrkit.store.state import State

_TABLES = {
    table.name: table
    for table in (
        schema.instances,
        schema.queries,
        schema.jobs,
        schema.job_items,
        schema.nodes,
        schema.profiles,
        schema.plans,
        schema.audit,
        schema.workers,
        schema.handler_runs,
        schema.schedules,
        schema.schedule_runs,
    )
}

STATE_TABLES = tuple(_TABLES)
"""Names of the tables that people can query."""

TIMES = frozenset(
    {"created", "removed", "started", "finished", "received", "happened", "heartbeat", "probed", "due", "next_due"}
)
"""Columns that hold a time, where they are text."""

_LISTS = frozenset({"sop_instance_uids", "expected_uids", "missing", "why", "doubts"})
"""Columns that hold a list of texts."""

_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], pa.DataType], ...] = (
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    (sa.Float, pa.float64()),
    (sa.Text, pa.string()),
)

_READING = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN, duckdb.StatementType.MULTI}
"""Kinds of statements that only read; a PIVOT is of the last kind."""


def read_state_table(connection: sa.Connection, name: str, before: pa.Table | None = None) -> pa.Table:
    """Return all rows of a table of the state; JSON is text, lists of texts are lists.

    `before`: the rows that were read before. Rows of `instances` are many, and only ever added: those that are known
    are not read again.
    """
    table = _TABLES[name]
    (key,) = table.primary_key
    wanted = sa.select(table).order_by(key)
    if before is None or name != "instances" or before.num_rows == 0:
        return _to_arrow(name, connection.execute(wanted).all())
    last = before[key.name][-1].as_py()
    known = connection.scalar(sa.select(sa.func.count()).select_from(table).where(key <= last))
    if known != before.num_rows:  # PostgreSQL gives ids in one order, and lets them be seen in another
        return _to_arrow(name, connection.execute(wanted).all())
    added = connection.execute(wanted.where(key > last)).all()
    return pa.concat_tables([before, _to_arrow(name, added)]) if added else before


def empty_state_table(name: str) -> pa.Table:
    """Return a table of the state without its rows."""
    return _to_arrow(name, [])


def _to_arrow(name: str, rows: Sequence[sa.Row[Any]]) -> pa.Table:
    table = _TABLES[name]
    values = dict(zip(table.columns.keys(), zip(*rows, strict=True), strict=True)) if rows else {}
    columns = {column.name: _array(column, values.get(column.name, ())) for column in table.columns}
    if name != "nodes":
        return pa.table(columns)
    settings = columns.pop("settings")
    return pa.table({**_unpacked([json.loads(text) for text in settings.to_pylist()]), **columns})


def _array(column: sa.Column[Any], values: Sequence[Any]) -> pa.Array:
    if column.name in _LISTS:
        return pa.array(values, pa.list_(pa.string()))
    if isinstance(column.type, sa.JSON):
        return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())
    return pa.array(values, next(arrow for kind, arrow in _TYPES if isinstance(column.type, kind)))


def _unpacked(settings: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """Return the settings of nodes as columns; the name comes first, nested ones as ``timeout_connect``."""
    columns: dict[str, pa.Array] = {}
    for item in fields(Node):
        if item.name in ("timeouts", "tls"):
            continue
        values = [node.get(item.name) for node in settings]
        columns[item.name] = pa.array(values, _node_type(item.type))
    for prefix, table, kind in (("timeout", "timeouts", Timeouts), ("tls", "tls", Tls)):
        for item in fields(kind):
            values = [node.get(table, {}).get(item.name) for node in settings]
            columns[f"{prefix}_{item.name}"] = pa.array(values, _node_type(item.type))
    return columns


def _node_type(annotation: object) -> pa.DataType:
    """Return the Arrow type of a setting; an enum is its text."""
    return {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}.get(str(annotation), pa.string())


def connect(
    state: State,
    folder: Path,
    schemas: Mapping[str, pa.Schema],
    *,
    tables: Collection[str] | None = None,
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB on the answers and the state as they are now.

    Later answers need a new connection. A connection that is kept for longer than settled files are (see
    `qrkit.store.settling`) loses the answers that were fresh when it was made. `schemas` has the columns of the
    answers by Query/Retrieve level, so that all tables exist before the first query. Only the given `tables` of the
    state are loaded; the others are empty. Raises StoreError if the results cannot be read.
    """
    wanted = STATE_TABLES if tables is None else tables
    with state.reading() as reading:
        files = read_snapshot(reading)
        contents = {
            name: read_state_table(reading, name, state.instances_read) if name in wanted else empty_state_table(name)
            for name in STATE_TABLES
        }
    if "instances" in wanted:
        state.instances_read = contents["instances"]
    with store_errors(f"The results in {folder} cannot be read"):
        connection = memory_connection(folder)
        try:
            for name, content in contents.items():
                _create_state_table(connection, name, content)
            _create_views(connection, folder, files, schemas)
        except BaseException:
            connection.close()
            raise
    return connection


def sql(
    state: State,
    folder: Path,
    schemas: Mapping[str, pa.Schema],
    text: str,
    params: Sequence[object] | Mapping[str, object] | None = None,
) -> pa.Table:
    """Return what one SELECT gives, on the answers and the state as they are now.

    `text` is one statement that reads; ``?`` or ``$name`` in it stand for the values in `params`. Raises InputError
    with DuckDB's message if the SQL is wrong; StoreError if the results cannot be read.
    """
    with connect(state, folder, schemas, tables=_named(text)) as connection, sql_errors():
        if not _only_reads(connection.extract_statements(text)):
            raise InputError(
                "Only one statement that reads can be run, such as SELECT, DESCRIBE or SUMMARIZE.",
                advice="For more, take a connection of your own: workspace.duckdb().",
            )
        answer = connection.sql(text, params=params)
        return answer.to_arrow_table()


def _only_reads(statements: Sequence[duckdb.Statement]) -> bool:
    """Whether it is one statement that reads.

    DuckDB 1.5 gives a PIVOT as two statements of its own making, without a text; 2.x as one.
    """
    written = [statement for statement in statements if statement.query]
    if not written:
        return bool(statements)
    return len(written) == 1 and written[0].type in _READING


def _named(text: str) -> set[str]:
    """Return the tables of the state that the SQL may read.

    Whatever is a word in it, since DuckDB's own `get_table_names` fails on views of Parquet files and on USING.

    >>> sorted(_named("select * from main.Jobs join nodes n on n.name = node"))
    ['jobs', 'nodes']
    """
    return {name for name in STATE_TABLES if re.search(rf"\b{name}\b", text, re.IGNORECASE)}


def _create_state_table(connection: duckdb.DuckDBPyConnection, name: str, content: pa.Table) -> None:
    """Make a table of the state, with times as TIMESTAMP and StudyDate as DATE."""
    columns = [_converted(field) for field in content.schema]
    connection.register("arriving", content)
    connection.execute(f"CREATE TABLE {name} AS SELECT {', '.join(columns)} FROM arriving")  # noqa: S608 - quoted
    connection.unregister("arriving")


def _converted(field: pa.Field) -> str:
    column = identifier(field.name)
    if field.name in TIMES and field.type == pa.string():
        return f"TRY_CAST(left({column}, 26) AS TIMESTAMP) AS {column}"  # empty: it has not been, as a probe
    if field.name == "StudyDate":
        return f"CAST(try_strptime({column}, '%Y%m%d') AS DATE) AS {column}"
    return column


def _create_views(
    connection: duckdb.DuckDBPyConnection, folder: Path, files: Snapshot, schemas: Mapping[str, pa.Schema]
) -> None:
    """Create the views of the results, then restrict the connection to the files that they need."""
    settled: set[str] = set()
    if files.settled is not None:
        attach_settled(connection, folder / files.settled)
        settled = tables_of_settled(connection)
    close_to_files(connection, [folder / answer.file for answer in files.fresh])
    connection.execute("CREATE SCHEMA typed")
    for tables in LEVELS:
        sources = [_create_typed(connection, tables, schemas.get(tables.level, pa.schema([])))]
        if tables.answers in settled:
            sources.append(f"settled.{tables.answers}")
        fresh = [folder / answer.file for answer in files.fresh if answer.level == tables.level]
        if fresh:
            sources.append(parquet_source(fresh))
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM {source}" for source in sources)  # noqa: S608 - quoted
        connection.execute(f"CREATE VIEW {tables.answers} AS {union}")
        key = identifier(tables.key)
        connection.execute(
            f"CREATE VIEW {tables.newest} AS SELECT * FROM {tables.answers} QUALIFY {key} IS NULL "  # noqa: S608
            f"OR row_number() OVER (PARTITION BY node, {key} ORDER BY asked_at DESC) = 1"
        )


def _create_typed(connection: duckdb.DuckDBPyConnection, tables: LevelTables, schema: pa.Schema) -> str:
    """Make an empty table with the columns that answers of the level have, whether or not there are any."""
    names = {*schema.names, *ADDED.names}
    missing = [field for field in (pa.field(tables.key, pa.string()), WARNINGS) if field.name not in names]
    added = [field for field in ADDED if field.name not in schema.names]
    connection.register("arriving", pa.schema([*added, *schema, *missing]).empty_table())
    connection.execute(f"CREATE TABLE typed.{tables.answers} AS SELECT * FROM arriving")  # noqa: S608 - a constant
    connection.unregister("arriving")
    return f"typed.{tables.answers}"
