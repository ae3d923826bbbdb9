"""``qrkit echo`` and ``qrkit find``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_filters, with_workspace
from qrkit.cli.output import print_frame, say, stderr
from qrkit.coverage import filter_words
from qrkit.errors import InputError
from qrkit.tables import Level, reasons_of
from qrkit.words import counted

NOT_COMPLETE = 3
_REASONS_SHOWN = 5


@with_workspace
def echo(
    workspace: Workspace,
    nodes: Annotated[list[str] | None, typer.Argument(help="Names of nodes; without any, all enabled ones.")] = None,
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Send C-ECHO to nodes, all at once; exit status 1 if any fails."""
    answers = workspace.echo(*(nodes or []))
    if not len(answers):
        raise InputError("There are no nodes to echo.", advice="Add one: qrkit nodes add.")
    shown = answers if form is not Format.TABLE else answers[["node", "ok", "association_ms", "round_trip_ms"]]
    print_frame(shown, form, output)
    failed = answers[~answers["ok"].astype(bool)]
    for row in failed.itertuples():
        say(f"{row.node}: {row.error} {row.advice}")
    if len(failed):
        raise typer.Exit(1)


@with_workspace
@with_filters
def find(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node to ask.")],
    *,
    level: Annotated[str, typer.Option(help="patient, study, series or image.")] = "study",
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    filters: dict[str, object],
) -> None:
    """Ask a node by C-FIND; exit status 3 if the answer may not be complete."""
    with stderr.status(f"Asking {node} …"):
        frame = workspace.find(node, level=level, **filters)
    print_frame(frame, form, output)
    told = frame.attrs["qrkit"]
    coverage = told["coverage"]
    cost = f"{counted(len(frame), 'row')} from {node}, {counted(coverage['requests'], 'request')}"
    say(f"{cost}; kept as query {told['query_id']}.")
    if len(frame) and Level(level.upper()) is not Level.PATIENT:
        say(f"To fetch them: {workspace.estimate(frame, node=node).in_words()}.")
    for report in coverage["filters"]:
        blank = f", {report['blank_kept']} of them because blank" if report["blank_kept"] else ""
        say(f"{filter_words(report)}, {report['filter']}: {report['after']} of {report['before']} kept{blank}.")
    _say_warnings(told["warnings"])
    for assumption in coverage.get("assumptions", ()):
        say(f"Assumed: {assumption}.")
    if not coverage["complete"]:
        for why in coverage["why"]:
            say(f"Not proven complete: {why}.")
        raise typer.Exit(NOT_COMPLETE)


def _say_warnings(warnings: list[dict[str, Any]]) -> None:
    """Say which values were odd and why; the raw ones may be a patient's, so they stay with the answer."""
    if not warnings:
        return
    reasons = reasons_of(warnings)
    more = len(reasons) - _REASONS_SHOWN
    for reason in reasons[:_REASONS_SHOWN]:
        say(f"Odd values: {reason}.")
    also = f"{more} more reasons and the" if more > 0 else "The"
    say(f"{also} raw values are in the answer's warnings (frame.attrs in Python).")
