"""``qrkit plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from qrkit.cli.asking import NOT_COMPLETE
from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_filters, with_workspace
from qrkit.cli.output import print_frame, print_json, say, stderr
from qrkit.plan import Plan
from qrkit.words import counted

_SHOWN = ["StudyDate", "group", "keep", "rule", "reason", "AccessionNumber", "StudyDescription", "objects"]


@with_workspace
@with_filters
def plan(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node to ask.")],
    *,
    dose: Annotated[str, typer.Option(help="Groups: any of CT,MG,FL,DX,NM.", show_default=False)] = "",
    sr_only: Annotated[bool, typer.Option("--sr-only", help="Studies of nothing but SR, instead of groups.")] = False,
    toshiba: Annotated[bool, typer.Option("--toshiba", help="CT without dose report: one image per series.")] = False,
    empty_sr: Annotated[bool, typer.Option("--empty-sr", help="Take SR series without listed objects.")] = False,
    refetch: Annotated[bool, typer.Option("--refetch", help="Fetch also what is here already.")] = False,
    whole_archive: Annotated[bool, typer.Option("--whole-archive", help="No date is meant.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask also what earlier plans have learnt.")] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    filters: dict[str, object],
) -> None:
    """Plan to fetch the least that carries dose; exit status 3 if studies may be missing."""
    with stderr.status(f"Planning with {node} …"):
        options = {"sr_only": sr_only, "toshiba": toshiba, "empty_sr": empty_sr, "refetch": refetch}
        what: dict[str, Any] = {**options, **filters}
        made = workspace.plan(node, dose, whole_archive=whole_archive, refresh=refresh, **what)
    show(made, form, output)


def show(made: Plan, form: Format, output: Path | None = None) -> None:
    """Print a plan; end with its exit status."""
    if form is Format.JSON and output is None:
        print_json(made.to_json())
    elif form is Format.TABLE and output is None:
        print_frame(made.studies[_SHOWN], form)
        print_frame(made.steps, form)
    else:
        print_frame(rows_of(made), form, output)
    for note in made.notes:
        say(note)
    say(f"{made.cost_in_words}; {counted(made.coverage['requests'], 'request')}; kept as plan {made.plan_id}.")
    say(f"Fetch it: qrkit retrieve {made.node} --plan {made.plan_id}")
    if not made.coverage["complete"]:
        for why in made.coverage["why"]:
            say(f"Not proven complete: {why}.")
        raise typer.Exit(NOT_COMPLETE)


def rows_of(made: Plan) -> pd.DataFrame:
    """Return a plan as one table: a row per series, and one per study of which no series was looked at."""
    studies = made.studies.drop(columns=["series", "objects", "trail"])
    series = made.series.drop(columns=["trail"])
    return studies.merge(series, how="left", on=["StudyInstanceUID", "group"], suffixes=("_study", ""))
