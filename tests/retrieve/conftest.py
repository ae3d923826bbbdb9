"""A worker that retrieves beside the test, and what a retrieve by it gives."""

from collections.abc import Iterator

import pytest

from qrkit.jobs import JobRow
from qrkit.simulator.facts import Study
from qrkit.worker.service import Worker
from tests.workspace.opened import Linked, worker_in_thread

LIMIT = 60.0


@pytest.fixture
def worker(linked: Linked) -> Iterator[Worker]:
    with worker_in_thread(linked.workspace) as started:
        yield started


def fetch(linked: Linked, study: Study, **options: str) -> JobRow:
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], **options)
    return job.wait(timeout=LIMIT)


def services(linked: Linked) -> list[tuple[str, str]]:
    """The C-GETs and C-MOVEs that the PACS was sent, with their levels."""
    return [(one.service, one.level) for one in linked.pacs.requests if one.service in ("C-GET", "C-MOVE")]
