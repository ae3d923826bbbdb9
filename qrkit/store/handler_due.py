"""Completed items, and the handler runs that follow from them.

An item is noted in the transaction that completes it, so that no handler is lost if a process dies in between. A
worker that has the handlers queues one run for each handler, series and content; the unique key of the runs prevents
a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from qrkit.jobs import JobState
from qrkit.jobs.handler_run import RunState, content_of
from qrkit.store.schema import chosen_handlers, completed_items, handler_runs, instances, job_items, jobs
from qrkit.store.state import State, insert_unless_known
from qrkit.tables import Level

_COMPLETE = JobState.COMPLETE.value


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedItem:
    """An item that became complete.

    Attributes
    ----------
    handlers
        Names of the handlers that its job has chosen; None: the automatic ones.
    """

    item_id: int
    job_id: str
    level: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    handlers: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSeries:
    """A series as it is here now.

    Attributes
    ----------
    levels
        Of the requests of the job that cover it.
    modality, station, description, node
        The values that its objects have.
    """

    StudyInstanceUID: str
    SeriesInstanceUID: str
    levels: tuple[str, ...]
    modality: tuple[str, ...]
    station: tuple[str, ...]
    description: tuple[str, ...]
    node: tuple[str, ...]
    content: str
    last_instance_id: int
    objects: int


def choose(connection: sa.Connection, job_id: str, handlers: Sequence[str] | None) -> None:
    """Write down which handlers a job has chosen, within the transaction that makes it."""
    if handlers is not None:
        connection.execute(chosen_handlers.insert().values(job_id=job_id, handlers=list(handlers)))


def note_complete(connection: sa.Connection, item_id: int) -> None:
    """Note that an item became complete, within the transaction of that; not where its objects went elsewhere."""
    here = (
        sa.select(job_items.c.item_id, job_items.c.job_id)
        .join(jobs, jobs.c.job_id == job_items.c.job_id)
        .where(job_items.c.item_id == item_id, jobs.c.destination == "")
    )
    insert = insert_unless_known(connection, completed_items).from_select(["item_id", "job_id"], here)
    connection.execute(insert)


class CompletedItemTable:
    """The items of a workspace for whose series runs are still to be queued."""

    def __init__(self, state: State) -> None:
        self._state = state

    def list(self, limit: int = 100) -> tuple[CompletedItem, ...]:
        """Return items for whose series it is to be decided what is done."""
        wanted = (
            sa.select(job_items, chosen_handlers.c.handlers)
            .join(completed_items, completed_items.c.item_id == job_items.c.item_id)
            .outerjoin(chosen_handlers, chosen_handlers.c.job_id == job_items.c.job_id)
            .order_by(job_items.c.item_id)
            .limit(limit)
        )
        with self._state.reading() as connection:
            return tuple(
                CompletedItem(
                    item_id=row.item_id,
                    job_id=row.job_id,
                    level=row.level,
                    StudyInstanceUID=row.StudyInstanceUID,
                    SeriesInstanceUID=row.SeriesInstanceUID,
                    handlers=None if row.handlers is None else tuple(row.handlers),
                )
                for row in connection.execute(wanted)
            )

    def complete_series(self, due: CompletedItem) -> tuple[CompleteSeries, ...]:
        """Return the series of an item that are complete within its job: every item that covers them is."""
        mine = [instances.c.StudyInstanceUID == due.StudyInstanceUID]
        if due.level != Level.STUDY:
            mine.append(instances.c.SeriesInstanceUID == due.SeriesInstanceUID)
        names = ("SOPInstanceUID", "sha256", "Modality", "StationName", "SeriesDescription", "source")
        columns = (instances.c.SeriesInstanceUID, instances.c.instance_id, *(instances.c[name] for name in names))
        with self._state.reading() as connection:
            covering = connection.execute(
                sa.select(job_items.c.level, job_items.c.SeriesInstanceUID, job_items.c.state).where(
                    job_items.c.job_id == due.job_id, job_items.c.StudyInstanceUID == due.StudyInstanceUID
                )
            ).all()
            by_series: dict[str, list[sa.Row[Any]]] = {}
            for row in connection.execute(sa.select(*columns).where(*mine).order_by(instances.c.instance_id)):
                by_series.setdefault(row.SeriesInstanceUID, []).append(row)
        found = []
        for series, rows in by_series.items():
            items = [one for one in covering if one.level == Level.STUDY or one.SeriesInstanceUID == series]
            if all(one.state == _COMPLETE for one in items):
                found.append(_complete(due.StudyInstanceUID, series, sorted({one.level for one in items}), rows))
        return tuple(found)

    def queue(self, due: CompletedItem, runs: Sequence[tuple[str, CompleteSeries]]) -> int:
        """Queue a run for each handler and series, unless there is one for that content; return how many are new."""
        now = self._state.now()
        values = [
            {
                "handler": handler,
                "StudyInstanceUID": held.StudyInstanceUID,
                "SeriesInstanceUID": held.SeriesInstanceUID,
                "content": held.content,
                "last_instance_id": held.last_instance_id,
                "objects": held.objects,
                "levels": list(held.levels),
                "job_id": due.job_id,
                "state": RunState.WAITING.value,
                "due": now,
                "created": now,
            }
            for handler, held in sorted(runs, key=lambda run: (run[0], run[1].SeriesInstanceUID))
        ]
        with self._state.transaction() as connection:
            connection.execute(completed_items.delete().where(completed_items.c.item_id == due.item_id))
            queued = 0
            for row in values:
                insert = insert_unless_known(connection, handler_runs).values(row)
                queued += connection.execute(insert).rowcount
            return queued


def _complete(study: str, series: str, levels: Sequence[str], rows: Sequence[sa.Row[Any]]) -> CompleteSeries:
    def values(name: str) -> tuple[str, ...]:
        return tuple(sorted({value for row in rows if (value := getattr(row, name))}))

    return CompleteSeries(
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        levels=tuple(levels),
        modality=values("Modality"),
        station=values("StationName"),
        description=values("SeriesDescription"),
        node=values("source"),
        content=content_of((row.SOPInstanceUID, row.sha256) for row in rows),
        last_instance_id=rows[-1].instance_id,
        objects=len(rows),
    )
