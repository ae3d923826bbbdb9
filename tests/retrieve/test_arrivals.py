"""What arrives without being asked for, and what is here already."""

import errno
from pathlib import Path

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.workspace import Workspace
from tests.peers.dcmtk import dcmsend, storescu
from tests.peers.peer import PeerAddress
from tests.peers.waiting import wait_until
from tests.workspace.opened import (
    Linked,
    OpenWorkspace,
    all_studies,
    files_of,
    uids_of,
    worker_in_thread,
)

LIMIT = 60.0


def address(workspace: Workspace) -> PeerAddress:
    return PeerAddress(workspace.settings.ae_title, workspace.settings.host, workspace.settings.port)


def test_objects_that_nobody_asked_for_are_refused(workspace: Workspace, samples: list[Path]) -> None:
    workspace.nodes.add("modality", host="127.0.0.1", port=104, ae_title="MODALITY")
    with worker_in_thread(workspace):
        sent = storescu(address(workspace), samples[:1], options=("-aet", "MODALITY", "-v"))
        assert "0x124" in sent.stdout, sent.stdout
    assert files_of(workspace) == set()
    assert len(workspace.files) == 0


def test_what_a_known_node_sends_is_kept_where_the_setting_says_so(
    open_workspace: OpenWorkspace, samples: list[Path]
) -> None:
    workspace = open_workspace(unsolicited="keep")
    workspace.nodes.add("modality", host="127.0.0.1", port=104, ae_title="MODALITY")
    with worker_in_thread(workspace):
        dcmsend(address(workspace), samples[:3], options=("-aet", "MODALITY"), check=True)
        wait_until(lambda: len(workspace.files) == 3, what="the rows are written")
        stranger = storescu(address(workspace), samples[3:4], options=("-aet", "STRANGER", "-v"))
        assert "Success" not in stranger.stdout
    assert len(files_of(workspace)) == 3
    listed = workspace.files.list()
    assert set(listed["source"]) == {"modality"}
    assert listed["job_id"].isna().all()


def test_an_object_sent_twice_is_one_file_and_one_row(open_workspace: OpenWorkspace, samples: list[Path]) -> None:
    workspace = open_workspace(unsolicited="keep")
    workspace.nodes.add("modality", host="127.0.0.1", port=104, ae_title="MODALITY")
    with worker_in_thread(workspace):
        for _ in range(2):
            dcmsend(address(workspace), samples[:1], options=("-aet", "MODALITY"), check=True)
    assert len(list(workspace.files.folder.rglob("*.dcm"))) == 1
    assert len(workspace.files) == 1


def test_a_disk_below_its_floor_takes_nothing_and_the_job_rests_and_says_so(
    open_workspace: OpenWorkspace, linked: Linked
) -> None:
    full = open_workspace(linked.workspace.settings.workspace, free_space_floor=10**18)
    study = all_studies(linked.hospital)[0]
    with worker_in_thread(full):
        job = full.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="get")
        wait_until(lambda: job.state is JobState.PAUSED, LIMIT, what="the job rests")
    assert "free" in job.status.reason
    assert files_of(full) == set()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move"])
def test_what_cannot_be_stored_here_is_not_blamed_on_the_node(
    linked: Linked, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EACCES, "not allowed")

    monkeypatch.setattr("qrkit.store.files.place", fail)
    study = all_studies(linked.hospital)[1]
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
        status = job.wait(timeout=LIMIT)
    (item,) = status.items
    count = len(uids_of(study))
    assert status.state is JobState.FAILED
    assert (
        item.outcome.error
        == f"{count} received objects could not be stored here: The object cannot be written: not allowed."
    )
    assert "folder" in item.outcome.advice


@pytest.mark.parametrize("method", ["get", "move"])
def test_what_is_here_is_not_fetched_again_unless_its_file_is_gone(linked: Linked, method: str) -> None:
    study = all_studies(linked.hospital)[1]

    def fetch() -> tuple[int, int, int]:
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
        status = job.wait(timeout=LIMIT)
        assert status.state is JobState.COMPLETE
        sent = [one.answers for one in linked.pacs.requests if one.service == f"C-{method.upper()}"]
        return status.stored, status.received, sum(sent)

    count = len(uids_of(study))
    with worker_in_thread(linked.workspace):
        assert fetch() == (count, count, count)
        assert fetch() == (count, 0, count)
        gone = linked.workspace.files.paths()[0]
        gone.unlink()
        assert fetch() == (count, 1, count + 1)
    assert gone.exists()
    assert len(linked.workspace.files) == count


def test_a_study_whose_last_object_is_here_is_fetched_without_it(linked: Linked) -> None:
    study = next(one for one in all_studies(linked.hospital) if len(one.series) > 1)
    series = study.series[-1]
    with worker_in_thread(linked.workspace):
        first = linked.workspace.retrieve_uids(
            "pacs", study_uids=[study.StudyInstanceUID], series_uids=[series.SeriesInstanceUID]
        )
        assert first.wait(timeout=LIMIT).state is JobState.COMPLETE
        whole = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID]).wait(timeout=LIMIT)
    assert whole.state is JobState.COMPLETE
    assert whole.received == len(uids_of(study)) - len(series.instances)
    assert whole.stored == len(uids_of(study))


def test_a_file_that_was_never_listed_is_listed_by_the_next_retrieve(linked: Linked) -> None:
    study = all_studies(linked.hospital)[0]
    with worker_in_thread(linked.workspace):
        linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID]).wait(timeout=LIMIT)
    with linked.workspace._state.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM instances")
    linked.pacs.quirks = Quirks(services=("echo", "find"))
    with worker_in_thread(linked.workspace):
        again = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID]).wait(timeout=LIMIT)
    assert again.state is JobState.COMPLETE
    assert set(linked.workspace.files.list()["SOPInstanceUID"]) == uids_of(study)
