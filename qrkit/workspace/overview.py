"""The overview of a workspace: its nodes, worker, last query, active jobs and storage."""

from __future__ import annotations

from qrkit.jobs import JobRow, JobState
from qrkit.markup import Markup, code, facts, grid, html, paragraph
from qrkit.node import Node
from qrkit.store.workers import WorkerTable
from qrkit.words import counted, local_time, out_of, volume
from qrkit.worker.health import DEAD_AFTER, free_space
from qrkit.workspace.services import Services

NODE_COLUMNS = ("node", "AE title", "address", "services", "description")
_ADVICE = paragraph("No nodes yet. Add one: ", code('ws.nodes.add("pacs", host="…", port=104, ae_title="…")'))


def overview_line(services: Services) -> str:
    """Return the overview in one line, without times."""
    nodes = ", ".join(node.name for node in services.nodes.list()) or "none yet"
    active = _active_jobs(services)
    jobs = f"; {counted(len(active), 'active job')}" if active else ""
    files, _ = services.instances.volume()
    return f"<Workspace {services.settings.workspace}: nodes {nodes}; {counted(files, 'file')}{jobs}>"


def overview_html(services: Services) -> Markup:
    """Return the overview as HTML."""
    settings, nodes = services.settings, services.nodes.list()
    port = f"port {settings.port}" if settings.port else "any free port"
    shown = {
        "Folder": str(settings.workspace),
        "User": services.user,
        "This workspace": f"AE title {settings.ae_title}, receives on {port}",
        "Worker": _worker(services),
        "Last query": _last_query(services),
        "Jobs": _jobs(services),
        "Files": _files(services),
    }
    return Markup(facts(shown) + (nodes_html(nodes) if nodes else _ADVICE))


def _active_jobs(services: Services) -> list[JobRow]:
    """Return the jobs that run, wait or are paused."""
    states = (JobState.RUNNING, JobState.QUEUED, JobState.PAUSED)
    return [job for state in states for job in services.jobs.list(state=state)]


def _worker(services: Services) -> str:
    rows = WorkerTable(services.state).alive(DEAD_AFTER)
    running = (f"runs on {row.host} (process {row.pid}), port {row.port}" for row in rows)
    return "; ".join(running) or "none runs; a retrieve starts one"


def _last_query(services: Services) -> str:
    row = next(iter(services.queries.list(1)), None)
    return f"{row.question} from {row.node}, {local_time(row.started)}: {row.outcome}" if row else "none yet"


def _jobs(services: Services) -> str:
    active = [
        f"{job.state.value}: {out_of(job.stored, job.expected, 'object')} from {job.node}"
        for job in _active_jobs(services)
    ]
    return "; ".join(active[:3] + [f"and {len(active) - 3} more"] * (len(active) > 3)) or "none active"


def _files(services: Services) -> str:
    settings = services.settings
    count, size = services.instances.volume()
    free = free_space(settings.files, settings.workspace)  # the folder of files is made with the first
    rest = "" if free is None else f"; {volume(free)} free"
    return f"{counted(count, 'object')}, {volume(size)}, in {settings.files}{rest}"


def nodes_html(nodes: tuple[Node, ...]) -> Markup:
    """Return nodes as a table: the address and the services of each."""
    return grid(
        NODE_COLUMNS,
        [
            [node.name, node.ae_title, f"{node.host}:{node.port}", node.services or html("none"), node.description]
            for node in nodes
        ],
    )
