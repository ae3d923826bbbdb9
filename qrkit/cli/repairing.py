"""``qrkit repair``."""

from __future__ import annotations

from typing import Annotated

import typer

import qrkit
from qrkit.cli.exits import NOT_COMPLETE
from qrkit.cli.options import Format
from qrkit.cli.output import print_json, say


def repair(
    *,
    workspace: Annotated[str, typer.Option(help="The workspace's folder; also $QRKIT_WORKSPACE.")] = "",
    thorough: Annotated[bool, typer.Option("--thorough", help="Compare each object with its SHA-256, too.")] = False,
    form: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Mend a workspace whose files are damaged or whose state is gone, while no worker runs; nothing is deleted."""
    done = qrkit.repair(workspace or None, thorough=thorough)
    if form is Format.JSON:
        print_json(done.to_json())
    for line in str(done).splitlines():
        say(line)
    if not done.is_whole:
        raise typer.Exit(NOT_COMPLETE)
