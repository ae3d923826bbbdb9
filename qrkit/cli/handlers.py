"""``qrkit handlers``: the handlers of a site and their runs on received series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli.options import Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_records, say
from qrkit.errors import InputError
from qrkit.handlers import summary
from qrkit.words import counted

if TYPE_CHECKING:
    from qrkit.workspace import Job, Workspace

app = typer.Typer(no_args_is_help=True)
after = typer.Typer(no_args_is_help=True)
"""``qrkit after``, the earlier name, with the earlier names of its commands."""

JobOption = Annotated[str, typer.Option("--job", help="Only for the series of this job.")]
HandlerOption = Annotated[str, typer.Option("--handler", help="Only of this handler.")]

_NONE = "none"
_NAMED = 5
"""Runs that are named with an error."""


@app.command("runs")
@after.command("list")
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
    runs = workspace.after.records(job=job, handler=handler, state=state, limit=limit)
    is_table = form is Format.TABLE and output is None
    shown = [name for name in runs.columns if name != "error"]
    print_records(runs.select(shown) if is_table else runs, form, output)
    for text in errors_of(runs.rows) if is_table else ():
        say(text)
    known = {row["handler"] for row in workspace.after.handler_records().rows}
    orphans = sorted({row["handler"] for row in runs.rows if row["state"] == "waiting"} - known)
    if orphans:
        say(f"No longer in qrkit.toml, so their runs wait: {', '.join(orphans)}.")


@app.command("list")
@after.command("handlers")
@with_workspace
def list_handlers(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the handlers that qrkit.toml registers."""
    print_records(workspace.after.handler_records(), form, output)


@app.command("retry")
@after.command("retry")
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


def errors_of(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the errors of runs, each once with its runs: a column of them would break every line.

    >>> rows = [(7, "copy", "No folder."), (8, "copy", "No folder."), (9, "send", "")]
    >>> errors_of([dict(zip(("run_id", "handler", "error"), row, strict=True)) for row in rows])
    ['copy, runs 7, 8: No folder.']
    """
    grouped: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run["error"]:
            grouped.setdefault((run["handler"], run["error"]), []).append(str(run["run_id"]))
    lines = []
    for (handler, error), ids in grouped.items():
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        lines.append(f"{handler}, run{'s' * (len(ids) > 1)} {', '.join(ids[:_NAMED])}{more}: {error}")
    return lines


def handler_names(given: str | None) -> list[str] | None:
    """Return the names that ``--after`` gives: None without it, an empty list for ``none``.

    >>> handler_names(None), handler_names("none"), handler_names("dose, deidentify")
    (None, [], ['dose', 'deidentify'])
    """
    if given is None:
        return None
    return [] if given.strip().lower() == _NONE else [name.strip() for name in given.split(",") if name.strip()]


def say_after(job: Job) -> None:
    """Say what is done with the series of a job after arrival, and each kind of failure once."""
    runs = job.after_runs
    if runs:
        say(f"After arrival: {summary(runs)}. More: qrkit handlers runs --job {job.job_id}")
    for error in dict.fromkeys(f"{run.handler}: {run.error}" for run in runs if run.error):
        say(error)
