"""The plans of a workspace, and the query results from which they are made.

A plan is a row in the state, and its tables are three Parquet files: ``<folder>/<yyyy>/<plan_id>/`` is written under
a temporary name, renamed, and becomes visible by its row. The query results are Parquet files that are written once,
listed in the state, and merged from time to time. A missing one is not an error; a damaged one is quarantined. In
both cases the plan queries the node again.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import NotFound, StoreError
from qrkit.store.quarantine import is_damage, is_whole_parquet, quarantine, write_parquet, writing
from qrkit.store.schema import plan_answers, plans
from qrkit.store.state import State, full_id, value_of
from qrkit.words import shown

TABLES = ("studies", "series", "instances")
"""The tables of a plan: one Parquet file each."""

logger = logging.getLogger(__name__)

MOST_FILES = 12
"""Maximum number of files for a node; more are merged."""

Merge = Callable[[pa.Table], pa.Table]
"""Leaves of several answers to one question the newest."""


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
    """The plans of a workspace; their files are in `folder`."""

    def __init__(self, state: State, folder: Path) -> None:
        self._state = state
        self.folder = folder

    def add(self, row: PlanRow, tables: Mapping[str, pa.Table]) -> None:
        """Store a plan.

        `tables` has them by the names in `TABLES`. Raises DiskFull if the disk is full; StoreError if it cannot be
        written.
        """
        self._write(tables, row.folder)
        with self._state.transaction() as connection:
            connection.execute(plans.insert().values(asdict(row)))

    def get(self, plan_id: str) -> PlanRow:
        """Return a plan without its tables, by its id or the beginning of it. Raises NotFound if there is none."""
        with self._state.reading() as connection:
            whole = full_id(connection, plans.c.plan_id, plan_id)
            row = connection.execute(sa.select(plans).where(plans.c.plan_id == whole)).first()
        if row is None:
            raise NotFound(f"There is no plan {shown(plan_id)}.", advice=Advice(action=Action.LIST_PLANS))
        return value_of(PlanRow, row)

    def list(self, limit: int = 100) -> tuple[PlanRow, ...]:
        """Return the newest plans first, without their tables."""
        wanted = sa.select(plans).order_by(plans.c.created.desc(), plans.c.plan_id).limit(limit)
        return tuple(value_of(PlanRow, row) for row in self._state.rows(wanted))

    def read(self, row: PlanRow, table: str, *, filters: Any = None) -> pa.Table:  # noqa: ANN401 - as pyarrow takes them
        """Return one table of a plan, or some rows of it. Raises StoreError if it cannot be read."""
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


class PlanAnswers:
    """The query results of plans, by node; their files are in `folder`."""

    def __init__(self, state: State, folder: Path) -> None:
        self._state = state
        self.folder = folder

    def add(self, node: str, table: pa.Table, merge: Merge) -> None:
        """Keep answers of a node. Raises DiskFull or StoreError if they cannot be written."""
        name = self._write(table)
        with self._state.transaction() as connection:
            connection.execute(plan_answers.insert().values(self._row(node, name)))
        files = self._files(node)
        if len(files) > MOST_FILES:
            self._merge(node, files, merge)

    def read(self, node: str, studies: Collection[str] | None = None) -> pa.Table | None:
        """Return what a node has answered on some studies, the oldest first; None if nothing."""
        wanted = None if studies is None else pa.array(list(studies), pa.string())
        tables = [table for name in self._files(node) if (table := self._read(name, wanted)) is not None]
        return pa.concat_tables(tables, promote_options="default") if tables else None

    def forget(self, node: str) -> None:
        """Forget what a node has answered."""
        files = self._files(node)
        with self._state.transaction() as connection:
            connection.execute(plan_answers.delete().where(plan_answers.c.answers_id.in_(files)))
        self._remove(files)

    def _files(self, node: str) -> list[str]:
        wanted = sa.select(plan_answers.c.answers_id).where(plan_answers.c.node == node)
        return list(self._state.scalars(wanted.order_by(plan_answers.c.created, plan_answers.c.answers_id)))

    def _row(self, node: str, name: str) -> dict[str, str]:
        return {"answers_id": name, "node": node, "file": f"{name}.parquet", "created": self._state.now()}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _write(self, table: pa.Table) -> str:
        name = uuid4().hex
        write_parquet(table, self._path(name), "The query result of a plan")
        return name

    def _read(self, name: str, wanted: pa.Array | None) -> pa.Table | None:
        try:
            table = pq.read_table(self._path(name), partitioning=None)
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            if not is_damage(error):
                raise StoreError(
                    f"The query result {self._path(name)} of a plan cannot be read: {error}.",
                    advice="Check that disk or share.",
                ) from error
            with contextlib.suppress(OSError):  # another process has quarantined it
                damaged = quarantine(self._path(name))
                logger.warning("A damaged file was quarantined; the node will be queried again: %s", damaged)
            return None
        return table if wanted is None else table.filter(pc.is_in(table["StudyInstanceUID"], value_set=wanted))

    def _merge(self, node: str, files: list[str], merge: Merge) -> None:
        """Put one file in the place of many, unless another process has done that meanwhile."""
        tables = [table for name in files if (table := self._read(name, None)) is not None]
        merged = self._write(merge(pa.concat_tables(tables, promote_options="default")))
        mine = plan_answers.c.answers_id.in_(files)
        with self._state.transaction() as connection:
            there = connection.scalar(sa.select(sa.func.count()).select_from(plan_answers).where(mine))
            is_first = there == len(files)
            if is_first:
                connection.execute(plan_answers.delete().where(mine))
                connection.execute(plan_answers.insert().values(self._row(node, merged)))
        self._remove(files if is_first else [merged])

    def _remove(self, names: list[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):  # still open on Windows: an unlisted file does no harm
                self._path(name).unlink(missing_ok=True)
