"""Objects that come when nobody waits for them any longer, and objects that come in two versions."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import dcmread

from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal, move_model
from qrkit.dimse.retrieve import Retrieval
from qrkit.errors import StatusError
from qrkit.jobs import JobState, RetrieveRequest
from qrkit.node import InformationModel
from qrkit.retrieve.identifiers import unique_keys
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.store.job_progress import LATE_NOTE
from qrkit.tables import Level
from qrkit.workspace import Job
from tests.peers.waiting import wait_until
from tests.workspace.opened import (
    Linked,
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


def incomplete(linked: Linked, study: Study) -> Job:
    """A job of which the PACS sends all but two objects, although it counts them."""
    linked.pacs.quirks = Quirks(send_less=2)
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="move")
    status = job.wait(timeout=LIMIT)
    assert (status.state, len(status.items[0].outcome.missing)) == (JobState.PARTIAL, 2)
    return job


def send_by_hand(linked: Linked, job: Job) -> None:
    """Have the PACS send the whole study once more, by a C-MOVE that is none of the worker's."""
    linked.pacs.quirks = Quirks()
    node = linked.workspace.nodes["pacs"]
    model = Proposal(abstract_syntax=move_model(InformationModel.STUDY_ROOT))
    identifier = unique_keys(node, job.status.items[0].request)
    identifier.QueryRetrieveLevel = "STUDY"
    with suppress(StatusError), associate(node, [model], calling_ae_title="SOMEBODY") as association:
        Retrieval(association, node=node).move(identifier, linked.workspace.settings.ae_title)


@pytest.fixture
def study(linked: Linked) -> Study:
    linked.workspace.nodes.edit("pacs", timeouts={"connect": 5, "association": 10, "response": 20, "inactivity": 0.5})
    return of_size(linked.hospital, 8)[0]


@pytest.mark.slow
def test_what_an_ended_job_lacks_counts_for_the_job_at_another_node_that_sends_it(
    linked: Linked, study: Study, start_simulator: StartSimulator
) -> None:
    link(linked.workspace, start_simulator(linked.hospital, quirks=Quirks(cap=3), ae_title="OTHER"), "other")
    with worker_in_thread(linked.workspace):
        incomplete(linked, study)
        job = linked.workspace.retrieve(
            [RetrieveRequest(level=Level.STUDY, StudyInstanceUID=study.StudyInstanceUID)], node="other", method="move"
        )
        status = job.wait(timeout=LIMIT)
    assert (status.state, status.proven, status.stored) == (JobState.COMPLETE, True, len(uids_of(study)))


@pytest.mark.parametrize("another_worker", [False, True], ids=["same worker", "another worker"])
def test_objects_that_come_after_the_end_of_their_job_are_counted_there(
    linked: Linked, study: Study, *, another_worker: bool
) -> None:
    with worker_in_thread(linked.workspace):
        job = incomplete(linked, study)
        if not another_worker:
            send_by_hand(linked, job)
    if another_worker:
        with worker_in_thread(linked.workspace):
            send_by_hand(linked, job)
    status = job.status
    outcome = status.items[0].outcome
    assert (status.state, outcome.state) == (JobState.COMPLETE, JobState.COMPLETE)
    assert (outcome.missing, outcome.error, outcome.note) == ((), "", LATE_NOTE)
    assert status.stored == status.received == len(uids_of(study))
    assert files_of(linked.workspace) == uids_of(study)
    assert status.bytes == linked.workspace.files.list()["size"].sum()


def test_what_was_filed_and_not_listed_when_the_worker_was_killed_is_listed_and_counted_by_the_next_one(
    linked: Linked, study: Study
) -> None:
    serve = [sys.executable, "-m", "qrkit.cli", "serve"]
    with subprocess.Popen(serve, env=environment(linked.workspace), stderr=subprocess.DEVNULL) as worker:
        wait_until(lambda: worker_rows(linked.workspace), LIMIT, what="the worker runs")
        job = incomplete(linked, study)
        with linked.workspace._state.transaction():  # so that no row is written meanwhile
            send_by_hand(linked, job)
            worker.kill()
            worker.wait()
    assert files_of(linked.workspace) == uids_of(study)
    assert len(job.status.items[0].outcome.missing) == 2
    with worker_in_thread(linked.workspace):
        wait_until(lambda: job.state is JobState.COMPLETE, LIMIT, what="the job is whole")
    listed = linked.workspace.files.list()
    assert set(listed["SOPInstanceUID"]) == uids_of(study)
    assert (set(listed["source"]), set(listed["job_id"])) == ({"pacs"}, {job.job_id})
    assert list(linked.workspace.files.folder.rglob("*.part")) == []


def test_what_comes_for_a_cancelled_job_is_refused(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(delay_object=0.3)
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="move")
        wait_until(lambda: files_of(linked.workspace), LIMIT, what="an object")
        job.cancel()
        assert job.wait(timeout=LIMIT).state is JobState.CANCELLED
        before = files_of(linked.workspace)
        send_by_hand(linked, job)
    assert files_of(linked.workspace) == before
    assert job.state is JobState.CANCELLED


def test_another_version_of_an_object_is_kept_beside_the_first_and_said(linked: Linked, study: Study) -> None:
    workspace = linked.workspace
    uid = min(uids_of(study))
    with worker_in_thread(workspace):
        workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="get").wait(timeout=LIMIT)
        (path,) = workspace.files.folder.rglob(f"{uid}.dcm")
        _change(path)
        changed = path.read_bytes()
        # a node that lists nothing is asked for everything, whatever is here
        workspace.nodes.edit("pacs", can_find=False)
        job = workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="get")
        status = job.wait(timeout=LIMIT)
    assert status.state is JobState.COMPLETE
    assert "1 object arrived with other bytes" in status.items[0].outcome.note
    assert "both are kept" in job.items["note"][0]
    assert path.read_bytes() == changed
    versions = list(workspace.files.folder.rglob(f"{uid}*.dcm"))
    assert len(versions) == 2
    assert all(dcmread(one).SOPInstanceUID == uid for one in versions)


def _change(path: Path) -> None:
    object_here = dcmread(path)
    object_here.InstitutionName = "ANOTHER VERSION"
    object_here.save_as(path)
