"""`Workspace`: the nodes, queries, plans, retrieves, files and tables of one folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from qrkit.access import Access, Role
from qrkit.advice import Action, Advice, Surface
from qrkit.errors import InputError
from qrkit.handlers import handlers_from
from qrkit.settings import SETTING_NAMES, Settings, current_user, load_settings, workspace_folder
from qrkit.store.audit import AuditTable
from qrkit.store.state import State
from qrkit.words import did_you_mean, one_line
from qrkit.workspace.arguments import checks_arguments, read_path, read_setting
from qrkit.workspace.questions import Questions
from qrkit.workspace.services import Permissions, Services, access_of

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.worker.background_task import BackgroundTask
    from qrkit.worker.health import Health
    from qrkit.worker.service import Worker
    from qrkit.workspace.files import Files
    from qrkit.workspace.handlers import Handlers
    from qrkit.workspace.jobs import Job, Jobs
    from qrkit.workspace.nodes import Nodes
    from qrkit.workspace.plans import Plans
    from qrkit.workspace.queries import Queries
    from qrkit.workspace.retrieve import Retrievable
    from qrkit.workspace.schedules import Schedules
    from qrkit.workspace.users import Users

logger = logging.getLogger(__name__)


@checks_arguments
class Workspace(Questions):
    """One folder with its nodes, queries, plans, jobs and files; open it by `qrkit.open`.

    Any number of processes may have the same one open at once.

    Attributes
    ----------
    settings
        The settings of the workspace.
    user
        The name of the user.

    Examples
    --------
    ::

        ws = qrkit.open("archive")
        ws.nodes.add("pacs", host="10.1.2.3", port=104, ae_title="MAINPACS")
        studies = ws.find("pacs", date="yesterday")
        job = ws.retrieve(studies)
    """

    def __init__(self, settings: Settings, state: State, *, access: Access) -> None:
        permissions = Permissions(access, AuditTable(state))
        super().__init__(Services(settings, state, permissions, handlers_from(settings.tables)))
        self.settings = settings
        self.user = access.user
        self._state = state

    # Each part is loaded when it is first used: a command that lists nodes loads neither pandas nor the wire.

    @cached_property
    def nodes(self) -> Nodes:
        """The nodes."""
        from qrkit.workspace.nodes import Nodes

        return Nodes(self._services)

    @cached_property
    def users(self) -> Users:
        """The users who may log in to the dashboard."""
        from qrkit.workspace.users import Users

        return Users(self._services)

    @cached_property
    def queries(self) -> Queries:
        """The queries, newest first, and their results."""
        from qrkit.workspace.queries import Queries

        return Queries(self._services)

    @cached_property
    def after(self) -> Handlers:
        """The handlers, which run on received series, and their runs."""
        from qrkit.workspace.handlers import Handlers

        return Handlers(self._services)

    @cached_property
    def jobs(self) -> Jobs:
        """The retrieve jobs."""
        from qrkit.workspace.jobs import Jobs

        return Jobs(self._services)

    @cached_property
    def files(self) -> Files:
        """The received objects."""
        from qrkit.workspace.files import Files

        return Files(self._services)

    @cached_property
    def plans(self) -> Plans:
        """The dose plans."""
        from qrkit.workspace.plans import Plans

        return Plans(self._services)

    @cached_property
    def schedules(self) -> Schedules:
        """The queries and dose plans that run again and again."""
        from qrkit.workspace.schedules import Schedules

        return Schedules(self._services)

    @classmethod
    def open(cls, folder: str | Path | None = None, **settings: str | int) -> Self:
        """Open a workspace, and make it if it is new; see `qrkit.open`."""
        unknown = sorted(set(settings) - set(SETTING_NAMES))
        if unknown:
            there_are = f"Use {', '.join(SETTING_NAMES)}."
            raise InputError(
                f"A workspace has no setting {', '.join(unknown)}.",
                advice=did_you_mean(unknown[0], SETTING_NAMES, otherwise=there_are),
            )
        given = {f"QRKIT_{name.upper()}": read_setting(name, value) for name, value in settings.items()}
        environment = {**os.environ, **given}
        where = workspace_folder(None if folder is None else read_path("folder", folder), environment)
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The workspace {one_line(str(where))} cannot be made: {error.strerror}.",
                advice="Choose another folder.",
            ) from error
        loaded = load_settings(where, environment)
        state = State.open(loaded.database_url or where)
        if state.is_new:
            _warn_of_unlisted_objects(state, loaded)
        access = access_of(current_user(environment), environment.get("QRKIT_ROLE", ""), state)
        return cls(loaded, state, access=access)

    def close(self) -> None:
        """Close the workspace; jobs continue."""
        self._state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def retrieve(
        self,
        what: Retrievable,
        *,
        node: str = "",
        method: str = "auto",
        to: str = "",
        source: str = "",
        after: Sequence[str] | None = None,
    ) -> Job:
        """Queue a retrieve. The worker runs it, and starts if none runs.

        Parameters
        ----------
        what
            A table with UIDs from anywhere: StudyInstanceUID alone selects studies, with SeriesInstanceUID series,
            with SOPInstanceUID images; other columns do not matter. Or a column, list or text of UIDs, taken as
            studies unless the workspace knows all as series or images. Or a plan, or requests.
        node
            Name of the node to retrieve from. Not needed for rows of a `find` or for a plan. With another node than
            theirs, the job is not proven, and names both nodes.
        method
            ``auto``, ``get`` or ``move``.
        to
            Name of a store node that receives the objects by C-MOVE, instead of this workspace.
        source
            Id of the query or plan, for the history. Not needed for rows of a `find` or for a plan.
        after
            Names of the handlers that run after arrival; without it, the automatic ones of `qrkit.toml`.

        Returns
        -------
        Job
            It continues whether or not this handle exists; `Job.wait` waits for its end.

        Raises
        ------
        NotAllowed
            If the user is not an operator.
        InputError
            If there is nothing to retrieve, rows have no UID, the nodes cannot do it, or a plan exceeds the budget of
            ``[plan]`` in `qrkit.toml` and is not confirmed by `Plan.confirmed`.
        NotFound
            If there is no such node.

        Examples
        --------
        Studies of a find, and series listed in a file::

            job = ws.retrieve(ws.find("pacs", date="yesterday", modalities="CT"))
            job = ws.retrieve(pd.read_csv("series.csv"), node="pacs")
            job.wait()
        """
        from qrkit.workspace.retrieve import RetrieveOptions, Retriever

        self.access.require(Role.OPERATOR, "retrieve")
        options = RetrieveOptions(node=node, method=method, to=to, source=source, after=after)
        job_id = Retriever(self._services).queue(what, options)
        self._services.ensure_worker()
        return self.jobs[job_id]

    def retrieve_uids(
        self,
        node: str,
        *,
        study_uids: Sequence[str] = (),
        series_uids: Sequence[str] = (),
        **options: Any,  # noqa: ANN401 - as `retrieve` takes them
    ) -> Job:
        """Queue a retrieve of studies or series by their UIDs; options and errors as `retrieve`.

        Parameters
        ----------
        node
            Name of the node.
        study_uids
            StudyInstanceUIDs; with `series_uids` one study at most, to which they belong.
        series_uids
            SeriesInstanceUIDs. Without a study, they must be known from earlier results.
        """
        import pandas as pd

        if not series_uids:
            return self.retrieve(pd.DataFrame({"StudyInstanceUID": list(study_uids)}), node=node, **options)
        series = pd.DataFrame({"SeriesInstanceUID": list(series_uids)})
        studies = {"StudyInstanceUID": study_uids[0]} if len(study_uids) == 1 else {}
        return self.retrieve(series.assign(**studies), node=node, **options)

    def report(self, name: str, *ids: str, path: str | Path, with_patients: bool = False) -> Path:
        """Write a report as one HTML file that needs no network, and return its path.

        Parameters
        ----------
        name
            ``query``, ``plan``, ``job``, or ``compare`` for two queries.
        *ids
            Id of the query, plan or job; of ``compare`` the earlier and the later query.
        path
            The file to write.
        with_patients
            Include the columns that identify patients.

        Raises
        ------
        InputError
            If there is no such report, or the file cannot be written.
        NotFound
            If there is nothing of that id.

        Examples
        --------
        ::

            ws.report("job", job.job_id, path="night.html")
        """
        from qrkit.report.page import render
        from qrkit.workspace.reports import gather

        made = gather(self._services, name, ids, with_patients=with_patients, made=self._state.now())
        target = Path(path)
        try:
            target.write_text(render(made), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{one_line(str(target))} cannot be written: {error.strerror}.") from error
        return target

    def sql(self, text: str, params: Sequence[object] | Mapping[str, object] | None = None) -> pd.DataFrame:
        """Return the result of one SELECT in DuckDB's SQL.

        Tables: `patients`, `studies`, `series`, `images` (the newest row of each), `patient_answers`,
        `study_answers`, `series_answers`, `image_answers` (every row of every result), `instances` (received
        objects), `queries`, `jobs`, `job_items`, `nodes`, `audit`, `workers`, `after_runs`, `schedules`,
        `schedule_runs`.

        Parameters
        ----------
        text
            The SELECT; ``?`` or ``$name`` stand for parameters.
        params
            Their values, in order or by name.

        Raises
        ------
        InputError
            If the SQL is wrong; the message is DuckDB's.

        Examples
        --------
        ::

            ws.sql("SELECT Modality, count(*) FROM series GROUP BY ALL")
        """
        return self._services.sql(text, params)

    def duckdb(self) -> Any:  # noqa: ANN401 - duckdb is known to the store alone
        """Return a DuckDB connection on the same tables as `sql`, as they are now."""
        return self._services.duckdb()

    def worker(self, *, needs_scp: bool = True) -> Worker:
        """Return the worker of this workspace, to run in the foreground; see `qrkit.worker.service.Worker`."""
        from qrkit.handlers.runner import HandlerRunner
        from qrkit.worker.service import Worker
        from qrkit.workspace.schedule_runner import ScheduleRunner

        tasks: list[BackgroundTask] = [
            HandlerRunner(self.settings, self._state, self._services.handlers),
            ScheduleRunner(self._services),
        ]
        return Worker(self.settings, self._state, needs_scp=needs_scp, background_tasks=tasks)

    def health(self) -> Health:
        """Return the health of this machine's worker; see `qrkit.worker.health.Health`."""
        from qrkit.worker.health import health_of

        return health_of(self.settings, self._state)

    def nobody_for(self, node: str, *, one_starts: bool = False) -> str:
        """Return a sentence if no worker is alive that can reach a node; see `worker.health.missing_worker`."""
        from qrkit.worker.health import missing_worker

        asked = self._services.nodes.get(node)
        return missing_worker(asked, self._state, self.settings, one_starts=one_starts)

    def has_waiting_jobs(self) -> bool:
        """Whether jobs wait for a worker of this site."""
        from qrkit.store.job_queue import JobQueue

        away = [node.name for node in self._services.nodes_within_reach(reached=False)]
        return JobQueue(self._state).has_waiting(except_nodes=away)

    def __repr__(self) -> str:
        from qrkit.workspace.overview import overview_line

        return overview_line(self._services)

    def _repr_html_(self) -> str:
        from qrkit.workspace.overview import overview_html

        return overview_html(self._services)


def _warn_of_unlisted_objects(state: State, settings: Settings) -> None:
    from qrkit.store.repair.objects import has_lost_its_list

    if has_lost_its_list(state, settings.files):
        advice = Advice("Add them to the list", Action.REPAIR).on(Surface.COMMAND_LINE)
        where = settings.workspace
        logger.warning("The state of %s is new, but the folder has objects of an earlier one. %s", where, advice)
