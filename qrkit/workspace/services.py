"""What the parts of a workspace share: one value, instead of the workspace's own methods handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qrkit.handlers import Handler
from qrkit.settings import Settings
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State
from qrkit.store.workers import WorkerTable
from qrkit.workspace.permissions import Permissions

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.store.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Settings, state and permissions of an open workspace, and what every part may ask for.

    Attributes
    ----------
    permissions
        What the user may do, and the audit of what they did.
    handlers
        The programs that the site registers for received series.
    """

    settings: Settings
    state: State
    permissions: Permissions
    handlers: tuple[Handler, ...] = ()

    @property
    def user(self) -> str:
        """The name of the user."""
        return self.permissions.access.user

    @property
    def nodes(self) -> NodeTable:
        """The nodes, as values."""
        return NodeTable(self.state)

    @property
    def results(self) -> Results:
        """The stored results of queries."""
        from qrkit.store.results import Results

        return Results(self.state, self.settings.workspace / "results")

    def ensure_worker(self) -> bool:
        """Start a worker if none runs; return whether one was started.

        Raises
        ------
        WorkerError
            If it cannot be started, or has ended by an error each time.
        """
        from qrkit.worker.process import ensure_worker

        return ensure_worker(self.settings, WorkerTable(self.state))

    def sql(self, text: str, params: Sequence[object] | Mapping[str, object] | None = None) -> pd.DataFrame:
        """Return what one SELECT gives; tables and errors as `Workspace.sql`."""
        from qrkit.store import sql
        from qrkit.store.queries import QueryTable
        from qrkit.tables import schemas, to_plain_frame

        QueryTable(self.state).end_dead()
        return to_plain_frame(sql.sql(self.state, self.results.folder, schemas(), text, params))
