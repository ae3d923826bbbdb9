"""What is killed or put to sleep in the middle of a retrieve: the PACS, the kernel that asked, the worker."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from qrkit.jobs import JobState
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.workspace import Job, Workspace
from tests.peers.processes import runs
from tests.peers.simulated import SimulatedPacs
from tests.peers.waiting import LOOPBACK, wait_until
from tests.workspace.opened import (
    QUICK,
    OpenWorkspace,
    environment,
    files_of,
    of_size,
    uids_of,
    wait_for_worker,
    worker_in_thread,
)

LIMIT = 60.0
ASK = """
import os, qrkit
workspace = qrkit.open()
job = workspace.retrieve_uids("pacs", study_uids={uids})
print(job.job_id, os.getpid())
job.wait()
"""
LOOK = """
import qrkit
print(qrkit.open().jobs["{job_id}"].state.value)
"""


@pytest.fixture
def workspace(open_workspace: OpenWorkspace) -> Workspace:
    """A workspace that tries again soon."""
    return open_workspace(retries=5, retry_pause=1, worker_idle_exit=3)


@pytest.fixture
def pacs(workspace: Workspace, tmp_path: Path) -> Iterator[SimulatedPacs]:
    """A PACS in a process of its own, which sends slowly."""
    settings = workspace.settings
    with SimulatedPacs(tmp_path / "pacs", {settings.ae_title: settings.port}, delay_object=0.1) as server:
        workspace.nodes.add("pacs", host=LOOPBACK, port=server.port, ae_title=server.ae_title, timeouts=QUICK)
        yield server


def wanted_of(hospital: GeneratedHospital) -> tuple[list[str], set[str]]:
    studies = of_size(hospital, 8)[:2]
    return [study.StudyInstanceUID for study in studies], set().union(*map(uids_of, studies))


def some_are_here(workspace: Workspace, count: int = 3) -> None:
    wait_until(lambda: len(files_of(workspace)) >= count, LIMIT, what="some objects")


def whole(job: Job, workspace: Workspace, wanted: set[str]) -> None:
    done = job.wait(timeout=LIMIT)
    assert (done.state, done.error) == (JobState.COMPLETE, "")
    assert files_of(workspace) == wanted
    assert sorted(workspace.files.list()["SOPInstanceUID"]) == sorted(wanted)


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_pacs_that_is_killed_and_started_again_is_asked_for_the_rest(
    workspace: Workspace, pacs: SimulatedPacs, hospital: GeneratedHospital, method: str
) -> None:
    uids, wanted = wanted_of(hospital)
    with worker_in_thread(workspace):
        job = workspace.retrieve_uids("pacs", study_uids=uids, method=method)
        some_are_here(workspace)
        psutil.Process(pacs.pid).kill()
        wait_until(lambda: not pacs.is_alive(), what="the PACS is gone")
        pacs.close()
        wait_until(lambda: job.status.reason, LIMIT, what="a reason")
        assert "refused" in job.status.reason
        before = files_of(workspace)
        assert before < wanted
        pacs.delay_object = 0.0
        pacs.start()
        whole(job, workspace, wanted)
    assert job.status.received <= len(wanted) + 1


def printed(client: BlockingKernelClient) -> str:
    """What a kernel prints next."""
    while True:
        try:
            message = client.get_iopub_msg(timeout=LIMIT)
        except Empty:
            pytest.fail("the kernel prints nothing")
        if message["msg_type"] == "error":
            pytest.fail("\n".join(message["content"]["traceback"]))
        if message["msg_type"] == "stream":
            return str(message["content"]["text"]).strip()


@pytest.fixture
def start_kernel(workspace: Workspace) -> Iterator[Callable[[], BlockingKernelClient]]:
    """Start Jupyter kernels that end with the test."""
    started: list[tuple[KernelManager, BlockingKernelClient]] = []

    def start() -> BlockingKernelClient:
        manager = KernelManager()
        manager.start_kernel(env=environment(workspace) | {"QRKIT_RETRIES": "5", "QRKIT_RETRY_PAUSE": "1"})
        client = manager.client()
        client.start_channels()
        started.append((manager, client))
        client.wait_for_ready(timeout=LIMIT)
        return client

    yield start
    for manager, client in started:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.mark.usefixtures("pacs")
def test_a_kernel_that_is_killed_leaves_its_job_running_and_the_next_one_sees_it(
    workspace: Workspace,
    pacs: SimulatedPacs,
    hospital: GeneratedHospital,
    start_kernel: Callable[[], BlockingKernelClient],
) -> None:
    uids, wanted = wanted_of(hospital)
    client = start_kernel()
    client.execute(ASK.format(uids=uids))
    job_id, pid = printed(client).split()
    some_are_here(workspace)
    archive = psutil.Process(pacs.pid)
    archive.suspend()  # so that the job cannot end meanwhile
    kernel = psutil.Process(int(pid))
    kernel.kill()
    wait_until(lambda: not runs(kernel), what="the kernel is gone")
    assert runs(wait_for_worker(workspace))
    job = workspace.jobs[job_id]
    assert not job.state.is_final
    archive.resume()
    wait_until(lambda: job.state.is_final, LIMIT, what="the job ends")
    whole(job, workspace, wanted)
    another = start_kernel()
    another.execute(LOOK.format(job_id=job_id))
    assert printed(another) == "complete"


def test_a_worker_that_slept_too_long_leaves_its_items_to_the_one_that_took_them_over(
    workspace: Workspace, pacs: SimulatedPacs, hospital: GeneratedHospital, open_workspace: OpenWorkspace
) -> None:
    uids, wanted = wanted_of(hospital)
    pacs.close()
    pacs.delay_object = 0.3
    pacs.start()
    job = workspace.retrieve_uids("pacs", study_uids=uids, method="get")
    sleeper = wait_for_worker(workspace)
    some_are_here(workspace)
    try:
        with workspace._state.transaction() as connection:  # so that the sleeper holds no lock of the state
            sleeper.suspend()
            connection.exec_driver_sql("UPDATE workers SET heartbeat = '2026-01-01T00:00:00.000000+00:00'")
        other = open_workspace(workspace.settings.workspace, site="other", retries=5, retry_pause=1)
        with worker_in_thread(other):
            wait_until(lambda: not holders(job, workspace) & {sleeper.pid}, LIMIT, what="it is taken over")
            sleeper.resume()
            whole(job, workspace, wanted)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):  # it leaves soon after the job has ended
            sleeper.resume()
    assert "is no longer ours" in (workspace.settings.workspace / "worker.log").read_text()


def holders(job: Job, workspace: Workspace) -> set[int]:
    """The pids of the workers under which items of a job run; that of the sleeper stands for none."""
    rows = workspace.sql(
        "SELECT pid FROM job_items JOIN workers USING (worker_id) WHERE job_id = ? AND job_items.state = 'running'",
        [job.job_id],
    )
    return {int(pid) for pid in rows["pid"]}
