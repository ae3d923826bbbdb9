"""Objects that are retrieved again: a report that was reissued under its UID is had, and kept beside the first."""

from datetime import date
from pathlib import Path

import pytest
from pydicom import dcmread

from qrkit.jobs import ItemOutcome, ItemRow, JobState, RetrieveRequest, without_overlap
from qrkit.retrieve.destinations import fetched_again
from qrkit.retrieve.item import ActiveItem
from qrkit.simulator import Quirks
from qrkit.tables import Level
from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.peer import PeerAddress
from tests.workspace.opened import Linked, OpenWorkspace, worker_in_thread

DAY = date(2026, 6, 30)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move"])
def test_a_report_that_was_reissued_under_its_uid_is_retrieved_and_both_are_listed(
    linked: Linked, method: str
) -> None:
    workspace = linked.workspace
    plan = workspace.plan("pacs", "CT", date=DAY)
    uid = plan.requests()[0].StudyInstanceUID
    with worker_in_thread(workspace):
        workspace.retrieve(workspace.plan("pacs", "CT", study_uid=uid), method=method).wait(timeout=60)
        first = workspace.files.list()
        assert workspace.plan("pacs", "CT", study_uid=uid).requests() == ()
        linked.pacs.quirks = Quirks(reissued=True)
        again = workspace.plan("pacs", "CT", study_uid=uid, refetch=True)
        done = workspace.retrieve(again, method=method).wait(timeout=60)
        unchanged = workspace.retrieve(again, method=method).wait(timeout=60)
    assert (done.state, done.received, done.stored) == (JobState.COMPLETE, len(first), len(first))
    assert all("both are kept" in item.outcome.note for item in done.items)
    assert (unchanged.state, unchanged.received) == (JobState.COMPLETE, len(first))
    listed = workspace.files.list()
    assert listed["SOPInstanceUID"].value_counts().to_dict() == dict.fromkeys(first["SOPInstanceUID"], 2)
    assert len(set(listed["path"])) == len(set(listed["sha256"])) == len(listed) == 2 * len(first)
    assert all((workspace.files.folder / path).is_file() for path in listed["path"])


@pytest.mark.slow
def test_a_real_report_that_an_archive_has_replaced_is_had_by_refetch(
    open_workspace: OpenWorkspace, samples: list[Path], tmp_path: Path
) -> None:
    workspace = open_workspace()
    report = next(path for path in samples if path.stem == "CT-RDSR-Siemens_Flash-TAP-SS")
    uid = str(dcmread(report).SOPInstanceUID)
    (tmp_path / "archive").mkdir()
    with Dcmqrscp(tmp_path / "archive", PeerAddress.free("REISSUES")) as archive, worker_in_thread(workspace):
        archive.load([report])
        workspace.nodes.add("pacs", host=archive.host, port=archive.port, ae_title=archive.ae_title)
        workspace.retrieve(workspace.plan("pacs", sr_only=True, whole_archive=True)).wait(timeout=60)
        corrected = dcmread(archive.storage / report.name)
        corrected.CompletionFlagDescription = "corrected"
        corrected.save_as(archive.storage / report.name)
        plan = workspace.plan("pacs", sr_only=True, whole_archive=True, refetch=True)
        done = workspace.retrieve(plan).wait(timeout=60)
    assert (done.state, done.received) == (JobState.COMPLETE, 1)
    listed = workspace.files.list()
    assert listed["SOPInstanceUID"].tolist() == [uid, uid]
    texts = [dcmread(workspace.files.folder / path).get("CompletionFlagDescription") for path in listed["path"]]
    assert sorted(map(str, texts)) == ["None", "corrected"]


def test_a_refetch_of_some_objects_of_a_series_counts_for_the_whole_series() -> None:
    series = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    image = RetrieveRequest(
        level=Level.IMAGE,
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.3",
        sop_instance_uids=("1.4",),
        refetch=True,
    )
    (request,) = without_overlap([series, image])
    assert (request.level, request.refetch, request.expected) == (Level.SERIES, True, ("1.4",))


@pytest.mark.parametrize(
    ("outcome", "stored"),
    [
        (ItemOutcome(state=JobState.QUEUED), set()),
        (ItemOutcome(state=JobState.QUEUED, received=2, missing=("1.6",)), {"1.4", "1.5"}),
        (ItemOutcome(state=JobState.QUEUED, received=0, missing=("1.4", "1.5", "1.6")), set()),
    ],
    ids=["first try", "after a partial try", "after a try without objects"],
)
def test_another_try_of_a_refetch_asks_only_for_what_the_earlier_one_lacked(
    outcome: ItemOutcome, stored: set[str]
) -> None:
    request = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.3", refetch=True)
    active = ActiveItem(ItemRow(item_id=1, job_id="a", position=0, request=request, outcome=outcome), node="pacs")
    assert fetched_again({"1.4", "1.5", "1.6"}, active) == stored
