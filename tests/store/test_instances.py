from dataclasses import replace

import pytest

from qrkit.errors import InputError
from qrkit.jobs import ItemOutcome, JobState, NewJob, RetrieveRequest
from qrkit.jobs.estimate import SizeSample
from qrkit.store.instances import InstanceAlias, InstanceRow, InstanceTable, node_history
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.tables import Level

_ROW = InstanceRow(
    SOPInstanceUID="1.1.1",
    SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
    StudyInstanceUID="1",
    SeriesInstanceUID="1.1",
    TransferSyntaxUID="1.2.840.10008.1.2.1",
    Modality="CT",
    InstanceNumber=2,
    path="1/1.1/1.1.1.dcm",
    size=1000,
    sha256="aa",
    source="pacs",
    job_id="j",
    item_id=4,
    received="2026-01-31T00:00:00.000000+00:00",
)
_SECOND = replace(_ROW, SOPInstanceUID="1.1.2", sha256="bb", InstanceNumber=1)
_OTHER = replace(_ROW, SOPInstanceUID="1.2.1", SeriesInstanceUID="1.2", sha256="cc", Modality=None)


@pytest.fixture
def table(state: State) -> InstanceTable:
    instances = InstanceTable(state)
    instances.add_many([_ROW, _SECOND, _OTHER])
    return instances


def test_rows_come_back_as_they_were(table: InstanceTable) -> None:
    assert table.list() == (_SECOND, _ROW, _OTHER)
    assert table.list({"SeriesInstanceUID": "1.1"}) == (_SECOND, _ROW)
    assert table.list({"Modality": None}) == (_OTHER,)
    assert table.list({"source": "pacs"}, limit=1) == (_SECOND,)
    assert table.count() == 3


def test_the_same_file_again_changes_nothing_and_another_version_is_a_row_more(table: InstanceTable) -> None:
    table.add_many([replace(_ROW, source="other"), replace(_ROW, sha256="dd", path="1/1.1/1.1.1.dddd.dcm")])
    table.add_many([])
    rows = table.list({"SOPInstanceUID": "1.1.1"})
    assert {(row.sha256, row.source) for row in rows} == {("aa", "pacs"), ("dd", "pacs")}


def test_what_is_held_is_told_of_objects_series_and_studies(table: InstanceTable) -> None:
    many = [f"9.{number}" for number in range(3000)]
    assert table.stored_uids(sop_instance_uids=["1.1.1", *many, "1.2.1"]) == {"1.1.1", "1.2.1"}
    assert table.stored_uids(series="1.1") == {"1.1.1", "1.1.2"}
    assert table.stored_uids(study="1") == {"1.1.1", "1.1.2", "1.2.1"}
    assert table.stored_uids(study="2") == frozenset()
    assert table.stored_uids(sop_instance_uids=[]) == frozenset()


def test_the_files_of_objects_are_told(table: InstanceTable) -> None:
    table.add_many([replace(_ROW, sha256="dd", path="1/1.1/1.1.1.dddd.dcm")])
    assert {(one.SOPInstanceUID, one.SeriesInstanceUID, one.path) for one in table.places(["1.1.1", "7.7"])} == {
        ("1.1.1", "1.1", "1/1.1/1.1.1.dcm"),
        ("1.1.1", "1.1", "1/1.1/1.1.1.dddd.dcm"),
    }


def test_an_object_is_found_by_the_uids_that_it_was_requested_by_as_well(table: InstanceTable) -> None:
    alias = InstanceAlias(SOPInstanceUID="1.1.1", path=_ROW.path, StudyInstanceUID="8", SeriesInstanceUID="8.1")
    for _ in range(2):
        table.add_many([_ROW], [alias])
    assert table.list({"StudyInstanceUID": "8"}) == table.list({"SeriesInstanceUID": "8.1"}) == (_ROW,)
    assert table.list({"StudyInstanceUID": "8", "SeriesInstanceUID": "8.1", "source": "pacs"}) == (_ROW,)
    assert table.list({"StudyInstanceUID": "8", "source": "other"}) == ()
    assert table.list({"StudyInstanceUID": "8", "SeriesInstanceUID": "1.1"}) == ()
    assert len(table.list({"StudyInstanceUID": "1"})) == 3
    assert table.by_series(["8"]) == {"8.1": {"1.1.1"}}
    assert table.stored_uids(study="8") == table.stored_uids(series="8.1") == {"1.1.1"}
    assert {(one.StudyInstanceUID, one.SeriesInstanceUID) for one in table.places(["1.1.1"])} == {
        ("1", "1.1"),
        ("8", "8.1"),
    }


def test_a_filter_on_no_column_is_an_input_error(table: InstanceTable) -> None:
    with pytest.raises(InputError, match="no column Modalty"):
        table.list({"Modalty": "CT"})


def test_the_time_of_adding_stands_where_none_was_given(table: InstanceTable) -> None:
    table.add_many([replace(_ROW, sha256="ee", received="")])
    assert table.list({"sha256": "ee"})[0].received.startswith("2026-01-31T12:00:")


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
