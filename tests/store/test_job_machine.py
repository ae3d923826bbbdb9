"""Whatever workers and people do to jobs, in any order, while clocks jump and workers die: the state is true.

Hypothesis drives it; a small model beside the store says what must come of it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from qrkit.jobs import ItemOutcome, ItemRow, JobRow, JobState, NewJob, RetrieveRequest, job_state
from qrkit.store.job_progress import LateObjects, Postponement, RunningItems
from qrkit.store.job_queue import JobPauses, JobQueue
from qrkit.store.job_transitions import MOST_DEATHS
from qrkit.store.jobs import JobTable
from qrkit.store.schema import job_items, jobs
from qrkit.store.state import State, as_text
from qrkit.tables import Level
from tests.store.conftest import Clock

_WORKERS = ("ann", "bob", "cid")
_EXPECTED = 4
_ENDS = (JobState.COMPLETE, JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED)

_workers = st.sampled_from(_WORKERS)
_stored = st.integers(0, _EXPECTED)


def _outcome(state: JobState, stored: int) -> ItemOutcome:
    stored = (
        _EXPECTED if state is JobState.COMPLETE else 0 if state is JobState.FAILED else min(stored, _EXPECTED - 1)
    )
    error = "" if state is JobState.COMPLETE else "It failed."
    return ItemOutcome(
        state=state,
        expected=_EXPECTED,
        stored=stored,
        missing=tuple(f"1.{number}" for number in range(stored, _EXPECTED)),
        received=stored,
        bytes=stored,
        error=error,
    )


class JobMachine(RuleBasedStateMachine):
    """Workers and people on one state."""

    where: ClassVar[str] = ""
    jobs_made = Bundle("jobs_made")

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        self.clock = Clock()
        self.state = self._stack.enter_context(State.open(self.where or folder, clock=self.clock))
        with self.state.transaction() as connection:  # of the example before
            connection.execute(job_items.delete())
            connection.execute(jobs.delete())
        self.table, self.queue = JobTable(self.state), JobQueue(self.state)
        self.under_way, self.rests = RunningItems(self.state), JobPauses(self.state)
        self.ids: list[str] = []
        self.holder: dict[int, str] = {}
        self.complete: set[int] = set()

    def teardown(self) -> None:
        self._stack.close()

    def rows(self) -> Iterator[tuple[JobRow, ItemRow]]:
        for job_id in self.ids:
            job = self.table.get(job_id)
            for item in job.items:
                yield job, item

    def held(self, worker: str) -> list[int]:
        return sorted(item_id for item_id, holder in self.holder.items() if holder == worker)

    @rule(target=jobs_made, count=st.integers(1, 3), node=st.sampled_from(["pacs", "archive"]), priority=_stored)
    def somebody_asks(self, count: int, node: str, priority: int) -> object:
        if len(self.ids) >= 4:
            return multiple()
        uids = [f"1.{len(self.ids)}.{number}" for number in range(count)]
        requests = tuple(RetrieveRequest(level=Level.STUDY, StudyInstanceUID=uid) for uid in uids)
        self.ids.append(self.table.create(NewJob(node=node, requests=requests, priority=priority)))
        return self.ids[-1]

    @rule(worker=_workers, spare=st.integers(0, 2), most=st.integers(1, 3))
    def a_worker_claims(self, worker: str, spare: int, most: int) -> None:
        may_start = {item.item_id for job, item in self.rows() if item.outcome.state is JobState.QUEUED}
        claimed = self.queue.claim_share(worker, {"pacs": spare, "archive": 1}, most=most)
        assert len(claimed) <= most
        for item in claimed:
            assert item.item_id not in self.holder, "two workers have the same item"
            assert item.item_id in may_start
            assert self.table.get_summary(item.job_id).state is JobState.RUNNING
            assert not self.under_way.control(item.job_id).cancel
            self.holder[item.item_id] = worker

    @rule(worker=_workers, stored=_stored)
    def a_worker_gets_on(self, worker: str, stored: int) -> None:
        for item_id in self.held(worker)[:1]:
            self.under_way.progress(item_id, ItemOutcome(state=JobState.RUNNING, stored=min(stored, _EXPECTED - 1)))

    @rule(worker=_workers, end=st.sampled_from(_ENDS), stored=_stored)
    def a_worker_ends_an_item(self, worker: str, end: JobState, stored: int) -> None:
        for item_id in self.held(worker)[:1]:
            told = _outcome(end, stored)
            self.under_way.finish_item(item_id, told, worker_id=worker)
            del self.holder[item_id]
            if end is JobState.COMPLETE:
                self.complete.add(item_id)
            assert self._item(item_id).outcome == told

    @rule(worker=_workers, seconds=st.floats(0, 1800), stored=_stored)
    def a_worker_puts_an_item_off(self, worker: str, seconds: float, stored: int) -> None:
        for item_id in self.held(worker)[:1]:
            not_before = as_text(self.clock.moment + timedelta(seconds=seconds))
            told = _outcome(JobState.PARTIAL, stored)
            self.under_way.postpone(item_id, told, Postponement(not_before=not_before, failures=1), worker_id=worker)
            del self.holder[item_id]

    @rule(worker=_workers, gives_up=st.booleans())
    def a_node_is_out_of_reach(self, worker: str, *, gives_up: bool) -> None:
        for item_id in self.held(worker)[:1]:
            job_id = self._item(item_id).job_id
            if gives_up:
                self.under_way.give_up(job_id, error="Out of reach.", advice="")
                gone = {item.item_id for item in self.table.get(job_id).items}
            else:
                later = Postponement(not_before=as_text(self.clock.moment + timedelta(seconds=30)), failures=1)
                self.under_way.postpone_job(job_id, [item_id], later, reason="Out of reach.")
                gone = {item_id}
            self.holder = {one: holder for one, holder in self.holder.items() if one not in gone}

    @rule(worker=_workers)
    def a_worker_gives_back(self, worker: str) -> None:
        held = self.held(worker)
        self.queue.give_back(held, worker_id=worker)
        for item_id in held:
            del self.holder[item_id]

    @rule(dead=_workers)
    def a_worker_dies_and_is_found_out(self, dead: str) -> None:
        lost = {item_id: self._item(item_id) for item_id in self.held(dead)}
        self.queue.requeue_orphans([worker for worker in _WORKERS if worker != dead])
        for item_id, before in lost.items():
            del self.holder[item_id]
            after = self._item(item_id).outcome.state
            assert after is not JobState.RUNNING
            if after in (JobState.PARTIAL, JobState.FAILED):
                assert before.deaths >= MOST_DEATHS - 1, "only what has killed many workers is given up"

    @rule(item_number=st.integers(0, 11), count=st.integers(1, _EXPECTED))
    def objects_come_after_the_end(self, item_number: int, count: int) -> None:
        items = [item for _, item in self.rows()]
        if item_number < len(items):
            item_id, before = items[item_number].item_id, items[item_number].outcome
            LateObjects(self.state).count(item_id, before.missing[:count], size=count)
            after = self._item(item_id).outcome
            if not (before.state.is_final and before.missing):
                assert after == before
                return
            came = min(count, len(before.missing))
            assert (after.stored, after.received) == (before.stored + came, before.received + came)
            assert after.missing == before.missing[count:]
            assert (after.state is JobState.COMPLETE) == (not after.missing)
            if after.state is JobState.COMPLETE:
                self.complete.add(item_id)

    @rule(
        worker=_workers,
        item_number=st.integers(0, 11),
        end=st.sampled_from(_ENDS),
    )
    def one_that_was_thought_dead_says_what_came(self, worker: str, item_number: int, end: JobState) -> None:
        items = [item.item_id for _, item in self.rows()]
        if item_number < len(items) and self.holder.get(items[item_number]) != worker:
            item_id = items[item_number]
            before = self._item(item_id).outcome
            told = _outcome(end, 0)
            self.under_way.finish_item(item_id, told, worker_id=worker)
            after = self._item(item_id).outcome
            if end is JobState.COMPLETE and not before.state.is_final:
                assert after == told
                self.holder.pop(item_id, None)
                self.complete.add(item_id)
            else:
                assert after == before

    @rule(job_id=jobs_made)
    def somebody_cancels(self, job_id: str) -> None:
        self.table.request_cancel(job_id)
        assert not any(item.outcome.state is JobState.QUEUED for item in self.table.get(job_id).items)

    @rule(job_id=jobs_made)
    def somebody_pauses(self, job_id: str) -> None:
        self.table.pause(job_id)

    @rule(job_id=jobs_made)
    def the_disk_is_full(self, job_id: str) -> None:
        self.rests.pause_for_disk(job_id, "No room.")

    @rule(job_id=jobs_made)
    def there_is_room(self, job_id: str) -> None:
        self.rests.resume_from_disk(job_id)

    @rule(job_id=jobs_made)
    def somebody_resumes(self, job_id: str) -> None:
        self.table.resume(job_id)
        assert not self.under_way.control(job_id).pause

    @rule(job_id=jobs_made)
    def somebody_retries(self, job_id: str) -> None:
        lost = [item for item in self.table.get(job_id).items if item.outcome.state in _ENDS[1:]]
        assert self.table.retry(job_id) == len(lost)

    @rule(seconds=st.floats(-100_000, 100_000))
    def a_clock_jumps(self, seconds: float) -> None:
        self.clock.turn_on(seconds)

    @invariant()
    def every_item_is_where_the_model_has_it(self) -> None:
        for _, item in self.rows():
            assert (item.outcome.state is JobState.RUNNING) == (item.item_id in self.holder)
            if item.item_id in self.complete:
                assert item.outcome.state is JobState.COMPLETE, "what is here is never asked for again"
            if item.outcome.state.is_final:
                assert item.finished is not None
                assert item.not_before is None

    @invariant()
    def every_job_follows_from_its_items(self) -> None:
        for job_id in self.ids:
            job = self.table.get(job_id)
            plain = [
                ItemOutcome(
                    state=JobState.QUEUED if item.outcome.state is JobState.PAUSED else item.outcome.state,
                    stored=item.outcome.stored,
                )
                for item in job.items
            ]
            assert job.state is job_state(plain, paused=job.paused_by is not None)
            assert job.stored == sum(item.outcome.stored for item in job.items)
            assert (job.finished is not None) == job.state.is_final
            if job.cancel_requested:
                assert not any(item.state is JobState.QUEUED for item in plain)

    @invariant()
    def what_waits_is_found_sooner_or_later(self) -> None:
        waits = any(
            item.outcome.state is JobState.QUEUED or (job.paused_by is not None and job.paused_by.value == "disk")
            for job, item in self.rows()
            if item.outcome.state in (JobState.QUEUED, JobState.PAUSED)
        )
        assert self.queue.has_work_to_come() == waits

    def _item(self, item_id: int) -> ItemRow:
        return next(item for _, item in self.rows() if item.item_id == item_id)


_SOME = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@pytest.mark.slow
def test_the_state_stays_true_whatever_happens() -> None:
    run_state_machine_as_test(JobMachine, settings=_SOME)


def test_on_postgresql_too(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobMachine, "where", database_url)
    run_state_machine_as_test(JobMachine, settings=settings(_SOME, max_examples=4))
