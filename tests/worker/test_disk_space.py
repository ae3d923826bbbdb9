import shutil
from pathlib import Path

from qrkit.jobs import ItemOutcome, JobState, NewJob, PausedBy, RetrieveRequest
from qrkit.store.files import FileStore
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobPauses, JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.store.workers import NewWorker, WorkerTable
from qrkit.tables import Level
from qrkit.worker.disk_space import DiskSpace


def test_of_two_jobs_that_fit_singly_and_not_together_the_later_rests_until_the_first_has_ended(
    tmp_path: Path,
) -> None:
    with State.open(tmp_path) as state:
        jobs, queue = JobTable(state), JobQueue(state)
        room = DiskSpace(FileStore(tmp_path / "files", free_space_floor=0), JobPauses(state), floor=0)
        size = round(shutil.disk_usage(tmp_path).free * 0.6)
        request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1")
        new = NewJob(node="pacs", requests=(request,), estimated_bytes=size)
        first, second = jobs.create(new), jobs.create(new)
        assert not room.shortage(size)  # nothing runs yet
        (one,), (other,) = (queue.claim_share("w", {"pacs": 2}, most=1) for _ in range(2))
        assert (one.job_id, other.job_id) == (first, second)
        assert room.has_space_for(jobs.get_summary(first))
        assert not room.has_space_for(jobs.get_summary(second))
        assert "free after other jobs" in room.shortage(size)  # nor does a third
        queue.give_back([other.item_id], worker_id="w")
        room.resume_jobs()
        resting = jobs.get_summary(second)
        assert (resting.state, resting.paused_by) == (JobState.PAUSED, PausedBy.DISK)
        assert "free after other jobs" in resting.reason
        RunningItems(state).finish_item(one.item_id, ItemOutcome(state=JobState.COMPLETE, stored=1))
        room.resume_jobs()
        assert jobs.get_summary(second).state is JobState.QUEUED


def a_room(state: State, folder: Path, *, floor: int = 0) -> DiskSpace:
    return DiskSpace(FileStore(folder, free_space_floor=floor), JobPauses(state), floor=floor)


def test_a_full_disk_of_one_site_lets_no_job_of_another_rest_nor_go_on(tmp_path: Path) -> None:
    """Two sites with folders of their own; that of the first is taken for full by its floor."""
    full = shutil.disk_usage(tmp_path).total * 2
    with State.open(tmp_path) as state:
        jobs, queue, workers = JobTable(state), JobQueue(state), WorkerTable(state)
        north, south = a_room(state, tmp_path / "north", floor=full), a_room(state, tmp_path / "south")
        assert a_room(state, tmp_path / "north").disk == north.disk != south.disk
        for site, room in (("north", north), ("south", south)):
            station = NewWorker(host="h", pid=1, ae_title="A", port=1, site=site, disk=room.disk)
            workers.register(site, station)
        size = round(shutil.disk_usage(tmp_path).free * 0.6)
        request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1")
        ids = {
            site: jobs.create(NewJob(node=site, requests=(request,), estimated_bytes=size))
            for site in ("north", "south")
        }
        for site in ids:
            assert queue.claim_share(site, {site: 1}, most=1)
        assert south.has_space_for(jobs.get_summary(ids["south"])), "what goes to the other disk was counted"
        north.pause(ids["north"])
        south.resume_jobs()
        assert jobs.get_summary(ids["north"]).paused_by is PausedBy.DISK, "the other site's room is none here"
        assert jobs.get_summary(ids["south"]).state is JobState.RUNNING
        a_room(state, tmp_path / "north").resume_jobs()  # there is room again
        assert jobs.get_summary(ids["north"]).paused_by is not PausedBy.DISK
