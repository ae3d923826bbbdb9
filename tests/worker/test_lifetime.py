"""The worker process: it outlives who asked, leaves when idle, is the only one, and loses nothing when it dies."""

import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import qrkit
from qrkit.errors import PortInUse, WorkerError
from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.store.workers import NewWorker, WorkerTable
from qrkit.worker.process import ensure_worker, is_running, lock_path
from qrkit.workspace import Workspace
from tests.peers.processes import runs
from tests.peers.waiting import wait_until
from tests.workspace.opened import (
    Linked,
    OpenWorkspace,
    all_studies,
    end_workers,
    environment,
    files_of,
    of_size,
    uids_of,
    wait_for_worker,
    worker_in_thread,
    worker_processes,
)

LIMIT = 60.0
ASK_AND_GO = """
import sys, qrkit
with qrkit.open() as workspace:
    print(workspace.retrieve_uids("pacs", study_uids=sys.argv[1:]).job_id)
"""


def python(workspace: Workspace, code: str, *arguments: str) -> str:
    """What a Python of its own prints that has the same workspace."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=environment(workspace),
    )
    return done.stdout.strip()


def uids(studies: list[Study]) -> list[str]:
    return [study.StudyInstanceUID for study in studies]


def objects(studies: list[Study]) -> set[str]:
    return set().union(*map(uids_of, studies))


def test_a_job_goes_on_when_the_process_that_asked_has_ended(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(delay_object=0.05)
    studies = of_size(linked.hospital, 8)[:2]
    job_id = python(linked.workspace, ASK_AND_GO, *uids(studies))
    job = linked.workspace.jobs[job_id]
    worker = wait_for_worker(linked.workspace)
    assert worker.ppid() != psutil.Process().pid
    wait_until(lambda: job.state.is_final, LIMIT, what="the job ends")
    assert job.state is JobState.COMPLETE
    assert files_of(linked.workspace) == objects(studies)


def test_a_worker_in_the_background_leaves_when_there_is_nothing_to_do(linked: Linked) -> None:
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids(all_studies(linked.hospital)[:1]))
    worker = wait_for_worker(linked.workspace)
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    wait_until(lambda: not runs(worker), 15, what="the worker leaves")
    left = linked.workspace.sql("SELECT state, port FROM workers")
    assert left["state"].tolist() == ["left"]
    assert left["port"].tolist() == [linked.workspace.settings.port]
    assert not is_running(linked.workspace.settings.workspace)


def test_a_second_worker_says_in_one_line_that_there_is_one(workspace: Workspace) -> None:
    with worker_in_thread(workspace):
        with pytest.raises(WorkerError, match="Another worker runs"):
            workspace.worker().run(idle_exit=0)
        done = subprocess.run(
            [sys.executable, "-m", "qrkit.cli", "serve", "--idle-exit", "0"],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env=environment(workspace),
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("qrkit: Another worker runs")


def slow_job(linked: Linked, method: str) -> tuple[str, list[Study]]:
    """A job of some studies that takes a while, once its first objects are here."""
    studies = of_size(linked.hospital, 8)[:3]
    linked.pacs.quirks = Quirks(delay_object=0.2)
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids(studies), method=method)
    wait_until(lambda: len(files_of(linked.workspace)) > 2, 30, what="some objects")
    return job.job_id, studies


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_worker_that_is_killed_is_followed_by_one_that_completes_its_job(linked: Linked, method: str) -> None:
    job_id, studies = slow_job(linked, method)
    wait_for_worker(linked.workspace).send_signal(signal.SIGKILL)
    wait_until(lambda: not worker_processes(linked.workspace.settings.workspace), what="the worker is gone")
    before = files_of(linked.workspace)
    assert before < objects(studies)
    assert not linked.workspace.jobs[job_id].state.is_final
    wait_until(lambda: "without leaving" in " ".join(linked.workspace.health().problems), what="it is said")
    linked.pacs.quirks = Quirks()
    status = linked.workspace.jobs[job_id].wait(timeout=25)
    assert status.state is JobState.COMPLETE, status.error
    assert files_of(linked.workspace) == objects(studies)
    listed = linked.workspace.files.list()
    assert sorted(listed["SOPInstanceUID"]) == sorted(objects(studies))
    end_workers(linked.workspace.settings.workspace)
    assert not list(linked.workspace.files.folder.rglob("*.part"))


def test_who_waits_for_a_worker_that_cannot_start_is_told_why(linked: Linked) -> None:
    (linked.workspace.settings.workspace / "qrkit.toml").write_text("[[after]]\nname = 'copies'\n")
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids(all_studies(linked.hospital)[:1]))
    with pytest.raises(WorkerError, match=r"ends as soon as it starts, so what is queued waits: .*copies"):
        job.wait(timeout=LIMIT)
    assert job.status.state is JobState.QUEUED


def test_a_worker_that_is_asked_to_end_gives_its_items_back(linked: Linked) -> None:
    job_id, studies = slow_job(linked, "get")
    worker = wait_for_worker(linked.workspace)
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: not runs(worker), 8, what="the worker ends")
    states = set(linked.workspace.jobs[job_id].items["state"])
    assert states <= {"queued", "complete"}
    assert "queued" in states
    assert linked.workspace.sql("SELECT DISTINCT state FROM workers")["state"].tolist() == ["left"]
    assert set(linked.workspace.files.list()["SOPInstanceUID"]) == files_of(linked.workspace)
    linked.pacs.quirks = Quirks()
    status = linked.workspace.jobs[job_id].wait(timeout=LIMIT)
    assert status.state is JobState.COMPLETE
    assert files_of(linked.workspace) == objects(studies)


def test_a_worker_whose_workspace_is_moved_away_ends_and_says_so(linked: Linked, tmp_path: Path) -> None:
    job_id, _ = slow_job(linked, "get")
    worker = wait_for_worker(linked.workspace)
    folder = linked.workspace.settings.workspace
    folder.rename(tmp_path / "elsewhere")
    wait_until(lambda: not runs(worker), 20, what="the worker ends")
    assert not (folder / "qrkit.sqlite").exists()
    with qrkit.open(tmp_path / "elsewhere") as moved:
        assert "deleted, moved or replaced" in moved.health().problems[1]
        assert not moved.jobs[job_id].state.is_final
        assert set(moved.files.list()["SOPInstanceUID"]) <= files_of(moved)
    assert not list(folder.rglob("*.dcm"))


def test_without_its_port_the_background_worker_goes_on_by_c_get_and_c_move_says_why(
    linked: Linked,
) -> None:
    study = all_studies(linked.hospital)[0]
    settings = linked.workspace.settings
    with socket.create_server((settings.host, settings.port)):
        by_move = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="move")
        failed = by_move.wait(timeout=LIMIT)
        assert failed.state is JobState.FAILED
        assert str(settings.port) in failed.items[0].outcome.error
        by_get = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="get")
        assert by_get.wait(timeout=LIMIT).state is JobState.COMPLETE
        wait_until(lambda: not is_running(settings.workspace), 15, what="the background worker leaves")
        in_foreground = linked.workspace.worker()
        with pytest.raises(PortInUse, match=str(settings.port)):
            in_foreground.run(idle_exit=0)


def test_auto_falls_back_from_c_move_to_c_get_when_the_port_is_taken(linked: Linked) -> None:
    study = all_studies(linked.hospital)[0]
    linked.workspace.nodes.edit("pacs", method="move")
    settings = linked.workspace.settings
    with (
        socket.create_server((settings.host, settings.port)),
        worker_in_thread(linked.workspace, needs_scp=False),
    ):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE


def test_the_log_has_uids_and_counts_but_no_patient(linked: Linked) -> None:
    study = all_studies(linked.hospital)[0]
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
    job.wait(timeout=LIMIT)
    wait_until(lambda: not worker_processes(linked.workspace.settings.workspace), 15, what="the worker leaves")
    folder = linked.workspace.settings.workspace
    logged = "".join(path.read_text() for path in (folder / "worker.log", folder / "worker.err"))
    assert job.job_id in logged
    assert "Traceback" not in logged
    family = study.patient.PatientName.split("^")[0]
    for secret in (study.patient.PatientID, family, study.patient.PatientBirthDate):
        assert secret not in logged


def test_each_site_of_a_workspace_is_given_a_worker_of_its_own(open_workspace: OpenWorkspace, tmp_path: Path) -> None:
    workers = WorkerTable(open_workspace(tmp_path / "shared")._state)
    stations = [open_workspace(tmp_path / "shared", site=site).settings for site in ("north", "south")]
    assert [ensure_worker(station, workers) for station in stations] == [True, True]
    assert [ensure_worker(station, workers) for station in stations] == [False, False]


def test_a_worker_that_has_let_go_of_the_workspace_and_ends_is_none_to_rely_on(open_workspace: OpenWorkspace) -> None:
    workspace = open_workspace()
    workers, lock = WorkerTable(workspace._state), lock_path(workspace.settings.workspace)
    station = NewWorker(host=socket.gethostname(), pid=0, ae_title="QRKIT", port=0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ending:
        lock.with_suffix(".starting").write_text(str(ending.pid))
        assert not ensure_worker(workspace.settings, workers)  # it is booting still
        workers.register("ending", replace(station, pid=ending.pid))
        assert ensure_worker(workspace.settings, workers)
        ending.communicate(b"\n")


def test_workers_of_two_workspaces_run_side_by_side(
    linked: Linked, open_workspace: OpenWorkspace, tmp_path: Path
) -> None:
    other = open_workspace(tmp_path / "other")
    with worker_in_thread(linked.workspace), worker_in_thread(other):
        assert is_running(linked.workspace.settings.workspace)
        assert is_running(other.settings.workspace)
