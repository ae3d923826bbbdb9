"""How a command that waited for a job ends."""

from __future__ import annotations

from collections import Counter

import typer

from qrkit.cli.output import say
from qrkit.job import JobRow, JobState
from qrkit.words import counted

NOT_COMPLETE = 3


def exit_for(job: JobRow) -> None:
    """Say what became of a job, and end with its exit status: 0 complete, 3 something is missing, 1 nothing came."""
    stored = f"{job.stored:,} of {counted(job.expected, 'object')} stored"
    say(f"{stored}, {job.bytes / 1e6:.1f} MB fetched: {job.state.value}.")
    failed = [item for item in job.items if item.outcome.state is not JobState.COMPLETE]
    for item in failed[:10]:
        request = item.request
        what = request.SeriesInstanceUID or request.StudyInstanceUID
        missing = f", {len(item.outcome.missing)} missing" if item.outcome.missing else ""
        say(f"{request.level} {what}: {item.outcome.state.value}{missing}. {item.outcome.said}")
    if len(failed) > 10:
        say(f"… and {len(failed) - 10} more: qrkit jobs show {job.job_id}")
    for note, count in Counter(item.outcome.note for item in job.items if item.outcome.note).items():
        say(f"{note} ({count} items)" if count > 1 else note)
    if job.state is JobState.COMPLETE:
        return
    if failed and not any(item.outcome.error for item in failed) and job.error:
        say(job.said)
    raise typer.Exit(1 if job.state is JobState.FAILED else NOT_COMPLETE)
