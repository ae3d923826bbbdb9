"""What recurs: queries and dose plans that a worker asks every hour, night or weekday."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrkit.errors import InputError, NotFound
from qrkit.query import Query, build_query
from qrkit.recurrence import parse_recurrence
from qrkit.store.schedules import NewSchedule, Schedule
from qrkit.store.workers import WorkerTable
from qrkit.tables import Records
from qrkit.worker.health import alive_workers
from qrkit.workspace.schedule_runner import resolved, today_in
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = [
    "name",
    "node",
    "kind",
    "every",
    "zone",
    "next_due",
    "paused",
    "last_run",
    "last_state",
    "retrieve",
    "what",
]
_RUN_COLUMNS = [
    "run_id",
    "due",
    "started",
    "finished",
    "state",
    "missed",
    "found",
    "query_id",
    "plan_id",
    "job_id",
    "error",
]


class Schedules:
    """The schedules of a workspace."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.schedules
        self._permissions = services.permissions

    def add(
        self,
        name: str,
        node: str,
        *,
        every: str,
        zone: str = "",
        retrieve: bool | dict[str, Any] = True,
        **what: Any,  # noqa: ANN401 - as `find` and `plan` take it
    ) -> Schedule:
        """Have a query or a dose plan asked again and again, and what it finds fetched.

        Parameters
        ----------
        every
            ``hourly``, ``hourly at :15``, ``daily at 02:00``, ``weekdays at 22:30``, ``mon,thu at 3:00``.
        zone
            Time zone, such as Europe/Berlin; without it, this machine's.
        retrieve
            Whether what is found is fetched; a dict says how, as `Workspace.retrieve` takes it.
        **what
            What `Workspace.find` takes, or with ``dose`` or ``sr_only`` what `Workspace.plan` takes, or ``query``:
            the id of an earlier one. Dates may be relative, such as ``last 7 days``; they are read at each run.

        Raises
        ------
        InputError
            If something is not valid, or there is a schedule of that name.
        NotFound
            If there is no such node or query.
        """
        self._services.nodes.get(node)
        recurrence = parse_recurrence(every, zone or local_zone())
        if not name or name != name.strip() or len(name) > 64:
            raise InputError(f"A schedule's name has 1 to 64 characters, without blanks around: {name!r} does not.")
        kind = "plan" if what.get("dose") or what.get("sr_only") else "query"
        if "query" in what:
            what["query"] = dict(self._services.queries.get(str(what["query"])).request)
        plain = {key: _plain(value) for key, value in what.items()}
        _check(kind, plain, zone=recurrence.zone)
        how = ({} if retrieve is True else dict(retrieve)) if retrieve is not False else None
        new = NewSchedule(
            name=name,
            node=node,
            kind=kind,
            what=plain,
            recurrence=recurrence,
            retrieve=how,
            user=self._permissions.access.user,
        )
        with self._permissions.operating("schedule something", "schedule added", name):
            return self._table.add(new)

    def __getitem__(self, name: str) -> Schedule:
        return self._table.get(name)

    def list(self) -> pd.DataFrame:
        """Return the schedules: one row each, when each is due next, and how its last run went."""
        return self.records().frame()

    def records(self) -> Records:
        """Return the same table as plain values."""
        rows = []
        for schedule in self._table.list():
            last = next(iter(self._table.runs(schedule.name, 1)), None)
            row = {name: getattr(schedule, name) for name in _COLUMNS if hasattr(schedule, name)}
            rows.append(
                row
                | {
                    "last_run": last.started if last else None,
                    "last_state": last.state if last else None,
                    "retrieve": schedule.retrieve is not None,
                }
            )
        return Records.of(rows, _COLUMNS)

    def runs(self, name: str, limit: int = 20) -> pd.DataFrame:
        """Return the newest runs of a schedule: one row each, with its query, plan and job, and what became of it.

        Raises
        ------
        NotFound
            If there is no such schedule.
        """
        return self.run_records(name, limit).frame().astype({"found": "Int64"})

    def run_records(self, name: str, limit: int = 20) -> Records:
        """Return the same table as `runs`, as plain values."""
        runs = self._table.runs(name, limit)
        return Records.of([{column: getattr(run, column) for column in _RUN_COLUMNS} for run in runs], _RUN_COLUMNS)

    def remove(self, name: str) -> None:
        """Remove a schedule; its runs stay in the state. NotFound if there is none."""
        with self._permissions.operating("remove a schedule", "schedule removed", name):
            self._table.remove(name)

    def pause(self, name: str) -> None:
        """Let a schedule not be due any more. NotFound if there is none."""
        with self._permissions.operating("pause a schedule", "schedule paused", name):
            self._table.pause(name)

    def resume(self, name: str) -> None:
        """Let a paused schedule be due again, from its next time on. NotFound if there is none."""
        with self._permissions.operating("resume a schedule", "schedule resumed", name):
            self._table.resume(name)

    def run(self, name: str) -> None:
        """Have a schedule run now, by the worker, which is started if none runs. NotFound if there is none."""
        with self._permissions.operating("run a schedule", "schedule run", name):
            self._table.run_now(name)
        self._services.ensure_worker()

    @property
    def unattended(self) -> tuple[str, ...]:
        """The schedules for which no worker runs that stays and reaches their node.

        A worker that was started in the background leaves when it is idle.
        """
        staying = [row.site for row in alive_workers(WorkerTable(self._services.state)) if row.service]
        return tuple(
            schedule.name
            for schedule in self._table.list()
            if not schedule.paused and not self._is_reached(schedule.node, staying)
        )

    def _is_reached(self, node: str, sites: Sequence[str]) -> bool:
        try:
            return any(map(self._services.nodes.get(node).is_reached_from, sites))
        except NotFound:  # it was removed since
            return False

    def _repr_html_(self) -> str:
        return str(self.list().to_html(index=False, escape=True))


def local_zone() -> str:
    """Return the IANA name of this machine's time zone; UTC where it does not tell, as on Windows."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return named
    _, _, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
    return name or "UTC"


def _check(kind: str, what: dict[str, Any], *, zone: str) -> None:
    """Ask nothing, but find out now what would be wrong each night."""
    now = resolved(what, today=today_in(zone))
    if "query" in now:
        Query.from_json(now.pop("query"))
        if set(now) - {"date"}:
            raise InputError(
                "To an earlier query only a date can be added.", advice="Give the filters instead of it."
            )
    elif kind == "plan":
        from qrkit.dose import build_dose_query

        build_dose_query(today=datetime.now(UTC).date(), **now)
    else:
        build_query(today=datetime.now(UTC).date(), **now)


def _plain(value: Any) -> Any:  # noqa: ANN401 - what JSON can hold
    if isinstance(value, tuple | list | set):
        return [_plain(one) for one in value]
    if isinstance(value, str | int | float | bool | dict) or value is None:
        return value
    return str(value)
