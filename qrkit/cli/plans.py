"""``qrkit plan``, and ``qrkit plans``, which shows earlier plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_filters, with_workspace
from qrkit.cli.output import print_frame, print_json, print_text, say, stderr
from qrkit.cli.queries import NOT_COMPLETE, say_not_found
from qrkit.errors import NotFound
from qrkit.words import counted, step_label

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.dose import Plan
    from qrkit.workspace import Workspace


app = typer.Typer(cls=Commands, no_args_is_help=True)

PlanId = Annotated[str, typer.Argument(help="Id of the plan.")]


@app.command("list")
@with_workspace
def list_plans(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="Number of plans, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest plans: dose groups, studies found, and studies to retrieve."""
    print_frame(workspace.plans.list(limit), form, output)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace, plan_id: PlanId, *, form: FormatOption = Format.TABLE, output: OutputOption = None
) -> None:
    """Show a plan again."""
    show_plan(workspace.plans[plan_id], form, output)


@app.command("why")
@with_workspace
def why(
    workspace: Workspace,
    what: Annotated[str, typer.Argument(help="Accession number, or UID of a study, series or object.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show why something was or was not retrieved, by the newest plan that includes it."""
    frame = workspace.why(what)
    if not len(frame):
        raise NotFound(f"No plan includes {what}.", advice="Create a plan for its study date: qrkit plan.")
    if form is not Format.TABLE or output is not None:
        print_frame(frame, form, output)
        return
    for row in frame.to_dict("records"):
        print_text(_sentence({str(name): value for name, value in row.items()}))


@app.command("diff")
@with_workspace
def diff(
    workspace: Workspace,
    before: PlanId,
    after: Annotated[str, typer.Argument(help="Id of the later plan.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Compare two plans: the series that only one of them retrieves, and why."""
    frame = workspace.plans.diff(before, after)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'difference')}.")


def _sentence(row: dict[str, Any]) -> str:
    what = row["SOPInstanceUID"] or row["SeriesInstanceUID"] or row["StudyInstanceUID"]
    judged = f" as {row['group']}" if row["group"] else ""
    decision = "retrieve" if row["keep"] else "do not retrieve"
    stored = "; already stored" if row["here"] else ""
    steps = "".join(f"\n  {step}" for step in row["trail"])
    return f"{row['level']} {what}{judged}: {decision}{stored}. Plan {row['plan_id']}:{steps}"


_SHOWN = ["StudyDate", "group", "keep", "rule", "reason", "AccessionNumber", "StudyDescription", "objects"]


@with_workspace
@with_filters
def plan(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    *,
    dose: Annotated[
        str, typer.Option(help="Dose groups, separated by commas: any of CT,MG,FL,DX,NM.", show_default=False)
    ] = "",
    sr_only: Annotated[
        bool, typer.Option("--sr-only", help="Studies with only structured reports, instead of dose groups.")
    ] = False,
    toshiba: Annotated[
        bool, typer.Option("--toshiba", help="Take one image of each series of a CT study without a dose report.")
    ] = False,
    empty_sr: Annotated[
        bool, typer.Option("--empty-sr", help="Take SR series in which the node lists no objects.")
    ] = False,
    refetch: Annotated[
        bool, typer.Option("--refetch", help="Retrieve also objects that are stored already.")
    ] = False,
    whole_archive: Annotated[
        bool, typer.Option("--whole-archive", help="Allow a plan without a date range.")
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Repeat the queries of earlier plans.")] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    filters: dict[str, object],
) -> None:
    """Plan the smallest retrieve that has the dose data. The exit status is 3 if studies may be missing."""
    with stderr.status(f"Planning with {node} …"):
        options = {"sr_only": sr_only, "toshiba": toshiba, "empty_sr": empty_sr, "refetch": refetch}
        what: dict[str, Any] = {**options, **filters}
        made = workspace.plan(node, dose, whole_archive=whole_archive, refresh=refresh, **what)
    show_plan(made, form, output)


def show_plan(made: Plan, form: Format, output: Path | None = None) -> None:
    """Print a plan and exit with its status."""
    if form is Format.JSON and output is None:
        print_json(made.to_json())
    elif form is Format.TABLE and output is None:
        print_frame(made.studies[_SHOWN], form)
        print_frame(made.steps.assign(step=made.steps["step"].map(step_label)), form)
    else:
        print_frame(rows_of(made), form, output)
    say_not_found(made.coverage)
    for note in made.notes:
        say(note)
    say(f"{made.cost_in_words}; {counted(made.coverage.requests or 0, 'request')}; stored as plan {made.plan_id}.")
    say(f"Retrieve it: qrkit retrieve {made.node} --plan {made.plan_id}")
    if not made.coverage.is_complete:
        for why in made.coverage.why:
            say(f"May be incomplete: {why}.")
        raise typer.Exit(NOT_COMPLETE)


def rows_of(made: Plan) -> pd.DataFrame:
    """Return a plan as one table: a row per series, and one per study whose series were not queried."""
    studies = made.studies.drop(columns=["series", "objects", "trail"])
    series = made.series.drop(columns=["trail"])
    return studies.merge(series, how="left", on=["StudyInstanceUID", "group"], suffixes=("_study", ""))
