"""``qrkit plans``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qrkit.cli import planning
from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_workspace
from qrkit.cli.output import print_frame, print_text, say
from qrkit.errors import NotFound
from qrkit.words import counted

app = typer.Typer(help="The plans, and what they say of each study.", no_args_is_help=True)

PlanId = Annotated[str, typer.Argument(help="Id of the plan.")]


@app.command("list")
@with_workspace
def list_plans(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
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


@app.command("why")
@with_workspace
def why(
    workspace: Workspace,
    what: Annotated[str, typer.Argument(help="Accession number, or UID of a study, series or object.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Say why something was or was not fetched, by the newest plan that knows it."""
    frame = workspace.why(what)
    if not len(frame):
        raise NotFound(f"No plan has seen {what}.", advice="Ask the node for it: qrkit find.")
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
    """Compare two plans: which series one of them fetches and the other does not, and why."""
    frame = workspace.plans.diff(before, after)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'difference')}.")


def _sentence(row: dict[str, Any]) -> str:
    what = row["SOPInstanceUID"] or row["SeriesInstanceUID"] or row["StudyInstanceUID"]
    judged = f" as {row['group']}" if row["group"] else ""
    kept = "to be fetched" if row["keep"] else "not fetched"
    here = "; it is here" if row["here"] else ""
    trail = "".join(f"\n  {said}" for said in row["trail"])
    return f"{row['level']} {what}{judged}: {kept}{here}. By plan {row['plan_id']}:{trail}"
