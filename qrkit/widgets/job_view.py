"""The text and the progress of a retrieve job on screen, computed from its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from qrkit.jobs import ItemRow, JobRow, JobState, PausedBy
from qrkit.tables import Level
from qrkit.words import counted, duration, local_time, out_of, volume

_FAILURES_SHOWN = 20

ACTS = {"pause": "Pause", "resume": "Resume", "cancel": "Cancel", "retry": "Retry failed"}
"""The actions on a job, with the labels of their buttons."""

_PAUSED = {
    PausedBy.USER: "Press Resume to continue.",
    PausedBy.DISK: "Paused because the disk is full. It resumes by itself when there is space.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """The parts of the display.

    Attributes
    ----------
    headline
        The state of the job.
    numbers
        Objects, bytes, rate and time left.
    fraction
        Share that is done, 0 to 1; None if unknown.
    failures
        A line for each item that has ended otherwise than complete, once the job has ended; of a complete job, why
        that is not proven.
    note
        Why the job is waiting, and when it continues; empty while it runs and when it has ended.
    acts
        Names of the possible actions, of `ACTS`.
    """

    headline: str
    numbers: str
    fraction: float | None
    failures: tuple[str, ...]
    note: str
    acts: tuple[str, ...]


def view_of(job: JobRow, *, bytes_per_second: float = 0.0, seconds_left: float | None = None) -> JobView:
    """Return the display of a job.

    Parameters
    ----------
    bytes_per_second, seconds_left
        As measured by the caller; 0 and None are not shown.
    """
    numbers = [_objects(job)]
    if job.bytes:
        numbers.append(volume(job.bytes))
    if job.state.is_final:
        numbers += _duration(job)
    elif job.state is JobState.RUNNING:
        numbers += [f"{volume(bytes_per_second)}/s"] if bytes_per_second else []
        numbers += [f"about {duration(seconds_left)} left"] if seconds_left is not None else []
    return JobView(
        headline=_headline(job),
        numbers=", ".join(numbers),
        fraction=fraction_done(job),
        failures=_failures(job),
        note=_why_it_waits(job),
        acts=_acts(job),
    )


def _why_it_waits(job: JobRow) -> str:
    """Return why a job is waiting, and when it continues; empty if it is running or has ended."""
    if job.state.is_final:
        return ""
    sentences = [job.reason, _PAUSED.get(job.paused_by, "") if job.paused_by else ""]
    if job.not_before:
        sentences.append(f"Next try at {local_time(job.not_before)}.")
    return " ".join(filter(None, sentences))


def _acts(job: JobRow) -> tuple[str, ...]:
    if job.state.is_final:
        return () if job.state is JobState.COMPLETE else ("retry",)
    if job.cancel_requested:
        return ()
    return ("resume" if job.state is JobState.PAUSED else "pause", "cancel")


def fraction_done(job: JobRow) -> float | None:
    """Return the share of a job that is done, 0 to 1; None while it runs and the share is unknown.

    Objects are counted if all were listed from the start. Otherwise each item counts the same, since the number of
    objects of a waiting item is unknown.
    """
    if job.state is JobState.COMPLETE:
        return 1.0
    if job.expected and all(item.request.expected for item in job.items):
        return min(1.0, job.stored / job.expected)
    shares = [_share(item) for item in job.items]
    known = [share for share in shares if share is not None]
    if job.state is JobState.RUNNING and not known:
        return None
    return sum(known) / len(shares) if shares else 0.0


def _share(item: ItemRow) -> float | None:
    result = item.outcome
    if result.expected:
        return min(1.0, result.stored / result.expected)
    if result.state is JobState.COMPLETE:
        return 1.0
    return 0.0 if result.state.is_final else None


def _headline(job: JobRow) -> str:
    if job.cancel_requested and not job.state.is_final:
        return "Cancelling"
    if job.state is JobState.QUEUED:
        return "Waiting" if job.reason or job.not_before else "Queued: waiting for the worker"
    if job.state is JobState.PARTIAL and job.expected > job.stored:
        return f"Partial: {counted(job.expected - job.stored, 'object')} missing"
    return job.state_in_words.capitalize()


def _objects(job: JobRow) -> str:
    if job.items and all(item.outcome.expected is not None for item in job.items):
        return out_of(job.stored, job.expected, "object")
    if len(job.items) < 2:
        return counted(job.stored, "object")
    ended = sum(item.outcome.state.is_final for item in job.items)
    return f"{counted(job.stored, 'object')} received, {out_of(ended, len(job.items), 'item')} done"


def _failures(job: JobRow) -> tuple[str, ...]:
    if not job.state.is_final:
        return ()
    if job.state is JobState.COMPLETE:
        return (job.doubt,) if job.doubt else ()
    others = [item for item in job.items if item.outcome.state is not JobState.COMPLETE]
    lines = [_failure(item) for item in others if not _is_untouched(item)]
    untouched = len(others) - len(lines)
    more = len(lines) - _FAILURES_SHOWN
    return (
        *lines[:_FAILURES_SHOWN],
        *([f"and {more:,} more; open the job to see all items"] if more > 0 else []),
        *([f"{counted(untouched, 'item')} cancelled before any object arrived"] if untouched else []),
    )


def _is_untouched(item: ItemRow) -> bool:
    """Whether an item was cancelled before any of its objects arrived, which needs no explanation."""
    return item.outcome.state is JobState.CANCELLED and not item.outcome.stored and not item.outcome.error_text


def _failure(item: ItemRow) -> str:
    request, result = item.request, item.outcome
    what = {Level.STUDY: "Study", Level.SERIES: "Series"}.get(request.level, "Objects of series")
    item_text = f"{what} {request.SeriesInstanceUID or request.StudyInstanceUID}: {result.state.value}"
    count = out_of(result.stored, result.expected, "object")
    return f"{item_text}, {count}. {result.error_text}".strip()


def _duration(job: JobRow) -> Sequence[str]:
    if not job.started or not job.finished:
        return []
    seconds = (datetime.fromisoformat(job.finished) - datetime.fromisoformat(job.started)).total_seconds()
    return [f"took {duration(seconds)}"]
