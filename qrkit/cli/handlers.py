"""``qrkit handlers``: the handlers of a site and their runs on received series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_records, say
from qrkit.errors import InputError
from qrkit.handlers import summary
from qrkit.words import comma_list, counted

if TYPE_CHECKING:
    from qrkit.workspace import Job, Workspace

app = typer.Typer(cls=Commands, no_args_is_help=True)
after = typer.Typer(cls=Commands, no_args_is_help=True)
"""``qrkit after``, the earlier name, with the earlier names of its commands."""

JobOption = Annotated[str, typer.Option("--job", help="Only runs for this job.")]
HandlerOption = Annotated[str, typer.Option("--handler", help="Only runs of this handler.")]

_NONE = "none"
_NAMED = 5
"""Ids of runs that are listed with an error."""


@app.command("runs")
@after.command("list")
@with_workspace
def list_runs(
    workspace: Workspace,
    *,
    job: JobOption = "",
    handler: HandlerOption = "",
    state: Annotated[str, typer.Option(help="Only runs in this state: waiting, running, done or failed.")] = "",
    limit: Annotated[int, typer.Option(help="Number of runs, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest handler runs: series, attempts and errors."""
    runs = workspace.after.records(job=job, handler=handler, state=state, limit=limit)
    is_table = form is Format.TABLE and output is None
    shown = [name for name in runs.columns if name != "error"]
    print_records(runs.select(shown) if is_table else runs, form, output)
    for text in errors_of(runs.rows) if is_table else ():
        say(text)
    known = {row["handler"] for row in workspace.after.handler_records().rows}
    orphans = sorted({row["handler"] for row in runs.rows if row["state"] == "waiting"} - known)
    if orphans:
        say(f"Runs wait for handlers that are no longer in qrkit.toml: {', '.join(orphans)}.")


@app.command("list")
@after.command("handlers")
@with_workspace
def list_handlers(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the handlers in qrkit.toml."""
    print_records(workspace.after.handler_records(), form, output)


@app.command("retry")
@after.command("retry")
@with_workspace
def retry(
    workspace: Workspace,
    run_ids: Annotated[
        list[int] | None,
        typer.Argument(help="Ids of runs. Default: all failed and waiting runs that --job or --handler select."),
    ] = None,
    *,
    job: JobOption = "",
    handler: HandlerOption = "",
    again: Annotated[bool, typer.Option("--again", help="Also repeat runs that succeeded.")] = False,
) -> None:
    """Retry runs now, with all attempts."""
    if not (run_ids or job or handler):
        raise InputError("Select the runs by their ids, --job or --handler.")
    count = workspace.after.retry(*(run_ids or []), job=job, handler=handler, again=again)
    say(f"Retrying {counted(count, 'run')}.")


def errors_of(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the errors of runs, each once with its runs: a column of errors would break every line.

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
    return [] if given.strip().lower() == _NONE else comma_list(given)


def say_after(job: Job) -> None:
    """Show the handler runs of a job in one line, and each kind of error once."""
    runs = job.after_runs
    if runs:
        say(f"Handlers: {summary(runs)}. Details: qrkit handlers runs --job {job.job_id}")
    for error in dict.fromkeys(f"{run.handler}: {run.error}" for run in runs if run.error):
        say(error)
