"""The history of queries: who ran which query when, every result again, and the differences of two results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qrkit.errors import InputError
from qrkit.markup import code, grid
from qrkit.query import Query
from qrkit.query.coverage import CoverageJson
from qrkit.store.queries import QueryRow, left_behind
from qrkit.tables import Level, Records, to_frame, unique_key
from qrkit.words import local_time
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd


def difference(before: pd.DataFrame, after: pd.DataFrame, *, levels: Sequence[str]) -> pd.DataFrame:
    """Return one row per Unique Key that was added, removed or changed, in the order of the key.

    Raises
    ------
    InputError
        If the answers are of different levels.
    """
    if len(set(levels)) > 1:
        raise InputError(f"Results of different levels cannot be compared: {' and '.join(levels)}.")
    key = unique_key(Level.parse(levels[0]))
    old, new = (_by_key(frame, key) for frame in (before, after))
    rows: list[tuple[str, str, str]] = []
    for uid in sorted(set(old) | set(new)):
        if uid not in old:
            rows.append((uid, "added", ""))
        elif uid not in new:
            rows.append((uid, "removed", ""))
        else:
            columns = [name for name in old[uid] if name in new[uid] and old[uid][name] != new[uid][name]]
            if columns:
                rows.append((uid, "changed", ", ".join(columns)))
    import pandas as pd

    return pd.DataFrame(rows, columns=[key, "change", "columns"])


def _by_key(frame: pd.DataFrame, key: str) -> dict[str, dict[str, object]]:
    comparable = frame.astype("object").where(frame.notna(), None)
    rows = ({str(name): value for name, value in row.items()} for row in comparable.to_dict("records"))
    return {str(row[key]): row for row in rows if row[key] is not None}


_SHOWN = 20

_COLUMNS = [
    "query_id",
    "started",
    "user",
    "node",
    "level",
    "state",
    "row_count",
    "seconds",
    "complete",
    "asked",
    "error",
]


@checks_arguments
class Queries:
    """The queries of a workspace, newest first."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.queries

    def __getitem__(self, query_id: str) -> pd.DataFrame:
        return self.read(query_id)

    def list(self, limit: int = 100) -> pd.DataFrame:
        """Return the newest queries: one row each, `seconds` it took, `row_count` answers, whether complete."""
        return self.records(limit).frame()

    def records(self, limit: int = 100) -> Records:
        """Return the same table as plain values."""
        self._end_dead()
        return Records.of([_row(row) for row in self._table.list(limit)], _COLUMNS)

    def _end_dead(self) -> None:
        """Write down which queries were interrupted, and store the rows that they left behind."""
        self._table.end_dead()
        if left_behind(self._services.results_folder):  # the finder loads DuckDB
            self._services.finder.recover()

    def show(self, query_id: str) -> QueryRow:
        """Return what was asked and how it went.

        Raises
        ------
        NotFound
            If there is no such query.
        """
        self._end_dead()
        return self._table.get(query_id)

    def read(self, query_id: str) -> pd.DataFrame:
        """Return the answer of a query as `Workspace.find` did.

        Raises
        ------
        NotFound
            If there is no such query, or it has no answer.
        """
        return self._frame(query_id, self._services.results.read(query_id))

    def read_page(self, query_id: str, *, offset: int = 0, limit: int = 1_000) -> pd.DataFrame:
        """Return some rows of an answer, without reading the others."""
        return self._frame(query_id, self._services.results.read_page(query_id, offset, limit))

    def rerun(self, query_id: str) -> pd.DataFrame:
        """Ask the same node the same thing again, as a new query.

        Raises
        ------
        NotFound
            If there is no such query, or its node is gone.
        NodeError
            If the node fails.
        """
        row = self._table.get(query_id)
        return self._services.finder.find(self._services.nodes.get(row.node), Query.from_json(row.request)).frame()

    def diff(self, before: str, after: str) -> pd.DataFrame:
        """Return the differences of two results of one level: one row per Unique Key added, removed or changed.

        Returns
        -------
        DataFrame
            The Unique Key, `change` (``added``, ``removed`` or ``changed``) and `columns`, which of them differ.

        Raises
        ------
        InputError
            If the two are of different levels.
        """
        rows = [self._table.get(query_id) for query_id in (before, after)]
        return difference(*(self.read(query_id) for query_id in (before, after)), levels=[row.level for row in rows])

    def _frame(self, query_id: str, table: Any) -> pd.DataFrame:  # noqa: ANN401 - a pyarrow.Table, untyped
        frame = to_frame(table)
        row = self._table.get(query_id)
        carried = CoverageJson() if row.coverage is None else row.coverage.to_json()
        frame.attrs["qrkit"] |= {"query_id": row.query_id, "coverage": carried}
        return frame

    def _ipython_key_completions_(self) -> tuple[str, ...]:
        return tuple(row.query_id for row in self._table.list())

    def __repr__(self) -> str:
        rows = self._table.list(_SHOWN)
        newest = f", the newest {local_time(rows[0].started)}: {rows[0].question} from {rows[0].node}" if rows else ""
        return f"<Queries: {'at least ' if len(rows) == _SHOWN else ''}{len(rows)}{newest}>"

    def _repr_html_(self) -> str:
        shown = [
            [local_time(row.started), row.user, row.node, row.question, row.outcome, code(row.query_id)]
            for row in self._table.list(_SHOWN)
        ]
        return grid(["asked at", "by", "node", "what", "outcome", "query_id"], shown, caption="The newest queries")


def _row(row: QueryRow) -> dict[str, Any]:
    values = {"complete": None if row.coverage is None else row.coverage.is_complete, "asked": row.question}
    return {name: values[name] if name in values else getattr(row, name) for name in _COLUMNS}
