"""``qrkit after``: what is done with series after they have arrived."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer

from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_workspace
from qrkit.cli.output import print_frame, say
from qrkit.errors import InputError
from qrkit.handlers import summary
from qrkit.words import counted
from qrkit.workspace import Job

app = typer.Typer(help="What is done with series after they have arrived.", no_args_is_help=True)

JobOption = Annotated[str, typer.Option("--job", help="Only for the series of this job.")]
HandlerOption = Annotated[str, typer.Option("--handler", help="Only of this handler.")]

_NONE = "none"
_NAMED = 5
"""Runs that are named with an error."""


@app.command("list")
@with_workspace
def list_runs(
    workspace: Workspace,
    *,
    job: JobOption = "",
    handler: HandlerOption = "",
    state: Annotated[str, typer.Option(help="Only those waiting, running, done or failed.")] = "",
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest runs of handlers: which series, how often tried, why it failed."""
    frame = workspace.after.list(job=job, handler=handler, state=state, limit=limit)
    is_table = form is Format.TABLE and output is None
    print_frame(frame.drop(columns="error") if is_table else frame, form, output)
    for told in errors_told(frame) if is_table else ():
        say(told)
    known = set(workspace.after.handlers["handler"])
    orphans = sorted({str(name) for name in frame.loc[frame["state"] == "waiting", "handler"]} - known)
    if orphans:
        say(f"No longer in qrkit.toml, so their runs wait: {', '.join(orphans)}.")


@app.command("handlers")
@with_workspace
def list_handlers(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the handlers that qrkit.toml registers."""
    print_frame(workspace.after.handlers, form, output)


@app.command("retry")
@with_workspace
def retry(
    workspace: Workspace,
    run_ids: Annotated[
        list[int] | None, typer.Argument(help="Ids of runs; else all that --job or --handler name.")
    ] = None,
    *,
    job: JobOption = "",
    handler: HandlerOption = "",
    again: Annotated[bool, typer.Option("--again", help="Those too that have worked already.")] = False,
) -> None:
    """Have runs tried now, from the first attempt on."""
    if not (run_ids or job or handler):
        raise InputError("Say which runs: their ids, --job or --handler.")
    count = workspace.after.retry(*(run_ids or []), job=job, handler=handler, again=again)
    say(f"{counted(count, 'run')} tried again.")


def errors_told(runs: pd.DataFrame) -> list[str]:
    """Return what went wrong in runs, each error once with its runs: a column of them would break every line.

    >>> rows = [(7, "copy", "No folder."), (8, "copy", "No folder."), (9, "send", "")]
    >>> errors_told(pd.DataFrame(rows, columns=["run_id", "handler", "error"]))
    ['copy, runs 7, 8: No folder.']
    """
    told = []
    for (handler, error), some in runs[runs["error"] != ""].groupby(["handler", "error"], sort=False):
        ids = [str(run_id) for run_id in some["run_id"]]
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        told.append(f"{handler}, run{'s' * (len(ids) > 1)} {', '.join(ids[:_NAMED])}{more}: {error}")
    return told


def handlers(given: str | None) -> list[str] | None:
    """Return the names that ``--after`` gives: None without it, an empty list for ``none``.

    >>> handlers(None), handlers("none"), handlers("dose, deidentify")
    (None, [], ['dose', 'deidentify'])
    """
    if given is None:
        return None
    return [] if given.strip().lower() == _NONE else [name.strip() for name in given.split(",") if name.strip()]


def say_after(job: Job) -> None:
    """Say what is done with the series of a job after arrival, and each kind of failure once."""
    runs = job.after_runs
    if runs:
        say(f"After arrival: {summary(runs)}. More: qrkit after list --job {job.job_id}")
    for error in dict.fromkeys(f"{run.handler}: {run.error}" for run in runs if run.error):
        say(error)
