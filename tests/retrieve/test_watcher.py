import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrkit.jobs import NewJob, RetrieveRequest
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.watcher import Watcher
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.tables import Level


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State.open(tmp_path / "workspace") as opened:
        yield opened


@pytest.mark.slow
def test_a_new_object_is_written_at_once_where_workers_have_died_so_that_the_next_death_does_not_count(
    state: State,
) -> None:
    queue, study = JobQueue(state), RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1")
    job_id = JobTable(state).create(NewJob(node="pacs", requests=(study,)))
    for number in range(4):
        (item,) = queue.claim_share("mortal", {"pacs": 1}, most=1)
        watcher = Watcher(RunningItems(state), job_id, threading.Event(), worker_id="mortal")
        active = ActiveItem(item, node="pacs")
        watcher.progress(active)  # while it looks what is here, at the same moment
        active.stored |= {f"1.1.{one}" for one in range(number + 1)}
        watcher.progress(active)
        queue.requeue_orphans([])
    (item,) = JobTable(state).get(job_id).items
    assert item.deaths == 1
