"""What a PACS may do to a retrieve, and what the job says of it: expected against stored, never the peer's word."""

import pytest

from qrkit.errors import WorkerError
from qrkit.jobs import ItemRow, JobRow, JobState, RetrieveRequest
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.tables import Level
from tests.peers.waiting import LOOPBACK, wait_until
from tests.retrieve.conftest import LIMIT, fetch, services
from tests.workspace.opened import Linked, all_studies, files_of, of_size, uids_of

pytestmark = pytest.mark.usefixtures("worker")
COUNTS = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances")


@pytest.fixture
def mixed(linked: Linked) -> Study:
    """A study of CT and SR."""
    return next(one for one in all_studies(linked.hospital) if set(one.ModalitiesInStudy) == {"CT", "SR"})


@pytest.fixture
def study(linked: Linked) -> Study:
    """A study with a handful of objects in several series."""
    return next(study for study in of_size(linked.hospital, 8) if len(study.series) > 1)


def item(status: JobRow) -> ItemRow:
    (only,) = status.items
    return only


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_left_out_once_come_with_the_second_try_at_image_level(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(send_less=2)
    status = fetch(linked, study, method=method)
    # each try leaves out its last two: of the two that were missing, the second brings none
    outcome = item(status).outcome
    assert (status.state, outcome.expected, outcome.stored) == (
        JobState.PARTIAL,
        len(uids_of(study)),
        len(uids_of(study)) - 2,
    )
    assert set(outcome.missing) == uids_of(study) - files_of(linked.workspace)
    assert len(outcome.missing) == 2
    assert "ended with status 0x0000 (2 completed, 0 failed), yet 2 objects did not arrive" in outcome.error
    assert services(linked)[0] == (f"C-{method.upper()}", "STUDY")
    assert set(services(linked)[1:]) == {(f"C-{method.upper()}", "IMAGE")}
    linked.pacs.quirks = Quirks()
    asked = len(linked.pacs.requests)
    job = linked.workspace.jobs[status.job_id]
    assert job.retry() == 1
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    assert job.status.items[0].outcome.error == ""
    assert files_of(linked.workspace) == uids_of(study)
    assert sum(one.answers for one in linked.pacs.requests[asked:] if one.service == f"C-{method.upper()}") == 2


@pytest.mark.slow
def test_what_one_method_leaves_out_the_other_brings(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(send_less=1)
    linked.workspace.nodes.edit("pacs", method="move")
    status = fetch(linked, study, method="auto")
    assert services(linked) == [("C-MOVE", "STUDY"), ("C-GET", "IMAGE")]
    assert len(item(status).outcome.missing) == 1


@pytest.mark.parametrize("method", ["get", "move"])
def test_failed_sub_operations_are_tried_again_one_by_one(linked: Linked, study: Study, method: str) -> None:
    linked.pacs.quirks = Quirks(fail_objects=2)
    status = fetch(linked, study, method=method)
    assert status.state is JobState.PARTIAL
    assert len(item(status).outcome.missing) == 2
    assert "0xA702" in item(status).outcome.error


@pytest.mark.parametrize("method", ["get", "move"])
def test_responses_without_counters_and_without_pending_ones_are_enough(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(no_counters=True, no_pending=True)
    assert fetch(linked, study, method=method).state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)


def test_objects_that_come_after_the_final_response_are_waited_for(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(finish_early=True, delay_first_object=0.5, delay_object=0.05)
    status = fetch(linked, study, method="move")
    assert status.state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)
    assert services(linked) == [("C-MOVE", "STUDY")]


def test_objects_that_come_late_without_counters_are_waited_for_too(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(finish_early=True, no_counters=True, delay_first_object=0.5, delay_object=0.05)
    status = fetch(linked, study, method="move")
    assert status.state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)


@pytest.mark.parametrize("quirks", [Quirks(drop_after=3), Quirks(break_after=3)], ids=["between", "within objects"])
@pytest.mark.parametrize("method", ["get", "move"])
def test_an_association_that_drops_is_replaced_and_only_what_is_missing_is_asked_for(
    linked: Linked, study: Study, method: str, quirks: Quirks
) -> None:
    linked.pacs.quirks = quirks
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
    status = job.wait(timeout=LIMIT)
    assert item(status).outcome.stored >= 6  # three by each of two tries
    linked.pacs.quirks = Quirks()
    if status.state is not JobState.COMPLETE:
        job.retry()
        assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    sent = sum(
        one.answers for one in linked.pacs.requests if one.service == f"C-{method.upper()}" and one.status == 0
    )
    assert sent <= len(uids_of(study)) - 3
    assert files_of(linked.workspace) == uids_of(study)
    assert len(linked.workspace.files) == len(uids_of(study))


@pytest.mark.parametrize("method", ["get", "move"])
def test_an_association_that_drops_once_is_no_more_than_a_delay(linked: Linked, study: Study, method: str) -> None:
    linked.pacs.quirks = Quirks(drop_after=3, drop_times=1)
    assert fetch(linked, study, method=method).state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)
    assert len(linked.workspace.files) == len(uids_of(study))


def test_an_association_that_drops_in_one_study_does_not_spoil_the_others(linked: Linked) -> None:
    small, large = of_size(linked.hospital, 1, most=2)[:4], of_size(linked.hospital, 10)[:1]
    linked.pacs.quirks = Quirks(drop_after=9)
    uids = [one.StudyInstanceUID for one in (*small[:2], *large, *small[2:])]
    status = linked.workspace.retrieve_uids("pacs", study_uids=uids, method="get").wait(timeout=LIMIT)
    assert [one.outcome.state for one in status.items] == [JobState.COMPLETE] * 5
    assert len(linked.workspace.files) == sum(len(uids_of(one)) for one in (*small, *large))


def test_a_destination_that_the_pacs_does_not_know_is_not_tried_twice_and_says_what_to_enter(
    linked: Linked, study: Study
) -> None:
    linked.workspace.nodes.edit("pacs", move_destination="SOMEWHERE", can_get=False)
    status = fetch(linked, study, method="auto")
    assert status.state is JobState.FAILED
    assert "0xA801" in item(status).outcome.error
    assert item(status).outcome.advice == (
        f"Ask the PACS team to enter our AE title SOMEWHERE with the address {LOOPBACK} and port "
        f"{linked.workspace.settings.port} as a destination of C-MOVE."
    )
    assert services(linked) == [("C-MOVE", "STUDY")]
    assert set(item(status).outcome.missing) == uids_of(study)


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_retrieve_that_the_pacs_cancels_is_not_asked_again_until_somebody_wants_it(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(retrieve_status=0xFE00, retrieve_status_after=2)
    status = fetch(linked, study, method=method)
    assert (status.state, status.stored) == (JobState.PARTIAL, 2)
    assert "0xFE00" in item(status).outcome.error
    assert set(item(status).outcome.missing) == uids_of(study) - files_of(linked.workspace)
    assert services(linked) == [(f"C-{method.upper()}", "STUDY")]
    linked.pacs.quirks = Quirks()
    job = linked.workspace.jobs[status.job_id]
    job.retry()
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE
    assert job.status.received == len(uids_of(study))


@pytest.mark.parametrize(
    ("quirks", "said"),
    [
        (Quirks(retrieve_status=0xA701), "0xA701"),
        (Quirks(retrieve_status=0xC001, retrieve_comment="tape is torn"), "tape is torn"),
        (Quirks(reject="congestion"), "congestion"),
        (Quirks(services=("echo", "find")), "accept"),
    ],
)
def test_a_refusal_is_a_failed_item_with_its_reason(linked: Linked, study: Study, quirks: Quirks, said: str) -> None:
    linked.pacs.quirks = quirks
    status = fetch(linked, study, method="auto")
    assert status.state is JobState.FAILED
    assert said in item(status).outcome.error
    assert "\n" not in item(status).outcome.error
    assert item(status).outcome.stored == 0


def test_a_warning_with_everything_here_is_complete(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(retrieve_status=0xB000, retrieve_status_after=-1)
    assert fetch(linked, study, method="get").state is JobState.COMPLETE


@pytest.mark.parametrize("method", ["get", "move"])
def test_what_a_node_could_not_list_at_first_is_listed_when_all_has_come(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(find_abort_after=0, delay_object=0.05)
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID], method=method)
    wait_until(lambda: files_of(linked.workspace), LIMIT, what="the first object")
    linked.pacs.quirks = Quirks()
    done = job.wait(timeout=LIMIT)
    assert (done.state, done.error, done.expected) == (JobState.COMPLETE, "", len(uids_of(study)))
    assert done.received == done.expected


@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_that_come_twice_are_kept_and_listed_once(linked: Linked, study: Study, method: str) -> None:
    linked.pacs.quirks = Quirks(send_twice=True)
    status = fetch(linked, study, method=method)
    assert (status.state, status.stored) == (JobState.COMPLETE, len(uids_of(study)))
    assert files_of(linked.workspace) == uids_of(study)
    assert sorted(linked.workspace.files.list()["SOPInstanceUID"]) == sorted(uids_of(study))


@pytest.mark.parametrize("method", ["get", "move"])
def test_objects_sent_along_that_were_not_asked_for_are_refused_and_told(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(send_more=3)
    status = fetch(linked, study, method=method)
    assert status.state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)
    assert "as not requested: 3 objects" in item(status).outcome.note
    assert item(status).outcome.error == ""


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_retrieve_that_runs_away_is_stopped(linked: Linked, method: str) -> None:
    small = of_size(linked.hospital, 2, most=2)[0]
    linked.pacs.quirks = Quirks(runaway=True)
    status = fetch(linked, small, method=method)
    assert status.state is JobState.COMPLETE  # what was asked for came first
    assert files_of(linked.workspace) == uids_of(small)
    assert "as not requested" in item(status).outcome.note
    wait_until(lambda: linked.pacs.open_associations == 0, what="the PACS ends its associations")


def test_a_node_that_cannot_say_what_it_holds_is_believed_by_its_counters(linked: Linked, study: Study) -> None:
    linked.workspace.nodes.edit("pacs", can_find=False)
    status = fetch(linked, study, method="get")
    assert (status.state, item(status).outcome.expected) == (JobState.COMPLETE, None)
    assert (status.proven, status.why) == (False, ("pacs cannot be asked for what it holds, as it has no C-FIND",))
    assert files_of(linked.workspace) == uids_of(study)


def test_counters_that_promise_more_than_came_are_not_success(linked: Linked, study: Study) -> None:
    linked.workspace.nodes.edit("pacs", can_find=False)
    linked.pacs.quirks = Quirks(send_less=2)
    status = fetch(linked, study, method="get")
    assert status.state is JobState.PARTIAL
    assert item(status).outcome.stored == len(uids_of(study)) - 2
    assert "did not arrive" in item(status).outcome.error


@pytest.mark.parametrize("method", ["get", "move"])
def test_series_that_list_no_objects_are_complete_when_as_many_have_come_as_the_node_counts(
    linked: Linked, mixed: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(no_instances_of=("CT",))
    status = fetch(linked, mixed, method=method)
    assert files_of(linked.workspace) == uids_of(mixed)
    outcome, size = item(status).outcome, len(uids_of(mixed))
    assert (status.state, outcome.expected, outcome.stored, outcome.proven) == (JobState.COMPLETE, size, size, True)


@pytest.mark.parametrize("method", ["get", "move"])
def test_series_that_list_no_objects_and_count_none_are_fetched_all_the_same_but_nothing_is_proven(
    linked: Linked, mixed: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(no_instances_of=("CT",), omit_keys=COUNTS)
    status = fetch(linked, mixed, method=method)
    assert files_of(linked.workspace) == uids_of(mixed)
    outcome = item(status).outcome
    assert (outcome.expected, outcome.stored, outcome.proven) == (None, len(uids_of(mixed)), False)
    assert status.state is JobState.PARTIAL
    assert "lists no objects in" in outcome.error


@pytest.mark.parametrize("method", ["get", "move"])
def test_a_study_or_series_that_the_node_does_not_list_is_named_as_such(
    linked: Linked, study: Study, method: str
) -> None:
    retrieve = linked.workspace.retrieve_uids
    job = retrieve("pacs", study_uids=["1.2.3.4"], method=method).wait(timeout=LIMIT)
    assert (job.state, item(job).outcome.error) == (JobState.FAILED, "The node lists no such study.")
    assert item(job).outcome.advice == "Check the UID and the node."
    known = study.StudyInstanceUID
    job = retrieve("pacs", study_uids=[known], series_uids=["1.2.3.4"], method=method).wait(timeout=LIMIT)
    assert (job.state, item(job).outcome.error) == (JobState.FAILED, "The node lists no such series.")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "move"])
@pytest.mark.parametrize("ignores", [False, True], ids=["heeds C-CANCEL", "ignores C-CANCEL"])
def test_cancelling_ends_a_slow_retrieve_within_seconds_and_keeps_what_came(
    linked: Linked, study: Study, method: str, *, ignores: bool
) -> None:
    linked.pacs.quirks = Quirks(delay_object=0.6, ignore_cancel=ignores)
    linked.workspace.nodes.edit("pacs", associations=1)
    following = of_size(linked.hospital, 8)[-1]
    uids = [study.StudyInstanceUID, following.StudyInstanceUID]
    job = linked.workspace.retrieve_uids("pacs", study_uids=uids, method=method)
    wait_until(lambda: files_of(linked.workspace), 20, what="the first object")
    job.cancel()
    status = job.wait(timeout=4 if ignores else 3)
    assert status.state is JobState.CANCELLED
    assert {one.outcome.state for one in status.items} == {JobState.CANCELLED}
    came = files_of(linked.workspace)
    assert 0 < len(came) < len(uids_of(study))
    assert came <= uids_of(study)
    assert set(linked.workspace.files.list()["SOPInstanceUID"]) == came
    linked.pacs.quirks = Quirks()
    job.retry()
    assert job.wait(timeout=LIMIT).items[0].outcome.state is JobState.COMPLETE


@pytest.mark.slow
def test_a_node_that_never_answers_times_out(linked: Linked, study: Study) -> None:
    linked.workspace.nodes.edit("pacs", timeouts={"response": 0.6, "inactivity": 0.6})
    linked.pacs.quirks = Quirks(retrieve_hang=True)
    status = fetch(linked, study, method="get")
    assert status.state is JobState.FAILED
    assert "seconds" in item(status).outcome.error


def test_a_paused_job_starts_nothing_until_it_is_resumed(linked: Linked) -> None:
    studies = all_studies(linked.hospital)[:3]
    linked.pacs.quirks = Quirks(delay_association=0.2)
    job = linked.workspace.retrieve_uids("pacs", study_uids=[one.StudyInstanceUID for one in studies])
    job.pause()
    with pytest.raises(WorkerError, match=r"after 0\.5 seconds"):
        job.wait(timeout=0.5)
    job.resume()
    assert job.wait(timeout=LIMIT).state is JobState.COMPLETE


@pytest.mark.parametrize("method", ["get", "move"])
def test_images_of_a_node_that_refuses_lists_of_uids_are_asked_for_one_by_one(
    linked: Linked, study: Study, method: str
) -> None:
    series = max(study.series, key=lambda one: len(one.instances))
    uids = tuple(one.SOPInstanceUID for one in series.instances)
    linked.pacs.quirks = Quirks(refuse_uid_lists=True)
    request = RetrieveRequest(
        level=Level.IMAGE,
        StudyInstanceUID=study.StudyInstanceUID,
        SeriesInstanceUID=series.SeriesInstanceUID,
        sop_instance_uids=uids,
    )
    status = linked.workspace.retrieve([request], node="pacs", method=method).wait(timeout=LIMIT)
    assert (status.state, status.stored, status.proven) == (JobState.COMPLETE, len(uids), True)
    assert len(services(linked)) == len(uids) + 1


@pytest.mark.parametrize("method", ["get", "move"])
@pytest.mark.parametrize(
    ("quirks", "can_find"),
    [
        (Quirks(send_more=1, omit_keys=COUNTS), True),
        (Quirks(send_more=3, hide_answers=3), True),
        (Quirks(send_more=2), False),
    ],
    ids=["no counts", "rows left out", "no C-FIND"],
)
def test_what_is_refused_as_not_requested_is_not_missing(
    linked: Linked, method: str, quirks: Quirks, *, can_find: bool
) -> None:
    # what is sent along is of one SOP Class with what was asked for, so that it is sent over the same association
    study, series = next(
        (study, series)
        for study in of_size(linked.hospital, 8)
        for series in study.series
        if len(study.ModalitiesInStudy) == 1 and 3 < len(series.instances) < len(uids_of(study)) - 2
    )
    linked.workspace.nodes.edit("pacs", can_find=can_find)
    linked.pacs.quirks = quirks
    request = RetrieveRequest(
        level=Level.SERIES, StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID=series.SeriesInstanceUID
    )
    status = linked.workspace.retrieve([request], node="pacs", method=method).wait(timeout=LIMIT)
    assert files_of(linked.workspace) == {one.SOPInstanceUID for one in series.instances}
    assert status.state is JobState.COMPLETE
    assert f"as not requested: {quirks.send_more} object" in item(status).outcome.note
    assert len(services(linked)) == 1
