"""Retrieves from nodes that end an association after each response: every item over a new one, and each once."""

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from tests.retrieve.conftest import LIMIT, services
from tests.workspace.opened import Linked, of_size

STUDIES = 8


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("end", ["release", "close", "abort", "silence"])
@pytest.mark.parametrize("method", ["get", "move"])
def test_every_item_arrives_where_each_association_has_one_answer(linked: Linked, end: str, method: str) -> None:
    studies = of_size(linked.hospital, 2, most=10)[:STUDIES]
    linked.pacs.quirks = Quirks(end_after=1, end_mode=end)
    uids = [study.StudyInstanceUID for study in studies]
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids, method=method).wait(timeout=LIMIT)
    assert (job.state, job.stored) == (JobState.COMPLETE, job.expected)
    assert len(services(linked)) == len(studies)


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_an_association_that_ends_after_a_few_items_is_replaced_without_end(linked: Linked) -> None:
    studies = of_size(linked.hospital, 2, most=10)[:STUDIES]
    linked.workspace.probe("pacs")
    linked.pacs.quirks = Quirks(end_after=3, end_mode="close")
    uids = [study.StudyInstanceUID for study in studies]
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids, method="get").wait(timeout=LIMIT)
    assert (job.state, job.stored) == (JobState.COMPLETE, job.expected)
    assert len(services(linked)) == len(studies)
