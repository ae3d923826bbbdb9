"""Schedules of queries, plans and retrieves, and their runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from qrkit.advice import Action, Advice
from qrkit.errors import InputError, NotFound
from qrkit.hours import time_zone
from qrkit.recurrence import Recurrence, parse_recurrence
from qrkit.store.schema import schedule_runs, schedules
from qrkit.store.state import StateTable, as_text, value_of
from qrkit.words import local_time, shown

RUNNING, REFUSED, INTERRUPTED = "running", "refused", "interrupted"
"""States of a run, besides those of a job: complete, partial, failed, cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSchedule:
    """A schedule that is to be added."""

    name: str
    node: str
    kind: str  # query or plan
    what: Mapping[
        str, Any
    ]  # the arguments of `Workspace.find` or `Workspace.plan` as plain values; dates may be relative
    recurrence: Recurrence
    retrieve: Mapping[str, Any] | None  # the options of `Workspace.retrieve`; None if nothing is retrieved
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule, as the state holds it; times are UTC, ISO 8601."""

    schedule_id: int
    name: str
    node: str
    kind: str
    what: Mapping[str, Any]
    every: str
    zone: str
    retrieve: Mapping[str, Any] | None
    user: str
    created: str
    next_due: str
    paused: bool

    @property
    def recurrence(self) -> Recurrence:
        """When it is due."""
        return parse_recurrence(self.every, self.zone)

    @property
    def next_run(self) -> str:
        """When it runs next, in words, by the clock of its time zone."""
        return local_time(self.next_due, time_zone(self.zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRun:
    """One run of a schedule."""

    run_id: int
    schedule_id: int
    due: str
    started: str
    finished: str | None
    state: str
    missed: int  # further times it was due before this run, while no worker ran
    query_id: str | None
    plan_id: str | None
    job_id: str | None
    found: int | None  # rows or studies
    error: str


class ScheduleTable(StateTable):
    """The schedules of a workspace and their runs."""

    def add(self, new: NewSchedule) -> Schedule:
        """Add a schedule; it is due for the first time after now. Raises InputError if there is one of that name."""
        now = self._state.now()
        with self._state.transaction() as connection:
            if connection.execute(_named(new.name)).first() is not None:
                raise InputError(
                    f"There is a schedule {shown(new.name)} already.", advice="Remove it, or give another name."
                )
            connection.execute(
                schedules.insert().values(
                    name=new.name,
                    node=new.node,
                    kind=new.kind,
                    what=dict(new.what),
                    every=str(new.recurrence),
                    zone=new.recurrence.zone,
                    retrieve=None if new.retrieve is None else dict(new.retrieve),
                    user=new.user,
                    created=now,
                    next_due=as_text(new.recurrence.following(datetime.fromisoformat(now))),
                )
            )
        return self.get(new.name)

    def get(self, name: str) -> Schedule:
        """Return the schedule of that name. Raises NotFound if there is none."""
        row = self._state.row(_named(name))
        if row is None:
            raise NotFound(f"There is no schedule {shown(name)}.", advice=Advice(action=Action.LIST_SCHEDULES))
        return value_of(Schedule, row)

    def list(self) -> tuple[Schedule, ...]:
        """Return all schedules by name."""
        wanted = sa.select(schedules).where(schedules.c.removed.is_(None)).order_by(schedules.c.name)
        return tuple(value_of(Schedule, row) for row in self._state.rows(wanted))

    def remove(self, name: str) -> None:
        """Remove a schedule; its runs stay. NotFound if there is none."""
        self._change(name, removed=self._state.now())

    def pause(self, name: str) -> None:
        """Pause a schedule. NotFound if there is none."""
        self._change(name, paused=True)

    def resume(self, name: str) -> None:
        """Resume a schedule from its next time on. NotFound if there is none."""
        now = datetime.fromisoformat(self._state.now())
        self._change(name, paused=False, next_due=as_text(self.get(name).recurrence.following(now)))

    def run_now(self, name: str) -> None:
        """Make a schedule due now, even if it is paused. NotFound if there is none."""
        self._change(name, next_due=self._state.now(), paused=False)

    def correct_due(self) -> None:
        """Have nothing due later than it recurs, as it would be by a clock that was wrong and is put right."""
        now = datetime.fromisoformat(self._state.now())
        for schedule in self.list():
            following = as_text(schedule.recurrence.following(now))
            if schedule.next_due > following:
                self._change(schedule.name, next_due=following)

    def is_due(self, nodes: Collection[str]) -> bool:
        """Whether a schedule that asks one of some nodes is due."""
        return self._state.row(self._next(nodes)) is not None

    def claim(self, worker_id: str, nodes: Collection[str]) -> tuple[Schedule, ScheduleRun] | None:
        """Begin the run of a schedule that is due; no two workers begin the same. None if none is due.

        Of several times that have passed, one run is made. Where the run before is still under way, this one is
        refused, which its state says.
        """
        now = self._state.now()
        with self._state.transaction() as connection:
            row = connection.execute(self._next(nodes).with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            schedule = value_of(Schedule, row)
            due, moment = datetime.fromisoformat(schedule.next_due), datetime.fromisoformat(now)
            following = as_text(schedule.recurrence.following(moment))
            connection.execute(_of(schedule.schedule_id).values(next_due=following))
            open_run = sa.select(schedule_runs.c.run_id).where(
                schedule_runs.c.schedule_id == schedule.schedule_id, schedule_runs.c.state == RUNNING
            )
            overlapped = connection.scalar(open_run)
            values: dict[str, Any] = {"state": RUNNING, "worker_id": worker_id}
            if overlapped is not None:
                values = {"state": REFUSED, "finished": now, "error": f"Run {overlapped} was still under way."}
            run = connection.execute(
                schedule_runs.insert()
                .values(
                    schedule_id=schedule.schedule_id,
                    due=schedule.next_due,
                    started=now,
                    missed=schedule.recurrence.missed(due, moment),
                    **values,
                )
                .returning(schedule_runs)
            ).one()
            return schedule, value_of(ScheduleRun, run)

    def note(self, run_id: int, **ids: object) -> None:
        """Write down what a run has led to: query_id, plan_id, job_id, found."""
        self._change_run(run_id, ids)

    def finish(self, run_id: int, state: str, error: str = "") -> None:
        """Write down how a run ended."""
        self._change_run(run_id, {"state": state, "error": error, "finished": self._state.now(), "worker_id": None})

    def open_runs(self) -> tuple[ScheduleRun, ...]:
        """Return the runs that are under way."""
        rows = self._state.rows(sa.select(schedule_runs).where(schedule_runs.c.state == RUNNING))
        return tuple(value_of(ScheduleRun, row) for row in rows)

    def runs(self, name: str, limit: int = 20) -> tuple[ScheduleRun, ...]:
        """Return the newest runs of a schedule first. NotFound if there is no such schedule."""
        wanted = sa.select(schedule_runs).where(schedule_runs.c.schedule_id == self.get(name).schedule_id)
        rows = self._state.rows(wanted.order_by(schedule_runs.c.run_id.desc()).limit(limit))
        return tuple(value_of(ScheduleRun, row) for row in rows)

    def interrupt_orphans(self, alive_worker_ids: Collection[str]) -> int:
        """End the runs whose workers died before they had queued a job, and let their schedules be due at once.

        Not twice in a row: what kills a worker each time has to wait for its next time.
        """
        is_orphan = (
            schedule_runs.c.state == RUNNING,
            schedule_runs.c.job_id.is_(None),
            schedule_runs.c.worker_id.not_in(list(alive_worker_ids)),
        )
        if not self._state.has(schedule_runs, *is_orphan):  # a change takes the write lock, and mostly there is none
            return 0
        now = self._state.now()
        with self._state.transaction() as connection:
            orphans = connection.execute(sa.select(schedule_runs).where(*is_orphan).with_for_update()).all()
            for run in orphans:
                before = connection.scalar(
                    sa.select(schedule_runs.c.state)
                    .where(schedule_runs.c.schedule_id == run.schedule_id, schedule_runs.c.run_id < run.run_id)
                    .order_by(schedule_runs.c.run_id.desc())
                    .limit(1)
                )
                if before != INTERRUPTED:
                    connection.execute(_of(run.schedule_id).values(next_due=now))
                said = {"state": INTERRUPTED, "error": "Its worker ended in the middle of it.", "finished": now}
                connection.execute(schedule_runs.update().where(schedule_runs.c.run_id == run.run_id).values(said))
            return len(orphans)

    def _next(self, nodes: Collection[str]) -> sa.Select[Any]:
        return (
            sa.select(schedules)
            .where(
                schedules.c.removed.is_(None),
                sa.not_(schedules.c.paused),
                schedules.c.next_due <= self._state.now(),
                schedules.c.node.in_(list(nodes)),
            )
            .order_by(schedules.c.next_due, schedules.c.schedule_id)
            .limit(1)
        )

    def _change(self, name: str, **values: object) -> None:
        schedule = self.get(name)
        with self._state.transaction() as connection:
            connection.execute(_of(schedule.schedule_id).values(**values))

    def _change_run(self, run_id: int, values: Mapping[str, object]) -> None:
        with self._state.transaction() as connection:
            connection.execute(
                schedule_runs.update()
                .where(schedule_runs.c.run_id == run_id, schedule_runs.c.state == RUNNING)
                .values(dict(values))
            )


def _of(schedule_id: int) -> sa.Update:
    return schedules.update().where(schedules.c.schedule_id == schedule_id)


def _named(name: str) -> sa.Select[Any]:
    return sa.select(schedules).where(schedules.c.name == name, schedules.c.removed.is_(None))
