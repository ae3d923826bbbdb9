"""The plans of a workspace: a row in the state for each, and its tables as three Parquet files.

``<folder>/<yyyy>/<plan_id>/`` is written under a temporary name, renamed, and becomes visible by its row.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import NotFound, StoreError
from qrkit.store.quarantine import is_whole_parquet, writing
from qrkit.store.schema import plans
from qrkit.store.state import State
from qrkit.words import shown

TABLES = ("studies", "series", "instances")
"""The tables of a plan: one Parquet file each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """One plan without its tables."""

    plan_id: str
    node: str
    user: str
    created: str
    request: dict[str, Any]
    coverage: dict[str, Any]
    funnel: list[list[Any]]
    notes: list[str]
    cost: dict[str, Any]
    folder: str


class PlanTable:
    """The plans of a workspace.

    Parameters
    ----------
    folder
        Of their files.
    """

    def __init__(self, state: State, folder: Path) -> None:
        self._state = state
        self.folder = folder

    def add(self, row: PlanRow, tables: Mapping[str, pa.Table]) -> None:
        """Store a plan.

        Parameters
        ----------
        tables
            By the names in `TABLES`.

        Raises
        ------
        DiskFull
            If the disk is full.
        StoreError
            If it cannot be written.
        """
        self._write(tables, row.folder)
        with self._state.transaction() as connection:
            connection.execute(plans.insert().values(asdict(row)))

    def get(self, plan_id: str) -> PlanRow:
        """Return a plan without its tables.

        Raises
        ------
        NotFound
            If no plan has that id.
        """
        with self._state.reading() as connection:
            row = connection.execute(sa.select(plans).where(plans.c.plan_id == plan_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no plan {shown(plan_id)}.", advice=Advice(action=Action.LIST_PLANS))
        return _plan_row(row)

    def list(self, limit: int = 100) -> tuple[PlanRow, ...]:
        """Return the newest plans first, without their tables."""
        wanted = sa.select(plans).order_by(plans.c.created.desc(), plans.c.plan_id).limit(limit)
        with self._state.reading() as connection:
            return tuple(_plan_row(row) for row in connection.execute(wanted))

    def read(self, row: PlanRow, table: str, *, filters: Any = None) -> pa.Table:  # noqa: ANN401 - as pyarrow takes them
        """Return one table of a plan, or some rows of it.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        path = self.folder / row.folder / f"{table}.parquet"
        try:
            return pq.read_table(path, filters=filters, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"The plan {row.plan_id} cannot be read from {path}: {error}.",
                advice="Restore the folder of the plans, or plan again.",
            ) from error

    def is_readable(self, row: PlanRow) -> bool:
        """Whether the tables of a plan are there, and whole."""
        return all(is_whole_parquet(self.folder / row.folder / f"{table}.parquet") for table in TABLES)

    def _write(self, tables: Mapping[str, pa.Table], name: str) -> None:
        place = self.folder / name
        part = place.with_name(f"{place.name}.part")
        with writing(f"The plan {place.name}"):
            try:
                part.mkdir(parents=True)
                for table in TABLES:
                    pq.write_table(tables[table], part / f"{table}.parquet", compression="zstd")
                part.rename(place)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise


_COLUMNS = tuple(item.name for item in fields(PlanRow))


def _plan_row(row: sa.Row[Any]) -> PlanRow:
    return PlanRow(**{name: getattr(row, name) for name in _COLUMNS})
