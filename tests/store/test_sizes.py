"""Sizes and rates from what came earlier."""

from qrkit.jobs import ItemOutcome, JobState, NewJob, RetrieveRequest
from qrkit.jobs.estimate import SizeSample
from qrkit.store.instances import InstanceRow, InstanceTable
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.sizes import node_history
from qrkit.store.state import State
from qrkit.tables import Level


def row(number: int, *, size: int, modality: str | None = "CT", source: str = "pacs") -> InstanceRow:
    return InstanceRow(
        SOPInstanceUID=f"1.1.{number}",
        SOPClassUID="1.2",
        StudyInstanceUID="1",
        SeriesInstanceUID="1.1",
        TransferSyntaxUID="1.2.840.10008.1.2.1",
        Modality=modality,
        path=f"1/1.1/1.1.{number}.dcm",
        size=size,
        sha256=str(number),
        source=source,
    )


def test_objects_are_summed_by_node_and_kind(state: State) -> None:
    table = InstanceTable(state)
    table.add_many([row(1, size=10), row(2, size=30), row(3, size=5, modality=None), row(4, size=7, source="other")])
    history = node_history(state, "pacs")
    assert sorted(history.samples, key=lambda one: (one.node, one.modality)) == [
        SizeSample(node="other", modality="CT", sop_class="1.2", objects=1, bytes=7),
        SizeSample(node="pacs", modality="", sop_class="1.2", objects=1, bytes=5),
        SizeSample(node="pacs", modality="CT", sop_class="1.2", objects=2, bytes=40),
    ]
    assert (history.node, history.bytes_per_second) == ("pacs", None)


def test_the_rate_is_that_of_the_retrieves_that_brought_something(state: State) -> None:
    jobs = JobTable(state)
    for node in ("pacs", "other"):
        request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2")
        job_id = jobs.create(NewJob(node=node, requests=(request,)))
        queue, under_way = JobQueue(state), RunningItems(state)
        (claimed,) = queue.claim_share("worker", {node: 1}, most=1)
        under_way.finish_item(claimed.item_id, ItemOutcome(state=JobState.COMPLETE, stored=1, bytes=4_000_000))
        assert jobs.get(job_id).state is JobState.COMPLETE
    rate = node_history(state, "pacs").bytes_per_second
    assert rate is not None
    assert 0 < rate <= 4_000_000
