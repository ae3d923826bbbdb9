"""The queries of a workspace: node, request, state and outcome.

The row of a query makes its result visible: the Parquet file is in its place before `QueryTable.finish` names it.
While a query runs, its process writes heartbeats. A query without them is interrupted; the next reader of the history
writes that down.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound, StoreError
from qrkit.markup import code, facts
from qrkit.query import Query, in_words
from qrkit.query.coverage import Coverage
from qrkit.store.part10 import has_ended
from qrkit.store.schema import queries
from qrkit.store.state import StateTable, full_id, value_of
from qrkit.words import counted, local_time, shown

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"

_BEAT = 5.0
_MISSED = 15.0
"""Seconds without a heartbeat after which a query of this machine counts as dead, if its process is gone too.

Only both: two containers may share the name of a host, but not the processes.
"""
_LOST = 600.0
"""Seconds without a heartbeat after which any query counts as dead: clocks of hosts differ, and laptops sleep."""
_UNHEARD = 86_400.0
"""The same, from its start, for a query of a version that wrote no heartbeats."""

_GONE = "its process ended before the result was complete, and no rows were kept"

SPOOL_ENDING = ".answers"
"""Ending of the files with the rows of a query that runs, or whose process was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRow:
    """One query, as the state holds it; times are UTC, ISO 8601."""

    query_id: str
    node: str
    level: str
    request: Mapping[str, Any]
    user: str
    state: str  # running, done, failed, or interrupted if its process ended first
    started: str
    finished: str | None = None
    seconds: float | None = None
    row_count: int | None = None
    coverage: Coverage | None = None
    error: str = ""
    error_status: int | None = None
    result_file: str | None = None  # relative to the folder of the results; None if only the settled file has it
    settled_in: int | None = None  # number of the first generation that contains its result
    machine: str = ""  # name of the host that asks
    process: int | None = None  # pid of the process that asks
    heartbeat: str | None = None  # the last sign of life of this process

    @property
    def query(self) -> Query:
        """The query as a value. Raises InputError if another version of qrkit wrote it."""
        return Query.from_json(self.request)

    @property
    def question(self) -> str:
        """The query in words."""
        try:
            return in_words(self.query)
        except InputError:
            return f"{self.level} query of another version of qrkit"

    @property
    def outcome(self) -> str:
        """Its outcome, in a word or a sentence."""
        if self.state in (FAILED, INTERRUPTED):
            return f"{self.state}: {self.error}"
        if self.state != DONE:
            return self.state
        proven = "complete" if self.coverage and self.coverage.is_complete else "may be incomplete"
        return f"{counted(self.row_count or 0, 'row')}, {proven}"

    def _repr_html_(self) -> str:
        told = {
            "Query": code(self.query_id),
            "Asked": self.question,
            "Node": self.node,
            "By": self.user,
            "When": local_time(self.started),
            "Took": None if self.seconds is None else f"{self.seconds:.1f} s",
            "Outcome": self.outcome,
        }
        return facts(told) + (self.coverage._repr_html_() if self.coverage else "")


class QueryTable(StateTable):
    """The queries of a workspace."""

    def begin(self, node: str, level: str, request: Mapping[str, Any], user: str) -> str:
        """Write down that a query is being asked, and return its id."""
        query_id, now = uuid4().hex, self._state.now()
        with self._state.transaction() as connection:
            connection.execute(
                queries.insert().values(
                    query_id=query_id,
                    node=node,
                    level=level,
                    request=dict(request),
                    user=user,
                    state=RUNNING,
                    started=now,
                    machine=socket.gethostname(),
                    process=os.getpid(),
                    heartbeat=now,
                )
            )
        return query_id

    @contextmanager
    def alive(self, query_id: str) -> Iterator[None]:
        """Write heartbeats of a running query every few seconds, as long as the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._beat, args=(query_id, stop), name="query", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def end_dead(self) -> None:
        """Write down as interrupted what processes left behind that are gone; nothing if that cannot be written."""
        wanted = sa.select(queries).where(queries.c.settled_in.is_(None), queries.c.state == RUNNING)
        now = self._state.now()
        for row in map(_query_row, self._state.rows(wanted)):
            if _is_dead(row, now):
                with suppress(StoreError):  # who only may read still sees the others
                    self._interrupt(row)

    def finish(self, query_id: str, row_count: int, coverage: Coverage, result_file: str) -> None:
        """Make the answer of a query visible.

        Raises StoreError if the query has ended: there is one answer to a query, and it never changes.
        """
        self._end(query_id, state=DONE, row_count=row_count, coverage=coverage.to_json(), result_file=result_file)

    def fail(self, query_id: str, error: str, status: int | None = None) -> None:
        """Write down that a query has failed, and the DIMSE status if there was one.

        Raises StoreError if the query has ended.
        """
        self._end(query_id, state=FAILED, error=error, error_status=status)

    def get(self, query_id: str) -> QueryRow:
        """Return a query by its id or the first characters of it. Raises NotFound if there is none."""
        with self._state.reading() as connection:
            return get_query(connection, query_id)

    def find(self, query_id: str) -> QueryRow | None:
        """Return the query with exactly this id; None if there is none."""
        row = next(iter(self._state.rows(sa.select(queries).where(queries.c.query_id == query_id))), None)
        return None if row is None else _query_row(row)

    def list(
        self, limit: int = 100, *, node: str | None = None, level: str | None = None, state: str | None = None
    ) -> tuple[QueryRow, ...]:
        """Return the newest queries first; those whose process is gone have been interrupted."""
        self.end_dead()
        given = {"node": node, "level": level, "state": state}
        wanted = (
            sa.select(queries)
            .where(*(queries.c[name] == value for name, value in given.items() if value is not None))
            .order_by(queries.c.started.desc(), queries.c.query_id)
            .limit(limit)
        )
        return tuple(map(_query_row, self._state.rows(wanted)))

    def _end(self, query_id: str, **values: object) -> None:
        now = self._state.now()
        with self._state.transaction() as connection:
            row = get_query(connection, query_id)
            seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(row.started)).total_seconds()
            changed = connection.execute(
                queries.update()
                .where(queries.c.query_id == query_id, queries.c.state.in_((RUNNING, INTERRUPTED)))
                .values(finished=now, seconds=seconds, **{"error": "", **values})
            )
            if changed.rowcount != 1:
                raise StoreError(f"Query {query_id} has ended already: it is {row.state}.")

    def _beat(self, query_id: str, stop: threading.Event) -> None:
        while not stop.wait(_BEAT):
            with suppress(StoreError), self._state.transaction() as connection:  # the database may come back
                mine = queries.update().where(queries.c.query_id == query_id)
                connection.execute(mine.values(heartbeat=self._state.now()))

    def _interrupt(self, row: QueryRow) -> None:
        """Write down that a query is dead, unless it gave a sign of life meanwhile."""
        with self._state.transaction() as connection:
            still = (queries.c.query_id == row.query_id, queries.c.state == RUNNING)
            heard = queries.c.heartbeat.is_not_distinct_from(row.heartbeat)
            ended = {"finished": row.heartbeat or row.started, "state": INTERRUPTED, "error": _GONE}
            connection.execute(queries.update().where(*still, heard).values(ended))


def _is_dead(row: QueryRow, now: str) -> bool:
    silent = datetime.fromisoformat(now) - datetime.fromisoformat(row.heartbeat or row.started)
    if row.heartbeat is None:
        return silent.total_seconds() > _UNHEARD
    is_gone = row.machine == socket.gethostname() and row.process is not None and has_ended(row.process)
    return silent.total_seconds() > (_MISSED if is_gone else _LOST)


def get_query(connection: sa.Connection, query_id: str) -> QueryRow:
    """Return a query as `QueryTable.get`, within a transaction."""
    whole = full_id(connection, queries.c.query_id, query_id)
    row = connection.execute(sa.select(queries).where(queries.c.query_id == whole)).one_or_none()
    if row is None:
        raise NotFound(f"There is no query {shown(query_id)}.", advice=Advice(action=Action.LIST_QUERIES))
    return _query_row(row)


def _query_row(row: sa.Row[Any]) -> QueryRow:
    return value_of(QueryRow, row, coverage=None if row.coverage is None else Coverage.from_json(row.coverage))


def left_behind(folder: Path) -> dict[str, list[Path]]:
    """Return the files of queries that have not removed them, by the id of the query."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*-*{SPOOL_ENDING}")):
        found.setdefault(path.stem.rpartition("-")[0], []).append(path)
    return found
