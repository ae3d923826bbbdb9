"""How long a C-MOVE is waited for: as long as objects come for its job, and no longer than something new comes."""

from pathlib import Path

import pytest

from qrkit.jobs import ItemOutcome, ItemRow, JobState, RetrieveRequest
from qrkit.receipt import Arrival
from qrkit.retrieve.admission import ActiveItems
from qrkit.retrieve.arrivals import Arrivals
from qrkit.retrieve.item import ActiveItem
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.store.files import FileStore
from qrkit.store.header import ObjectHeader
from qrkit.store.job_progress import LATE_NOTE
from qrkit.tables import Level
from tests.peers.waiting import wait_until
from tests.retrieve.conftest import LIMIT, fetch, services
from tests.workspace.opened import Linked, files_of, of_size, uids_of, worker_in_thread

QUICK = {"connect": 5.0, "association": 10.0, "response": 4.0, "inactivity": 1.0}


@pytest.fixture
def study(linked: Linked) -> Study:
    linked.workspace.nodes.edit("pacs", timeouts=QUICK)
    return of_size(linked.hospital, 3, most=8)[0]


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("can_find", [True, False], ids=["listed", "not listed"])
@pytest.mark.parametrize("counters", ["nothing", "remaining", "completed"])
def test_objects_that_come_after_a_success_are_waited_for_whatever_the_counters_report(
    linked: Linked, study: Study, counters: str, *, can_find: bool
) -> None:
    linked.workspace.nodes.edit("pacs", can_find=can_find)
    linked.pacs.quirks = Quirks(finish_early=True, early_counters=counters, delay_first_object=0.8, delay_object=0.05)
    status = fetch(linked, study, method="move")
    assert (status.state, status.proven) == (JobState.COMPLETE, can_find)
    assert files_of(linked.workspace) == uids_of(study)
    assert services(linked) == [("C-MOVE", "STUDY")]


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_several_items_share_one_wait_for_what_comes_late(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", timeouts=QUICK, associations=1)
    studies = of_size(linked.hospital, 1, most=3)[:5]
    linked.pacs.quirks = Quirks(finish_early=True, early_counters="nothing", delay_first_object=0.5)
    uids = [one.StudyInstanceUID for one in studies]
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids, method="move")
    wait_until(lambda: len(services(linked)) == 5, 1.5, what="all are asked for before the first one ends")
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    assert services(linked) == [("C-MOVE", "STUDY")] * 5


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "quirks",
    [
        pytest.param(Quirks(no_pending=True, delay_object=0.7), id="no pending responses"),
        pytest.param(Quirks(no_pending=True, slow_object=1.4), id="slow objects without pending responses"),
        pytest.param(Quirks(slow_object=1.4), id="slow objects"),
        pytest.param(Quirks(delay_first_object=2.0), id="a long-term archive"),
        pytest.param(Quirks(delay_object=1.8, pend_every=0.3), id="a long-term archive that pends"),
    ],
)
def test_objects_bytes_and_pending_responses_are_signs_of_life_so_that_nothing_is_requested_twice(
    linked: Linked, quirks: Quirks
) -> None:
    linked.workspace.nodes.edit("pacs", timeouts=QUICK)
    small = of_size(linked.hospital, 2, most=2)[0]
    linked.pacs.quirks = quirks
    status = fetch(linked, small, method="move")
    assert (status.state, status.proven) == (JobState.COMPLETE, True)
    assert services(linked) == [("C-MOVE", "STUDY")]


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("method", ["get", "move"])
def test_a_retrieve_that_only_pends_fails_and_names_the_setting(linked: Linked, study: Study, method: str) -> None:
    linked.workspace.nodes.edit("pacs", timeouts=QUICK | {"response": 1.0, "inactivity": 0.5})
    linked.pacs.quirks = Quirks(pend_forever=0.1)
    outcome = fetch(linked, study, method=method).items[0].outcome
    assert outcome.state is JobState.FAILED
    assert "responses that report nothing new for 1 seconds: the response timeout of node pacs" in outcome.error
    assert "raise its response timeout" in outcome.advice


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_that_come_again_without_end_are_stopped(linked: Linked, study: Study, method: str) -> None:
    linked.pacs.quirks = Quirks(send_endlessly=True)
    status = fetch(linked, study, method=method)
    assert status.state is JobState.COMPLETE
    assert status.received == len(uids_of(study))
    wait_until(lambda: linked.pacs.open_associations == 0, what="the PACS ends its associations")


@pytest.mark.slow
@pytest.mark.parametrize("can_find", [True, False], ids=["listed", "not listed"])
def test_objects_that_come_after_the_end_of_their_item_are_taken_into_it(
    linked: Linked, study: Study, *, can_find: bool
) -> None:
    timeouts = QUICK | {"inactivity": 0.3}
    linked.workspace.nodes.edit("pacs", timeouts=timeouts, can_find=can_find)
    linked.pacs.quirks = Quirks(finish_early=True, early_counters="nothing", delay_first_object=2.5)
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method="move")
        assert job.wait(timeout=LIMIT).state is JobState.FAILED
        expected = len(uids_of(study))
        wait_until(lambda: job.status.stored == expected, LIMIT, what="all late objects are counted")
    outcome = job.status.items[0].outcome
    assert outcome.state is (JobState.COMPLETE if can_find else JobState.PARTIAL)
    assert (outcome.note, outcome.received) == (LATE_NOTE, expected)
    assert files_of(linked.workspace) == uids_of(study)


def item(number: int, job: str = "a", study: str = "1.2") -> ItemRow:
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID=study)
    outcome = ItemOutcome(state=JobState.RUNNING)
    return ItemRow(item_id=number, job_id=job, position=number, request=request, outcome=outcome)


def test_bytes_for_any_item_of_a_job_are_a_sign_of_life_for_the_job_alone() -> None:
    items = ActiveItems()
    first, second, other = (ActiveItem(item(number, job), node="pacs") for number, job in enumerate("aab"))
    for active in (first, second, other):
        items.add(active)
    second.touch()
    assert items.last_sign("a") == second.last_sign > 0
    assert items.last_sign("b") < 0


def test_each_piece_of_an_object_is_a_sign_of_life_and_a_drip_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qrkit.retrieve.arrivals._SIGN_EVERY", 0.0)
    files, items = FileStore(tmp_path, free_space_floor=0), ActiveItems()
    arrivals = Arrivals(
        files, items, add_rows=lambda *_: None, count_late=lambda *_: None, node_name=lambda _: "pacs"
    )
    active = ActiveItem(item(1), node="pacs")
    items.add(active)
    arrival = Arrival(sop_class_uid="1.2", sop_instance_uid="1.2.3", transfer_syntax_uid="1.2.840.10008.1.2")
    incoming = arrivals.receiver_for_caller("PACS").begin(arrival)
    for size, is_sign in ((100, False), (2_000, True), (1, False), (1_023, True)):
        active.last_sign = 0.0
        incoming.write(memoryview(bytes(size)))
        assert (active.last_sign > 0) is is_sign
    incoming.discard()
    files.close()


@pytest.mark.parametrize(
    ("sender", "uid", "is_sign"), [("pacs", "1.9", True), ("", "1.9", True), ("ct", "1.9", False)]
)
def test_what_another_node_sends_on_its_own_is_no_sign_of_life(
    tmp_path: Path, sender: str, uid: str, *, is_sign: bool
) -> None:
    files, items = FileStore(tmp_path, free_space_floor=0), ActiveItems()
    arrivals = Arrivals(
        files, items, add_rows=lambda *_: None, count_late=lambda *_: None, node_name=lambda _: sender
    )
    active = ActiveItem(item(1), node="pacs", expected=frozenset(["1.2.3"]))
    items.add(active)
    receiver = arrivals.receiver_for_caller("X")
    for arriving, touches in ((uid, is_sign), ("1.2.3", True)):
        active.last_sign = 0.0
        receiver.touch(Arrival(sop_class_uid="1.2", sop_instance_uid=arriving, transfer_syntax_uid="1.2"))
        assert (active.last_sign > 0) is touches
    files.close()


def test_what_comes_late_for_an_item_without_a_list_is_known_by_its_study() -> None:
    items = ActiveItems()
    assert items.candidates("1.2.3", 0) == ()
    items.expect_late(item(1), (), node="pacs", stored=["1.2.4"])
    (late,) = items.candidates("1.2.3", 0)
    assert late.has_ended
    assert late.admits("1.2.3", ObjectHeader(StudyInstanceUID="1.2"))
    assert not late.admits("1.2.3", ObjectHeader(StudyInstanceUID="1.3"))
    assert "1.2.4" in late.stored  # and is not counted again
    items.add(ActiveItem(item(1), node="pacs"))  # it is tried again
    assert [one.has_ended for one in items.candidates("1.2.3", 0)] == [False]


def test_an_object_that_comes_a_few_times_is_no_runaway() -> None:
    active = ActiveItem(item(1), node="pacs")
    active.begin_try()
    for _ in range(40):
        active.took("1.2.3", ObjectHeader(StudyInstanceUID="1.2"), 10)
    assert (active.is_runaway, active.received) == (False, 1)
    for _ in range(40):
        active.took("1.2.3", ObjectHeader(StudyInstanceUID="1.2"), 10)
    assert (active.is_runaway, active.received) == (True, 1)
