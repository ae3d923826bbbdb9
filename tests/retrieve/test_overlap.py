"""Retrieves that have objects in common: each object counts for all of them, and once in each."""

from dataclasses import replace
from itertools import permutations

import pytest

from qrkit.jobs import JobState, RetrieveRequest, without_overlap
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.tables import Level
from tests.peers.waiting import wait_until
from tests.workspace.opened import Linked, files_of, of_size, uids_of, worker_in_thread

pytestmark = pytest.mark.slow

LIMIT = 90.0
PATIENT = {"connect": 5.0, "association": 10.0, "response": 600.0, "inactivity": 600.0}
BOTH = pytest.mark.parametrize("method", ["get", "move"])


@pytest.fixture
def study(linked: Linked) -> Study:
    return next(study for study in of_size(linked.hospital, 12) if len(study.series) > 1)


def requests_of(study: Study) -> tuple[RetrieveRequest, RetrieveRequest, RetrieveRequest]:
    """The study, its largest series, and two images of that."""
    largest = max(study.series, key=lambda series: len(series.instances))
    series = RetrieveRequest(
        level=Level.SERIES, StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID=largest.SeriesInstanceUID
    )
    images = tuple(one.SOPInstanceUID for one in largest.instances[:2])
    return (
        RetrieveRequest(level=Level.STUDY, StudyInstanceUID=study.StudyInstanceUID),
        series,
        replace(series, level=Level.IMAGE, sop_instance_uids=images),
    )


@BOTH
@pytest.mark.parametrize("places", [(0, 0), (0, 1), (2, 0)])
def test_overlapping_jobs_wait_for_no_object_that_came_for_the_other(
    linked: Linked, study: Study, method: str, places: tuple[int, int]
) -> None:
    linked.workspace.nodes.edit("pacs", timeouts=PATIENT, associations=4)
    linked.pacs.quirks = Quirks(delay_object=0.05)
    requests = requests_of(study)
    with worker_in_thread(linked.workspace):
        jobs = [linked.workspace.retrieve([requests[place]], node="pacs", method=method) for place in places]
        ended = [job.wait(timeout=LIMIT) for job in jobs]
    assert [(job.state, job.proven, job.stored) for job in ended] == [
        (JobState.COMPLETE, True, job.expected) for job in ended
    ]
    assert all(job.received <= job.stored for job in ended)
    assert files_of(linked.workspace) == uids_of(study)


@BOTH
@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_an_object_of_two_items_of_a_job_is_counted_once(
    linked: Linked, study: Study, method: str, order: tuple[int, ...]
) -> None:
    requests = requests_of(study)
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve([requests[place] for place in order], node="pacs", method=method)
        ended = job.wait(timeout=LIMIT)
    count = len(uids_of(study))
    assert (ended.state, ended.expected, ended.stored, ended.received) == (JobState.COMPLETE, count, count, count)
    sent = [one.answers for one in linked.pacs.requests if one.service == f"C-{method.upper()}"]
    assert sent == [count]


def test_a_job_that_waits_for_its_turn_asks_for_nothing_that_came_meanwhile(linked: Linked, study: Study) -> None:
    linked.workspace.nodes.edit("pacs", timeouts=PATIENT, associations=1)
    with worker_in_thread(linked.workspace):
        jobs = [linked.workspace.retrieve([one], node="pacs", method="get") for one in requests_of(study)]
        wait_until(lambda: all(job.state.is_final for job in jobs), LIMIT, what="all jobs have ended")
    assert {job.state for job in jobs} == {JobState.COMPLETE}
    assert sum(job.status.received for job in jobs) == len(uids_of(study))


def test_requests_without_overlap_stay_as_they_are() -> None:
    one = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1")
    other = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.2")
    shared = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2", patient_id="Q1")
    assert without_overlap([one, other, shared]) == (one, other, shared)
    third = replace(one, SeriesInstanceUID="1.2.3")
    images = [replace(third, level=Level.IMAGE, sop_instance_uids=(f"1.2.3.{last}",)) for last in (1, 2)]
    (together,) = without_overlap([*images, images[0]])
    assert together.sop_instance_uids == ("1.2.3.1", "1.2.3.2")
    (whole,) = without_overlap([one, one])
    assert whole == one
