"""The health of a workspace's workers: alive, listening, with work they can do and disk space for it.

The clocks of two machines may differ by minutes and are never compared: a worker is alive while its heartbeat
changes. One on this machine is also checked by its process.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from qrkit.advice import Action, Advice
from qrkit.errors import NodeError
from qrkit.node import Node, Timeouts
from qrkit.settings import Settings
from qrkit.store.job_queue import JobQueue
from qrkit.store.state import State
from qrkit.store.workers import DEAD, RUNNING, WorkerRow, WorkerTable
from qrkit.worker.process import ERRORS_FILE, is_process_alive, last_words, log_file

DEAD_AFTER = 30.0
"""Seconds without a heartbeat after which a worker counts as dead."""

_QUICK = Timeouts(connect=3.0, association=3.0, response=3.0, inactivity=3.0)
_ANY = ("0.0.0.0", "::", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The health of a worker."""

    worker_id: str | None  # of the worker of this machine and site; None: there is none
    heartbeat_age: float | None  # seconds since its last sign of life
    port: int  # of its Storage SCP; 0: it has none
    waiting: int  # items that could start now
    free: int | None  # free bytes on the disk of the files; None: that folder is not there yet
    troubles: tuple[Advice, ...]  # what is wrong, one by one, with what to do about it

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each problem."""
        return tuple(map(str, self.troubles))

    @property
    def is_well(self) -> bool:
        """Whether there are no problems."""
        return not self.troubles

    def to_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "well": self.is_well,
            "worker_id": self.worker_id,
            "heartbeat_age": self.heartbeat_age,
            "port": self.port,
            "waiting": self.waiting,
            "free": self.free,
            "problems": list(self.problems),
        }


def health_of(settings: Settings, state: State) -> Health:
    """Check the worker of a workspace on this machine, for this site; its Storage SCP by C-ECHO.

    Raise `StoreError` if the state cannot be read.
    """
    station = (socket.gethostname(), settings.site)
    here = [row for row in alive_workers(WorkerTable(state)) if (row.host, row.site) == station]
    worker = here[0] if here else None
    last = "" if worker else _last_end(settings, state)
    free = free_space(settings.files)
    found = [_of_worker(settings, worker), last, _of_disk(settings, free), _of_list(settings, state)]
    return Health(
        worker_id=worker.worker_id if worker else None,
        heartbeat_age=_age(state, worker) if worker else None,
        port=worker.port if worker else 0,
        waiting=JobQueue(state).waiting(),
        free=free,
        troubles=tuple(one if isinstance(one, Advice) else Advice(one) for one in found if one),
    )


def alive_workers(workers: WorkerTable) -> list[WorkerRow]:
    """Return the workers with a recent heartbeat whose process runs."""
    return [row for row in workers.alive(DEAD_AFTER) if seems_to_run(row)]


def seems_to_run(worker: WorkerRow) -> bool:
    """Whether the process of a worker runs; always True on another machine, where only heartbeats count."""
    if worker.host != socket.gethostname():
        return True
    return is_process_alive(worker.pid)


def _last_end(settings: Settings, state: State) -> str:
    """Return how the last worker of this machine and site ended, if it failed."""
    last = WorkerTable(state).last(socket.gethostname(), settings.site)
    if last is None:
        return ""
    log = log_file(settings)
    words = last_words(log, since=datetime.fromisoformat(last.started))
    if words:
        return f"The last worker ended by an error at {words} The log, {log.name}, has more."
    if last.state in (RUNNING, DEAD):
        return (
            f"The last worker, process {last.pid}, ended after {last.heartbeat[:19]}Z without leaving: killed, out "
            f"of memory, or a power cut. {ERRORS_FILE} in the workspace may have more; its items are taken over."
        )
    return ""


def missing_worker(node: Node, state: State, settings: Settings, *, one_starts: bool = False) -> str:
    """Return a sentence if no worker that reaches a node is alive; empty if there is one.

    With `one_starts`, a worker of this station has just been started and counts as alive.
    """
    here = node.is_reached_from(settings.site)
    sites = [row.site for row in alive_workers(WorkerTable(state))]
    if (one_starts and here) or any(map(node.is_reached_from, sites)):
        return ""
    if here:
        return str(Advice("No worker is running, so nothing is retrieved. Start one", Action.START_WORKER))
    return f"No worker runs that reaches {node.name}, so it waits for one at one of its sites: {node.sites}."


def _of_worker(settings: Settings, worker: WorkerRow | None) -> str | Advice:
    if worker is None:
        whose = f"No worker of the site {settings.site}" if settings.site else "No worker"
        text = f"{whose} runs on this machine. One starts with the next retrieve; or start one"
        return Advice(text, Action.START_WORKER)
    if not worker.port:
        return "The worker has no Storage SCP, so only C-GET works. See its log for the reason."
    return _of_scp(settings, worker)


def _of_scp(settings: Settings, worker: WorkerRow) -> str:
    """Test the Storage SCP; with TLS it must only listen, since it may require a certificate that we do not have."""
    from qrkit.dimse.echo import echo

    host = "127.0.0.1" if settings.host in _ANY else settings.host
    try:
        if settings.tls_certificate:
            socket.create_connection((host, worker.port), timeout=_QUICK.connect).close()
        else:
            node = Node(name="worker", host=host, port=worker.port, ae_title=worker.ae_title, timeouts=_QUICK)
            echo(node, calling_ae_title=worker.ae_title)
    except (NodeError, OSError) as error:
        return f"The Storage SCP {worker.ae_title} on port {worker.port} does not answer: {error}"
    return ""


def _of_disk(settings: Settings, free: int | None) -> str:
    if free is None or free >= settings.free_space_floor:
        return ""
    return f"Only {free / 1e6:,.0f} MB are free on the disk of {settings.files}. Retrieves wait below the floor."


def _of_list(settings: Settings, state: State) -> str | Advice:
    from qrkit.store.repair.objects import has_lost_its_list

    if not has_lost_its_list(state, settings.files):
        return ""
    text = f"No object in {settings.files} is listed: the state was lost or replaced. Add them to the list"
    return Advice(text, Action.REPAIR)


def free_space(*folders: Path) -> int | None:
    """Return the free bytes on the disk of the first of these folders that is there; None if none is."""
    for folder in folders:
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None


def _age(state: State, worker: WorkerRow) -> float:
    seconds = (datetime.fromisoformat(state.now()) - datetime.fromisoformat(worker.heartbeat)).total_seconds()
    return round(max(seconds, 0.0), 1)


class OtherWorkers:
    """The other workers of a workspace; one that is seen for the first time counts as alive.

    `worker_id` is of the worker that looks; `running` returns the rows of all workers that have not left.
    """

    def __init__(
        self,
        worker_id: str,
        running: Callable[[], Sequence[WorkerRow]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._worker_id = worker_id
        self._running = running
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}
        self._looked = 0.0

    def alive(self) -> list[str]:
        """Return the ids of those that are alive; must be called more often than every `DEAD_AFTER` seconds."""
        now = self._clock()
        if now - self._looked > DEAD_AFTER / 2:  # the state was unavailable for a while, for the others as well
            self._seen.clear()
        self._looked = now
        others = [row for row in self._running() if row.worker_id != self._worker_id]
        return [row.worker_id for row in others if self._is_alive(row, now)]

    def _is_alive(self, row: WorkerRow, now: float) -> bool:
        heartbeat, since = self._seen.get(row.worker_id, ("", now))
        if heartbeat != row.heartbeat:
            since = now
            self._seen[row.worker_id] = (row.heartbeat, since)
        return now - since <= DEAD_AFTER and seems_to_run(row)
