"""A state that goes away in the middle of a retrieve: the database stops, loses its connections, comes back."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from qrkit.errors import StateUnavailable
from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.workspace import Job, Workspace
from tests.peers.postgres import Postgres
from tests.peers.waiting import free_port, wait_until
from tests.workspace.opened import (
    Linked,
    OpenWorkspace,
    StartSimulator,
    environment,
    files_of,
    link,
    of_size,
    uids_of,
    worker_in_thread,
    worker_rows,
)

LIMIT = 60.0
HASTY = """import sys
from qrkit.cli import main
from qrkit.worker import process
process.LEAVES_WITHIN = 5
sys.argv[1:] = ['serve']
main()"""
"""A worker that waits a shorter time for what hangs when it is asked to end."""
END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
AND pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Postgres]:
    """The server, which runs again when the tests of this module are over."""
    yield postgres
    if not postgres.is_alive():
        postgres.start()


@pytest.fixture
def on_server(
    server: Postgres, open_workspace: OpenWorkspace, hospital: GeneratedHospital, start_simulator: StartSimulator
) -> Iterator[Linked]:
    """A workspace on PostgreSQL, with a hospital that sends slowly."""
    with server.new_database() as url:
        workspace = open_workspace(database_url=url)
        pacs = start_simulator(hospital, quirks=Quirks(delay_object=0.15))
        link(workspace, pacs)
        yield Linked(workspace=workspace, pacs=pacs, hospital=hospital)


def ask(linked: Linked, method: str) -> tuple[Job, set[str]]:
    """A job of two studies of which some objects are here, and what it is to bring."""
    studies = of_size(linked.hospital, 8)[:2]
    job = linked.workspace.retrieve_uids(
        "pacs", study_uids=[study.StudyInstanceUID for study in studies], method=method
    )
    wait_until(lambda: len(files_of(linked.workspace)) > 2, LIMIT, what="some objects")
    return job, set().union(*map(uids_of, studies))


def whole(job: Job, linked: Linked, wanted: set[str]) -> None:
    """Wait for a job; it must be whole then, each object with its row."""
    linked.pacs.quirks = Quirks()
    done = job.wait(timeout=LIMIT)
    assert (done.state, done.error) == (JobState.COMPLETE, "")
    assert files_of(linked.workspace) == wanted
    assert sorted(linked.workspace.files.list()["SOPInstanceUID"]) == sorted(wanted)


def sent_once(linked: Linked, wanted: set[str]) -> None:
    """Nothing must have been sent twice."""
    assert sum(one.answers for one in linked.pacs.requests if one.service in ("C-GET", "C-MOVE")) == len(wanted)


@pytest.mark.parametrize(("method", "until"), [("get", "all are here"), ("move", "more are here")])
def test_a_database_that_stops_in_the_middle_of_a_retrieve_loses_and_doubles_nothing(
    server: Postgres, on_server: Linked, method: str, until: str, caplog: pytest.LogCaptureFixture
) -> None:
    with worker_in_thread(on_server.workspace):
        job, wanted = ask(on_server, method)
        server.stop_at_once()
        enough = len(wanted) if until == "all are here" else len(files_of(on_server.workspace)) + 2
        with pytest.raises(StateUnavailable, match="cannot be used"):
            job.status  # noqa: B018 - who looks meanwhile is told, too
        wait_until(lambda: "The state cannot be used" in caplog.text, LIMIT, what="the worker says so")
        wait_until(lambda: len(files_of(on_server.workspace)) >= enough, LIMIT, what="objects that still come")
        server.start()
        whole(job, on_server, wanted)
        sent_once(on_server, wanted)


def test_connections_that_the_database_ends_and_one_that_hangs_lose_and_double_nothing(
    server: Postgres, on_server: Linked
) -> None:
    with worker_in_thread(on_server.workspace):
        job, wanted = ask(on_server, "get")
        for _ in range(5):
            with contextlib.suppress(StateUnavailable), on_server.workspace._state.transaction() as connection:
                connection.exec_driver_sql(END_OTHERS)
        whole_family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        for process in whole_family:
            process.suspend()
        time.sleep(1.0)  # how long the fault lasts
        for process in whole_family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        whole(job, on_server, wanted)
        sent_once(on_server, wanted)


@pytest.mark.parametrize("fault", ["stops", "hangs"])
def test_a_worker_that_is_asked_to_end_while_its_database_is_away_does_and_the_next_one_goes_on(
    server: Postgres, on_server: Linked, fault: str
) -> None:
    command = [sys.executable, "-c", HASTY]
    with subprocess.Popen(command, env=environment(on_server.workspace), stderr=subprocess.DEVNULL) as worker:
        wait_until(lambda: worker_rows(on_server.workspace), LIMIT, what="the worker runs")
        job, wanted = ask(on_server, "get")
        whole_family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        if fault == "stops":
            server.stop_at_once()
            studies = [uids_of(study) for study in of_size(on_server.hospital, 8)[:2]]
            wait_until(lambda: any(files_of(on_server.workspace) >= uids for uids in studies), LIMIT, what="a study")
        else:
            for process in whole_family:
                process.suspend()
        worker.terminate()
        # in order where it is told that the database is not there; where nothing answers, as if it was killed
        assert worker.wait(LIMIT) == (0 if fault == "stops" else 1)
    if fault == "stops":
        server.start()
    for process in whole_family if fault == "hangs" else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    with worker_in_thread(on_server.workspace):
        whole(job, on_server, wanted)


def test_a_worker_without_its_database_says_so_in_one_line_and_ends(workspace: Workspace) -> None:
    nowhere = f"postgresql://qrkit:secret@127.0.0.1:{free_port()}/qrkit"
    done = subprocess.run(
        [sys.executable, "-m", "qrkit.cli", "serve"],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=environment(workspace) | {"QRKIT_DATABASE_URL": nowhere},
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "cannot be used" in line
    assert "secret" not in line
