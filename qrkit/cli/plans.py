"""``qrkit plans``."""

from __future__ import annotations

from typing import Annotated

import typer

from qrkit.cli import planning
from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_workspace
from qrkit.cli.output import print_frame, say

app = typer.Typer(help="The plans, and what they say of each study.", no_args_is_help=True)

PlanId = Annotated[str, typer.Argument(help="Id of the plan.")]


@app.command("list")
@with_workspace
def list_plans(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest plans: for what, of how many studies, how many to fetch."""
    print_frame(workspace.plans.list(limit), form, output)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace, plan_id: PlanId, *, form: FormatOption = Format.TABLE, output: OutputOption = None
) -> None:
    """Show a plan again, as when it was made."""
    planning.show(workspace.plans[plan_id], form, output)


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
    """Compare two plans: which series one of them fetches and the other does not, and why."""
    frame = workspace.plans.diff(before, after)
    print_frame(frame, form, output)
    say(f"{len(frame)} differences.")
