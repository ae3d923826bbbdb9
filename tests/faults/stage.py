"""Where the faults strike: a workspace, two PACS, workers, a small disk and a database, each of which can fail."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

import qrkit
from qrkit.jobs import NewJob, RetrieveRequest
from qrkit.node import Method
from qrkit.simulator.facts import Study
from qrkit.store.jobs import JobTable
from qrkit.tables import Level
from qrkit.workspace import Workspace
from tests.faults.pacs import ROOT, FaultyPacs, hospital
from tests.peers.postgres import Postgres
from tests.peers.processes import runs
from tests.peers.waiting import LOOPBACK, free_port, wait_until

FLOOR = 3_000_000
_SIZE = 48_000_000
_SITES = ("", "other")
_LEAVES_WITHIN = 40.0
SAY = signal.SIGUSR1
"""Has a worker say what its threads are at."""
_PATIENCE = {"connect": 5.0, "association": 6.0, "response": 6.0, "inactivity": 2.0}


class WorkerProcess:
    """A worker as a process of its own, with its own site, AE title and port.

    Parameters
    ----------
    out
        The file for what it says, on a disk that does not fail.
    """

    def __init__(self, workspace: Path, site: str, settings: dict[str, str], out: Path) -> None:
        self.ae_title = f"QRKIT{site.upper()}"
        self.port = free_port()
        self._out = out
        self._environment = settings | {
            "QRKIT_WORKSPACE": str(workspace),
            "QRKIT_SITE": site,
            "QRKIT_AE_TITLE": self.ae_title,
            "QRKIT_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.ended_badly: list[int] = []

    @property
    def process(self) -> psutil.Process:
        """The process that runs."""
        if self._process is None:
            raise RuntimeError(f"worker {self.ae_title} does not run")
        return psutil.Process(self._process.pid)

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs; one that has ended by itself is noted."""
        if self.is_running:
            return
        if self._process is not None:
            self.ended_badly.append(self._process.returncode)
        with self._out.open("ab") as out:
            command = [sys.executable, "-m", "tests.faults.worker"]
            self._process = subprocess.Popen(
                command, env=os.environ | self._environment, stdout=out, stderr=out, cwd=ROOT
            )

    def kill(self) -> None:
        """Have it end without a word."""
        self._end(signal.SIGKILL)

    def leave(self) -> None:
        """Have it end as an operator would."""
        self._end(signal.SIGTERM)

    def sleep(self) -> None:
        """Have it stand still."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        """Have it go on."""
        self._send(signal.SIGCONT)

    def receiving(self) -> list[psutil.Process]:
        """Its receiving processes."""
        if self._process is None or not self.is_running:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._process.pid).children()
            return [child for child in children if runs(child)]
        return []

    def _wait(self) -> int:
        """Return its exit status; one that does not end says in worker.out what it is at."""
        if self._process is None:
            raise RuntimeError(f"worker {self.ae_title} does not run")
        try:
            return self._process.wait(_LEAVES_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.send_signal(SAY)
            time.sleep(1)  # while it does
            self._process.kill()
            self._process.wait()
            said = self._out.read_text("utf-8", "replace")
            raise RuntimeError(f"worker {self.ae_title} did not end; its threads: {said[-8000:]}") from None

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is not None:
            self.ended_badly.append(self._process.returncode)
        children = self.receiving()
        self._send(signal.SIGCONT)
        self._send(number)
        code = self._wait()
        if number == signal.SIGTERM and code not in (0, -signal.SIGTERM):  # the latter while it was starting
            self.ended_badly.append(code)
        self._process = None
        wait_until(lambda: not any(map(runs, children)), 20, what="receiving processes end with their worker")


@dataclass(slots=True, kw_only=True)
class Stage:
    """All of it, while it is up.

    Attributes
    ----------
    disk
        The small file system on which the objects are; None where none can be made.
    server
        The PostgreSQL server that has the state; None: it is SQLite.
    wanted
        What each job is to bring, by its id, item by item: SOP Instance UIDs.
    cancelled
        The jobs that somebody has cancelled.
    database_is_away
        Whether it does not answer just now, so that nobody shall ask it.
    """

    workspace: Workspace
    pacs: list[FaultyPacs]
    workers: list[WorkerProcess]
    disk: Path | None
    server: Postgres | None
    wanted: dict[str, list[frozenset[str]]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    database_is_away: bool = False
    _untouched: list[Study] = field(default_factory=list)

    @property
    def jobs(self) -> JobTable:
        """The jobs of the workspace."""
        return JobTable(self.workspace._state)

    def ask(self, luck: Random, *, method: str = "") -> str:
        """Queue a job of a few studies, by a method that chance decides where none is given; return its id."""
        if not self._untouched:
            self._untouched = some_studies(luck)
        node = luck.choice(self.pacs).name
        studies = [self._untouched.pop() for _ in range(min(luck.randint(2, 5), len(self._untouched)))]
        requests = [request for study in studies for request in _requests(study, luck)]
        by = Method(method) if method else luck.choice(list(Method))
        new = NewJob(node=node, requests=tuple(one for one, _ in requests), method=by)
        job_id = self.jobs.create(new)
        self.wanted[job_id] = [uids for _, uids in requests]
        return job_id


def some_studies(luck: Random) -> list[Study]:
    """Return studies of a few to a few dozen objects, in any order."""
    archive = hospital()
    studies = [archive.study(number) for number in range(archive.size)]
    fitting = [study for study in studies if 3 <= study.NumberOfStudyRelatedInstances <= 60]
    luck.shuffle(fitting)
    return fitting


def _requests(study: Study, luck: Random) -> list[tuple[RetrieveRequest, frozenset[str]]]:
    """Return what asks for a study, at a level that chance decides, with the UIDs that it should bring."""
    uid = study.StudyInstanceUID
    by_series = {
        series.SeriesInstanceUID: tuple(one.SOPInstanceUID for one in series.instances) for series in study.series
    }
    level = luck.choice([Level.STUDY, Level.STUDY, Level.SERIES, Level.IMAGE])
    if level is Level.STUDY:
        return [(RetrieveRequest(level=level, StudyInstanceUID=uid), frozenset().union(*by_series.values()))]
    return [
        (
            RetrieveRequest(
                level=level,
                StudyInstanceUID=uid,
                SeriesInstanceUID=series,
                sop_instance_uids=uids if level is Level.IMAGE else (),
            ),
            frozenset(uids),
        )
        for series, uids in by_series.items()
    ]


@contextlib.contextmanager
def set_up(folder: Path, *, server: Postgres | None = None, state_on_disk: bool = False) -> Iterator[Stage]:
    """Have everything up, with one worker; all is ended in the end.

    Parameters
    ----------
    state_on_disk
        Whether the state is on the small disk, too.
    """
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk"))
        url = stack.enter_context(server.new_database()) if server is not None else ""
        if url:  # as PostgreSQL is by itself: a server that stops at once has what it said it has
            url += "?options=-csynchronous_commit%3Don"
        where = (disk if state_on_disk and disk else folder) / "workspace"
        files = (disk or folder) / "files"
        given: dict[str, str | int] = {
            "database_url": url,
            "files": str(files),
            "free_space_floor": FLOOR if disk else 0,
        }
        given |= {"host": LOOPBACK, "retries": 3, "retry_pause": 1}
        workspace = stack.enter_context(qrkit.open(where, **given))
        files.mkdir()
        environment = {f"QRKIT_{name.upper()}": str(value) for name, value in given.items()}
        workers = [WorkerProcess(where, site, environment, folder / "worker.out") for site in _SITES]
        pacs = [FaultyPacs(f"pacs{number}", {one.ae_title: one.port for one in workers}) for number in range(2)]
        for one in pacs:
            stack.callback(one.stop)
            one.start()
            address = {"host": LOOPBACK, "port": one.port, "ae_title": one.ae_title}
            workspace.nodes.add(one.name, **address, associations=2, timeouts=_PATIENCE)
        for worker in workers:
            stack.callback(worker.kill)
        workers[0].start()
        yield Stage(workspace=workspace, pacs=pacs, workers=workers, disk=disk, server=server)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """Give a file system of 48 MB, or None where only root could make one."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    if os.name == "nt" or os.geteuid() != 0 or mount is None:
        yield None
        return
    done = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", folder], check=False)
    if done.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
