"""Recovery of query results that are in the results folder but not in the state, since that was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from qrkit.store.duckdb_file import LEVELS, answers_in, read_from
from qrkit.store.quarantine import is_damage
from qrkit.store.queries import DONE
from qrkit.store.repair.answers import unless_damaged, write_answer
from qrkit.store.results import ASKED
from qrkit.store.schema import queries
from qrkit.store.state import State, as_text

_UNPROVEN = {"complete": False, "why": ["the state was lost, and with it the coverage of this query"]}


def recover_answers(state: State, folder: Path) -> int:
    """List the answers that are in the folder and not in the state; return how many.

    Of an answer without rows that an older version wrote nobody knows whom it came from: it stays where it is.

    Raises
    ------
    DiskFull, StoreError
        If an answer cannot be written.
    OSError
        If the disk or share does not give a file now.
    """
    with state.reading() as connection:
        known = set(connection.scalars(sa.select(queries.c.query_id)))
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*.parquet")):
        if path.stem not in known and (table := _read(path)) is not None:
            found[path.stem] = _row(path.stem, path.relative_to(folder).as_posix(), table)
    for file in sorted(folder.glob("settled-*.duckdb"), reverse=True):
        for query_id in (unless_damaged(answers_in, file) or set()) - {*known, *found}:
            table = read_from(file, query_id)
            row = _row(query_id, "", table)
            if row:
                name = write_answer(folder, f"{row['started'][:4]}/{query_id}.parquet", table)
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
    level = asked.get("level") or _level(table.column_names)
    if not table.num_rows or level is None:
        return {}
    started = as_text(_in_utc(table["asked_at"][0].as_py()))
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


def _level(columns: list[str]) -> str | None:
    """Return the level whose rows have these columns: the lowest whose unique key is there."""
    return next((one.level for one in reversed(LEVELS) if one.key in columns), None)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
