"""Query results of plans: Parquet files that are written once, listed in the state, and merged from time to time.

A missing file is not an error; a damaged file is quarantined. In both cases the plan queries the node again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from qrkit.errors import StoreError
from qrkit.store.quarantine import is_damage, quarantine, writing
from qrkit.store.schema import plan_answers
from qrkit.store.state import State

logger = logging.getLogger(__name__)

MOST_FILES = 12
"""Maximum number of files for a node; more are merged."""

Merge = Callable[[pa.Table], pa.Table]
"""Leaves of several answers to one question the newest."""


class PlanAnswers:
    """The query results of plans, by node.

    Parameters
    ----------
    folder
        Of the files.
    """

    def __init__(self, state: State, folder: Path) -> None:
        self._state = state
        self.folder = folder

    def add(self, node: str, table: pa.Table, merge: Merge) -> None:
        """Keep answers of a node.

        Raises
        ------
        DiskFull, StoreError
            If they cannot be written.
        """
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
        with self._state.reading() as connection:
            return list(connection.scalars(wanted.order_by(plan_answers.c.created, plan_answers.c.answers_id)))

    def _row(self, node: str, name: str) -> dict[str, str]:
        return {"answers_id": name, "node": node, "file": f"{name}.parquet", "created": self._state.now()}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _write(self, table: pa.Table) -> str:
        name = uuid4().hex
        part = self._path(name).with_suffix(".part")
        with writing("The query result of a plan"):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, part, compression="zstd")
                part.rename(self._path(name))
            except BaseException:
                part.unlink(missing_ok=True)
                raise
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
            with contextlib.suppress(OSError):  # still open on Windows: a file that nobody lists does no harm
                self._path(name).unlink(missing_ok=True)
