"""The schedules of a workspace: queries and dose plans that a worker runs at set times."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from qrkit.errors import InputError, NotFound
from qrkit.hours import local_zone, time_zone
from qrkit.query import Query, build_query, check_names
from qrkit.query.dates import as_day, is_missing
from qrkit.recurrence import parse_recurrence
from qrkit.store.schedules import NewSchedule, Schedule
from qrkit.store.workers import WorkerTable
from qrkit.tables import Records
from qrkit.words import local_time, shown
from qrkit.worker.health import alive_workers
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.schedule_runner import resolved, today_in
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.query import DayLike, DaysLike, TextList, TimeLike
    from qrkit.tables import Level

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


@checks_arguments
class Schedules:
    """The schedules of a workspace."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.schedules
        self._permissions = services.permissions

    def add(  # noqa: PLR0913 - the public arguments of a schedule, which editors complete and type checkers check
        self,
        name: str,
        node: str,
        *,
        every: str,
        zone: str = "",
        retrieve: bool | dict[str, Any] = True,
        query: str | None = None,
        dose: TextList | None = None,
        sr_only: bool = False,
        toshiba: bool = False,
        empty_sr: bool = False,
        refetch: bool = False,
        whole_archive: bool = False,
        level: Level | str | None = None,
        modalities: TextList | None = None,
        date: DaysLike | None = None,
        date_from: DayLike | None = None,
        date_until: DayLike | None = None,
        time: tuple[TimeLike | None, TimeLike | None] | None = None,
        time_from: TimeLike | None = None,
        time_until: TimeLike | None = None,
        patient_id: TextList | None = None,
        patient_name: str | None = None,
        accession: TextList | None = None,
        study_uid: TextList | None = None,
        series_uid: TextList | None = None,
        sop_uid: TextList | None = None,
        description_include: TextList | None = None,
        description_exclude: TextList | None = None,
        station_include: TextList | None = None,
        station_exclude: TextList | None = None,
        station_level: Level | str | None = None,
        blank: str | None = None,
        return_keys: TextList | None = None,
        **keys: object,
    ) -> Schedule:
        """Run a query or a dose plan again and again, and retrieve what it finds.

        With `dose` or `sr_only` it is a plan, else a query; the other arguments are those of `Workspace.plan` and
        `Workspace.find`. Relative dates are read at each run.

        Parameters
        ----------
        name
            Name of the schedule: 1 to 64 characters.
        node
            Name of the node.
        every
            When: ``hourly at :15``, ``daily at 02:00``, ``weekdays at 22:30``, ``mon,thu at 3:00``, ``monthly on the
            15th``, ``last day of the month``, ``first Monday of the month at 6:00``, ``quarterly``.
        zone
            Time zone, such as Europe/Berlin; without it, this machine's.
        retrieve
            Whether to retrieve the result; a dict has the options, as `Workspace.retrieve` takes them.
        query
            Id of an earlier query to run again; only a date may be added.
        dose
            List of dose groups: any of CT, MG, FL, DX, NM.
        sr_only
            Studies of nothing but structured reports, instead of dose groups.
        toshiba
            Take one image of each series of a CT study without a dose report.
        empty_sr
            Take SR series in which the node lists no objects.
        refetch
            Retrieve also objects that are stored already.
        whole_archive
            Allow a plan without a date range.
        level
            Of a query: patient, study (default), series or image.
        modalities
            List of modality codes, such as ``"CT,MR"``.
        date
            StudyDate: a day, a pair of days, ``yesterday`` or ``last 7 days``.
        date_from
            First StudyDate.
        date_until
            Last StudyDate.
        time
            StudyTime: a pair ``("08:00", "12:30")``; needs a single day.
        time_from
            First StudyTime.
        time_until
            Last StudyTime.
        patient_id
            List of PatientIDs; ``*`` and ``?`` are wildcards.
        patient_name
            PatientName; ``*`` and ``?`` are wildcards.
        accession
            List of AccessionNumbers.
        study_uid
            List of StudyInstanceUIDs.
        series_uid
            List of SeriesInstanceUIDs.
        sop_uid
            List of SOPInstanceUIDs.
        description_include
            List of terms; keep studies whose StudyDescription contains one.
        description_exclude
            List of terms; drop studies whose StudyDescription contains one.
        station_include
            List of terms; keep rows whose StationName contains one.
        station_exclude
            List of terms; drop rows whose StationName contains one.
        station_level
            Which StationName is meant: study or series.
        blank
            What include filters do with rows without a value: keep (default) or drop.
        return_keys
            List of further DICOM keywords to return as columns.
        **keys
            Any DICOM keyword as a matching key.

        Raises
        ------
        InputError
            If an argument is unknown or not valid, there is a schedule of that name, or a query has neither a date
            nor PatientIDs, AccessionNumbers or UIDs without wildcards.
        NotFound
            If there is no such node or query.

        Examples
        --------
        The dose of CT of the last week, every night::

            ws.schedules.add("dose", "pacs", every="daily at 02:00", dose="CT", date="last 7 days")
        """
        from qrkit.dose.query import PLAN_ARGUMENTS, SWITCHES

        check_names(keys)
        given = {name: value for name, value in locals().items() if name in PLAN_ARGUMENTS and value is not None}
        what = {name: _plain(name, value) for name, value in (given | keys).items() if name not in SWITCHES}
        what |= {name: True for name in SWITCHES if given[name]}
        if query is not None:
            what["query"] = dict(self._services.queries.get(query).request)
        new = NewSchedule(
            name=name,
            node=self._services.nodes.get(node).name,
            kind="plan" if what.get("dose") or sr_only else "query",
            what=what,
            recurrence=parse_recurrence(every, zone or local_zone()),
            retrieve=({} if retrieve is True else dict(retrieve)) if retrieve is not False else None,
            user=self._permissions.access.user,
        )
        _check(new)
        with self._permissions.operating("add a schedule", "schedule added", name):
            return self._table.add(new)

    def __getitem__(self, name: str) -> Schedule:
        return self._table.get(name)

    def list(self) -> pd.DataFrame:
        """Return the schedules: one row each, with its next due time and the state of its last run."""
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
        """Return the newest runs of a schedule: one row each, with its state, query, plan and job.

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
        """Pause a schedule: it is not due until it is resumed. NotFound if there is none."""
        with self._permissions.operating("pause a schedule", "schedule paused", name):
            self._table.pause(name)

    def resume(self, name: str) -> None:
        """Resume a paused schedule from its next due time on. NotFound if there is none."""
        with self._permissions.operating("resume a schedule", "schedule resumed", name):
            self._table.resume(name)

    def run(self, name: str) -> None:
        """Run a schedule now, by the worker; one is started if none runs. NotFound if there is none."""
        with self._permissions.operating("run a schedule", "schedule run", name):
            self._table.run_now(name)
        self._services.ensure_worker()

    @property
    def unattended(self) -> tuple[str, ...]:
        """The schedules that no permanent worker can run, because none runs or none reaches their node.

        A worker that was started in the background stops when it is idle.
        """
        permanent = [row.site for row in alive_workers(WorkerTable(self._services.state)) if row.service]
        return tuple(
            schedule.name
            for schedule in self._table.list()
            if not schedule.paused and not self._is_reached(schedule.node, permanent)
        )

    def _is_reached(self, node: str, sites: Sequence[str]) -> bool:
        try:
            return any(map(self._services.nodes.get(node).is_reached_from, sites))
        except NotFound:  # it was removed since
            return False

    def __repr__(self) -> str:
        names = ", ".join(schedule.name for schedule in self._table.list())
        return f"<Schedules: {names or 'none yet'}>"

    def _repr_html_(self) -> str:
        return str(by_local_clock(self.records()).frame().to_html(index=False, escape=True))


_TIMES = ("next_due", "last_run", "due", "started", "finished")


def by_local_clock(table: Records, zone: str = "") -> Records:
    """Return schedules or runs for people: their times in words, by the clock of the schedule's time zone.

    Parameters
    ----------
    zone
        The time zone of rows that do not name theirs.
    """
    rows = []
    for row in table.rows:
        clock = time_zone(row.get("zone") or zone)
        rows.append({**row, **{name: local_time(row[name], clock) for name in _TIMES if row.get(name)}})
    return Records.of(rows, table.columns)


def _check(new: NewSchedule) -> None:
    """Refuse a schedule whose every run would fail; nothing is sent."""
    if not new.name or new.name != new.name.strip() or len(new.name) > 64:
        raise InputError(
            f"{shown(new.name)} is not a valid schedule name.",
            advice="Use 1 to 64 characters without leading or trailing spaces.",
        )
    what = resolved(new.what, today=today_in(new.recurrence.zone))
    today = dt.datetime.now(dt.UTC).date()
    if "query" in what:
        earlier = Query.from_json(what.pop("query"))
        if set(what) - {"date"}:
            raise InputError("Only a date can be added to an earlier query.", advice="Enter all filters instead.")
        _check_narrow(is_narrow=earlier.is_narrow or "date" in what)
    elif new.kind == "plan":
        from qrkit.dose import build_dose_query

        build_dose_query(today=today, **what)
    else:
        _check_narrow(is_narrow=build_query(today=today, **what).is_narrow)


def _check_narrow(*, is_narrow: bool) -> None:
    if not is_narrow:
        raise InputError(
            "A schedule without a date covers the whole archive.",
            advice="Add a date, such as last 7 days, or PatientIDs, AccessionNumbers or UIDs without wildcards.",
        )


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - what JSON can hold
    """Return an argument as JSON holds it: days as ISO texts, columns and arrays as lists.

    Raises
    ------
    InputError
        If it is a table or a missing value, which JSON does not hold.
    """
    if getattr(value, "ndim", 0) > 1:
        raise InputError(f"{name} cannot be a table.", advice="Give a column: table['AccessionNumber'].")
    if value is not None and is_missing(value):
        raise InputError(f"{name} is missing ({shown(value)}).", advice="Give a value, or leave it out.")
    if isinstance(value, str | int | float | bool | dict) or value is None:
        return value
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(name, item) for item in value]
    day = as_day(value) if type(value).__name__ == "datetime64" else None
    if day is not None:
        return day.isoformat()
    if hasattr(value, "tolist"):  # a column or an array
        return _plain(name, value.tolist())
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value.value if isinstance(value, Enum) else value)
