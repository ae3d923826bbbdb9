import shutil
from pathlib import Path

from qrkit.job import ItemOutcome, JobState, NewJob, PausedBy, RetrieveRequest
from qrkit.store.files import FileStore
from qrkit.store.job_queue import JobQueue
from qrkit.store.job_rests import JobRests
from qrkit.store.job_under_way import UnderWay
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.worker.room import Room


def test_of_two_jobs_that_fit_singly_and_not_together_the_later_rests_until_the_first_has_ended(
    tmp_path: Path,
) -> None:
    with State.open(tmp_path) as state:
        jobs, queue = JobTable(state), JobQueue(state)
        room = Room(FileStore(tmp_path / "files", free_space_floor=0), JobRests(state), floor=0)
        size = round(shutil.disk_usage(tmp_path).free * 0.6)
        request = RetrieveRequest(level="STUDY", StudyInstanceUID="1")
        new = NewJob(node="pacs", requests=(request,), estimated_bytes=size)
        first, second = jobs.create(new), jobs.create(new)
        assert not room.lack(size)  # nothing runs yet
        (one,), (other,) = (queue.claim_share("w", {"pacs": 2}, most=1) for _ in range(2))
        assert (one.job_id, other.job_id) == (first, second)
        assert room.takes(jobs.get_summary(first))
        assert not room.takes(jobs.get_summary(second))
        assert "beside what other jobs bring" in room.lack(size)  # nor does a third
        queue.give_back([other.item_id], worker_id="w")
        room.resume_jobs()
        resting = jobs.get_summary(second)
        assert (resting.state, resting.paused_by) == (JobState.PAUSED, PausedBy.DISK)
        assert "beside what other jobs bring" in resting.reason
        UnderWay(state).finish_item(one.item_id, ItemOutcome(state=JobState.COMPLETE, stored=1))
        room.resume_jobs()
        assert jobs.get_summary(second).state is JobState.QUEUED
