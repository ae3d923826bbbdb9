"""``qrkit jobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.handlers import say_after
from qrkit.cli.options import Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_json, print_records, say
from qrkit.cli.retrieve import exit_for, follow
from qrkit.jobs import JobState
from qrkit.words import counted, local_time

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="Id of the job.")]


@app.command("list")
@with_workspace
def list_jobs(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest jobs."""
    print_records(workspace.jobs.records(limit), form, output)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace,
    job_id: JobId,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show a job and its items."""
    job = workspace.jobs[job_id]
    status = follow(job) if wait else job.status
    if form is Format.JSON and output is None:
        print_json(job.to_json())
    else:
        print_records(job.item_records, form, output)
    say_after(job)
    if wait:
        exit_for(status)
    else:
        said = [
            f"{status.state_in_words}: {status.stored:,} of {counted(status.expected, 'object')} stored.",
            status.doubt,
            status.reason,
        ]
        if status.not_before:
            said.append(f"It is tried again at {local_time(status.not_before)}.")
        if status.state in (JobState.QUEUED, JobState.RUNNING):
            said.append(workspace.nobody_for(status.node))
        say(" ".join(filter(None, said)))


@app.command("cancel")
@with_workspace
def cancel(workspace: Workspace, job_id: JobId) -> None:
    """End a job; what has come stays."""
    workspace.jobs[job_id].cancel()
    say(f"Job {job_id} was asked to end.")


@app.command("pause")
@with_workspace
def pause(workspace: Workspace, job_id: JobId) -> None:
    """Let a job rest; what has come stays."""
    workspace.jobs[job_id].pause()
    say(f"Job {job_id} rests within seconds; qrkit jobs resume {job_id} lets it go on.")


@app.command("resume")
@with_workspace
def resume(workspace: Workspace, job_id: JobId) -> None:
    """Let a paused job go on, and one that waits for another try have it now."""
    workspace.jobs[job_id].resume()
    say(f"Job {job_id} goes on.")


@app.command("retry")
@with_workspace
def retry(workspace: Workspace, job_id: JobId) -> None:
    """Queue again what failed, is incomplete or was cancelled."""
    count = workspace.jobs[job_id].retry()
    say(f"{counted(count, 'item')} of job {job_id} queued again.")


@app.command("prioritise")
@with_workspace
def prioritise(
    workspace: Workspace,
    job_id: JobId,
    priority: Annotated[int, typer.Argument(help="-100 to 100; jobs have 0 unless told otherwise.")],
) -> None:
    """Let a job go before those of a lower priority."""
    workspace.jobs[job_id].prioritise(priority)
    say(f"Job {job_id} has priority {priority}.")
