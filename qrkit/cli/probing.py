"""``qrkit probe``, and the card of a profile on the terminal."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_workspace
from qrkit.cli.output import print_frame, print_json, printing, say, stderr
from qrkit.profile import Profile, Subject, Verdict, card
from qrkit.profile.cards import LABELS
from qrkit.words import counted

_NOTHING_SEEN = 3
_ABOUT_WIDTH = max(map(len, LABELS.values()))
_SAID_WIDTH = max(len(verdict.value) for verdict in Verdict)
_STYLES = {verdict.value: style for verdict, style in zip(Verdict, ("green", "yellow", "red", "dim"), strict=True)}


@with_workspace
def probe(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Find out what a node can do, by at most 12 small queries; exit status 3 if nothing could be seen."""
    with stderr.status(f"Probing {node} …") as status:
        profile = workspace.probe(
            node, watch=lambda number, what: status.update(f"Probing {node}: {number} of at most 12, {what} …")
        )
    if form is Format.TABLE and output is None:
        with printing():
            print_card(profile, Console(highlight=False))
    elif form is Format.JSON and output is None:
        print_json(profile.to_json())
    else:
        print_frame(_frame(profile), form, output)
    say(f"{counted(profile.requests, 'request')}; kept as the profile of {node}.")
    if all(profile.verdict(subject) is Verdict.UNKNOWN for subject in Subject):
        raise typer.Exit(_NOTHING_SEEN)


def print_card(profile: Profile, console: Console) -> None:
    """Print the card of a profile."""
    said = card(profile)
    console.print(Text(said.title, style="bold"))
    for warning in said.warnings:
        console.print(Text(warning, style="yellow"))
    for section in said.sections:
        evident = any(line.evidence for line in section.lines)
        table = Table(box=None, padding=(0, 1), show_header=False, expand=True)
        # widths, not least widths: rich cuts the last column off where those and the padding exceed the terminal
        table.add_column(width=_ABOUT_WIDTH, overflow="fold")
        table.add_column(overflow="fold", width=_SAID_WIDTH if evident else None, ratio=None if evident else 1)
        if evident:
            table.add_column(style="dim", ratio=1, overflow="fold")
        for line in section.lines:
            said_of = [Text(line.about), Text(line.said, style=_STYLES.get(line.said, "")), Text(line.evidence)]
            table.add_row(*said_of[: len(table.columns)])
        console.print(Text(f"\n{section.heading}", style="bold"))
        console.print(table)


def _frame(profile: Profile) -> pd.DataFrame:
    """Return a profile as a table: one row per verdict, and per return key."""
    values = profile.to_json()
    rows = [("matching", name, said["verdict"], said["evidence"]) for name, said in values["statements"].items()]
    rows += [
        (f"returned at {level}", keyword, said["fill"], said["evidence"])
        for level, keys in values["returned"].items()
        for keyword, said in keys.items()
    ]
    cap = values["cap"]
    rows.append(("limit", "cap", "" if cap["likely"] is None else str(cap["likely"]), cap["evidence"]))
    return pd.DataFrame(rows, columns=["kind", "about", "said", "evidence"], dtype="str")
