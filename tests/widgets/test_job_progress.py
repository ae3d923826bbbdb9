import asyncio
from collections.abc import Iterator

import pytest

from qrkit.errors import StoreInUse, WorkerError
from qrkit.jobs import ItemOutcome, JobRow, JobState
from qrkit.widgets import JobProgress, job_progress
from qrkit.workspace.jobs import Job
from tests.widgets.played import PlayedJob
from tests.widgets.waiting import until


@pytest.fixture
def widget(played: PlayedJob) -> Iterator[JobProgress]:
    shown = JobProgress(played.job)
    yield shown
    shown.close()


class _LostJob(Job):
    """A job whose state cannot be reached any more."""

    def __init__(self, job: Job, *, error: Exception) -> None:
        super().__init__(job.job_id, job._services)
        self.error = error

    @property
    def status(self) -> JobRow:
        raise self.error

    def cancel(self) -> None:
        raise self.error


def test_it_shows_at_once_where_the_job_is(widget: JobProgress) -> None:
    assert widget.label == "Retrieve from pacs"
    assert widget.headline.startswith("Queued")
    assert widget.fraction == 0.0
    assert widget.acts == [["pause", "Pause"], ["cancel", "Cancel"]]


def test_a_tick_brings_it_up_to_date(widget: JobProgress, played: PlayedJob) -> None:
    played.finish()
    item = played.claim()
    played.get_on(item, stored=5)
    assert widget.tick()
    assert widget.headline == "Running"
    assert widget.fraction == pytest.approx((1 + 0.25) / 2)
    assert widget.numbers == "15 of 30 objects, 6.0 MB"


def test_a_job_is_given_a_worker_until_it_ends_and_one_that_cannot_start_is_told_of(
    played: PlayedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ensure_worker() -> bool:
        asked.append(True)
        if len(asked) > 1:
            raise WorkerError("The worker ends as soon as it starts.")
        return True

    asked: list[bool] = []
    monkeypatch.setattr(played.services, "ensure_worker", ensure_worker)
    shown = JobProgress(played.job)
    assert not asked
    monkeypatch.setattr(job_progress, "_WORKER_CHECK", -1.0)
    assert shown.tick()
    assert (len(asked), shown.alert) == (1, "")
    assert shown.tick()
    assert "ends as soon as it starts" in shown.alert
    played.claim()  # also while it runs: its worker may have been killed
    asked.clear()
    assert shown.tick()
    assert (len(asked), shown.alert) == (1, "")
    shown.act("pause")
    shown.tick()
    assert len(asked) == 1
    shown.close()


def test_rate_and_time_left_come_with_the_second_look(widget: JobProgress, played: PlayedJob) -> None:
    item = played.claim()
    played.get_on(item, stored=5)
    widget.tick()
    played.get_on(item, stored=10)
    widget.tick()
    assert "MB/s" in widget.numbers
    assert "left" in widget.numbers


def test_the_last_tick_shows_the_end(widget: JobProgress, played: PlayedJob) -> None:
    played.finish()
    played.finish()
    assert not widget.tick()
    assert (widget.headline, widget.fraction, widget.acts) == ("Complete", 1.0, [])


def test_what_failed_is_listed_as_text(widget: JobProgress, played: PlayedJob) -> None:
    played.finish()
    played.finish(ItemOutcome(state=JobState.FAILED, expected=3, error="<img src=x onerror=alert(1)>"))
    widget.tick()
    assert widget.failures == ["Study 1.2.2: failed, 0 of 3 objects. <img src=x onerror=alert(1)>"]


def test_the_button_cancels_the_job(widget: JobProgress, played: PlayedJob) -> None:
    widget._handle_custom_msg({"action": "cancel"}, [])
    assert played.job.state is JobState.CANCELLED
    widget.tick()
    assert (widget.headline, widget.acts) == ("Cancelled", [["retry", "Retry failed"]])


@pytest.mark.parametrize("content", [{}, {"action": "close"}, "cancel", None, {"action": "cancel", "job": "other"}])
def test_anything_else_that_the_browser_sends_is_ignored(
    widget: JobProgress, played: PlayedJob, content: object
) -> None:
    widget._handle_custom_msg(content, [])
    assert played.job.state is JobState.QUEUED


def test_nothing_is_sent_while_nothing_changes(widget: JobProgress) -> None:
    changes: list[object] = []
    widget.observe(changes.append)
    for _ in range(3):
        widget.tick()
    assert changes == []


def test_a_state_that_is_away_is_told_with_its_advice_and_looked_for_until_it_is_back(played: PlayedJob) -> None:
    error = StoreInUse("The state cannot be used.", advice="Check the disk.")
    widget = JobProgress(_LostJob(played.job, error=error))
    assert widget.alert == "The state cannot be used. Check the disk."
    assert widget.tick()
    widget._job = played.job
    assert widget.tick()
    assert widget.alert == ""
    widget.close()


def test_any_other_error_is_shown_and_logged(played: PlayedJob, caplog: pytest.LogCaptureFixture) -> None:
    widget = JobProgress(_LostJob(played.job, error=ZeroDivisionError("secret")))
    assert "ZeroDivisionError" in widget.alert
    assert "secret" not in widget.alert
    assert "A callback of the page has failed" in caplog.text
    widget.close()


def test_a_cancel_that_fails_is_told_until_the_next(widget: JobProgress, played: PlayedJob) -> None:
    widget._job = _LostJob(played.job, error=StoreInUse("The state cannot be used."))
    widget.act("cancel")
    widget._job = played.job
    widget.tick()
    assert widget.alert == "The state cannot be used."
    widget.act("cancel")
    widget.tick()
    assert widget.alert == ""


@pytest.mark.slow
def test_on_a_kernels_loop_it_follows_the_job_until_that_ends(played: PlayedJob) -> None:
    async def show() -> JobProgress:
        widget = JobProgress(played.job)
        await until(lambda: widget.is_following)
        played.finish()
        await until(lambda: widget.headline == "Running" and widget.fraction == 0.5)
        played.finish()
        await until(lambda: widget.headline == "Complete" and not widget.is_following)
        return widget

    asyncio.run(show()).close()


def test_a_job_that_has_ended_is_shown_and_not_followed(played: PlayedJob) -> None:
    played.finish()
    played.finish()

    async def show() -> JobProgress:
        widget = JobProgress(played.job)
        await asyncio.sleep(0)
        assert not widget.is_following
        return widget

    widget = asyncio.run(show())
    assert widget.headline == "Complete"
    widget.close()


def test_closed_it_follows_no_more_and_the_job_goes_on(played: PlayedJob) -> None:
    async def show() -> JobProgress:
        widget = JobProgress(played.job)
        await until(lambda: widget.is_following)
        widget.close()
        await until(lambda: not widget.is_following)
        return widget

    widget = asyncio.run(show())
    assert widget not in JobProgress.showing(played.job.job_id)
    assert played.job.state is JobState.QUEUED


def test_open_widgets_are_found_by_their_job(widget: JobProgress, played: PlayedJob) -> None:
    assert JobProgress.showing(played.job.job_id) == (widget,)
    assert JobProgress.showing("another") == ()


def test_script_and_style_come_with_the_package(widget: JobProgress) -> None:
    assert "textContent" in str(widget._esm)
    assert "innerHTML" not in str(widget._esm)
    assert "@import" not in str(widget._css)
