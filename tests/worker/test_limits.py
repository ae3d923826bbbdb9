"""A worker that runs out of what the system gives it: file descriptors, memory."""

import resource
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from qrkit.jobs import JobState
from tests.faults import truth
from tests.faults.stage import Stage, set_up
from tests.peers.waiting import wait_until
from tests.workspace.opened import Linked, environment, of_size, worker_in_thread, worker_rows

LIMIT = 90.0


def test_a_worker_out_of_what_it_needs_loses_nothing_and_goes_on_or_ends_and_is_followed(tmp_path: Path) -> None:
    with set_up(tmp_path / "stage") as stage:
        jobs = []
        for number, kind in enumerate((resource.RLIMIT_NOFILE, resource.RLIMIT_AS)):
            here = truth.held(stage.workspace)
            jobs.append(stage.ask(Random(number + 1), method="move"))
            wait_until(lambda: truth.held(stage.workspace) > here, LIMIT, what="an object")  # noqa: B023 - asked at once
            lack(stage, kind)
        for job in jobs:
            wait_until(lambda: has_ended(stage, job), LIMIT, what="the job ends")  # noqa: B023 - asked at once
            stage.jobs.retry(job)
            wait_until(lambda: has_ended(stage, job), LIMIT, what="the job ends")  # noqa: B023 - as above
            assert stage.jobs.get_summary(job).state is JobState.COMPLETE
        stage.workers[0].leave()
        assert not [*truth.of_outcomes(stage), *truth.of_completeness(stage), *truth.of_files(stage)]


STUCK = """import sys, threading
from qrkit.cli import main
from qrkit.retrieve import batch
from qrkit.worker import process, service
batch.Batch.run = lambda *_: threading.Event().wait()
service.HEARTBEAT, service.SILENT, process.LEAVES_WITHIN = 0.2, 4, 1
sys.argv[1:] = ["serve"]
main()"""
"""A worker whose retrieves never end, as of a thread that cannot begin for want of memory."""


def test_a_worker_with_a_retrieve_that_stands_still_ends_and_the_next_one_goes_on(linked: Linked) -> None:
    study = of_size(linked.hospital, 8)[0]
    workspace = linked.workspace
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], env=environment(workspace), stderr=subprocess.PIPE
    ) as worker:
        wait_until(lambda: worker_rows(workspace), LIMIT, what="the worker runs")
        job = workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
        _, said = worker.communicate(timeout=LIMIT)
    assert worker.returncode == 1
    assert b"in wait" in said, "what its threads were at"
    assert "has been stuck" in (workspace.settings.workspace / "worker.log").read_text("utf-8")
    with worker_in_thread(workspace):
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE


def lack(stage: Stage, kind: int) -> None:
    """Have the worker do without more of something for a while."""
    stage.workers[0].start()
    worker = stage.workers[0].process
    before = worker.rlimit(kind)
    least = worker.num_fds() - 3 if kind == resource.RLIMIT_NOFILE else worker.memory_info().vms
    worker.rlimit(kind, (least, before[1]))
    time.sleep(2.0)  # how long it lacks them
    if stage.workers[0].is_running:
        worker.rlimit(kind, before)


def has_ended(stage: Stage, job_id: str) -> bool:
    stage.workers[0].start()  # where it has ended: as its service would
    return stage.jobs.get_summary(job_id).state.is_final
