"""The runs of handlers on received series, their states, and the completed items that they follow from.

An item is noted in the transaction that completes it, so that no handler is lost if a process dies in between. A
worker that has the handlers queues one run for each handler, series and content; the unique key of the runs prevents
a second one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.jobs import JobState
from qrkit.jobs.handler_run import LONGEST_PAUSE, HandlerRun, RunState, content_of
from qrkit.store.schema import chosen_handlers, completed_items, handler_runs, instances, job_items, jobs
from qrkit.store.state import StateTable, as_text, field_names, full_id, insert_unless_known, value_of
from qrkit.tables import Level

_COMPLETE = JobState.COMPLETE.value

_WAITING, _RUNNING = RunState.WAITING.value, RunState.RUNNING.value
_DONE, _FAILED = RunState.DONE.value, RunState.FAILED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedItem:
    """An item that became complete."""

    item_id: int
    job_id: str
    level: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    handlers: tuple[str, ...] | None  # names that its job has chosen; None for the automatic handlers


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteSeries:
    """A series as it is stored now; `modality`, `station`, `description` and `node` are the values of its objects."""

    StudyInstanceUID: str
    SeriesInstanceUID: str
    levels: tuple[str, ...]  # of the requests of the job that cover the series
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


class CompletedItemTable(StateTable):
    """The items of a workspace for whose series runs are still to be queued."""

    def list(self, limit: int = 100) -> tuple[CompletedItem, ...]:
        """Return items for whose series it is to be decided what is done."""
        wanted = (
            sa.select(job_items, chosen_handlers.c.handlers)
            .join(completed_items, completed_items.c.item_id == job_items.c.item_id)
            .outerjoin(chosen_handlers, chosen_handlers.c.job_id == job_items.c.job_id)
            .order_by(job_items.c.item_id)
            .limit(limit)
        )
        return tuple(
            value_of(CompletedItem, row, handlers=None if row.handlers is None else tuple(row.handlers))
            for row in self._state.rows(wanted)
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


class HandlerRunTable(StateTable):
    """The runs of a workspace."""

    def waiting(self, handlers: Collection[str]) -> int:
        """Return how many runs of some handlers wait or are under way, whenever they are due."""
        is_open = handler_runs.c.state.in_((_WAITING, _RUNNING))
        return self._state.count(handler_runs, is_open, handler_runs.c.handler.in_(list(handlers)))

    def is_due(self, handlers: Collection[str]) -> bool:
        """Whether a run of one of some handlers could be claimed now."""
        return self._state.row(self._next(handlers)) is not None

    def claim(self, worker_id: str, handlers: Collection[str]) -> HandlerRun | None:
        """Take the run of one of some handlers that is due longest; None if none is. No two workers take the same."""
        now = self._state.now()
        with self._state.transaction() as connection:
            run_id = connection.scalar(self._next(handlers).with_for_update(skip_locked=True))
            if run_id is None:
                return None
            claimed = connection.execute(
                handler_runs.update()
                .where(handler_runs.c.run_id == run_id)
                .values(state=_RUNNING, worker_id=worker_id, started=now, attempts=handler_runs.c.attempts + 1)
                .returning(handler_runs)
            ).one()
            return _run(claimed)

    def files(self, run: HandlerRun) -> tuple[sa.Row[Any], ...]:
        """Return the rows of the objects that are the content of a run."""
        wanted = (
            sa.select(instances)
            .where(
                instances.c.StudyInstanceUID == run.StudyInstanceUID,
                instances.c.SeriesInstanceUID == run.SeriesInstanceUID,
                instances.c.instance_id <= run.last_instance_id,
            )
            .order_by(instances.c.InstanceNumber, instances.c.instance_id)
        )
        return tuple(self._state.rows(wanted))

    def done(self, run_id: int, note: str = "") -> None:
        """Write down that a run has worked."""
        self._end(run_id, state=_DONE, error="", note=note, finished=self._state.now())

    def failed(self, run_id: int, error: str, *, pause: timedelta | None) -> None:
        """Write down that an attempt has failed, and after what pause it is tried again; None: never by itself."""
        now = self._state.now()
        if pause is None:
            self._end(run_id, state=_FAILED, error=error, finished=now)
            return
        later = as_text(datetime.fromisoformat(now) + pause)
        self._end(run_id, state=_WAITING, error=error, due=later)

    def give_back(self, run_id: int) -> None:
        """Queue a run again because its worker stops; the attempt does not count."""
        self._end(
            run_id,
            state=_WAITING,
            attempts=sa.case((handler_runs.c.attempts > 0, handler_runs.c.attempts - 1), else_=0),
        )

    def requeue_orphans(self, alive_worker_ids: Collection[str]) -> int:
        """Let runs be started anew whose workers are not alive; return how many."""
        orphaned = (handler_runs.c.state == _RUNNING, handler_runs.c.worker_id.not_in(list(alive_worker_ids)))
        if not self._state.has(handler_runs, *orphaned):  # a change takes the write lock, and mostly there is none
            return 0
        with self._state.transaction() as connection:
            changed = connection.execute(
                handler_runs.update().where(*orphaned).values(state=_WAITING, worker_id=None)
            )
            return changed.rowcount

    def retry(self, run_ids: Sequence[int], *, again: bool = False) -> int:
        """Queue runs again, from their first attempt, and return how many were queued.

        Only runs that failed or wait for their next attempt are queued; with `again` also those that succeeded.
        Raises NotFound if there is no run of that id.
        """
        states = (_FAILED, _WAITING, *((_DONE,) if again else ()))
        now = self._state.now()
        with self._state.transaction() as connection:
            known = set(
                connection.scalars(sa.select(handler_runs.c.run_id).where(handler_runs.c.run_id.in_(run_ids)))
            )
            unknown = sorted(set(run_ids) - known)
            if unknown:
                raise NotFound(f"There is no run {unknown[0]}.", advice=Advice(action=Action.LIST_HANDLER_RUNS))
            changed = connection.execute(
                handler_runs.update()
                .where(handler_runs.c.run_id.in_(run_ids), handler_runs.c.state.in_(states))
                .values(state=_WAITING, attempts=0, due=now, error="", note="", finished=None, worker_id=None)
            )
            return changed.rowcount

    def get(self, run_id: int) -> HandlerRun:
        """Return a run. Raises NotFound if there is none of that id."""
        row = self._state.row(sa.select(handler_runs).where(handler_runs.c.run_id == run_id))
        if row is None:
            raise NotFound(f"There is no run {run_id}.", advice=Advice(action=Action.LIST_HANDLER_RUNS))
        return _run(row)

    def list(self, filters: Mapping[str, object] | None = None, limit: int | None = 100) -> tuple[HandlerRun, ...]:
        """Return the newest runs first: those that have some values, such as a handler or a state.

        Raises InputError if a run has no such value.
        """
        names = field_names(HandlerRun)
        unknown = sorted(set(filters or {}) - set(names))
        if unknown:
            raise InputError(f"Runs have no {', '.join(unknown)}.", advice=f"They have {', '.join(names)}.")
        wanted = (
            sa.select(handler_runs)
            .where(*(handler_runs.c[name] == value for name, value in (filters or {}).items()))
            .order_by(handler_runs.c.run_id.desc())
            .limit(limit)
        )
        return tuple(map(_run, self._state.rows(wanted)))

    def of_job(self, job_id: str) -> tuple[HandlerRun, ...]:
        """Return the runs for the series that a job asks for, also those that another job has brought about."""
        with self._state.reading() as connection:
            whole = full_id(connection, jobs.c.job_id, job_id)
        covers = sa.exists().where(
            job_items.c.job_id == whole,
            job_items.c.StudyInstanceUID == handler_runs.c.StudyInstanceUID,
            sa.or_(
                job_items.c.level == Level.STUDY.value,
                job_items.c.SeriesInstanceUID == handler_runs.c.SeriesInstanceUID,
            ),
        )
        return tuple(
            map(_run, self._state.rows(sa.select(handler_runs).where(covers).order_by(handler_runs.c.run_id)))
        )

    def _next(self, handlers: Collection[str]) -> sa.Select[Any]:
        now = self._state.now()
        far = as_text(datetime.fromisoformat(now) + LONGEST_PAUSE)
        return (
            sa.select(handler_runs.c.run_id)
            .where(
                handler_runs.c.state == _WAITING,
                sa.or_(handler_runs.c.due <= now, handler_runs.c.due > far),
                handler_runs.c.handler.in_(list(handlers)),
            )
            .order_by(handler_runs.c.due, handler_runs.c.run_id)
            .limit(1)
        )

    def _end(self, run_id: int, **values: object) -> None:
        with self._state.transaction() as connection:
            connection.execute(
                handler_runs.update()
                .where(handler_runs.c.run_id == run_id, handler_runs.c.state == _RUNNING)
                .values(worker_id=None, **values)
            )


def _run(row: sa.Row[Any]) -> HandlerRun:
    return value_of(HandlerRun, row, state=RunState(row.state), levels=tuple(row.levels))
