"""``qrkit schedule``: what recurs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli.handlers import handler_names
from qrkit.cli.options import Format, FormatOption, OutputOption, with_filters, with_workspace
from qrkit.cli.output import print_json, print_records, say

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]


@app.command("add")
@with_workspace
@with_filters
def add(
    workspace: Workspace,
    name: Name,
    node: Annotated[str, typer.Argument(help="Name of the node to ask.")],
    *,
    every: Annotated[
        str,
        typer.Option(help="daily at 02:00, weekdays at 22:30, mon,thu at 3:00, first Monday of the month, hourly."),
    ],
    zone: Annotated[str, typer.Option(help="Time zone, such as Europe/Berlin; else this machine's.")] = "",
    level: Annotated[str, typer.Option(help="Of a query: patient, study, series or image.")] = "study",
    dose: Annotated[str, typer.Option(help="A dose plan of these groups: any of CT,MG,FL,DX,NM.")] = "",
    sr_only: Annotated[bool, typer.Option("--sr-only", help="A dose plan of studies of nothing but SR.")] = False,
    from_query: Annotated[str, typer.Option(help="Id of an earlier query; only a date may be added.")] = "",
    retrieve: Annotated[bool, typer.Option(help="Fetch what is found and not here yet.")] = True,
    method: Annotated[str, typer.Option(help="auto, get or move.")] = "auto",
    after: Annotated[str | None, typer.Option(help="Handlers to run after arrival; none for none.")] = None,
    filters: dict[str, Any],
) -> None:
    """Add a schedule: qrkit schedule add dose pacs --every "daily at 02:00" --dose CT,MG --date "last 7 days"."""
    what = {key: value for key, value in filters.items() if value}
    if from_query:
        what["query"] = from_query
    elif dose or sr_only:
        what |= {"dose": dose} if dose else {"sr_only": True}
    else:
        what["level"] = level
    how: bool | dict[str, Any] = {"method": method} if retrieve else False
    if retrieve and after is not None:
        how = {"method": method, "after": handler_names(after)}
    made = workspace.schedules.add(name, node, every=every, zone=zone, retrieve=how, **what)
    say(f"Schedule {name}: {made.kind}, {made.every} ({made.zone}); due next {made.next_due}.")
    _say_service(workspace)


@app.command("list")
@with_workspace
def list_schedules(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the schedules, when each is due next, and how its last run went."""
    table = workspace.schedules.records()
    shown = [name for name in table.columns if name != "what"]
    print_records(table.select(shown) if form is Format.TABLE else table, form, output)
    if len(table):
        _say_service(workspace)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace,
    name: Name,
    *,
    limit: Annotated[int, typer.Option(help="How many runs, newest first.", min=1)] = 20,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show a schedule and its last runs, with the query, plan and job of each."""
    schedule = workspace.schedules[name]
    runs = workspace.schedules.run_records(name, limit)
    if form is Format.JSON and output is None:
        print_json(asdict(schedule) | {"runs": list(runs.rows)})
    else:
        print_records(runs, form, output)
        for run in runs.rows:
            if run["missed"]:
                say(f"Run {run['run_id']} makes up for {run['missed']} missed runs, while no worker ran.")
        say(f"{schedule.kind} of {schedule.node}, {schedule.every} ({schedule.zone}); due next {schedule.next_due}.")
    _say_service(workspace)


@app.command("run")
@with_workspace
def run(workspace: Workspace, name: Name) -> None:
    """Have a schedule run now."""
    workspace.schedules.run(name)
    nobody = workspace.nobody_for(workspace.schedules[name].node, one_starts=True)
    say(nobody or f"{name} runs now; qrkit schedule show {name} tells what becomes of it.")


@app.command("pause")
@with_workspace
def pause(workspace: Workspace, name: Name) -> None:
    """Let a schedule not be due any more."""
    workspace.schedules.pause(name)
    say(f"{name} is paused.")


@app.command("resume")
@with_workspace
def resume(workspace: Workspace, name: Name) -> None:
    """Let a paused schedule be due again."""
    workspace.schedules.resume(name)
    say(f"{name} is due next {workspace.schedules[name].next_due}.")


@app.command("remove")
@with_workspace
def remove(workspace: Workspace, name: Name) -> None:
    """Remove a schedule; what it has found and fetched stays."""
    workspace.schedules.remove(name)
    say(f"{name} is removed.")


def _say_service(workspace: Workspace) -> None:
    names = ", ".join(workspace.schedules.unattended)
    if names:
        say(f"No worker runs that stays and reaches the node of: {names}. Keep one running: qrkit serve")
