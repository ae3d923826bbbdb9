"""A worker that runs out of what the system gives it: file descriptors, memory."""

import resource
import time
from pathlib import Path
from random import Random

import pytest

from qrkit.job import JobState
from tests.faults import truth
from tests.faults.stage import Stage, set_up
from tests.peers.waiting import wait_until

LIMIT = 90.0


@pytest.mark.parametrize("what", ["descriptors", "memory"])
def test_a_worker_out_of_what_it_needs_loses_nothing_and_goes_on_or_ends_and_is_followed(
    tmp_path: Path, what: str
) -> None:
    with set_up(tmp_path / "stage") as stage:
        jobs = [stage.ask(Random(number), method="move") for number in (1, 2)]
        wait_until(lambda: truth.held(stage.workspace), LIMIT, what="the first object")
        worker = stage.workers[0].process
        kind = resource.RLIMIT_NOFILE if what == "descriptors" else resource.RLIMIT_AS
        least = worker.num_fds() - 3 if what == "descriptors" else worker.memory_info().vms
        before = worker.rlimit(kind)
        worker.rlimit(kind, (least, before[1]))
        time.sleep(3.0)  # how long it lacks them
        if stage.workers[0].is_running:
            worker.rlimit(kind, before)
        for job in jobs:
            wait_until(lambda: has_ended(stage, job), LIMIT, what="the job ends")  # noqa: B023 - asked at once
            stage.jobs.retry(job)
            wait_until(lambda: has_ended(stage, job), LIMIT, what="the job ends")  # noqa: B023 - as above
            assert stage.jobs.get_summary(job).state is JobState.COMPLETE
        stage.workers[0].leave()
        assert not [*truth.of_outcomes(stage), *truth.of_completeness(stage), *truth.of_files(stage)]


def has_ended(stage: Stage, job_id: str) -> bool:
    stage.workers[0].start()  # where it has ended: as its service would
    return stage.jobs.get_summary(job_id).state.is_final
