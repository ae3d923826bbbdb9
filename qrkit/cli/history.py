"""``qrkit queries``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from qrkit.cli.options import Format, FormatOption, OutputOption, Workspace, with_workspace
from qrkit.cli.output import print_frame, print_json, say
from qrkit.words import counted, local_time

app = typer.Typer(help="The history of queries, and their answers again.", no_args_is_help=True)

QueryId = Annotated[str, typer.Argument(help="Id of the query.")]


@app.command("list")
@with_workspace
def list_queries(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest queries: who, when, what, how long, how many."""
    print_frame(workspace.queries.list(limit), form, output)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace,
    query_id: QueryId,
    *,
    about: Annotated[bool, typer.Option("--about", help="What was asked and how it went, instead of rows.")] = False,
    page: Annotated[int, typer.Option(min=1, help="Page of the answer.")] = 1,
    rows: Annotated[int, typer.Option(min=1, help="Rows in a page.")] = 1_000,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show the answer of a query again, page by page."""
    row = workspace.queries.show(query_id)
    if about:
        print_json(asdict(row))
        return
    frame = workspace.queries.read_page(query_id, offset=(page - 1) * rows, limit=rows)
    print_frame(frame, form, output)
    when = local_time(row.started)
    pages = max(1, -(-(row.row_count or 0) // rows))
    say(f"Page {page} of {pages}; {counted(row.row_count or 0, 'row')} from {row.node}, asked {when} by {row.user}.")


@app.command("rerun")
@with_workspace
def rerun(
    workspace: Workspace, query_id: QueryId, *, form: FormatOption = Format.TABLE, output: OutputOption = None
) -> None:
    """Ask the same node the same thing again, as a new query."""
    frame = workspace.queries.rerun(query_id)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'row')}; kept as query {frame.attrs['qrkit']['query_id']}.")


@app.command("diff")
@with_workspace
def diff(
    workspace: Workspace,
    before: QueryId,
    after: Annotated[str, typer.Argument(help="Id of the later query.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Compare two answers: what was added, removed and changed."""
    frame = workspace.queries.diff(before, after)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'difference')}.")
