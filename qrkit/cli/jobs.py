"""``qrkit jobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qrkit.cli.handlers import say_after
from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_json, print_records, say
from qrkit.cli.retrieve import exit_for, follow
from qrkit.jobs import JobState
from qrkit.words import counted, local_time, out_of

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(cls=Commands, no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="Id of the job.")]


@app.command("list")
@with_workspace
def list_jobs(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="Number of jobs, newest first.", min=1)] = 50,
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
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job until it ends.")] = False,
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
        lines = [
            f"{status.state_in_words}: {out_of(status.stored, status.expected, 'object')} stored.",
            status.doubt,
            status.reason,
        ]
        if status.not_before:
            lines.append(f"Next attempt at {local_time(status.not_before)}.")
        if status.state in (JobState.QUEUED, JobState.RUNNING):
            lines.append(workspace.nobody_for(status.node))
        say(" ".join(filter(None, lines)))


@app.command("cancel")
@with_workspace
def cancel(workspace: Workspace, job_id: JobId) -> None:
    """Cancel a job. Received objects are kept."""
    workspace.jobs[job_id].cancel()
    say(f"Cancelling job {job_id}.")


@app.command("pause")
@with_workspace
def pause(workspace: Workspace, job_id: JobId) -> None:
    """Pause a job. Received objects are kept."""
    workspace.jobs[job_id].pause()
    say(f"Pausing job {job_id}. Resume it: qrkit jobs resume {job_id}")


@app.command("resume")
@with_workspace
def resume(workspace: Workspace, job_id: JobId) -> None:
    """Resume a paused job, or retry a waiting one now."""
    workspace.jobs[job_id].resume()
    say(f"Resumed job {job_id}.")


@app.command("retry")
@with_workspace
def retry(workspace: Workspace, job_id: JobId) -> None:
    """Retry the items that failed, are incomplete or were cancelled."""
    count = workspace.jobs[job_id].retry()
    say(f"Retrying {counted(count, 'item')} of job {job_id}.")


@app.command("prioritise")
@with_workspace
def prioritise(
    workspace: Workspace,
    job_id: JobId,
    priority: Annotated[int, typer.Argument(help="-100 to 100; the default of a job is 0.")],
) -> None:
    """Set the priority of a job. Jobs with a higher priority run first."""
    workspace.jobs[job_id].prioritise(priority)
    say(f"Job {job_id} has priority {priority}.")
