import pytest

from qrkit.errors import InputError, NotFound
from qrkit.job import ItemOutcome, JobState, NewJob, RetrieveRequest
from qrkit.node import Method
from qrkit.store.jobs import JobTable
from qrkit.store.state import State

_SERIES = RetrieveRequest(
    level="SERIES", StudyInstanceUID="1", SeriesInstanceUID="1.1", patient_id="P", expected=("1.1.1", "1.1.2")
)
_IMAGES = RetrieveRequest(
    level="IMAGE", StudyInstanceUID="1", SeriesInstanceUID="1.2", sop_instance_uids=("1.2.1", "1.2.2", "1.2.3")
)
_STUDY = RetrieveRequest(level="STUDY", StudyInstanceUID="2")
_DONE = ItemOutcome(state=JobState.COMPLETE, expected=2, stored=2, received=2, bytes=500)
_LOST = ItemOutcome(state=JobState.FAILED, expected=3, missing=("1.2.1", "1.2.2", "1.2.3"), error="The node is gone.")


@pytest.fixture
def table(state: State) -> JobTable:
    return JobTable(state)


def _create(table: JobTable, *requests: RetrieveRequest) -> str:
    return table.create(NewJob(node="pacs", requests=requests or (_SERIES, _IMAGES), user="ann"))


def _claim(table: JobTable, worker_id: str = "w") -> int:
    item = table.claim(worker_id)
    assert item is not None
    return item.item_id


def test_a_job_comes_back_as_it_was_asked_for(table: JobTable) -> None:
    new = NewJob(
        node="pacs",
        requests=(_SERIES, _IMAGES, _STUDY),
        method=Method.MOVE,
        destination="archive",
        user="ann",
        source="query",
    )
    job = table.get(table.create(new))
    assert tuple(item.request for item in job.items) == new.requests
    assert (job.node, job.method, job.destination, job.user, job.source) == (
        "pacs",
        Method.MOVE,
        "archive",
        "ann",
        "query",
    )
    assert job.state is JobState.QUEUED
    assert [item.outcome.expected for item in job.items] == [2, 3, None]
    assert job.expected == 5
    assert job.started is None


def test_a_job_without_requests_is_refused(table: JobTable) -> None:
    with pytest.raises(InputError, match="nothing to fetch"):
        table.create(NewJob(node="pacs", requests=()))


def test_a_job_that_is_not_there_is_not_found(table: JobTable) -> None:
    for ask in (table.get, table.request_cancel, table.is_cancel_requested, table.retry, table.pause, table.resume):
        with pytest.raises(NotFound, match="no job 'x'"):
            ask("x")
    with pytest.raises(NotFound, match="no item 7"):
        table.finish_item(7, _DONE)


def test_items_are_claimed_in_their_order_and_the_oldest_job_first(table: JobTable) -> None:
    first, second = _create(table), _create(table, _STUDY)
    assert table.waiting() == 3
    claimed = [table.claim("w") for _ in range(4)]
    assert [(item.job_id, item.position) for item in claimed if item] == [(first, 0), (first, 1), (second, 0)]
    assert claimed[3] is None
    assert table.waiting() == 0


def test_a_claim_can_be_for_one_job_or_pass_over_nodes(table: JobTable) -> None:
    first = _create(table, _SERIES)
    second = table.create(NewJob(node="archive", requests=(_STUDY, _SERIES)))
    passed_over = table.claim("w", except_nodes={"pacs"})
    of_second = table.claim("w", job_id=second)
    assert passed_over is not None
    assert of_second is not None
    assert (passed_over.job_id, of_second.job_id) == (second, second)
    assert table.claim("w", job_id=second) is None
    assert table.claim("w", job_id=first, except_nodes={"pacs"}) is None


def test_a_claimed_item_and_its_job_are_running(table: JobTable) -> None:
    job_id = _create(table)
    item = table.claim("w")
    assert item is not None
    assert (item.outcome.state, item.attempts, item.request) == (JobState.RUNNING, 1, _SERIES)
    job = table.get(job_id)
    assert job.state is JobState.RUNNING
    assert job.started is not None
    assert job.finished is None


def test_progress_shows_in_the_item_and_in_the_job(table: JobTable) -> None:
    job_id = _create(table, _STUDY, _SERIES)
    item_id = _claim(table)
    table.progress(item_id, stored=4, received=3, bytes=900, expected=10)
    table.progress(item_id, stored=5)
    job = table.get(job_id)
    assert job.items[0].outcome == ItemOutcome(state=JobState.RUNNING, expected=10, stored=5, received=3, bytes=900)
    assert (job.expected, job.stored, job.received, job.bytes) == (12, 5, 3, 900)


def test_a_job_ends_with_its_last_item(table: JobTable) -> None:
    job_id = _create(table)
    first, second = _claim(table), _claim(table)
    table.finish_item(first, _DONE)
    assert table.get(job_id).state is JobState.RUNNING
    table.finish_item(second, _LOST)
    job = table.get(job_id)
    assert job.state is JobState.PARTIAL
    assert job.finished is not None
    assert (job.expected, job.stored, job.received, job.bytes) == (5, 2, 2, 500)
    assert job.error == "The node is gone."
    assert [item.outcome for item in job.items] == [_DONE, _LOST]


def test_an_outcome_is_final_and_written_once(table: JobTable) -> None:
    job_id = _create(table, _SERIES)
    item_id = _claim(table)
    with pytest.raises(InputError, match="cannot end as running"):
        table.finish_item(item_id, ItemOutcome(state=JobState.RUNNING))
    table.finish_item(item_id, _DONE)
    table.finish_item(item_id, _LOST)
    table.progress(item_id, stored=0)
    assert table.get(job_id).items[0].outcome == _DONE


def test_cancelling_ends_what_is_queued_and_asks_what_is_running(table: JobTable) -> None:
    job_id = _create(table)
    item_id = _claim(table)
    assert not table.is_cancel_requested(job_id)
    table.request_cancel(job_id)
    assert table.is_cancel_requested(job_id)
    job = table.get(job_id)
    assert [item.outcome.state for item in job.items] == [JobState.RUNNING, JobState.CANCELLED]
    assert job.state is JobState.RUNNING
    table.finish_item(item_id, ItemOutcome(state=JobState.CANCELLED, expected=2, stored=1, missing=("1.1.2",)))
    assert table.get(job_id).state is JobState.CANCELLED


def test_cancelling_a_job_that_has_ended_changes_nothing(table: JobTable) -> None:
    job_id = _create(table, _SERIES)
    table.finish_item(_claim(table), _DONE)
    before = table.get(job_id)
    table.request_cancel(job_id)
    assert table.get(job_id) == before


def test_a_queued_job_is_cancelled_at_once(table: JobTable) -> None:
    job_id = _create(table)
    table.request_cancel(job_id)
    assert table.get(job_id).state is JobState.CANCELLED
    assert table.claim("w") is None


def test_a_paused_job_is_not_claimed_until_it_is_resumed(table: JobTable) -> None:
    job_id = _create(table)
    item_id = _claim(table)
    table.pause(job_id)
    assert table.get(job_id).state is JobState.RUNNING
    assert table.claim("w") is None
    assert table.waiting() == 0
    table.finish_item(item_id, _DONE)
    assert table.get(job_id).state is JobState.PAUSED
    table.resume(job_id)
    assert table.waiting() == 1
    table.finish_item(_claim(table), _DONE)
    assert table.get(job_id).state is JobState.COMPLETE


def test_a_paused_job_can_be_cancelled(table: JobTable) -> None:
    job_id = _create(table)
    table.pause(job_id)
    table.request_cancel(job_id)
    assert table.get(job_id).state is JobState.CANCELLED


def test_retry_queues_what_is_not_complete(table: JobTable) -> None:
    job_id = _create(table, _SERIES, _IMAGES, _STUDY)
    table.finish_item(_claim(table), _DONE)
    table.finish_item(_claim(table), _LOST)
    table.request_cancel(job_id)
    assert table.retry(job_id) == 2
    job = table.get(job_id)
    assert [item.outcome.state for item in job.items] == [JobState.COMPLETE, JobState.QUEUED, JobState.QUEUED]
    assert not job.cancel_requested
    assert job.finished is None
    assert job.error == ""
    item = table.claim("w")
    assert item is not None
    assert item.attempts == 2


def test_items_of_dead_workers_are_queued_again(table: JobTable) -> None:
    job_id = _create(table, _SERIES, _IMAGES, _STUDY)
    for worker_id in ("dead", "alive", "dead"):
        _claim(table, worker_id)
    assert table.requeue_orphans({"alive"}) == 2
    states = [item.outcome.state for item in table.get(job_id).items]
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.QUEUED]
    assert table.requeue_orphans([]) == 1
    assert table.get(job_id).state is JobState.QUEUED


def test_items_of_dead_workers_are_cancelled_where_somebody_asked_for_it(table: JobTable) -> None:
    job_id = _create(table, _SERIES)
    _claim(table, "dead")
    table.request_cancel(job_id)
    assert table.requeue_orphans([]) == 0
    assert table.get(job_id).state is JobState.CANCELLED


def test_a_worker_thought_dead_may_still_say_what_came(table: JobTable) -> None:
    job_id = _create(table, _SERIES)
    item_id = _claim(table, "slow")
    table.requeue_orphans([])
    table.finish_item(item_id, _DONE)
    assert table.get(job_id).state is JobState.COMPLETE
    assert table.claim("other") is None


def test_jobs_are_listed_newest_first_and_can_be_filtered(table: JobTable) -> None:
    first, second = _create(table, _SERIES), _create(table)
    table.finish_item(_claim(table), _DONE)
    assert [job.job_id for job in table.list()] == [second, first]
    assert [job.job_id for job in table.list(state=JobState.COMPLETE)] == [first]
    assert table.list(node="other") == ()
    assert table.list(limit=1)[0].items == ()


def test_a_job_of_many_items_stays_quick(table: JobTable) -> None:
    requests = tuple(RetrieveRequest(level="STUDY", StudyInstanceUID=f"1.{number}") for number in range(5000))
    job_id = _create(table, *requests)
    for _ in range(20):
        table.finish_item(_claim(table), _DONE)
    table.request_cancel(job_id)
    job = table.get(job_id)
    assert job.stored == 40
    assert sum(item.outcome.state is JobState.CANCELLED for item in job.items) == 4980
