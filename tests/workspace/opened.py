"""Fixtures of the upper layers: workspaces on loopback, a hospital behind them, and workers that end with the test.

`tests/conftest.py` provides them to all tests.
"""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
import pytest

import qrkit
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.simulator.facts import Hospital, Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.worker import process
from qrkit.worker.process import is_running
from qrkit.worker.service import Worker
from qrkit.workspace import Workspace
from tests.peers.processes import runs
from tests.peers.waiting import LOOPBACK, free_port, wait_until

QUICK = {"connect": 5.0, "association": 10.0, "response": 20.0, "inactivity": 2.0}
"""Timeouts, in seconds, for nodes of which a test waits for the end of patience."""


class OpenWorkspace(Protocol):
    """Open a workspace that is closed with the test, and whose workers end with it."""

    def __call__(self, folder: Path | None = None, **settings: str | int) -> Workspace:
        """Give the workspace."""


class StartSimulator(Protocol):
    """Start a simulator that ends with the test."""

    def __call__(
        self, hospital: Hospital | None = None, *, quirks: Quirks | None = None, ae_title: str = "SIMPACS"
    ) -> Simulator:
        """Give the simulator, started."""


@pytest.fixture
def _temporary_files_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="session")
def hospital() -> GeneratedHospital:
    """Ten studies a day over twelve days, up to 2026-06-30."""
    return small_hospital(seed=1, studies=120, days=12)


@pytest.fixture
def start_simulator(_temporary_files_stay_here: None) -> Iterator[StartSimulator]:
    """Start simulators: `start_simulator(hospital, quirks=Quirks(cap=5))`."""
    with ExitStack() as stack:

        def start(
            hospital: Hospital | None = None, *, quirks: Quirks | None = None, ae_title: str = "SIMPACS"
        ) -> Simulator:
            return stack.enter_context(Simulator(hospital, quirks=quirks, ae_title=ae_title))

        yield start


@pytest.fixture
def open_workspace(tmp_path: Path, _temporary_files_stay_here: None) -> Iterator[OpenWorkspace]:
    """Open workspaces, by default one in the test's folder, with a free port and a worker that soon leaves."""
    opened: list[Workspace] = []

    def open_one(folder: Path | None = None, **settings: str | int) -> Workspace:
        given: dict[str, str | int] = {
            "ae_title": "QRKIT",
            "host": LOOPBACK,
            "port": free_port(),
            "worker_idle_exit": 1,
            "retries": 0,
        }
        given |= settings
        opened.append(qrkit.open(folder or tmp_path / "workspace", **given))
        return opened[-1]

    yield open_one
    for workspace in opened:
        end_workers(workspace.settings.workspace)
        workspace.close()


@pytest.fixture
def workspace(open_workspace: OpenWorkspace) -> Workspace:
    """A new workspace without nodes."""
    return open_workspace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A workspace whose node `pacs` is a simulator that can send to it by C-MOVE; its quirks can be set."""

    workspace: Workspace
    pacs: Simulator
    hospital: GeneratedHospital


@pytest.fixture
def linked(workspace: Workspace, hospital: GeneratedHospital, start_simulator: StartSimulator) -> Linked:
    """A workspace with a hospital behind its node `pacs`."""
    pacs = start_simulator(hospital)
    link(workspace, pacs)
    return Linked(workspace=workspace, pacs=pacs, hospital=hospital)


def link(workspace: Workspace, pacs: Simulator, name: str = "pacs", **settings: object) -> None:
    """Make a simulator and a workspace known to each other."""
    workspace.nodes.add(
        name, **{"host": LOOPBACK, "port": pacs.port, "ae_title": pacs.ae_title, "timeouts": QUICK, **settings}
    )
    pacs.add_destination(workspace.settings.ae_title, LOOPBACK, workspace.settings.port)


@contextmanager
def worker_in_thread(workspace: Workspace, *, needs_scp: bool = True) -> Iterator[Worker]:
    """Run the worker in this process, which is quicker than one of its own; stopped at the end of the block."""
    worker = workspace.worker(needs_scp=needs_scp)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        wait_until(lambda: failed or worker_rows(workspace), what="the worker runs")
        yield worker
    finally:
        worker.stop()
        thread.join(20)
    assert not thread.is_alive(), "the worker does not stop"
    if failed:
        raise failed[0]


def worker_rows(workspace: Workspace) -> list[int]:
    """The pids of the workers that are registered and have not left."""
    return [int(pid) for pid in workspace.sql("SELECT pid FROM workers WHERE state = 'running'")["pid"]]


def worker_processes(folder: Path) -> list[psutil.Process]:
    """The processes of this machine that were started as a worker of this workspace."""
    return [process for process in psutil.process_iter() if _serves(process, folder)]


def wait_for_worker(workspace: Workspace) -> psutil.Process:
    """The worker process of a workspace, once it is registered."""
    folder = workspace.settings.workspace
    # one look: it may soon leave again
    pids = wait_until(lambda: is_running(folder) and worker_rows(workspace), 60, what="a worker runs") or []
    return psutil.Process(pids[-1])


def end_workers(folder: Path) -> None:
    """End the workers of a workspace, each by its pid, as an operator would; fail if one does not."""
    workers = worker_processes(folder)
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.send_signal(signal.SIGTERM)
    wait_until(lambda: not any(map(runs, workers)), 15, what="the worker ends when asked to")
    for started in process._started:
        started.process.poll()  # or Python says of each, at its own end, that it still runs


def _serves(process: psutil.Process, folder: Path) -> bool:
    try:
        arguments = process.cmdline()
        return "qrkit.cli" in arguments and "serve" in arguments and _workspace_of(process) == str(folder)
    except (psutil.Error, OSError):
        return False


def _workspace_of(process: psutil.Process) -> str:
    return str(process.environ().get("QRKIT_WORKSPACE", ""))


def all_studies(hospital: GeneratedHospital) -> list[Study]:
    """Every study of a hospital."""
    return [hospital.study(number) for number in range(hospital.size)]


def uids_of(study: Study) -> set[str]:
    """The SOP Instance UIDs of a study."""
    return {instance.SOPInstanceUID for series in study.series for instance in series.instances}


def of_size(hospital: GeneratedHospital, least: int, *, most: int = 1_000) -> list[Study]:
    """The studies with at least and at most so many objects."""
    return [study for study in all_studies(hospital) if least <= study.NumberOfStudyRelatedInstances <= most]


def files_of(workspace: Workspace) -> set[str]:
    """The SOP Instance UIDs of the files that lie in the workspace, whatever is listed."""
    return {path.stem for path in workspace.settings.files.rglob("*.dcm")}


def environment(workspace: Workspace) -> dict[str, str]:
    """The environment in which a process opens the same workspace with the same settings."""
    settings = workspace.settings
    return os.environ | {
        "QRKIT_WORKSPACE": str(settings.workspace),
        "QRKIT_AE_TITLE": settings.ae_title,
        "QRKIT_HOST": settings.host,
        "QRKIT_PORT": str(settings.port),
        "QRKIT_DATABASE_URL": settings.database_url,
        "QRKIT_WORKER_IDLE_EXIT": str(settings.worker_idle_exit),
        "QRKIT_RETRIES": str(settings.retries),
    }
