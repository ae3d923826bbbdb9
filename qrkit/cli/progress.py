"""A job's progress on the terminal: objects, bytes, rate, time left."""

from __future__ import annotations

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from qrkit.cli import INTERRUPTED
from qrkit.cli.output import say, stderr
from qrkit.job import JobRow
from qrkit.workspace import Job
from qrkit.workspace.rate import Rate


def follow(job: Job) -> JobRow:
    """Show a job's progress on stderr until it ends; Ctrl-C leaves it running, and ends the command."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[volume]}"),
        TimeRemainingColumn(),
    )
    rate = Rate()
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:
        bar = bars.add_task("retrieve", total=None, volume="")

        told = ""

        def show(status: JobRow) -> None:
            nonlocal told
            if status.reason and status.reason != told and not status.state.is_final:
                say(status.reason)  # that it rests, and why: nobody should wait without knowing
            told = status.reason
            rate.add(status.bytes)
            bars.update(
                bar,
                description=status.state.value,
                completed=status.stored,
                total=status.expected or None,
                volume=f"{status.bytes / 1e6:.1f} MB, {rate.per_second / 1e6:.1f} MB/s",
            )

        try:
            return job.wait(on_progress=show)
        except KeyboardInterrupt:
            say(f"Job {job.job_id} goes on in the background. To end it: qrkit jobs cancel {job.job_id}")
            raise typer.Exit(INTERRUPTED) from None
