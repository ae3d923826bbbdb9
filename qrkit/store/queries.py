"""What was asked of which node, and what came of it.

The row of a query makes its answer visible: the Parquet file is in its place before `QueryTable.finish` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from qrkit.coverage import Coverage
from qrkit.errors import InputError, NotFound, StoreError
from qrkit.markup import code, facts
from qrkit.query import Query, in_words
from qrkit.store.schema import queries
from qrkit.store.state import State
from qrkit.words import counted, local_time

RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRow:
    """One query, as the state holds it.

    Attributes
    ----------
    state
        ``running``, ``done`` or ``failed``.
    started, finished
        UTC, ISO 8601.
    result_file
        Relative to the folder of the results; None once it is only in the settled file.
    settled_in
        Number of the generation that its answer went into first.
    """

    query_id: str
    node: str
    level: str
    request: Mapping[str, Any]
    user: str
    state: str
    started: str
    finished: str | None = None
    seconds: float | None = None
    row_count: int | None = None
    coverage: Mapping[str, Any] | None = None
    error: str = ""
    error_status: int | None = None
    result_file: str | None = None
    settled_in: int | None = None

    @property
    def query(self) -> Query:
        """What was asked, as a value.

        Raises
        ------
        InputError
            If another version of qrkit wrote it.
        """
        return Query.from_json(self.request)

    @property
    def question(self) -> str:
        """What was asked, in words."""
        try:
            return in_words(self.query)
        except InputError:
            return f"{self.level} query of another version of qrkit"

    @property
    def outcome(self) -> str:
        """What came of it, in a word or a sentence."""
        if self.state == FAILED:
            return f"failed: {self.error}"
        if self.state != DONE:
            return self.state
        proven = "complete" if (self.coverage or {}).get("complete") else "not proven complete"
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
        return facts(told) + (Coverage(self.coverage)._repr_html_() if self.coverage else "")


class QueryTable:
    """The queries of a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self, node: str, level: str, request: Mapping[str, Any], user: str) -> str:
        """Write down that a query is being asked, and return its id."""
        query_id = uuid4().hex
        with self._state.transaction() as connection:
            connection.execute(
                queries.insert().values(
                    query_id=query_id,
                    node=node,
                    level=level,
                    request=dict(request),
                    user=user,
                    state=RUNNING,
                    started=self._state.now(),
                )
            )
        return query_id

    def finish(self, query_id: str, row_count: int, coverage: Mapping[str, Any], result_file: str) -> None:
        """Make the answer of a query visible.

        Raises
        ------
        StoreError
            If the query is not running: there is one answer to a query, and it never changes.
        """
        self._end(query_id, state=DONE, row_count=row_count, coverage=dict(coverage), result_file=result_file)

    def fail(self, query_id: str, error: str, status: int | None = None) -> None:
        """Write down that a query has failed, and the DIMSE status if there was one.

        Raises
        ------
        StoreError
            If the query is not running.
        """
        self._end(query_id, state=FAILED, error=error, error_status=status)

    def get(self, query_id: str) -> QueryRow:
        """Return a query.

        Raises
        ------
        NotFound
            If there is none of that id.
        """
        with self._state.reading() as connection:
            return get_query(connection, query_id)

    def list(
        self, limit: int = 100, *, node: str | None = None, level: str | None = None, state: str | None = None
    ) -> tuple[QueryRow, ...]:
        """Return the newest queries first."""
        given = {"node": node, "level": level, "state": state}
        wanted = (
            sa.select(queries)
            .where(*(queries.c[name] == value for name, value in given.items() if value is not None))
            .order_by(queries.c.started.desc(), queries.c.query_id)
            .limit(limit)
        )
        with self._state.reading() as connection:
            return tuple(_query_row(row) for row in connection.execute(wanted))

    def _end(self, query_id: str, **values: object) -> None:
        now = self._state.now()
        with self._state.transaction() as connection:
            row = get_query(connection, query_id)
            seconds = (datetime.fromisoformat(now) - datetime.fromisoformat(row.started)).total_seconds()
            changed = connection.execute(
                queries.update()
                .where(queries.c.query_id == query_id, queries.c.state == RUNNING)
                .values(finished=now, seconds=seconds, **values)
            )
            if changed.rowcount != 1:
                raise StoreError(f"Query {query_id} has ended already: it is {row.state}.")


def get_query(connection: sa.Connection, query_id: str) -> QueryRow:
    """Return a query, within a transaction.

    Raises
    ------
    NotFound
        If there is none of that id.
    """
    row = connection.execute(sa.select(queries).where(queries.c.query_id == query_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no query {query_id!r}.", advice="qrkit queries list shows those there are.")
    return _query_row(row)


_FIELDS = tuple(item.name for item in fields(QueryRow))


def _query_row(row: sa.Row[Any]) -> QueryRow:
    return QueryRow(**{name: row._mapping[name] for name in _FIELDS})  # noqa: SLF001 - the public way in SQLAlchemy
