"""A retrieve is held against what the node counts, not only against what it lists."""

from dataclasses import replace

import pytest

from qrkit.jobs import ItemOutcome, JobRow, JobState, RetrieveRequest
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Series, Study
from qrkit.tables import Level
from tests.retrieve.conftest import LIMIT, fetch, services
from tests.workspace.opened import Linked, all_studies, files_of, of_size, uids_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("worker")]
COUNTS = ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances")
BOTH = pytest.mark.parametrize("method", ["get", "move"])


@pytest.fixture
def series(linked: Linked) -> tuple[Study, Series]:
    """A series of a dozen objects or more."""
    return next(
        (study, series)
        for study in all_studies(linked.hospital)
        for series in study.series
        if len(series.instances) > 11
    )


@pytest.fixture
def study(linked: Linked) -> Study:
    """A study of more than three series."""
    return next(study for study in of_size(linked.hospital, 12) if len(study.series) > 3)


def fetch_series(linked: Linked, series: tuple[Study, Series], method: str) -> JobRow:
    request = RetrieveRequest(
        level=Level.SERIES, StudyInstanceUID=series[0].StudyInstanceUID, SeriesInstanceUID=series[1].SeriesInstanceUID
    )
    return linked.workspace.retrieve([request], node="pacs", method=method).wait(timeout=LIMIT)


def outcome(job: JobRow) -> ItemOutcome:
    (item,) = job.items
    return item.outcome


@BOTH
def test_a_series_of_which_fewer_objects_are_listed_than_counted_is_partial_where_some_are_lost(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(cap=size - 2, send_less=2)
    job = fetch_series(linked, series, method)
    assert (job.state, job.expected, job.stored) == (JobState.PARTIAL, size, size - 2)
    assert f"{size - 2} listed, the node counts {size}" in outcome(job).error
    assert (job.proven, outcome(job).why) == (False, (f"{size - 2} listed, the node counts {size}",))


@BOTH
def test_a_study_of_which_fewer_objects_are_listed_than_counted_is_partial_where_some_are_lost(
    linked: Linked, study: Study, method: str
) -> None:
    size = len(uids_of(study))
    linked.pacs.quirks = Quirks(cap=3, send_less=2)
    job = fetch(linked, study, method=method)
    assert (job.state, job.expected) == (JobState.PARTIAL, size)
    assert job.stored < size
    assert f"the node counts {size}" in outcome(job).error


@BOTH
def test_what_is_not_listed_but_counted_and_comes_makes_the_item_complete(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(cap=size - 2)
    job = fetch_series(linked, series, method)
    assert (job.state, job.expected, job.stored, job.proven) == (JobState.COMPLETE, size, size, True)
    assert [one.service for one in linked.pacs.requests if one.service != "C-FIND"] == [f"C-{method.upper()}"]


@BOTH
def test_a_list_that_is_counted_is_proven(linked: Linked, study: Study, method: str) -> None:
    job = fetch(linked, study, method=method)
    assert (job.state, job.proven, job.why) == (JobState.COMPLETE, True, ())


@BOTH
@pytest.mark.parametrize("no_counters", [False, True])
def test_a_warning_that_counts_all_objects_as_sent_takes_nothing_from_the_proof(
    linked: Linked, study: Study, method: str, *, no_counters: bool
) -> None:
    linked.pacs.quirks = Quirks(
        retrieve_status=0xB000, retrieve_status_after=-1, no_pending=True, no_counters=no_counters
    )
    job = fetch(linked, study, method=method)
    assert (job.state, job.stored) == (JobState.COMPLETE, len(uids_of(study)))
    assert outcome(job).proven is not no_counters
    assert no_counters or len(services(linked)) == 1


@BOTH
def test_a_list_that_is_not_counted_is_proven_by_as_many_objects_as_the_node_reports_sent(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(omit_keys=COUNTS)
    job = fetch(linked, study, method=method)
    assert (job.state, job.proven, job.why) == (JobState.COMPLETE, True, ())


@BOTH
def test_a_list_that_nothing_confirms_is_complete_but_not_proven_and_says_why(
    linked: Linked, study: Study, method: str
) -> None:
    linked.pacs.quirks = Quirks(omit_keys=COUNTS, no_counters=True)
    job = fetch(linked, study, method=method)
    assert files_of(linked.workspace) == uids_of(study)
    assert (job.state, job.proven, job.why) == (JobState.COMPLETE, False, ("the node does not count its objects",))
    assert job.doubt == "Not verified: the node does not count its objects, so the expected number is unknown."


@BOTH
def test_more_objects_reported_sent_than_came_of_a_list_that_is_not_counted_are_partial(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(omit_keys=COUNTS, cap=size - 2, send_less=2)
    job = fetch_series(linked, series, method)
    assert (job.state, job.expected, job.stored, job.proven) == (JobState.PARTIAL, size, size - 2, False)
    assert f"the node reports {size} objects" in outcome(job).why


@BOTH
def test_longer_responses_of_before_prove_nothing_of_a_list_that_is_not_counted(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    linked.workspace.find("pacs", date=("2026-06-01", "2026-06-30"))
    profile = linked.workspace.profile("pacs")
    assert profile is not None
    assert profile.most_rows >= 20
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(omit_keys=COUNTS, no_counters=True, hide_answers=2, send_less=2)
    job = fetch_series(linked, series, method)
    assert (job.state, job.stored, job.proven) == (JobState.COMPLETE, size - 2, False)
    assert job.why == ("the node does not count its objects",)


@BOTH
def test_counters_prove_a_list_that_is_not_counted_after_a_query_too(
    linked: Linked, study: Study, method: str
) -> None:
    linked.workspace.find("pacs", date=("2026-06-01", "2026-06-30"))
    linked.pacs.quirks = Quirks(omit_keys=COUNTS)
    job = fetch(linked, study, method=method)
    assert (job.state, job.proven, job.why) == (JobState.COMPLETE, True, ())


def test_images_that_are_asked_for_by_their_uids_are_their_own_list(
    linked: Linked, series: tuple[Study, Series]
) -> None:
    linked.pacs.quirks = Quirks(omit_keys=COUNTS, no_counters=True, cap=3)
    request = RetrieveRequest(
        level=Level.IMAGE,
        StudyInstanceUID=series[0].StudyInstanceUID,
        SeriesInstanceUID=series[1].SeriesInstanceUID,
        sop_instance_uids=tuple(one.SOPInstanceUID for one in series[1].instances[:8]),
    )
    job = linked.workspace.retrieve([request], node="pacs").wait(timeout=LIMIT)
    assert (job.state, job.expected, job.stored, job.proven) == (JobState.COMPLETE, 8, 8, True)


def test_a_second_job_for_what_is_counted_but_not_listed_asks_for_nothing_that_is_here(
    linked: Linked, series: tuple[Study, Series]
) -> None:
    linked.pacs.quirks = Quirks(cap=3)
    assert fetch_series(linked, series, "get").proven
    asked = len(linked.pacs.requests)
    assert fetch_series(linked, series, "get").proven
    assert {one.service for one in linked.pacs.requests[asked:]} == {"C-FIND"}


@BOTH
def test_answers_that_leave_rows_out_are_found_out_by_the_counts(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    linked.pacs.quirks = Quirks(hide_answers=1, send_less=2)
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID=series[0].StudyInstanceUID)
    job = linked.workspace.retrieve([request], node="pacs", method=method).wait(timeout=LIMIT)
    assert (job.state, job.proven) == (JobState.PARTIAL, False)
    assert job.stored == len(uids_of(series[0])) - 2


@pytest.mark.parametrize(("method", "most"), [("get", 4), ("move", 2)])
def test_what_never_comes_is_asked_for_a_few_times_at_most(
    linked: Linked, study: Study, method: str, most: int
) -> None:
    linked.pacs.quirks = Quirks(hide_answers=2, send_less=2)
    job = fetch(linked, study, method=method)
    size = len(uids_of(study))
    assert (job.state, job.expected, job.stored) == (JobState.PARTIAL, size, size - 2)
    sent = [one for one in linked.pacs.requests if one.service == f"C-{method.upper()}"]
    assert len(sent) <= most


def test_a_count_that_is_too_low_proves_nothing(linked: Linked, series: tuple[Study, Series]) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(count_less=2, no_counters=True)
    job = fetch_series(linked, series, "get")
    assert (job.state, job.stored, job.proven) == (JobState.COMPLETE, size, False)
    assert job.why == (f"{size} listed, although the node counts {size - 2}",)


def test_what_is_counted_is_complete_although_the_node_lists_it_only_in_part(
    linked: Linked, series: tuple[Study, Series]
) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(cap=4, cap_mode="status")
    job = fetch_series(linked, series, "get")
    assert (job.state, job.expected, job.stored, job.proven) == (JobState.COMPLETE, size, size, True)
    linked.pacs.quirks = Quirks(cap=4, cap_mode="status", send_less=2)
    other = next(one for one in of_size(linked.hospital, 8) if one is not series[0] and len(one.series) < 4)
    lost = fetch(linked, other, method="get")
    assert (lost.state, lost.expected, lost.proven) == (JobState.PARTIAL, len(uids_of(other)), False)


NOTHING_LISTED = Quirks(
    count_less=10**6,
    no_instances_of=("CT", "MR", "MG", "DX", "CR", "XA", "US", "PT", "NM", "SR", "KO", "PR", "RF", "OT", "SC"),
    send_less=2,
    no_counters=True,
)
"""A node that counts 0 objects and lists none."""


@BOTH
def test_a_count_of_nothing_proves_nothing(linked: Linked, study: Study, method: str) -> None:
    linked.pacs.quirks = NOTHING_LISTED
    job = fetch(linked, study, method=method)
    assert not job.proven
    assert "the node lists no objects" in job.why


@BOTH
def test_more_objects_reported_sent_than_counted_prove_nothing(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(cap=size - 2, count_less=2, send_less=2)
    job = fetch_series(linked, series, method)
    assert job.proven is False
    assert f"the node reports {size} objects" in job.why


def test_a_retry_expects_what_the_first_try_named_whatever_is_listed_now(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(send_less=2)
    job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
    missing = outcome(job.wait(timeout=LIMIT)).missing
    linked.pacs.quirks = NOTHING_LISTED
    job.retry()
    again = job.wait(timeout=LIMIT)
    assert again.state is JobState.PARTIAL
    assert outcome(again).missing == missing


def test_failed_sub_operations_are_missing_where_the_node_counts_nothing(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(hide_answers=1, omit_keys=COUNTS)
    other = next(one for one in all_studies(linked.hospital) if len({x.Modality for x in one.series}) > 1)
    job = fetch(linked, other, method="get")
    assert uids_of(other) <= files_of(linked.workspace) or job.state is JobState.PARTIAL


ENDS = {
    "C-GET fails": Quirks(retrieve_status=0xC001),
    "the node cancels": Quirks(retrieve_status=0xFE00),
    "a warning without a reason": Quirks(retrieve_status=0xB000),
    "A-ABORT": Quirks(drop_after=1),
    "the connection breaks": Quirks(break_after=1),
}


@BOTH
@pytest.mark.parametrize("is_mute", [False, True], ids=["counters", "no counters"])
@pytest.mark.parametrize("how", ENDS)
def test_a_retrieve_that_does_not_end_well_proves_nothing_although_all_that_is_listed_and_counted_came(
    linked: Linked, series: tuple[Study, Series], method: str, how: str, *, is_mute: bool
) -> None:
    size = len(series[1].instances)
    end = ENDS[how]
    linked.pacs.quirks = replace(
        end,
        cap=size - 2,
        count_less=2,
        retrieve_status_after=size - 2,
        drop_after=end.drop_after and size - 2,
        break_after=end.break_after and size - 2,
        no_counters=is_mute,
    )
    job = fetch_series(linked, series, method)
    assert len(files_of(linked.workspace)) == size - 2
    assert (job.proven, bool(outcome(job).why)) == (False, True)
    if not is_mute:
        assert f"the node reports {size} objects" in outcome(job).why


@BOTH
def test_a_retrieve_that_breaks_off_once_is_asked_for_again_although_all_that_is_listed_and_counted_came(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    size = len(series[1].instances)
    linked.pacs.quirks = Quirks(cap=size - 2, count_less=2, drop_after=size - 2, drop_times=1)
    job = fetch_series(linked, series, method)
    assert (job.state, job.stored, len(files_of(linked.workspace))) == (JobState.COMPLETE, size, size)


@BOTH
def test_a_retrieve_that_breaks_off_is_proven_where_its_counters_name_no_more_than_came(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    linked.pacs.quirks = Quirks(drop_after=3, drop_times=1)
    job = fetch_series(linked, series, method)
    assert (job.state, job.proven, job.why) == (JobState.COMPLETE, True, ())


@BOTH
def test_a_retrieve_that_is_cut_off_is_partial_where_nothing_proves_the_list(
    linked: Linked, series: tuple[Study, Series], method: str
) -> None:
    linked.pacs.quirks = Quirks(cap=3, omit_keys=COUNTS, no_counters=True, drop_after=5)
    job = fetch_series(linked, series, method)
    assert len(files_of(linked.workspace)) == 5
    assert (job.state, job.stored, job.proven) == (JobState.PARTIAL, 5, False)
    assert outcome(job).error


SILENT = ("CT", "MR", "MG", "DX", "CR", "XA", "US", "PT", "NM", "SR", "KO", "PR", "RF", "OT", "SC")


@BOTH
@pytest.mark.parametrize("first", ["counters", "no counters"])
def test_a_retry_knows_what_the_first_try_learned_whatever_is_counted_now(
    linked: Linked, series: tuple[Study, Series], method: str, first: str
) -> None:
    size = len(series[1].instances)
    failing = Quirks(fail_objects=1) if first == "counters" else Quirks(drop_after=size - 1, no_counters=True)
    linked.pacs.quirks = replace(failing, find_abort_after=0)
    job = fetch_series(linked, series, method)
    assert (job.state, job.stored) == (JobState.PARTIAL, size - 1)
    assert outcome(job).expected == (size if first == "counters" else None)
    linked.pacs.quirks = replace(failing, count_less=1, no_instances_of=SILENT)
    asked = len(linked.pacs.requests)
    linked.workspace.jobs[job.job_id].retry()
    again = linked.workspace.jobs[job.job_id].wait(timeout=LIMIT)
    assert (again.stored, again.proven) == (size - 1, False)
    assert f"C-{method.upper()}" in {one.service for one in linked.pacs.requests[asked:]}
    linked.pacs.quirks = Quirks(count_less=1, no_instances_of=SILENT)
    if again.state is JobState.PARTIAL:
        linked.workspace.jobs[job.job_id].retry()
        assert linked.workspace.jobs[job.job_id].wait(timeout=LIMIT).stored == size


@BOTH
def test_objects_that_are_sent_again_in_a_retry_are_received_once_and_stored_ones_are_counted_without_a_list(
    linked: Linked, study: Study, method: str
) -> None:
    size = len(uids_of(study))
    linked.pacs.quirks = Quirks(find_status=0xC001, fail_objects=1)
    job = fetch(linked, study, method=method)
    assert (job.state, job.stored, job.received) == (JobState.PARTIAL, size - 1, size - 1)
    linked.pacs.quirks = Quirks(find_status=0xC001)
    linked.workspace.jobs[job.job_id].retry()
    again = linked.workspace.jobs[job.job_id].wait(timeout=LIMIT)
    assert (again.stored, again.received) == (size, size)
    linked.pacs.quirks = Quirks(find_status=0xC001, retrieve_status=0xC001)
    second = fetch(linked, study, method=method)
    assert (second.state, second.stored, second.received) == (JobState.PARTIAL, size, 0)
