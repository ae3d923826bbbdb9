"""`Workspace`: nodes, queries, retrieves, files and tables of one folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qrkit.access import Access, Role
from qrkit.advice import Action, Advice, Surface
from qrkit.errors import InputError
from qrkit.handlers import handlers_from
from qrkit.settings import SETTING_NAMES, Settings, current_user, load_settings, workspace_folder
from qrkit.store.accounts import AccountTable
from qrkit.store.audit import AuditTable
from qrkit.store.state import State
from qrkit.store.workers import WorkerTable
from qrkit.workspace.permissions import Permissions, access_of

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.dose import Plan
    from qrkit.dose.planner import Planner
    from qrkit.find.finder import Finder, FindResult
    from qrkit.jobs.estimate import Estimate
    from qrkit.probe.session import QuestionCallback
    from qrkit.profile import Profile
    from qrkit.query import Query
    from qrkit.store.jobs import JobTable
    from qrkit.store.nodes import NodeTable
    from qrkit.store.plans import PlanTable
    from qrkit.store.profiles import ProfileTable
    from qrkit.store.queries import QueryTable
    from qrkit.store.results import Results
    from qrkit.store.schedules import ScheduleTable
    from qrkit.tables import Records
    from qrkit.worker.background_task import BackgroundTask
    from qrkit.worker.health import Health
    from qrkit.worker.service import Worker
    from qrkit.workspace.files import Files
    from qrkit.workspace.handlers import After
    from qrkit.workspace.jobs import Job, Jobs
    from qrkit.workspace.nodes import Nodes
    from qrkit.workspace.plans import Plans
    from qrkit.workspace.queries import Queries
    from qrkit.workspace.retrieve import Retrievable, Retriever
    from qrkit.workspace.schedules import Schedules
    from qrkit.workspace.users import Users

logger = logging.getLogger(__name__)


class Workspace:
    """A workspace: open it by `qrkit.open`.

    Any number of processes may have the same one open at once.

    Attributes
    ----------
    settings, user
        Its settings, and who works with it.
    access
        What they may do; everything, unless the dashboard serves them.
    nodes, queries, plans, jobs, files
        What it knows, asked, means to fetch, fetched and holds.
    users
        Who may log in to its dashboard.
    after, schedules
        What is done with series after they have arrived, and what is asked again and again.
    """

    def __init__(self, settings: Settings, state: State, *, access: Access) -> None:
        self.settings = settings
        self.user = access.user
        self.access = access
        self._state = state
        self._permissions = Permissions(access, AuditTable(state))
        self._handlers = handlers_from(settings.tables)

    # Each part is loaded when it is first used: a command that lists nodes loads neither pandas nor the wire.

    @cached_property
    def nodes(self) -> Nodes:
        """The nodes."""
        from qrkit.workspace.nodes import Nodes

        return Nodes(self._nodes, access=self.access)

    @cached_property
    def users(self) -> Users:
        """Who may log in to the dashboard."""
        from qrkit.workspace.users import Users

        return Users(AccountTable(self._state), permissions=self._permissions)

    @cached_property
    def queries(self) -> Queries:
        """The queries, newest first, and their results."""
        from qrkit.workspace.queries import Queries

        return Queries(self._queries, lambda: self._results, lambda: self._finder, node=self._nodes.get)

    @cached_property
    def after(self) -> After:
        """The handlers, which run on received series, and their runs."""
        from qrkit.store.handler_runs import HandlerRunTable
        from qrkit.workspace.handlers import After

        return After(HandlerRunTable(self._state), self._handlers, self._ensure_worker, permissions=self._permissions)

    @cached_property
    def jobs(self) -> Jobs:
        """The retrieve jobs."""
        from qrkit.workspace.jobs import Jobs

        return Jobs(self._jobs, self._ensure_worker, self.after, permissions=self._permissions)

    @cached_property
    def files(self) -> Files:
        """The received objects."""
        from qrkit.store.instances import InstanceTable
        from qrkit.workspace.files import Files

        return Files(InstanceTable(self._state), self.settings.files)

    @cached_property
    def plans(self) -> Plans:
        """The dose plans."""
        from qrkit.store.instances import InstanceTable
        from qrkit.workspace.plans import Plans, Reasons

        return Plans(self._plans, Reasons(self._plans, InstanceTable(self._state)))

    @cached_property
    def schedules(self) -> Schedules:
        """Queries and dose plans that run again and again."""
        from qrkit.workspace.schedules import Schedules

        return Schedules(
            self._schedules,
            WorkerTable(self._state),
            node=self._nodes.get,
            query=lambda query_id: self._queries.get(query_id).request,
            ensure_worker=self._ensure_worker,
            permissions=self._permissions,
        )

    @cached_property
    def _nodes(self) -> NodeTable:
        from qrkit.store.nodes import NodeTable

        return NodeTable(self._state)

    @cached_property
    def _queries(self) -> QueryTable:
        from qrkit.store.queries import QueryTable

        return QueryTable(self._state)

    @cached_property
    def _results(self) -> Results:
        from qrkit.store.results import Results

        return Results(self._state, self.settings.workspace / "results")

    @cached_property
    def _profiles(self) -> ProfileTable:
        from qrkit.store.profiles import ProfileTable

        return ProfileTable(self._state)

    @cached_property
    def _jobs(self) -> JobTable:
        from qrkit.store.jobs import JobTable

        return JobTable(self._state)

    @cached_property
    def _plans(self) -> PlanTable:
        from qrkit.store.plans import PlanTable

        return PlanTable(self._state, self.settings.workspace / "plans")

    @cached_property
    def _schedules(self) -> ScheduleTable:
        from qrkit.store.schedules import ScheduleTable

        return ScheduleTable(self._state)

    @cached_property
    def _finder(self) -> Finder:
        from qrkit.find.finder import Finder
        from qrkit.probe.session import check_wildcards

        title = self.settings.ae_title
        return Finder(
            self._queries,
            self._results,
            self._profiles,
            user=self.user,
            calling_ae_title=title,
            check_wildcards=partial(check_wildcards, calling_ae_title=title),
        )

    @cached_property
    def _planner(self) -> Planner:
        from qrkit.dose.planner import Planner

        return Planner(self._state, self._finder, self.settings, profile=self._profile, user=self.user)

    @cached_property
    def _retriever(self) -> Retriever:
        from qrkit.store.instances import InstanceTable
        from qrkit.workspace.plans import Reasons
        from qrkit.workspace.retrieve import Retriever
        from qrkit.workspace.services import Services

        services = Services(
            settings=self.settings, state=self._state, permissions=self._permissions, handlers=self._handlers
        )
        return Retriever(services, Reasons(self._plans, InstanceTable(self._state)))

    @classmethod
    def open(cls, folder: str | Path | None = None, **settings: str | int) -> Self:
        """Open a workspace, and make it if it is new; see `qrkit.open`."""
        unknown = sorted(set(settings) - set(SETTING_NAMES))
        if unknown:
            raise InputError(f"A workspace has no setting {', '.join(unknown)}.")
        given = {f"QRKIT_{name.upper()}": str(value) for name, value in settings.items()}
        environment = {**os.environ, **given}
        where = workspace_folder(folder, environment)
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The workspace {where} cannot be made: {error.strerror}.", advice="Choose another folder."
            ) from error
        loaded = load_settings(where, environment)
        state = State.open(loaded.database_url or where)
        if state.is_new:
            _warn_of_unlisted_objects(state, loaded)
        return cls(
            loaded, state, access=access_of(current_user(environment), environment.get("QRKIT_ROLE", ""), state)
        )

    def close(self) -> None:
        """Close the workspace; jobs go on."""
        self._state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def echo(self, *nodes: str) -> pd.DataFrame:
        """Send C-ECHO to some nodes, or to all that are enabled, all at once.

        Returns
        -------
        DataFrame
            One row per node: `node`, `ok`, `association_ms`, `round_trip_ms`, and of a failure `error_kind` (the
            name of its class in `qrkit.errors`), `error` and `advice`.

        Raises
        ------
        NotFound
            If there is no such node.
        """
        return self.echo_records(*nodes).frame()

    def echo_records(self, *nodes: str) -> Records:
        """Return what `echo` does, as plain values."""
        from qrkit.workspace.nodes import echo_nodes

        asked = [self._nodes.get(name) for name in nodes] or [node for node in self._nodes.list() if node.enabled]
        return echo_nodes(asked, calling_ae_title=self.settings.ae_title)

    def probe(
        self, node: str, *, should_stop: Callable[[], bool] | None = None, watch: QuestionCallback | None = None
    ) -> Profile:
        """Find out what a node can do, by at most twelve small C-FIND requests, and keep it.

        Parameters
        ----------
        should_stop
            True cancels what is under way; then nothing is kept.
        watch
            Told of each request before it is sent: its number, and what it asks for.

        Raises
        ------
        InputError
            If the node is disabled, or not one to query.
        NotAllowed
            If the user's role is below that of an operator.
        NodeError
            If it cannot be reached, or does not associate with us; that it refuses a query is part of the profile.
        """
        from qrkit.node import check_can_find
        from qrkit.probe.session import Prober

        self.access.require(Role.OPERATOR, "probe nodes")
        asked = self._nodes.get(node)
        check_can_find(asked)
        with Prober(asked, calling_ae_title=self.settings.ae_title, should_stop=should_stop, watch=watch) as prober:
            profile = prober.run(today=date.today(), now=self._state.now())
        self._profiles.add(profile, self.user)
        return profile

    def profile(self, node: str) -> Profile | None:
        """Return what the newest probe of a node and queries found out, stale or not; None if nothing was seen.

        Raises
        ------
        NotFound
            If there is no such node.
        """
        return self._profiles.get(self._nodes.get(node).name)

    def doubt_profile(self, node: str, why: str) -> bool:
        """Say that an answer contradicts the profile of a node, which is stale from then on; whether it held so far.

        Parameters
        ----------
        why
            The rest of a sentence that begins with "stale, since".
        """
        return self._profiles.mark_stale(node, why)

    def find(self, node: str, **what: object) -> pd.DataFrame:
        """Ask a node by C-FIND, and keep the answer.

        Parameters
        ----------
        node
            Its name.
        **what
            ``level`` (STUDY), ``modalities``, ``date`` (one or a pair), ``time`` (a pair), ``patient_id``,
            ``patient_name``, ``accession``, ``study_uid``, ``series_uid``, ``description_include``,
            ``description_exclude``, ``station_include``, ``station_exclude``, ``station_level``, ``blank``,
            ``return_keys``, and any DICOM keyword as a matching key; see `qrkit.query.build_query`.

        Returns
        -------
        DataFrame
            One row per patient, study, series or image; columns are DICOM keywords. ``frame.attrs["qrkit"]`` has
            ``query_id``, ``coverage`` and ``warnings``.

        Raises
        ------
        InputError
            If the question is not valid; nothing was sent.
        NodeError
            If the node cannot be reached, or refuses; never an empty table.

        Examples
        --------
        A month of CT, without what was imported::

            ws.find("pacs", modalities="CT", date=("2026-01-01", "2026-01-31"), description_exclude="imported")

        The series of one patient::

            ws.find("pacs", level="SERIES", PatientID="Q100003")
        """
        from qrkit.query import build_query

        return self.ask(node, build_query(today=date.today(), **what)).frame()

    def ask(self, node: str, query: Query, *, should_stop: Callable[[], bool] | None = None) -> FindResult:
        """Ask a node a query that is a value already; errors as `find`."""
        from qrkit.store.settling import settle

        answer = self._finder.find(self._nodes.get(node), query, should_stop=should_stop)
        settle(self._state, self._results.folder)
        return answer

    def plan(
        self,
        node: str,
        dose: object = (),
        *,
        whole_archive: bool = False,
        refresh: bool = False,
        should_stop: Callable[[], bool] | None = None,
        **what: object,
    ) -> Plan:
        """Plan to fetch the least that carries dose; nothing is fetched yet.

        Parameters
        ----------
        node
            Its name.
        dose
            Groups: any of CT, MG, FL, DX, NM.
        whole_archive
            That no date is given on purpose.
        refresh
            Ask also what the node has told earlier plans, and what has not changed by its counts or for its age.
        should_stop
            Asked often; True cancels, and what the node has told by then is kept.
        **what
            ``sr_only`` (studies of nothing but SR, instead of groups), ``toshiba``, ``empty_sr``, ``refetch``, and
            what `find` takes of studies: dates, matching keys, filters; ``station_level`` is series by default.

        Returns
        -------
        Plan
            Kept: `plans` has it from now on. `retrieve` fetches it, again and again what is still missing.

        Raises
        ------
        InputError
            If the question is not valid; nothing was sent.
        NodeError
            If the node cannot be reached, or refuses.

        Examples
        --------
        The dose of CT and mammography of 30 days, and its retrieve::

            plan = ws.plan("pacs", dose=["CT", "MG"], date="last 30 days")
            job = ws.retrieve(plan)
        """
        from qrkit.dose import build_dose_query
        from qrkit.dose.saved_plans import save_plan

        asked = build_dose_query(today=date.today(), dose=dose, whole_archive=whole_archive, **what)
        plan = self._planner.plan(self._nodes.get(node), asked, refresh=refresh, should_stop=should_stop)
        save_plan(self._plans, plan)
        return plan

    def why(self, what: str) -> pd.DataFrame:
        """Return why something was or was not fetched, by the newest plan that knows it.

        Parameters
        ----------
        what
            An AccessionNumber, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID.

        Returns
        -------
        DataFrame
            One row per work item: `level` of what the plan says it, `keep`, `rule`, `reason` and `trail`; `here`:
            whether it, or something of it, is in the workspace; `plan_id` and `created`. Without rows, no plan has
            seen it. Of an image that no plan has looked at, the row is that of its series or study.
        """
        above = self.sql(
            "SELECT SeriesInstanceUID, StudyInstanceUID FROM images WHERE SOPInstanceUID = $uid UNION ALL "
            "SELECT SeriesInstanceUID, StudyInstanceUID FROM instances WHERE SOPInstanceUID = $uid UNION ALL "
            "SELECT SeriesInstanceUID, StudyInstanceUID FROM series WHERE SeriesInstanceUID = $uid LIMIT 1",
            {"uid": what},
        )
        known = [(name, str(uid)) for name in above.columns for uid in above[name].dropna()]
        return self.plans.why(what, known)

    def _profile(self, node: str) -> Profile:
        from qrkit.profile import Profile

        return self._profiles.get(node) or Profile.unknown(node)

    def estimate(self, frame: pd.DataFrame, *, node: str = "") -> Estimate:
        """Return how many objects the rows of a `find` have, and what they would cost to fetch.

        Counts are those of the rows, sizes and rate those of what was fetched earlier; None is what nobody knows yet.

        Parameters
        ----------
        node
            Whom to fetch from; rows of a `find` know it.

        Raises
        ------
        InputError
            If the table has no UIDs.
        """
        from qrkit.jobs.estimate import estimate
        from qrkit.store.sizes import node_history
        from qrkit.workspace.estimates import selections

        asked = node or self._node_of_query(str(frame.attrs.get("qrkit", {}).get("query_id", "")))
        return estimate(selections(frame), node_history(self._state, asked))

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
        """Queue a retrieve; the worker runs it, and is started if none runs.

        Parameters
        ----------
        what
            Rows of a `find`: their studies, series or images; a plan; or requests.
        node
            Whom to ask; rows of a `find`, and a plan, know it.
        method
            ``auto``, ``get`` or ``move``.
        to
            A store node that shall receive by C-MOVE, instead of this workspace.
        after
            Names of the handlers that run after arrival; without it, the automatic ones of `qrkit.toml`.

        Raises
        ------
        NotAllowed
            If whoever asks is no operator.
        InputError
            If there is nothing to fetch, the nodes cannot do it, or a plan passes the budget of ``[plan]`` in
            `qrkit.toml` and is not `Plan.meant`.
        """
        from qrkit.workspace.retrieve import RetrieveOptions

        self.access.require(Role.OPERATOR, "retrieve")
        how = RetrieveOptions(node=node, method=method, to=to, source=source, after=after)
        job_id = self._retriever.queue(what, how)
        self._ensure_worker()
        return self.jobs[job_id]

    def retrieve_uids(
        self,
        node: str,
        *,
        study_uids: Sequence[str] = (),
        series_uids: Sequence[str] = (),
        **options: Any,  # noqa: ANN401 - as `retrieve` takes them
    ) -> Job:
        """Queue a retrieve of studies or series by their UIDs; options and errors as `retrieve`."""
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
            Of what it is about.
        with_patients
            Whether it has the columns that tell who somebody is.

        Raises
        ------
        InputError
            If there is no such report, or the file cannot be written.
        NotFound
            If there is nothing of that id.
        """
        from qrkit.report.page import render
        from qrkit.workspace.reports import gather

        made = gather(self, name, ids, with_patients=with_patients, made=self._state.now())
        target = Path(path)
        try:
            target.write_text(render(made), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{target} cannot be written: {error.strerror}.") from error
        return target

    def sql(self, text: str, params: Sequence[object] | Mapping[str, object] | None = None) -> pd.DataFrame:
        """Return what one SELECT gives.

        Tables: `patients`, `studies`, `series`, `images` (the newest row of each), `patient_answers`,
        `study_answers`, `series_answers`, `image_answers` (every row of every answer), `instances` (what is here),
        `queries`, `jobs`, `job_items`, `nodes`, `audit`, `workers`, `after_runs`,
        `schedules`, `schedule_runs`.

        Raises
        ------
        InputError
            If the SQL is wrong; the message is DuckDB's.
        """
        from qrkit.store import sql
        from qrkit.tables import schemas, to_plain_frame

        self._queries.end_dead()
        return to_plain_frame(sql.sql(self._state, self._results.folder, schemas(), text, params))

    def duckdb(self) -> Any:  # noqa: ANN401 - duckdb is known to the store alone
        """Return a DuckDB connection on the same tables, as they are now."""
        from qrkit.store import sql
        from qrkit.tables import schemas

        self._queries.end_dead()
        return sql.connect(self._state, self._results.folder, schemas())

    def worker(self, *, needs_scp: bool = True) -> Worker:
        """Return the worker of this workspace, to be run in the foreground; see `qrkit.worker.service.Worker`."""
        from qrkit.handlers.runner import HandlerRunner
        from qrkit.worker.service import Worker
        from qrkit.workspace.schedule_runner import Doing, ScheduleRunner

        doing = Doing(
            find=self.find,
            ask=self.ask,
            plan=self.plan,
            retrieve=self.retrieve,
            nodes=lambda: [node.name for node in self._nodes.list() if node.is_reached_from(self.settings.site)],
        )
        beside: list[BackgroundTask] = [
            HandlerRunner(self.settings, self._state, self._handlers),
            ScheduleRunner(self._schedules, self._jobs, doing),
        ]
        return Worker(self.settings, self._state, needs_scp=needs_scp, beside=beside)

    def health(self) -> Health:
        """Return how the worker of this machine is; see `qrkit.worker.health.Health`."""
        from qrkit.worker.health import health_of

        return health_of(self.settings, self._state)

    def nobody_for(self, node: str, *, one_starts: bool = False) -> str:
        """Return a sentence where no worker is alive that reaches a node; see `worker.health.missing_worker`."""
        from qrkit.worker.health import missing_worker

        asked = self._nodes.get(node)
        return missing_worker(asked, self._state, self.settings, one_starts=one_starts)

    def has_waiting_jobs(self) -> bool:
        """Whether there is something for a worker of this site to do."""
        from qrkit.store.job_queue import JobQueue

        away = [node.name for node in self._nodes.list() if not node.is_reached_from(self.settings.site)]
        return JobQueue(self._state).has_waiting(except_nodes=away)

    def _ensure_worker(self) -> bool:
        from qrkit.worker.process import ensure_worker

        return ensure_worker(self.settings, WorkerTable(self._state))

    def _node_of_query(self, query_id: str) -> str:
        return self.queries.show(query_id).node if query_id else ""

    def __repr__(self) -> str:
        from qrkit.workspace.overview import glance

        return glance(self._state, self.settings, self.user).text()

    def _repr_html_(self) -> str:
        from qrkit.workspace.overview import glance

        return glance(self._state, self.settings, self.user).html()


def _warn_of_unlisted_objects(state: State, settings: Settings) -> None:
    from qrkit.store.repair.objects import has_lost_its_list

    if has_lost_its_list(state, settings.files):
        advice = Advice("Add them to the list", Action.REPAIR).on(Surface.COMMAND_LINE)
        where = settings.workspace
        logger.warning("The state of %s is new, but the folder has objects of an earlier one. %s", where, advice)
