"""What waits: for another try, for its turn, for the hours of its node, for room; and what rests on demand."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from qrkit.jobs import JobRow, JobState, PausedBy
from qrkit.retrieve import watcher
from qrkit.simulator import Quirks
from qrkit.workspace import Job
from tests.peers.waiting import wait_until
from tests.workspace.opened import Linked, OpenWorkspace, files_of, link, of_size, uids_of, worker_in_thread

LIMIT = 60.0


@pytest.fixture
def patient(open_workspace: OpenWorkspace, linked: Linked, tmp_path: Path) -> Linked:
    """A workspace that tries again soon."""
    workspace = open_workspace(tmp_path / "patient", retries=3, retry_pause=1)
    link(workspace, linked.pacs)
    return Linked(workspace=workspace, pacs=linked.pacs, hospital=linked.hospital)


def ask(linked: Linked, *, least: int = 8, method: str = "get", count: int = 1) -> Job:
    uids = [study.StudyInstanceUID for study in of_size(linked.hospital, least)[:count]]
    return linked.workspace.retrieve_uids("pacs", study_uids=uids, method=method)


def retrieves(linked: Linked) -> int:
    return sum(one.service in ("C-GET", "C-MOVE") for one in linked.pacs.requests)


@pytest.mark.parametrize("method", ["get", "move"])
def test_what_fails_for_now_is_tried_again_and_becomes_whole(patient: Linked, method: str) -> None:
    patient.pacs.quirks = Quirks(retrieve_status=0xA702)
    with worker_in_thread(patient.workspace):
        job = ask(patient, method=method)
        wait_until(lambda: job.status.items[0].not_before, LIMIT, what="the item waits for another try")
        waiting = job.status.items[0]
        assert waiting.outcome.state in (JobState.QUEUED, JobState.RUNNING)
        assert "0xA702" in waiting.outcome.error
        patient.pacs.quirks = Quirks()
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    assert job.status.items[0].attempts >= 2


def test_an_item_that_waits_for_another_try_can_be_cancelled(patient: Linked) -> None:
    patient.pacs.quirks = Quirks(retrieve_status=0xA702)
    with worker_in_thread(patient.workspace):
        job = ask(patient)
        wait_until(lambda: job.status.items[0].failures == 2, LIMIT, what="two failures")
        job.cancel()
        assert job.wait(timeout=LIMIT).state is JobState.CANCELLED


@pytest.mark.parametrize("status", [0xA801, 0xA900, 0xC001])
def test_what_cannot_succeed_is_not_tried_again(patient: Linked, status: int) -> None:
    patient.pacs.quirks = Quirks(retrieve_status=status)
    with worker_in_thread(patient.workspace):
        done = ask(patient).wait(timeout=LIMIT)
    assert done.state is JobState.FAILED
    # 0xC001 may be that of one object, so a few parts are asked for
    assert retrieves(patient) <= (1 if status != 0xC001 else 6)
    assert done.items[0].failures == 0


def test_one_bad_item_does_not_stop_the_others(patient: Linked) -> None:
    good = of_size(patient.hospital, 1, most=2)[0]
    with worker_in_thread(patient.workspace):
        uids = ["1.2.3.4.5", good.StudyInstanceUID]
        done = patient.workspace.retrieve_uids("pacs", study_uids=uids, method="get").wait(timeout=LIMIT)
    assert [item.outcome.state for item in done.items] == [JobState.FAILED, JobState.COMPLETE]


def test_a_node_out_of_reach_is_said_while_the_job_waits_and_fetched_from_when_it_is_back(patient: Linked) -> None:
    patient.pacs.quirks = Quirks(reject="congestion")
    with worker_in_thread(patient.workspace):
        job = ask(patient, count=3)
        wait_until(lambda: job.status.reason, LIMIT, what="a reason")
        assert "Try 2 of 4 follows" in job.status.reason
        assert {item.failures for item in job.status.items} == {0}
        patient.pacs.quirks = Quirks()
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE


def test_a_node_that_stays_out_of_reach_ends_the_job_at_once_and_whole(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(reject="calling-aet")
    with worker_in_thread(linked.workspace):
        done = ask(linked, count=3).wait(timeout=LIMIT)
    assert {item.outcome.state for item in done.items} == {JobState.FAILED}
    assert done.advice


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_job_that_is_paused_rests_within_seconds_and_what_came_is_not_fetched_twice(
    linked: Linked, method: str
) -> None:
    linked.pacs.quirks = Quirks(delay_object=0.3)
    study = of_size(linked.hospital, 8)[0]
    with worker_in_thread(linked.workspace):
        job = ask(linked, method=method)
        wait_until(lambda: len(files_of(linked.workspace)) > 1, LIMIT, what="some objects")
        job.pause()
        wait_until(lambda: job.state is JobState.PAUSED, 20, what="the job rests")
        assert {item.outcome.state for item in job.status.items} == {JobState.PAUSED}
        assert job.status.paused_by is PausedBy.USER
        linked.pacs.quirks = Quirks()
        job.resume()
        done = job.wait(timeout=LIMIT)
    assert done.state is JobState.COMPLETE
    assert done.received == len(uids_of(study))
    assert files_of(linked.workspace) == uids_of(study)


def test_a_small_job_has_its_turn_before_a_large_one_has_ended(
    linked: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "SLICE", 0.3)
    linked.workspace.nodes.edit("pacs", associations=1)
    linked.pacs.quirks = Quirks(delay_first_object=0.15)
    large = [study.StudyInstanceUID for study in of_size(linked.hospital, 1, most=2)[:20]]
    with worker_in_thread(linked.workspace):
        first = linked.workspace.retrieve_uids("pacs", study_uids=large[:-1], method="get")
        wait_until(lambda: first.status.stored, LIMIT, what="the large job runs")
        second = linked.workspace.retrieve_uids("pacs", study_uids=large[-1:], method="get")
        assert second.wait(timeout=LIMIT).state is JobState.COMPLETE
        assert not first.state.is_final
        linked.pacs.quirks = Quirks()
        assert first.wait(timeout=LIMIT).state is JobState.COMPLETE


def test_outside_the_hours_of_its_node_a_job_waits_and_says_until_when(linked: Linked) -> None:
    now = datetime.now().astimezone()
    opens = now + timedelta(hours=3)
    hours = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    linked.workspace.nodes.edit("pacs", retrieve_hours=hours)
    with worker_in_thread(linked.workspace):
        job = ask(linked)
        wait_until(lambda: job.status.reason, LIMIT, what="a reason")
        assert job.status.reason == f"pacs allows retrieves at {hours} only: waiting until {opens:%a %H:%M}."
        assert (job.state, retrieves(linked)) == (JobState.QUEUED, 0)
        linked.workspace.nodes.edit("pacs", retrieve_hours="")
        done = job.wait(timeout=LIMIT)
    assert (done.state, done.reason) == (JobState.COMPLETE, "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB, which only root can make."""
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    done = subprocess.run([str(mount), "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False)
    if mount is None or done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Have a mounted file system be read-only for a while, as one with errors becomes, whoever has files open."""
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_disk_that_becomes_read_only_lets_the_job_rest_until_it_can_be_written_and_nothing_is_lost(
    small_disk: Path, open_workspace: OpenWorkspace, linked: Linked, tmp_path: Path, method: str
) -> None:
    workspace = open_workspace(tmp_path / "of", files=str(small_disk / "files"), free_space_floor=1_000)
    link(workspace, linked.pacs)
    linked.pacs.quirks = Quirks(delay_object=0.2)
    study = of_size(linked.hospital, 8)[0]
    with worker_in_thread(workspace):
        job = workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
        wait_until(lambda: files_of(workspace), LIMIT, what="the first object")
        with read_only(small_disk):
            wait_until(lambda: job.state is JobState.PAUSED, LIMIT, what="the job rests")
            assert "cannot be written" in job.status.reason
        linked.pacs.quirks = Quirks()
        done = job.wait(timeout=LIMIT)
    assert done.state is JobState.COMPLETE
    assert files_of(workspace) == uids_of(study)
    assert set(workspace.files.list()["SOPInstanceUID"]) == uids_of(study)


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_full_disk_lets_the_job_rest_until_there_is_room_and_nothing_is_lost(
    small_disk: Path, open_workspace: OpenWorkspace, linked: Linked, tmp_path: Path, method: str
) -> None:
    ballast = small_disk / "ballast"
    files = str(small_disk / "files")
    workspace = open_workspace(tmp_path / "of", files=files, free_space_floor=2_000_000)
    link(workspace, linked.pacs)
    linked.pacs.quirks = Quirks(delay_object=0.2)
    study = of_size(linked.hospital, 8)[0]
    with worker_in_thread(workspace):
        job = workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
        wait_until(lambda: files_of(workspace), LIMIT, what="the first object")
        ballast.write_bytes(bytes(6_500_000))
        wait_until(lambda: job.state is JobState.PAUSED, LIMIT, what="the job rests")
        resting: JobRow = job.status
        assert resting.paused_by is PausedBy.DISK
        assert "Less than 2 MB are free" in resting.reason
        with contextlib.suppress(FileNotFoundError):
            ballast.unlink()
        linked.pacs.quirks = Quirks()
        done = job.wait(timeout=LIMIT)
    assert done.state is JobState.COMPLETE
    assert files_of(workspace) == uids_of(study)
    assert set(workspace.files.list()["SOPInstanceUID"]) == uids_of(study)


def test_a_job_that_cannot_fit_rests_before_its_start_until_there_is_room(
    small_disk: Path, open_workspace: OpenWorkspace, linked: Linked, tmp_path: Path
) -> None:
    floor, ballast = 1_000_000, small_disk / "ballast"
    workspace = open_workspace(tmp_path / "of", files=str(small_disk / "files"), free_space_floor=floor)
    link(workspace, linked.pacs)
    found = workspace.find("pacs", date="2026-06-30", modalities=["CT"])
    small, *_, large = found.sort_values("NumberOfStudyRelatedInstances")["StudyInstanceUID"]
    with worker_in_thread(workspace):
        first = workspace.retrieve_uids("pacs", study_uids=[small]).wait(timeout=LIMIT)
        spare = shutil.disk_usage(small_disk).free - floor - 2 * first.bytes // first.stored
        ballast.write_bytes(bytes(spare))
        sent = retrieves(linked)
        job = workspace.retrieve_uids("pacs", study_uids=[large])
        resting = job.status
        assert (resting.state, resting.paused_by) == (JobState.PAUSED, PausedBy.DISK)
        assert resting.reason.startswith("Not enough free disk space")
        assert retrieves(linked) == sent
        ballast.unlink()
        done = job.wait(timeout=LIMIT)
    assert (done.state, done.reason) == (JobState.COMPLETE, "")
    assert done.estimated_bytes is not None
    assert 0.2 * done.bytes < done.estimated_bytes < 5 * done.bytes


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_job_does_not_end_because_its_own_items_have_taken_all_associations(linked: Linked, method: str) -> None:
    linked.workspace.nodes.edit("pacs", associations=2)
    linked.pacs.quirks = Quirks(max_associations=1, delay_object=0.02)
    assert linked.workspace.settings.retries == 0
    with worker_in_thread(linked.workspace):
        done = ask(linked, least=3, count=16, method=method).wait(timeout=LIMIT)
    assert done.state is JobState.COMPLETE


def test_a_job_of_several_batches_ends_whose_node_accepts_no_association(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", associations=3)
    linked.pacs.quirks = Quirks(reject="congestion")
    with worker_in_thread(linked.workspace):
        done = ask(linked, least=3, count=12).wait(timeout=LIMIT)
    assert {item.outcome.state for item in done.items} == {JobState.FAILED}
