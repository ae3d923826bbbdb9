"""``qrkit schedule``: queries and dose plans that run again and again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli.handlers import handler_names
from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_filters, with_workspace
from qrkit.cli.output import print_json, print_records, say
from qrkit.words import counted

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

app = typer.Typer(cls=Commands, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]


@app.command("add")
@with_workspace
@with_filters
def add(
    workspace: Workspace,
    name: Name,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    *,
    every: Annotated[
        str,
        typer.Option(help="daily at 02:00, weekdays at 22:30, mon,thu at 3:00, first Monday of the month, hourly."),
    ],
    zone: Annotated[str, typer.Option(help="Time zone, such as Europe/Berlin. Default: that of this machine.")] = "",
    level: Annotated[str, typer.Option(help="Query level: patient, study, series or image.")] = "study",
    dose: Annotated[
        str, typer.Option(help="Run a dose plan for these groups, separated by commas: any of CT,MG,FL,DX,NM.")
    ] = "",
    sr_only: Annotated[
        bool, typer.Option("--sr-only", help="Run a dose plan for studies with only structured reports.")
    ] = False,
    from_query: Annotated[
        str, typer.Option(help="Id of an earlier query to run again. Only a date may be added.")
    ] = "",
    retrieve: Annotated[bool, typer.Option(help="Retrieve the missing objects of the result.")] = True,
    method: Annotated[str, typer.Option(help="Retrieve method: auto, get or move.")] = "auto",
    after: Annotated[
        str | None, typer.Option(help="Handlers to run on received series, separated by commas, or none.")
    ] = None,
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
    say(f"Schedule {name}: {made.kind}, {made.every} ({made.zone}); next run {made.next_run}.")
    _say_service(workspace)


@app.command("list")
@with_workspace
def list_schedules(workspace: Workspace, *, form: FormatOption = Format.TABLE, output: OutputOption = None) -> None:
    """List the schedules with their next run and the state of their last run."""
    from qrkit.workspace.schedules import by_local_clock

    table = workspace.schedules.records()
    shown = [name for name in table.columns if name != "what"]
    print_records(by_local_clock(table).select(shown) if form is Format.TABLE else table, form, output)
    if len(table):
        _say_service(workspace)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace,
    name: Name,
    *,
    limit: Annotated[int, typer.Option(help="Number of runs, newest first.", min=1)] = 20,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show a schedule and its last runs, each with its query, plan and job."""
    from qrkit.workspace.schedules import by_local_clock

    schedule = workspace.schedules[name]
    runs = workspace.schedules.run_records(name, limit)
    if form is Format.JSON and output is None:
        print_json(asdict(schedule) | {"runs": list(runs.rows)})
    else:
        print_records(by_local_clock(runs, schedule.zone) if form is Format.TABLE else runs, form, output)
        for run in runs.rows:
            if run["missed"]:
                say(f"Run {run['run_id']} makes up for {run['missed']} missed runs, while no worker ran.")
        say(f"{schedule.kind} of {schedule.node}, {schedule.every} ({schedule.zone}); next run {schedule.next_run}.")
    if name in workspace.schedules.unattended:
        _say_service(workspace)


@app.command("run")
@with_workspace
def run(workspace: Workspace, name: Name) -> None:
    """Run a schedule now."""
    workspace.schedules.run(name)
    nobody = workspace.nobody_for(workspace.schedules[name].node, one_starts=True)
    say(nobody or f"{name} runs now. See its outcome: qrkit schedule show {name}")


@app.command("pause")
@with_workspace
def pause(workspace: Workspace, name: Name) -> None:
    """Pause a schedule until it is resumed."""
    workspace.schedules.pause(name)
    say(f"Paused {name}.")


@app.command("resume")
@with_workspace
def resume(workspace: Workspace, name: Name) -> None:
    """Resume a paused schedule."""
    workspace.schedules.resume(name)
    say(f"Resumed {name}; next run {workspace.schedules[name].next_run}.")


@app.command("remove")
@with_workspace
def remove(workspace: Workspace, name: Name) -> None:
    """Remove a schedule. Its results and objects are kept."""
    workspace.schedules.remove(name)
    say(f"Removed {name}.")


def _say_service(workspace: Workspace) -> None:
    number = len(workspace.schedules.unattended)
    if number:
        they = "it does not start at its times" if number == 1 else "they do not start at their times"
        waiting = counted(number, "schedule")
        say(f"No permanent worker is running for {waiting}, so {they}. Start one: qrkit serve")
