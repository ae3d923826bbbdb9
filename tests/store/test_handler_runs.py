"""What is done after arrival, in the state: decided once, claimed once, tried again, never lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from qrkit.errors import InputError, NotFound
from qrkit.handlers import RunState
from qrkit.jobs import ItemOutcome, JobState, NewJob, RetrieveRequest
from qrkit.store.handler_runs import CompletedItemTable, CompleteSeries, HandlerRunTable
from qrkit.store.instances import InstanceRow, InstanceTable
from qrkit.store.job_progress import RunningItems
from qrkit.store.job_queue import JobQueue
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.tables import Level
from tests.store.conftest import Clock

STUDY = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2")
SERIES = RetrieveRequest(level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3")
DONE = ItemOutcome(state=JobState.COMPLETE, stored=1)


def an_object(sop: str, series: str = "1.2.3", digest: str = "aa") -> InstanceRow:
    return InstanceRow(
        SOPInstanceUID=sop,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        StudyInstanceUID="1.2",
        SeriesInstanceUID=series,
        TransferSyntaxUID="1.2.840.10008.1.2.1",
        Modality="CT",
        StationName="CT01",
        path=f"1.2/{series}/{sop}.dcm",
        size=10,
        sha256=digest,
        source="pacs",
    )


def ended(state: State, *requests: RetrieveRequest, outcome: ItemOutcome = DONE, **job: object) -> str:
    """A job of which each item has ended alike."""
    table = JobTable(state)
    values = {"node": "pacs", "requests": requests, **job}
    job_id = table.create(NewJob(**values))  # type: ignore[arg-type]
    queue, under_way = JobQueue(state), RunningItems(state)
    for item in queue.claim_share("w", {"pacs": 1}, most=9):
        under_way.finish_item(item.item_id, outcome)
    return job_id


def queued(state: State, *handlers: str) -> list[CompleteSeries]:
    """Queue runs of some handlers for all that is due, and give the series."""
    due = CompletedItemTable(state)
    series: list[CompleteSeries] = []
    for item in due.list():
        complete = due.complete_series(item)
        series += complete
        due.queue(item, [(handler, held) for handler in handlers for held in complete])
    return series


def test_each_series_of_a_complete_study_is_there_once(state: State) -> None:
    InstanceTable(state).add_many([an_object("1.1"), an_object("1.2"), an_object("1.3", "1.2.4")])
    job_id = ended(state, STUDY)
    first, second = queued(state, "dose", "copy")
    assert (first.SeriesInstanceUID, first.objects, first.levels) == ("1.2.3", 2, ("STUDY",))
    assert (first.modality, first.station, first.node) == (("CT",), ("CT01",), ("pacs",))
    assert second.SeriesInstanceUID == "1.2.4"
    runs = HandlerRunTable(state).of_job(job_id)
    assert [(run.handler, run.SeriesInstanceUID) for run in runs] == [
        ("copy", "1.2.3"),
        ("copy", "1.2.4"),
        ("dose", "1.2.3"),
        ("dose", "1.2.4"),
    ]
    assert all(run.state is RunState.WAITING and run.job_id == job_id for run in runs)
    assert CompletedItemTable(state).list() == ()


def test_nothing_is_due_for_what_is_not_whole_or_went_elsewhere(state: State) -> None:
    InstanceTable(state).add_many([an_object("1.1")])
    ended(state, STUDY, outcome=replace(DONE, state=JobState.PARTIAL))
    ended(state, STUDY, destination="archive")
    assert CompletedItemTable(state).list() == ()


def test_a_series_waits_for_all_items_that_cover_it(state: State) -> None:
    InstanceTable(state).add_many([an_object("1.1"), an_object("1.2")])
    table = JobTable(state)
    images = [
        RetrieveRequest(
            level=Level.IMAGE, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", sop_instance_uids=(uid,)
        )
        for uid in ("1.1", "1.2")
    ]
    job_id = table.create(NewJob(node="pacs", requests=tuple(images)))
    one, other = table.get(job_id).items
    RunningItems(state).finish_item(one.item_id, DONE)
    assert queued(state, "dose") == []
    RunningItems(state).finish_item(other.item_id, DONE)
    (held,) = queued(state, "dose")
    assert held.levels == ("IMAGE",)


def test_the_same_content_is_never_queued_twice_and_other_content_is(state: State) -> None:
    instances, runs = InstanceTable(state), HandlerRunTable(state)
    instances.add_many([an_object("1.1")])
    first = ended(state, SERIES)
    queued(state, "dose")
    second = ended(state, SERIES)
    queued(state, "dose")
    assert len(runs.list()) == 1
    assert runs.of_job(second) == runs.of_job(first)
    instances.add_many([an_object("1.2")])
    ended(state, SERIES)
    queued(state, "dose")
    instances.add_many([an_object("1.2", digest="bb")])
    ended(state, SERIES)
    queued(state, "dose")
    assert [run.objects for run in runs.list()] == [3, 2, 1]
    assert len({run.content for run in runs.list()}) == 3


def test_a_run_is_about_the_objects_of_its_content_whatever_came_later(state: State) -> None:
    instances, runs = InstanceTable(state), HandlerRunTable(state)
    instances.add_many([an_object("1.1")])
    ended(state, SERIES)
    queued(state, "dose")
    instances.add_many([an_object("1.2")])
    (run,) = runs.list()
    assert [row.SOPInstanceUID for row in runs.files(run)] == ["1.1"]


def test_a_job_has_the_handlers_it_has_chosen(state: State) -> None:
    InstanceTable(state).add_many([an_object("1.1")])
    ended(state, SERIES)
    ended(state, SERIES, after=("dose",))
    ended(state, SERIES, after=())
    assert [item.handlers for item in CompletedItemTable(state).list()] == [None, ("dose",), ()]


@pytest.fixture
def runs(state: State) -> HandlerRunTable:
    """Two handlers with one run each."""
    InstanceTable(state).add_many([an_object("1.1")])
    ended(state, SERIES)
    queued(state, "dose", "copy")
    return HandlerRunTable(state)


def test_a_run_is_claimed_once_by_a_worker_that_knows_the_handler(runs: HandlerRunTable) -> None:
    assert runs.claim("one", ["other"]) is None
    claimed = runs.claim("one", ["dose"])
    assert claimed is not None
    assert (claimed.handler, claimed.state, claimed.attempts) == ("dose", RunState.RUNNING, 1)
    assert runs.claim("two", ["dose"]) is None
    assert not runs.is_due(["dose"])
    assert runs.is_due(["dose", "copy"])
    assert (runs.waiting(["dose"]), runs.waiting(["dose", "copy"]), runs.waiting([])) == (1, 2, 0)


def test_a_failed_attempt_is_due_again_after_its_pause(runs: HandlerRunTable, clock: Clock) -> None:
    claimed = runs.claim("one", ["dose"])
    assert claimed is not None
    runs.failed(claimed.run_id, "no room", pause=timedelta(minutes=2))
    assert runs.get(claimed.run_id).error == "no room"
    assert runs.claim("one", ["dose"]) is None
    clock.turn_on(-86_400)  # it was wrong
    assert runs.is_due(["dose"])
    clock.turn_on(86_400 - 600)
    assert not runs.is_due(["dose"])
    JobQueue(runs._state).wake()  # as a worker does that has noticed
    assert runs.is_due(["dose"])
    again = runs.claim("one", ["dose"])
    assert again is not None
    assert again.attempts == 2
    runs.done(again.run_id, "2 taken with a warning")
    last = runs.get(again.run_id)
    assert (last.state, last.error, last.note) == (RunState.DONE, "", "2 taken with a warning")
    assert last.finished is not None


def test_what_has_failed_for_good_is_tried_again_by_hand_and_what_worked_only_if_asked(runs: HandlerRunTable) -> None:
    failing = runs.claim("one", ["dose"])
    working = runs.claim("one", ["copy"])
    assert failing is not None
    assert working is not None
    runs.failed(failing.run_id, "refused", pause=None)
    runs.done(working.run_id)
    assert runs.get(failing.run_id).state is RunState.FAILED
    assert runs.retry([failing.run_id, working.run_id]) == 1
    assert runs.get(failing.run_id).attempts == 0
    assert runs.get(working.run_id).state is RunState.DONE
    assert runs.retry([working.run_id], again=True) == 1
    assert runs.claim("one", ["copy"]) is not None
    with pytest.raises(NotFound, match="no run 999"):
        runs.retry([999])


def test_a_worker_that_stops_gives_back_and_one_that_died_is_found_out(runs: HandlerRunTable) -> None:
    one, other = runs.claim("stops", ["dose"]), runs.claim("dies", ["copy"])
    assert one is not None
    assert other is not None
    runs.give_back(one.run_id)
    assert (runs.get(one.run_id).state, runs.get(one.run_id).attempts) == (RunState.WAITING, 0)
    assert runs.requeue_orphans(["dies"]) == 0
    assert runs.requeue_orphans(["another"]) == 1
    found = runs.get(other.run_id)
    assert (found.state, found.attempts) == (RunState.WAITING, 1)
    runs.done(other.run_id)  # the dead one was only slow: the run is another's by now
    assert runs.get(other.run_id).state is RunState.WAITING


def test_runs_are_listed_by_what_they_have(runs: HandlerRunTable) -> None:
    assert [run.handler for run in runs.list()] == ["dose", "copy"]
    assert [run.handler for run in runs.list({"handler": "copy"}, limit=5)] == ["copy"]
    with pytest.raises(InputError, match="no mood"):
        runs.list({"mood": "good"})
    with pytest.raises(NotFound):
        runs.get(999)
