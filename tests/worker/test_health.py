"""How a worker is, as `qrkit serve --check` and a monitor are told."""

import json
import subprocess
import sys
from pathlib import Path

from qrkit.worker.health import DEAD_AFTER, health_of
from qrkit.worker.process import log_file
from qrkit.workspace import Workspace
from tests.workspace.opened import OpenWorkspace, environment, worker_in_thread


def check(workspace: Workspace) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "qrkit.cli", "serve", "--check", "--format", "json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(workspace),
    )
    return done.returncode, json.loads(done.stdout)


def test_without_a_worker_it_is_not_well_and_says_how_to_start_one(workspace: Workspace) -> None:
    status, told = check(workspace)
    assert (status, told["well"], told["worker_id"]) == (1, False, None)
    assert "qrkit serve" in str(told["problems"])


def test_a_worker_that_answers_c_echo_is_well(workspace: Workspace) -> None:
    with worker_in_thread(workspace):
        health = workspace.health()
        assert check(workspace)[0] == 0
    assert health.is_well, health.problems
    assert health.port == workspace.settings.port
    assert health.heartbeat_age is not None
    assert health.heartbeat_age < DEAD_AFTER


def test_a_port_that_somebody_else_has_is_said(workspace: Workspace) -> None:
    with worker_in_thread(workspace, needs_scp=False):
        row = workspace.sql("SELECT worker_id FROM workers")
        with workspace._state.transaction() as connection:
            connection.exec_driver_sql("UPDATE workers SET port = 1")
        health = workspace.health()
    assert len(row) == 1
    assert "on port 1 does not answer" in health.problems[0]


def test_a_disk_below_the_floor_is_said(open_workspace: OpenWorkspace, tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "full", free_space_floor=10**18)
    workspace.settings.files.mkdir(parents=True)
    health = health_of(workspace.settings, workspace._state)
    assert any("below the floor" in problem for problem in health.problems)


def test_a_worker_that_cannot_write_its_log_says_so_in_one_line(workspace: Workspace) -> None:
    log_file(workspace.settings).mkdir()  # which nothing can be written to, not even by root
    command = [sys.executable, "-m", "qrkit.cli", "serve"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(workspace))
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "worker.log, cannot be written: Is a directory." in line
