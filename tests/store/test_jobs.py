from dataclasses import replace
from datetime import timedelta

import pytest

from qrkit.errors import InputError, NotFound
from qrkit.jobs import ItemOutcome, ItemRow, JobState, NewJob, PausedBy, RetrieveRequest
from qrkit.node import Method
from qrkit.store.job_progress import Postponement, RunningItems
from qrkit.store.job_queue import BatchTable, JobPauses, JobQueue
from qrkit.store.job_transitions import MOST_DEATHS
from qrkit.store.jobs import JobTable
from qrkit.store.state import State, as_text
from qrkit.tables import Level
from tests.store.conftest import Clock

_SERIES = RetrieveRequest(
    level=Level.SERIES, StudyInstanceUID="1", SeriesInstanceUID="1.1", patient_id="P", expected=("1.1.1", "1.1.2")
)
_IMAGES = RetrieveRequest(
    level=Level.IMAGE, StudyInstanceUID="1", SeriesInstanceUID="1.2", sop_instance_uids=("1.2.1", "1.2.2", "1.2.3")
)
_STUDY = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="2")
_DONE = ItemOutcome(state=JobState.COMPLETE, expected=2, stored=2, received=2, bytes=500)
_LOST = ItemOutcome(state=JobState.FAILED, expected=3, missing=("1.2.1", "1.2.2", "1.2.3"), error="The node is gone.")


@pytest.fixture
def table(state: State) -> JobTable:
    return JobTable(state)


@pytest.fixture
def queue(state: State) -> JobQueue:
    return JobQueue(state)


@pytest.fixture
def under_way(state: State) -> RunningItems:
    return RunningItems(state)


@pytest.fixture
def rests(state: State) -> JobPauses:
    return JobPauses(state)


def _create(table: JobTable, *requests: RetrieveRequest) -> str:
    return table.create(NewJob(node="pacs", requests=requests or (_SERIES, _IMAGES), user="ann"))


def _next(queue: JobQueue, worker_id: str = "w", node: str = "pacs") -> ItemRow | None:
    items = queue.claim_share(worker_id, {node: 1}, most=1)
    return items[0] if items else None


def _claim(queue: JobQueue, worker_id: str = "w") -> int:
    item = _next(queue, worker_id)
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


def test_a_job_that_lacks_room_rests_from_its_beginning_until_there_is_some(
    table: JobTable, queue: JobQueue, rests: JobPauses
) -> None:
    job_id = table.create(NewJob(node="pacs", requests=(_STUDY,), lack_of_room="No room."))
    job = table.get(job_id)
    assert (job.state, job.paused_by, job.reason) == (JobState.PAUSED, PausedBy.DISK, "No room.")
    assert _next(queue) is None
    rests.resume_from_disk(job_id)
    assert (table.get(job_id).state, table.get(job_id).reason) == (JobState.QUEUED, "")


def test_a_job_without_requests_is_refused(table: JobTable) -> None:
    with pytest.raises(InputError, match="nothing to retrieve"):
        table.create(NewJob(node="pacs", requests=()))


def test_a_job_that_is_not_there_is_not_found(table: JobTable, under_way: RunningItems) -> None:
    for ask in (table.get, table.request_cancel, under_way.control, table.retry, table.pause, table.resume):
        with pytest.raises(NotFound, match="no job 'x'"):
            ask("x")
    with pytest.raises(NotFound, match="no item 7"):
        under_way.finish_item(7, _DONE)


def test_items_are_claimed_in_their_order_and_jobs_in_turn(table: JobTable, queue: JobQueue) -> None:
    first, second = _create(table), _create(table, _STUDY)
    assert (queue.waiting(), queue.has_waiting()) == (3, True)
    claimed = [_next(queue) for _ in range(4)]
    assert [(item.job_id, item.position) for item in claimed if item] == [(first, 0), (second, 0), (first, 1)]
    assert claimed[3] is None
    assert (queue.waiting(), queue.has_waiting()) == (0, False)


def test_a_job_of_a_higher_priority_goes_first(table: JobTable, queue: JobQueue) -> None:
    first = _create(table)
    urgent = table.create(NewJob(node="pacs", requests=(_STUDY, _SERIES), priority=5))
    assert [item.job_id for item in (_next(queue), _next(queue)) if item] == [urgent, urgent]
    table.set_priority(first, 6)
    table.retry(urgent)
    assert table.get_summary(first).priority == 6
    item = _next(queue)
    assert item is not None
    assert item.job_id == first
    with pytest.raises(InputError, match="-100 to 100, not 101"):
        table.set_priority(first, 101)


def test_a_claim_is_a_share_of_one_job_of_a_node_with_an_association_to_spare(
    table: JobTable, queue: JobQueue
) -> None:
    _create(table, *[_SERIES] * 5)
    archive = table.create(NewJob(node="archive", requests=(_STUDY,)))
    assert queue.claim_share("w", {"pacs": 0}, most=9) == ()
    assert [item.job_id for item in queue.claim_share("w", {"pacs": 0, "archive": 1}, most=9)] == [archive]
    assert [item.position for item in queue.claim_share("w", {"pacs": 2}, most=9)] == [0, 1, 2]
    assert [item.position for item in queue.claim_share("w", {"pacs": 1}, most=1)] == [3]


def test_the_limit_of_a_node_holds_for_all_workers_together_until_batches_end_or_workers_die(
    table: JobTable, queue: JobQueue, state: State
) -> None:
    batches = BatchTable(state)
    job_id = _create(table, *[_SERIES] * 9)
    limit = {"pacs": 2}
    assert queue.claim_share("w", limit, most=1, batch_id="b1")
    assert queue.claim_share("x", limit, most=1, batch_id="b2")
    assert queue.claim_share("w", limit, most=1, batch_id="b3") == ()
    assert (batches.by_node(), batches.of_job(job_id)) == ({"pacs": 2}, 2)
    batches.end("b2")
    assert queue.claim_share("w", limit, most=1, batch_id="b3")
    batches.forget_lost(["x"], worker_id="w", under_way=["b1", "b3"])
    assert queue.claim_share("x", limit, most=1, batch_id="b4") == ()
    batches.forget_lost(["x"], worker_id="w", under_way=["b3"])
    assert queue.claim_share("x", limit, most=1, batch_id="b4")
    batches.forget_lost(["x"])
    assert batches.by_node() == {"pacs": 1}


def test_a_rival_is_another_job_of_the_same_node_that_waits_for_its_turn(
    table: JobTable, under_way: RunningItems
) -> None:
    job_id = _create(table)
    table.create(NewJob(node="archive", requests=(_STUDY,)))
    assert not under_way.has_rival(job_id)
    rival = _create(table, _STUDY)
    assert under_way.has_rival(job_id)
    table.set_priority(job_id, 1)
    assert not under_way.has_rival(job_id)
    assert under_way.has_rival(rival)
    table.set_priority(rival, 1)
    table.pause(rival)
    assert not under_way.has_rival(job_id)


def test_a_claimed_item_and_its_job_are_running(table: JobTable, queue: JobQueue) -> None:
    job_id = _create(table)
    item = _next(queue)
    assert item is not None
    assert (item.outcome.state, item.attempts, item.request) == (JobState.RUNNING, 1, _SERIES)
    job = table.get(job_id)
    assert job.state is JobState.RUNNING
    assert job.started is not None
    assert job.finished is None


def test_progress_shows_in_the_item_and_in_the_job(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table, _STUDY, _SERIES)
    item_id = _claim(queue)
    under_way.progress(item_id, ItemOutcome(state=JobState.RUNNING, stored=4, received=3, bytes=800, expected=10))
    under_way.progress(item_id, ItemOutcome(state=JobState.RUNNING, stored=5, received=3, bytes=900))
    job = table.get(job_id)
    assert job.items[0].outcome == ItemOutcome(state=JobState.RUNNING, expected=10, stored=5, received=3, bytes=900)
    assert (job.expected, job.stored, job.received, job.bytes) == (12, 5, 3, 900)


def test_a_job_ends_with_its_last_item(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table)
    first, second = _claim(queue), _claim(queue)
    under_way.finish_item(first, _DONE)
    assert table.get(job_id).state is JobState.RUNNING
    under_way.finish_item(second, _LOST)
    job = table.get(job_id)
    assert job.state is JobState.PARTIAL
    assert job.finished is not None
    assert (job.expected, job.stored, job.received, job.bytes) == (5, 2, 2, 500)
    assert job.error == "The node is gone."
    assert [item.outcome for item in job.items] == [_DONE, _LOST]


def test_an_outcome_is_final_and_written_once(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table, _SERIES)
    item_id = _claim(queue)
    with pytest.raises(InputError, match="cannot end as running"):
        under_way.finish_item(item_id, ItemOutcome(state=JobState.RUNNING))
    under_way.finish_item(item_id, _DONE)
    under_way.finish_item(item_id, _LOST)
    under_way.progress(item_id, ItemOutcome(state=JobState.RUNNING))
    assert table.get(job_id).items[0].outcome == _DONE


def test_cancelling_ends_what_is_queued_and_asks_what_is_running(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table)
    item_id = _claim(queue)
    assert not under_way.control(job_id).cancel
    table.request_cancel(job_id)
    assert under_way.control(job_id).cancel
    job = table.get(job_id)
    assert [item.outcome.state for item in job.items] == [JobState.RUNNING, JobState.CANCELLED]
    assert job.state is JobState.RUNNING
    under_way.finish_item(item_id, ItemOutcome(state=JobState.CANCELLED, expected=2, stored=1, missing=("1.1.2",)))
    assert table.get(job_id).state is JobState.CANCELLED


def test_cancelling_a_job_that_has_ended_changes_nothing(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    under_way.finish_item(_claim(queue), _DONE)
    before = table.get(job_id)
    table.request_cancel(job_id)
    assert table.get(job_id) == before


def test_a_queued_job_is_cancelled_at_once(table: JobTable, queue: JobQueue) -> None:
    job_id = _create(table)
    table.request_cancel(job_id)
    assert table.get(job_id).state is JobState.CANCELLED
    assert _next(queue) is None


def test_a_paused_job_is_not_claimed_until_it_is_resumed(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table)
    item_id = _claim(queue)
    table.pause(job_id)
    assert table.get(job_id).state is JobState.RUNNING
    assert _next(queue) is None
    assert queue.waiting() == 0
    under_way.finish_item(item_id, _DONE)
    assert table.get(job_id).state is JobState.PAUSED
    table.resume(job_id)
    assert queue.waiting() == 1
    under_way.finish_item(_claim(queue), _DONE)
    assert table.get(job_id).state is JobState.COMPLETE


def test_a_paused_job_can_be_cancelled(table: JobTable) -> None:
    job_id = _create(table)
    table.pause(job_id)
    table.request_cancel(job_id)
    assert table.get(job_id).state is JobState.CANCELLED


def test_retry_queues_what_is_not_complete(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table, _SERIES, _IMAGES, _STUDY)
    under_way.finish_item(_claim(queue), _DONE)
    under_way.finish_item(_claim(queue), _LOST)
    table.request_cancel(job_id)
    assert table.retry(job_id) == 2
    job = table.get(job_id)
    assert [item.outcome.state for item in job.items] == [JobState.COMPLETE, JobState.QUEUED, JobState.QUEUED]
    assert not job.cancel_requested
    assert job.finished is None
    assert job.error == ""
    item = _next(queue)
    assert item is not None
    assert item.attempts == 2


def test_items_of_dead_workers_are_queued_again(table: JobTable, queue: JobQueue) -> None:
    job_id = _create(table, _SERIES, _IMAGES, _STUDY)
    for worker_id in ("dead", "alive", "dead"):
        _claim(queue, worker_id)
    assert queue.requeue_orphans({"alive"}) == 2
    states = [item.outcome.state for item in table.get(job_id).items]
    assert states == [JobState.QUEUED, JobState.RUNNING, JobState.QUEUED]
    assert queue.requeue_orphans([]) == 1
    assert table.get(job_id).state is JobState.QUEUED


def _die(queue: JobQueue, under_way: RunningItems, *, stored: int = 0) -> list[int]:
    """Have a worker take what it may, bring some of the first, and die."""
    taken = queue.claim_share("mortal", {"pacs": 1}, most=50)
    under_way.progress(taken[0].item_id, replace(_LOST, state=JobState.RUNNING, stored=stored))
    queue.requeue_orphans([])
    return [item.position for item in taken]


def test_an_item_with_which_workers_die_again_and_again_is_given_up_and_the_others_go_on(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES, _SERIES, _SERIES)
    # all together at first, then the suspicious one alone
    assert [_die(queue, under_way) for _ in range(MOST_DEATHS)] == [[0, 1, 2], [0, 1, 2], [0], [0], [0]]
    first, *others = table.get(job_id).items
    assert first.outcome.state is JobState.FAILED
    assert f"{MOST_DEATHS} times in a row" in first.outcome.error
    assert "worker's log" in first.outcome.advice
    assert {item.outcome.state for item in others} == {JobState.QUEUED}
    assert [item.position for item in queue.claim_share("alive", {"pacs": 1}, most=50)] == [1]
    table.retry(job_id)
    assert [item.position for item in queue.claim_share("other", {"pacs": 1}, most=50)] == [0]


def test_a_worker_that_dies_after_it_brought_something_new_is_no_reason_to_give_up(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    for stored in range(1, 2 * MOST_DEATHS):
        assert _die(queue, under_way, stored=stored) == [0]
    (item,) = table.get(job_id).items
    assert (item.outcome.state, item.deaths) == (JobState.QUEUED, 1)


def test_what_kills_its_workers_takes_nothing_along_that_they_fetch_beside_it(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, *[_SERIES] * 4)
    deadly = table.get(job_id).items[2].item_id
    while not table.get(job_id).state.is_final:
        taken = [item.item_id for _ in range(4) if (item := _next(queue, "mortal")) is not None]
        if deadly in taken:
            queue.requeue_orphans([])
        else:
            for item_id in taken:
                under_way.finish_item(item_id, _DONE, worker_id="mortal")
    states = [item.outcome.state for item in table.get(job_id).items]
    assert states == [JobState.COMPLETE, JobState.COMPLETE, JobState.FAILED, JobState.COMPLETE]


def test_an_item_that_failed_often_before_is_not_given_up_for_one_death(
    table: JobTable, queue: JobQueue, under_way: RunningItems, clock: Clock
) -> None:
    job_id = _create(table, _SERIES)
    postponement = Postponement(not_before=_later(clock, 0), failures=2 * MOST_DEATHS)
    under_way.postpone(_claim(queue), _LOST, postponement, worker_id="w")
    assert _die(queue, under_way) == [0]
    (item,) = table.get(job_id).items
    assert (item.outcome.state, item.failures, item.deaths) == (JobState.QUEUED, 2 * MOST_DEATHS, 1)


def test_what_is_stored_never_becomes_less_while_the_next_worker_looks_what_is_here(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    assert [_die(queue, under_way, stored=stored) for stored in (1, 0, 1)] == [[0]] * 3
    (item,) = table.get(job_id).items
    assert (item.outcome.stored, item.deaths) == (1, 3)


def test_items_of_dead_workers_are_cancelled_where_somebody_asked_for_it(table: JobTable, queue: JobQueue) -> None:
    job_id = _create(table, _SERIES)
    _claim(queue, "dead")
    table.request_cancel(job_id)
    assert queue.requeue_orphans([]) == 0
    assert table.get(job_id).state is JobState.CANCELLED


def test_a_worker_thought_dead_may_still_say_what_came(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    item_id = _claim(queue, "slow")
    queue.requeue_orphans([])
    under_way.finish_item(item_id, _DONE)
    assert table.get(job_id).state is JobState.COMPLETE
    assert _next(queue, "other") is None


def test_of_a_worker_whose_item_was_taken_over_only_success_counts(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    item_id = _claim(queue, "slow")
    queue.requeue_orphans([])
    assert _claim(queue, "other") == item_id
    under_way.finish_item(item_id, _LOST, worker_id="slow")
    assert table.get(job_id).state is JobState.RUNNING
    under_way.postpone(item_id, _LOST, Postponement(not_before="2026-01-31", failures=1), worker_id="slow")
    assert queue.give_back([item_id], worker_id="slow") == 0
    assert table.get(job_id).state is JobState.RUNNING
    under_way.finish_item(item_id, _DONE, worker_id="slow")
    under_way.finish_item(item_id, _LOST, worker_id="other")
    assert table.get(job_id).state is JobState.COMPLETE


def test_what_a_worker_has_lost_sight_of_is_queued_again(table: JobTable, queue: JobQueue) -> None:
    _create(table)
    first, _ = _claim(queue), _claim(queue)
    assert queue.requeue_orphans(["other"], worker_id="w", under_way=[first]) == 1
    assert queue.waiting() == 1


def _later(clock: Clock, seconds: float) -> str:
    return as_text(clock.moment + timedelta(seconds=seconds))


def test_an_item_that_is_put_off_waits_and_keeps_what_came(
    table: JobTable, queue: JobQueue, clock: Clock, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    item_id = _claim(queue)
    some = ItemOutcome(
        state=JobState.PARTIAL, expected=2, stored=1, missing=("1.1.2",), error="Gone.", advice="Wait."
    )
    under_way.postpone(item_id, some, Postponement(not_before=_later(clock, 60), failures=2), worker_id="w")
    job = table.get(job_id)
    (item,) = job.items
    assert (job.state, job.stored, job.error) == (JobState.QUEUED, 1, "")
    assert (item.failures, item.outcome) == (2, replace(some, state=JobState.QUEUED))
    assert _next(queue) is None
    assert queue.waiting() == 0
    assert queue.has_work_to_come()
    clock.turn_on(60)
    assert _claim(queue) == item_id


def test_a_clock_that_was_wrong_keeps_nothing_waiting(
    table: JobTable, queue: JobQueue, clock: Clock, under_way: RunningItems
) -> None:
    _create(table, _SERIES)
    clock.turn_on(100_000)
    under_way.postpone(_claim(queue), _LOST, Postponement(not_before=_later(clock, 60), failures=1), worker_id="w")
    clock.turn_on(-100_000)
    assert _next(queue) is not None


def test_a_waiting_item_is_tried_at_once_when_somebody_resumes_its_job(
    table: JobTable, queue: JobQueue, clock: Clock, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES)
    under_way.postpone(_claim(queue), _LOST, Postponement(not_before=_later(clock, 60), failures=1), worker_id="w")
    table.resume(job_id)
    assert _next(queue) is not None


def test_an_item_of_a_job_that_is_to_end_is_cancelled_when_it_is_put_off_or_given_back(
    table: JobTable, queue: JobQueue, clock: Clock, under_way: RunningItems
) -> None:
    job_id = _create(table)
    first, second = _claim(queue), _claim(queue)
    table.request_cancel(job_id)
    under_way.postpone(first, _LOST, Postponement(not_before=_later(clock, 60), failures=1), worker_id="w")
    assert queue.give_back([second], worker_id="w") == 0
    job = table.get(job_id)
    assert job.state is JobState.CANCELLED
    assert {item.outcome.state for item in job.items} == {JobState.CANCELLED}
    assert not queue.has_work_to_come()


def test_a_job_whose_node_is_out_of_reach_waits_as_a_whole(
    table: JobTable, queue: JobQueue, clock: Clock, under_way: RunningItems
) -> None:
    job_id = _create(table)
    later = Postponement(not_before=_later(clock, 60), failures=1)
    under_way.postpone_job(job_id, [_claim(queue)], later, reason="pacs is out of reach.")
    job = table.get(job_id)
    assert (job.state, job.reason, job.failures) == (JobState.QUEUED, "pacs is out of reach.", 1)
    assert job.not_before == later.not_before
    assert {item.failures for item in job.items} == {0}
    assert _next(queue) is None
    clock.turn_on(60)
    item_id = _claim(queue)
    assert table.get_summary(job_id).reason == ""
    under_way.finish_item(item_id, _DONE, worker_id="w")
    assert table.get_summary(job_id).failures == 0


def test_giving_up_ends_all_that_has_not_ended(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table, _SERIES, _IMAGES, _STUDY, _STUDY)
    under_way.finish_item(_claim(queue), _DONE)
    under_way.progress(_claim(queue), ItemOutcome(state=JobState.RUNNING, stored=1))
    under_way.give_up(job_id, error="pacs is out of reach.", advice="Ask for it.")
    job = table.get(job_id)
    assert [item.outcome.state.value for item in job.items] == ["complete", "partial", "failed", "failed"]
    assert (job.state, job.error_text) == (JobState.PARTIAL, "pacs is out of reach. Ask for it.")


def test_a_job_that_rests_for_the_disk_goes_on_by_itself_and_one_of_a_user_does_not(
    table: JobTable, queue: JobQueue, rests: JobPauses
) -> None:
    job_id, other = _create(table), _create(table)
    table.pause(other)
    rests.pause_for_disk(other, "No room.")
    rests.pause_for_disk(job_id, "No room.")
    job = table.get(job_id)
    assert (job.state, job.reason, job.paused_by) == (JobState.PAUSED, "No room.", PausedBy.DISK)
    assert {item.outcome.state for item in job.items} == {JobState.PAUSED}
    assert [job.job_id for job in rests.paused_for_disk()] == [job_id]
    assert queue.waiting() == 0
    assert queue.has_work_to_come()
    rests.resume_from_disk(job_id)
    rests.resume_from_disk(other)
    assert (table.get_summary(job_id).state, table.get_summary(job_id).reason) == (JobState.QUEUED, "")
    assert (table.get_summary(other).state, table.get_summary(other).paused_by) == (JobState.PAUSED, PausedBy.USER)


@pytest.mark.slow
def test_waiting_jobs_of_a_node_say_why_they_wait(table: JobTable, queue: JobQueue, rests: JobPauses) -> None:
    running, waiting = _create(table), _create(table)
    _claim(queue)
    rests.explain("pacs", "pacs is fetched from at 22:00-06:00 only.")
    assert table.get_summary(running).reason == ""
    assert table.get_summary(waiting).reason == "pacs is fetched from at 22:00-06:00 only."
    rests.explain("pacs", "")
    assert table.get_summary(waiting).reason == ""


def test_jobs_are_listed_newest_first_and_can_be_filtered(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    first, second = _create(table, _SERIES), _create(table)
    under_way.finish_item(_claim(queue), _DONE)
    assert [job.job_id for job in table.list()] == [second, first]
    assert [job.job_id for job in table.list(state=JobState.COMPLETE)] == [first]
    assert table.list(node="other") == ()
    assert table.list(limit=1)[0].items == ()


@pytest.mark.slow
def test_a_job_of_many_items_stays_quick(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    requests = tuple(RetrieveRequest(level=Level.STUDY, StudyInstanceUID=f"1.{number}") for number in range(5000))
    job_id = _create(table, *requests)
    for _ in range(20):
        under_way.finish_item(_claim(queue), _DONE)
    table.request_cancel(job_id)
    job = table.get(job_id)
    assert job.stored == 40
    assert sum(item.outcome.state is JobState.CANCELLED for item in job.items) == 4980


def test_a_job_is_proven_if_all_of_its_items_are(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table)
    under_way.finish_item(_claim(queue), replace(_DONE, proven=True))
    assert (table.get(job_id).proven, table.get(job_id).why) == (None, ())
    under_way.finish_item(_claim(queue), replace(_DONE, proven=True))
    assert (table.get(job_id).proven, table.get(job_id).doubt) == (True, "")


def test_a_job_is_not_proven_if_one_of_its_items_is_not_and_says_why(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table)
    under_way.finish_item(_claim(queue), replace(_DONE, proven=True))
    under_way.finish_item(_claim(queue), replace(_DONE, proven=False, why=("the node does not count them",)))
    job = table.get(job_id)
    assert (job.state, job.proven, job.items[1].outcome.proven) == (JobState.COMPLETE, False, False)
    assert job.why == job.items[1].outcome.why == ("the node does not count them",)
    assert job.doubt == "Not verified: the node does not count them, so the expected number is unknown."
    assert table.list()[0].why == job.why


def test_what_is_retried_is_proven_afresh(table: JobTable, queue: JobQueue, under_way: RunningItems) -> None:
    job_id = _create(table, _SERIES)
    under_way.finish_item(_claim(queue), replace(_LOST, proven=False, why=("2 listed, the node counts 3",)))
    table.retry(job_id)
    assert (table.get(job_id).proven, table.get(job_id).items[0].outcome.why) == (None, ())


def test_a_job_does_not_add_up_expected_objects_while_one_of_its_items_has_objects_of_an_unknown_total(
    table: JobTable, queue: JobQueue, under_way: RunningItems
) -> None:
    job_id = _create(table, _SERIES, _STUDY)
    under_way.finish_item(_claim(queue), _DONE)
    assert (table.get(job_id).expected, table.get(job_id).stored) == (2, 2)
    of_study = _claim(queue)
    under_way.progress(of_study, ItemOutcome(state=JobState.RUNNING, stored=7))
    under_way.finish_item(of_study, ItemOutcome(state=JobState.PARTIAL, stored=7, error="The node is gone."))
    job = table.get(job_id)
    assert (job.expected, job.stored) == (0, 9)
    assert "9 objects stored" in repr(job)
