"""``qrkit report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qrkit.cli.options import Workspace, with_workspace
from qrkit.cli.output import say


@with_workspace
def report(
    workspace: Workspace,
    name: Annotated[str, typer.Argument(help="query, plan, job or compare.")],
    ids: Annotated[list[str], typer.Argument(help="Id of the query, plan or job; of two queries to compare.")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; else NAME-ID.html here.")] = None,
    with_patients: Annotated[
        bool, typer.Option("--with-patients", help="Also the columns that tell who somebody is.")
    ] = False,
) -> None:
    """Write a report as one HTML file that needs no network: what was asked, of whom, how far it can be trusted."""
    path = output or Path(f"{name}-{'-'.join(one[:8] for one in ids)}.html")
    say(f"Report: {workspace.report(name, *ids, path=path, with_patients=with_patients)}")
