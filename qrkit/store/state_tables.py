"""The tables of the state as Arrow tables, for DuckDB."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from qrkit.node import Node, Timeouts, Tls
from qrkit.store import schema

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

_LISTS = frozenset({"sop_instance_uids", "expected_uids", "missing"})


def read_state_table(connection: sa.Connection, name: str, before: pa.Table | None = None) -> pa.Table:
    """Return all rows of a table of the state; JSON is text, lists of UIDs are lists.

    Parameters
    ----------
    before
        What came of reading it before. Rows of `instances` are many, and only ever added: those that are known are
        not read again.
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


_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], pa.DataType], ...] = (
    (sa.Boolean, pa.bool_()),
    (sa.Integer, pa.int64()),
    (sa.Float, pa.float64()),
    (sa.Text, pa.string()),
)


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
