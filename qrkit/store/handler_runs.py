"""The runs of handlers on received series, and their states."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.jobs.handler_run import LONGEST_PAUSE, HandlerRun, RunState
from qrkit.store.schema import handler_runs, instances, job_items
from qrkit.store.state import State, as_text
from qrkit.tables import Level

_WAITING, _RUNNING = RunState.WAITING.value, RunState.RUNNING.value
_DONE, _FAILED = RunState.DONE.value, RunState.FAILED.value


class HandlerRunTable:
    """The runs of a workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def waiting(self, handlers: Collection[str]) -> int:
        """Return how many runs of some handlers wait or are under way, whenever they are due."""
        wanted = sa.select(sa.func.count(handler_runs.c.run_id)).where(
            handler_runs.c.state.in_((_WAITING, _RUNNING)), handler_runs.c.handler.in_(list(handlers))
        )
        with self._state.reading() as connection:
            return connection.scalar(wanted) or 0

    def is_due(self, handlers: Collection[str]) -> bool:
        """Whether a run of one of some handlers could be claimed now."""
        with self._state.reading() as connection:
            return connection.execute(self._next(handlers)).first() is not None

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
        with self._state.reading() as connection:
            return tuple(connection.execute(wanted).all())

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
        with self._state.reading() as connection:  # a change takes the write lock, and mostly there is none
            if connection.execute(sa.select(handler_runs.c.run_id).where(*orphaned).limit(1)).first() is None:
                return 0
        with self._state.transaction() as connection:
            changed = connection.execute(
                handler_runs.update().where(*orphaned).values(state=_WAITING, worker_id=None)
            )
            return changed.rowcount

    def retry(self, run_ids: Sequence[int], *, again: bool = False) -> int:
        """Have runs tried anew, from the first attempt on; return how many.

        Parameters
        ----------
        again
            Those too that have worked already; else only what has failed or waits for its next attempt.

        Raises
        ------
        NotFound
            If there is no run of that id.
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
        """Return a run.

        Raises
        ------
        NotFound
            If there is none of that id.
        """
        with self._state.reading() as connection:
            row = connection.execute(sa.select(handler_runs).where(handler_runs.c.run_id == run_id)).one_or_none()
        if row is None:
            raise NotFound(f"There is no run {run_id}.", advice=Advice(action=Action.LIST_HANDLER_RUNS))
        return _run(row)

    def list(self, filters: Mapping[str, object] | None = None, limit: int | None = 100) -> tuple[HandlerRun, ...]:
        """Return the newest runs first: those that have some values, such as a handler or a state.

        Raises
        ------
        InputError
            If a run has no such value.
        """
        unknown = sorted(set(filters or {}) - set(_FIELDS))
        if unknown:
            raise InputError(f"Runs have no {', '.join(unknown)}.", advice=f"They have {', '.join(_FIELDS)}.")
        wanted = (
            sa.select(handler_runs)
            .where(*(handler_runs.c[name] == value for name, value in (filters or {}).items()))
            .order_by(handler_runs.c.run_id.desc())
            .limit(limit)
        )
        with self._state.reading() as connection:
            return tuple(_run(row) for row in connection.execute(wanted))

    def of_job(self, job_id: str) -> tuple[HandlerRun, ...]:
        """Return the runs for the series that a job asks for, also those that another job has brought about."""
        covers = sa.exists().where(
            job_items.c.job_id == job_id,
            job_items.c.StudyInstanceUID == handler_runs.c.StudyInstanceUID,
            sa.or_(
                job_items.c.level == Level.STUDY.value,
                job_items.c.SeriesInstanceUID == handler_runs.c.SeriesInstanceUID,
            ),
        )
        with self._state.reading() as connection:
            rows = connection.execute(sa.select(handler_runs).where(covers).order_by(handler_runs.c.run_id))
            return tuple(_run(row) for row in rows)

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


_FIELDS = tuple(item.name for item in fields(HandlerRun))


def _run(row: sa.Row[Any]) -> HandlerRun:
    values = {name: getattr(row, name) for name in _FIELDS}
    return HandlerRun(**values | {"state": RunState(row.state), "levels": tuple(row.levels)})
