"""The overview of a workspace: its nodes, worker, last query, active jobs and storage."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from qrkit.jobs import JobRow, JobState
from qrkit.markup import Markup, code, facts, grid, html, paragraph
from qrkit.node import Node
from qrkit.settings import Settings
from qrkit.store.instances import InstanceTable
from qrkit.store.jobs import JobTable
from qrkit.store.nodes import NodeTable
from qrkit.store.queries import QueryRow, QueryTable
from qrkit.store.state import State
from qrkit.store.workers import WorkerRow, WorkerTable
from qrkit.words import counted, local_time, out_of, volume
from qrkit.worker.health import DEAD_AFTER

NODE_COLUMNS = ("node", "AE title", "address", "services", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The overview of a workspace at one moment.

    Attributes
    ----------
    workers
        The workers that run.
    active
        Jobs that run, wait or are paused.
    free
        Free bytes on the disk of the files; None if unknown.
    """

    settings: Settings
    user: str
    nodes: tuple[Node, ...]
    workers: tuple[WorkerRow, ...]
    last_query: QueryRow | None
    active: tuple[JobRow, ...]
    files: int
    bytes: int
    free: int | None

    def facts(self) -> dict[str, str]:
        """Return it in words, by label."""
        settings = self.settings
        port = f"port {settings.port}" if settings.port else "any free port"
        free = "" if self.free is None else f"; {volume(self.free)} free"
        return {
            "Folder": str(settings.workspace),
            "User": self.user,
            "This workspace": f"AE title {settings.ae_title}, receives on {port}",
            "Worker": self._worker(),
            "Last query": self._last_query(),
            "Jobs": self._jobs(),
            "Files": f"{counted(self.files, 'object')}, {volume(self.bytes)}, in {settings.files}{free}",
        }

    def text(self) -> str:
        """Return it in one line, without times."""
        nodes = ", ".join(node.name for node in self.nodes) or "none yet"
        jobs = f"; {counted(len(self.active), 'active job')}" if self.active else ""
        return f"<Workspace {self.settings.workspace}: nodes {nodes}; {counted(self.files, 'file')}{jobs}>"

    def html(self) -> Markup:
        """Return it as HTML."""
        advice = paragraph("No nodes yet. Add one: ", code('ws.nodes.add("pacs", host="…", port=104, ae_title="…")'))
        return Markup(facts(self.facts()) + (nodes_html(self.nodes) if self.nodes else advice))

    def _worker(self) -> str:
        if not self.workers:
            return "none runs; a retrieve starts one"
        return "; ".join(f"runs on {row.host} (process {row.pid}), port {row.port}" for row in self.workers)

    def _last_query(self) -> str:
        row = self.last_query
        if row is None:
            return "none yet"
        return f"{row.question} from {row.node}, {local_time(row.started)}: {row.outcome}"

    def _jobs(self) -> str:
        active = [
            f"{job.state.value}: {out_of(job.stored, job.expected, 'object')} from {job.node}" for job in self.active
        ]
        return "; ".join(active[:3] + [f"and {len(active) - 3} more"] * (len(active) > 3)) or "none active"


def nodes_html(nodes: tuple[Node, ...]) -> Markup:
    """Return nodes as a table: the address and the services of each."""
    return grid(
        NODE_COLUMNS,
        [
            [node.name, node.ae_title, f"{node.host}:{node.port}", node.services or html("none"), node.description]
            for node in nodes
        ],
    )


def overview(state: State, settings: Settings, user: str) -> Overview:
    """Return the overview of a workspace, from a few rows of its state and the free space of its disk."""
    instances, jobs = InstanceTable(state), JobTable(state)
    open_states = (JobState.RUNNING, JobState.QUEUED, JobState.PAUSED)
    count, size = instances.volume()
    return Overview(
        settings=settings,
        user=user,
        nodes=NodeTable(state).list(),
        workers=WorkerTable(state).alive(DEAD_AFTER),
        last_query=next(iter(QueryTable(state).list(1)), None),
        active=tuple(job for state_of_job in open_states for job in jobs.list(state=state_of_job)),
        files=count,
        bytes=size,
        free=_free(settings),
    )


def _free(settings: Settings) -> int | None:
    for folder in (settings.files, settings.workspace):
        try:
            return shutil.disk_usage(folder).free
        except OSError:  # the folder of files is made with the first
            continue
    return None
