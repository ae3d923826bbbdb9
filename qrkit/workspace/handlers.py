"""The handlers of a workspace, which run on received series, and the history of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qrkit.errors import InputError
from qrkit.handlers import Handler, HandlerRun, RunState
from qrkit.store.handler_runs import HandlerRunTable
from qrkit.tables import Records
from qrkit.words import shown
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.services import Services

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = [
    "run_id",
    "created",
    "handler",
    "state",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "objects",
    "attempts",
    "due",
    "finished",
    "job_id",
    "error",
    "note",
]
_HANDLER_COLUMNS = ["handler", "does", "automatic", "rule", "time_limit", "attempts"]


@checks_arguments
class Handlers:
    """The handlers of a workspace, which run on received series, and their runs.

    Only operators may retry a run.

    Examples
    --------
    ::

        ws.after.handlers
        ws.after.list(state="failed")
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = HandlerRunTable(services.state)

    @property
    def handlers(self) -> pd.DataFrame:
        """The handlers that `qrkit.toml` registers: one row each."""
        return self.handler_records().frame()

    def handler_records(self) -> Records:
        """Return the same table as plain values."""
        return Records.of([_handler(handler) for handler in self._services.handlers], _HANDLER_COLUMNS)

    def list(self, *, job: str = "", handler: str = "", state: str = "", limit: int | None = 100) -> pd.DataFrame:
        """Return the newest runs: one row per handler and content of a series.

        Parameters
        ----------
        job
            Only runs for the series of this job.
        handler
            Only runs of this handler.
        state
            Only runs in this state: ``waiting``, ``running``, ``done`` or ``failed``.
        limit
            The number of rows at most; None returns all.

        Raises
        ------
        InputError
            If there is no such state.
        """
        return self.records(job=job, handler=handler, state=state, limit=limit).frame()

    def records(self, *, job: str = "", handler: str = "", state: str = "", limit: int | None = 100) -> Records:
        """Return the same table as `list`, as plain values."""
        return run_records(self._runs(job, handler, state, limit)[:limit])

    def of_job(self, job_id: str) -> tuple[HandlerRun, ...]:
        """Return the runs for the series of a job."""
        return self._table.of_job(job_id)

    def retry(self, *run_ids: int, job: str = "", handler: str = "", again: bool = False) -> int:
        """Retry runs now, from the first attempt: those named, else the failed and waiting ones.

        Parameters
        ----------
        *run_ids
            Ids of runs, as `list` shows them.
        job
            Only runs for the series of this job.
        handler
            Only runs of this handler.
        again
            Include runs that succeeded.

        Returns
        -------
        int
            The number of runs.

        Raises
        ------
        NotFound
            If there is no run of that id.
        """
        chosen = list(run_ids)
        if not chosen:
            states = {RunState.FAILED, RunState.WAITING, *([RunState.DONE] if again else [])}
            chosen = [run.run_id for run in self._runs(job, handler, "", None) if run.state in states]
        with self._services.permissions.operating("retry a handler", "handlers retried", job or handler or "runs"):
            count = self._table.retry(chosen, again=again) if chosen else 0
        # even where nothing failed: a worker that was killed may have left a run undecided
        self._services.ensure_worker()
        return count

    def _runs(self, job: str, handler: str, state: str, limit: int | None) -> Sequence[HandlerRun]:
        wanted: dict[str, object] = {"handler": handler} if handler else {}
        if state:
            try:
                wanted["state"] = RunState(state).value
            except ValueError as error:
                known = ", ".join(run_state.value for run_state in RunState)
                raise InputError(f"A run is {known}, not {shown(state)}.") from error
        if not job:
            return self._table.list(wanted, limit)
        return [
            run
            for run in reversed(self._table.of_job(job))
            if handler in ("", run.handler) and state in ("", run.state.value)
        ]

    def _repr_html_(self) -> str:
        return str(self.list(limit=20).to_html(index=False, escape=True))


def run_records(runs: Iterable[HandlerRun]) -> Records:
    """Return runs as a table: one row each."""
    return Records.of([run.to_json() | {"created": run.created} for run in runs], ()).select(_COLUMNS)


def _handler(handler: Handler) -> dict[str, Any]:
    what = getattr(handler, handler.action)
    rule = {name: getattr(handler.criteria, name) for name in ("modality", "node", "station", "level", "description")}
    return {
        "handler": handler.name,
        "does": f"{handler.action} {' '.join(what) if isinstance(what, tuple) else what}",
        "automatic": handler.automatic,
        "rule": "; ".join(f"{name} {', '.join(terms)}" for name, terms in rule.items() if terms),
        "time_limit": handler.time_limit,
        "attempts": handler.attempts,
    }
