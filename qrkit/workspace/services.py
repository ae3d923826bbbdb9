"""The value that all parts of a workspace share: settings, state, what the user may do, and the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from qrkit.access import Access, Role
from qrkit.errors import NotAllowed
from qrkit.settings import Settings
from qrkit.store.accounts import AccountTable
from qrkit.store.audit import AuditTable
from qrkit.store.state import State
from qrkit.store.workers import WorkerTable

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from qrkit.find.finder import Finder
    from qrkit.handlers import Handler
    from qrkit.node import Node
    from qrkit.store.instances import InstanceTable
    from qrkit.store.jobs import JobTable
    from qrkit.store.nodes import NodeTable, ProfileTable
    from qrkit.store.plans import PlanTable
    from qrkit.store.queries import QueryTable
    from qrkit.store.results import Results
    from qrkit.store.schedules import ScheduleTable


class Services:
    """The settings, state and permissions of an open workspace, and what is made of them.

    Each table is loaded when it is first used: a command that lists nodes loads neither pandas nor the wire.
    """

    def __init__(
        self, settings: Settings, state: State, permissions: Permissions, handlers: Sequence[Handler] = ()
    ) -> None:
        self.settings = settings
        self.state = state
        self.permissions = permissions  # what the user may do, and the audit of what they did
        self.handlers = tuple(handlers)  # the programs that the site registers for received series

    @property
    def user(self) -> str:
        """The name of the user."""
        return self.permissions.access.user

    @cached_property
    def nodes(self) -> NodeTable:
        """The nodes."""
        from qrkit.store.nodes import NodeTable

        return NodeTable(self.state)

    @cached_property
    def profiles(self) -> ProfileTable:
        """The profiles of nodes."""
        from qrkit.store.nodes import ProfileTable

        return ProfileTable(self.state)

    @cached_property
    def queries(self) -> QueryTable:
        """The queries."""
        from qrkit.store.queries import QueryTable

        return QueryTable(self.state)

    @property
    def results_folder(self) -> Path:
        """The folder of the results of queries."""
        return self.settings.workspace / "results"

    @cached_property
    def results(self) -> Results:
        """The stored results of queries."""
        from qrkit.store.results import Results

        return Results(self.state, self.results_folder)

    @cached_property
    def plans(self) -> PlanTable:
        """The dose plans."""
        from qrkit.store.plans import PlanTable

        return PlanTable(self.state, self.settings.workspace / "plans")

    @cached_property
    def jobs(self) -> JobTable:
        """The retrieve jobs."""
        from qrkit.store.jobs import JobTable

        return JobTable(self.state)

    @cached_property
    def schedules(self) -> ScheduleTable:
        """The schedules."""
        from qrkit.store.schedules import ScheduleTable

        return ScheduleTable(self.state)

    @cached_property
    def instances(self) -> InstanceTable:
        """The received objects."""
        from qrkit.store.instances import InstanceTable

        return InstanceTable(self.state)

    @cached_property
    def finder(self) -> Finder:
        """The find engine, which queries nodes by C-FIND."""
        from qrkit.find.finder import Finder
        from qrkit.probe.session import check_wildcards

        title = self.settings.ae_title
        return Finder(
            self.queries,
            self.results,
            self.profiles,
            user=self.user,
            calling_ae_title=title,
            check_wildcards=partial(check_wildcards, calling_ae_title=title),
        )

    def nodes_within_reach(self, *, reached: bool = True) -> list[Node]:
        """Return the nodes that this site can reach, or those that only other sites can."""
        return [node for node in self.nodes.list() if node.is_reached_from(self.settings.site) is reached]

    def ensure_worker(self) -> bool:
        """Start a worker if none runs; return whether one was started.

        Raise `WorkerError` if it cannot be started, or has ended by an error each time.
        """
        from qrkit.worker.process import ensure_worker

        return ensure_worker(self.settings, WorkerTable(self.state))

    def sql(self, text: str, params: Sequence[object] | Mapping[str, object] | None = None) -> pd.DataFrame:
        """Return what one SELECT gives; tables and errors as `Workspace.sql`."""
        from qrkit.store import sql
        from qrkit.tables import schemas, to_plain_frame

        self.queries.end_dead()
        return to_plain_frame(sql.sql(self.state, self.results.folder, schemas(), text, params))

    def duckdb(self) -> Any:  # noqa: ANN401 - duckdb is known to the store alone
        """Return a DuckDB connection on the same tables, as they are now."""
        from qrkit.store import sql
        from qrkit.tables import schemas

        self.queries.end_dead()
        return sql.connect(self.state, self.results.folder, schemas())


class Permissions:
    """The permissions of one user, and the audit of what they do, if there is one."""

    def __init__(self, access: Access, audit: AuditTable | None = None) -> None:
        self.access = access
        self._audit = audit

    @contextmanager
    def operating(self, what: str, action: str, subject: str) -> Iterator[None]:
        """Check that the user is an operator, run the block, and record it in the audit.

        Raise `NotAllowed` if the user is not an operator.
        """
        self.access.require(Role.OPERATOR, what)
        yield
        self.write(action, subject)

    def write(self, action: str, subject: str, details: Mapping[str, object] | None = None, *, who: str = "") -> None:
        """Record an action of the user, or of another person named by `who`."""
        if self._audit is not None:
            self._audit.write(who or self.access.user, action, subject, details)


def access_of(user: str, role: str, state: State) -> Access:
    """Return what a user may do: everything, unless a server that authenticated them gives their role.

    The role of their account now goes before the one that the server gave.
    """
    if not role:
        return Access.unlimited(user)
    granted, table = Role.parse(role), AccountTable(state)
    has_account = table.get(user) is not None  # a user whom a proxy authenticates needs none

    def role_now() -> Role:
        account = table.get(user)
        if account is None and has_account:
            raise NotAllowed(f"{user} may not continue: the account was removed.", advice="Log in as another user.")
        return account.role if account is not None else granted

    return Access(user=user, role_now=role_now)
