from dataclasses import replace

import pytest

from qrkit.jobs import ItemOutcome, ItemRow, JobRow, JobState, PausedBy, RetrieveRequest
from qrkit.node import Method
from qrkit.tables import Level
from qrkit.widgets.job_progress import fraction_done, view_of

_WAITING = ItemOutcome(state=JobState.QUEUED)
_HALF = ItemOutcome(state=JobState.RUNNING, expected=10, stored=5)
_DONE = ItemOutcome(state=JobState.COMPLETE, expected=10, stored=10)
_LOST = ItemOutcome(state=JobState.PARTIAL, expected=10, stored=4, error="The node <b>is</b> gone.")


def _job(state: JobState, *outcomes: ItemOutcome, planned: bool = False) -> JobRow:
    request = RetrieveRequest(
        level=Level.SERIES, StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", expected=("1.9",) if planned else ()
    )
    items = tuple(
        ItemRow(item_id=place, job_id="j", position=place, request=request, outcome=outcome)
        for place, outcome in enumerate(outcomes)
    )
    return JobRow(
        job_id="j",
        node="pacs",
        method=Method.AUTO,
        destination="",
        user="ann",
        source="",
        state=state,
        created="2026-01-31T12:00:00+00:00",
        expected=sum(outcome.expected or 0 for outcome in outcomes),
        stored=sum(outcome.stored for outcome in outcomes),
        items=items,
    )


def test_items_count_alike_while_the_size_of_those_that_wait_is_unknown() -> None:
    assert fraction_done(_job(JobState.RUNNING, _DONE, _HALF, _WAITING, _WAITING)) == pytest.approx(1.5 / 4)


def test_objects_are_counted_where_all_were_planned() -> None:
    small = ItemOutcome(state=JobState.COMPLETE, expected=30, stored=30)
    assert fraction_done(_job(JobState.RUNNING, small, _HALF, planned=True)) == pytest.approx(35 / 40)


def test_nobody_can_say_how_far_a_running_job_of_unknown_size_is() -> None:
    unknown = ItemOutcome(state=JobState.RUNNING, stored=3)
    assert fraction_done(_job(JobState.RUNNING, unknown)) is None
    assert view_of(_job(JobState.RUNNING, unknown)).numbers == "3 objects"


def test_a_queued_job_has_done_nothing_yet() -> None:
    view = view_of(_job(JobState.QUEUED, _WAITING, _WAITING))
    assert view.fraction == 0.0
    assert view.headline == "Queued: waiting for the worker"
    assert view.numbers == "0 objects received, 0 of 2 items done"
    assert view.acts == ("pause", "cancel")
    away = replace(_job(JobState.QUEUED, _WAITING), reason="pacs refused the connection.")
    assert view_of(away).headline == "Waiting"  # for the node, which the note names


def test_a_running_job_shows_rate_and_time_left() -> None:
    job = replace(_job(JobState.RUNNING, _DONE, _HALF), bytes=12_300_000)
    view = view_of(job, bytes_per_second=4.5e6, seconds_left=12.2)
    assert view.numbers == "15 of 20 objects, 12.3 MB, 4.5 MB/s, about 12 s left"


def test_rate_and_time_left_are_not_shown_of_a_paused_job() -> None:
    view = view_of(_job(JobState.PAUSED, _DONE, _HALF), bytes_per_second=4.5e6, seconds_left=12.2)
    assert view.numbers == "15 of 20 objects"


def test_a_complete_job_fills_the_bar_and_says_how_long_it_took() -> None:
    job = replace(
        _job(JobState.COMPLETE, _DONE, _DONE),
        started="2026-01-31T12:00:00+00:00",
        finished="2026-01-31T12:02:30+00:00",
    )
    view = view_of(job)
    assert (view.headline, view.fraction, view.numbers) == ("Complete", 1.0, "20 of 20 objects, took 2 min 30 s")
    assert view.acts == ()
    assert view.failures == ()


def test_a_partial_job_says_what_is_missing_and_does_not_fill_the_bar() -> None:
    view = view_of(_job(JobState.PARTIAL, _DONE, _LOST))
    assert view.headline == "Partial: 6 objects missing"
    assert view.fraction == pytest.approx(0.7)
    assert view.failures == ("Series 1.2.3: partial, 4 of 10 objects. The node <b>is</b> gone.",)


def test_failures_wait_for_the_end_of_the_job() -> None:
    assert view_of(_job(JobState.RUNNING, _LOST, _HALF)).failures == ()


def test_many_failures_are_cut_and_the_cut_is_told() -> None:
    failures = view_of(_job(JobState.FAILED, *[_LOST] * 25)).failures
    assert len(failures) == 21
    assert failures[-1] == "and 5 more; open the job to see all items"


def test_what_was_cancelled_before_anything_came_is_one_line() -> None:
    untouched = ItemOutcome(state=JobState.CANCELLED, expected=10)
    failures = view_of(_job(JobState.CANCELLED, _LOST, *[untouched] * 57)).failures
    assert failures[1:] == ("57 items cancelled before any object arrived",)


def test_a_job_that_is_being_cancelled_cannot_be_cancelled_again() -> None:
    view = view_of(replace(_job(JobState.RUNNING, _HALF), cancel_requested=True))
    assert view.headline == "Cancelling"
    assert view.acts == ()


def test_one_object_is_no_objects_and_advice_names_the_button() -> None:
    lost = ItemOutcome(
        state=JobState.FAILED,
        expected=1,
        stored=0,
        error="It died.",
        advice="Wait, then retry.",
    )
    view = view_of(_job(JobState.FAILED, lost))
    assert view.failures == ("Series 1.2.3: failed, 0 of 1 object. It died. Wait, then retry.",)


def test_a_waiting_job_shows_why_and_when_it_continues() -> None:
    paused = replace(_job(JobState.PAUSED, _HALF), paused_by=PausedBy.DISK)
    assert view_of(paused).note == "Paused because the disk is full. It resumes by itself when there is space."
    assert view_of(paused).acts == ("resume", "cancel")
    by_user = replace(paused, paused_by=PausedBy.USER, reason="Paused by ann on 2026-01-31 at 10:42.")
    assert view_of(by_user).note == "Paused by ann on 2026-01-31 at 10:42. Press Resume to continue."
    waiting = replace(_job(JobState.QUEUED, _WAITING), reason="No worker is running, so nothing is retrieved.")
    assert view_of(waiting).note == "No worker is running, so nothing is retrieved."


def test_a_complete_job_whose_list_is_not_proven_shows_that_and_why() -> None:
    job = _job(JobState.COMPLETE, ItemOutcome(state=JobState.COMPLETE, expected=2, stored=2))
    view = view_of(replace(job, proven=False, why=("the node does not count its objects",)))
    assert view.headline == "Complete, not proven"
    assert view.failures == ("Not verified: the node does not count its objects, so the expected number is unknown.",)
    assert view_of(replace(job, proven=None)).headline == "Complete"
