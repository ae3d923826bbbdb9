"""``qrkit echo`` and ``qrkit find``; ``qrkit queries``, ``instances`` and ``sql``, which show what is stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_filters, with_workspace
from qrkit.cli.output import print_frame, print_json, print_records, say, stderr
from qrkit.errors import InputError
from qrkit.jobs.estimate import cost_in_words
from qrkit.query import Query
from qrkit.query.coverage import Coverage
from qrkit.tables import Level, reasons_of
from qrkit.uids import is_valid_uid
from qrkit.words import counted, listed, local_time, shown

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

NOT_COMPLETE = 3
_REASONS_SHOWN = 5
_VALUES_SHOWN = 20


@with_workspace
def echo(
    workspace: Workspace,
    nodes: Annotated[list[str] | None, typer.Argument(help="Names of the nodes. Default: all enabled nodes.")] = None,
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Send C-ECHO to nodes. The exit status is 1 if any node fails."""
    answers = workspace.echo_records(*(nodes or []))
    if not len(answers):
        raise InputError("There are no enabled nodes.", advice="Add one: qrkit nodes add.")
    shown = answers if form is not Format.TABLE else answers.select(["node", "ok", "association_ms", "round_trip_ms"])
    print_records(shown, form, output)
    failed = [row for row in answers.rows if not row["ok"]]
    for row in failed:
        say(f"{row['node']}: {row['error']} {row['advice']}")
    if failed:
        raise typer.Exit(1)


@with_workspace
@with_filters
def find(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    *,
    level: Annotated[str, typer.Option(help="Query level: patient, study, series or image.")] = "study",
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
    filters: dict[str, Any],
) -> None:
    """Query a node by C-FIND. The exit status is 3 if the result may be incomplete."""
    with stderr.status(f"Querying {node} …"):
        frame = workspace.find(node, level=level, **filters)
    info = frame.attrs["qrkit"]
    query = Query.from_json(workspace.queries.show(info["query_id"]).request)
    print_frame(frame, form, output, requested=(*query.extra_keys, *dict(query.keys)))
    coverage = Coverage.from_json(info["coverage"])
    for note in coverage.notes:
        say(note)
    cost = f"{counted(len(frame), 'row')} from {node}, {counted(coverage.requests or 0, 'request')}"
    say(f"{cost}; stored as query {info['query_id']}.")
    if len(frame) and Level(level.upper()) is not Level.PATIENT:
        say(f"To retrieve everything: {cost_in_words(workspace.estimate(frame, node=node))}.")
    for report in coverage.filters:
        say(report.sentence())
    say_not_found(coverage)
    _say_warnings(info["warnings"])
    for assumption in coverage.assumptions:
        say(f"Assumed: {assumption}.")
    if coverage.is_complete:
        say("Complete.")
        return
    for why in coverage.why:
        say(f"May be incomplete: {why}.")
    raise typer.Exit(NOT_COMPLETE)


def say_not_found(coverage: Coverage) -> None:
    """Name the values of lists for which nothing was found, the first of many."""
    for keyword, values in coverage.not_found:
        more = len(values) - _VALUES_SHOWN
        shown = [*values[:_VALUES_SHOWN], f"{more:,} more"] if more > 0 else values
        say(f"Nothing found for {keyword} {listed(shown)}.")


def _say_warnings(warnings: list[dict[str, Any]]) -> None:
    """Report invalid values by their reason. The values may identify a patient, so only the result has them."""
    if not warnings:
        return
    reasons = reasons_of(warnings)
    more = len(reasons) - _REASONS_SHOWN
    for reason in reasons[:_REASONS_SHOWN]:
        say(f"Invalid values: {reason}.")
    also = f"{more} more reasons and the" if more > 0 else "The"
    say(f"{also} values as received are in the warnings of the result (frame.attrs in Python).")


app = typer.Typer(cls=Commands, no_args_is_help=True)

QueryId = Annotated[str, typer.Argument(help="Id of the query.")]


@app.command("list")
@with_workspace
def list_queries(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="Number of queries, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest queries: user, time, filters, duration and number of rows."""
    print_records(workspace.queries.records(limit), form, output)


@app.command("show")
@with_workspace
def show(
    workspace: Workspace,
    query_id: QueryId,
    *,
    about: Annotated[bool, typer.Option("--about", help="Show the query and its outcome instead of rows.")] = False,
    page: Annotated[int, typer.Option(min=1, help="Page of the result.")] = 1,
    rows: Annotated[int, typer.Option(min=1, help="Rows on a page.")] = 1_000,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show the result of a query again, page by page."""
    row = workspace.queries.show(query_id)
    if about:
        print_json(asdict(row))
        return
    frame = workspace.queries.read_page(query_id, offset=(page - 1) * rows, limit=rows)
    print_frame(frame, form, output)
    when = local_time(row.started)
    pages = max(1, -(-(row.row_count or 0) // rows))
    say(
        f"Page {page} of {pages}; {counted(row.row_count or 0, 'row')} from {row.node}, queried {when} by {row.user}."
    )


@app.command("rerun")
@with_workspace
def rerun(
    workspace: Workspace, query_id: QueryId, *, form: FormatOption = Format.TABLE, output: OutputOption = None
) -> None:
    """Run a query again, as a new query."""
    frame = workspace.queries.rerun(query_id)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'row')}; stored as query {frame.attrs['qrkit']['query_id']}.")


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
    """Compare two results: rows added, removed and changed."""
    frame = workspace.queries.diff(before, after)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'difference')}.")


instances = typer.Typer(cls=Commands, no_args_is_help=True)


@instances.command("list")
@with_workspace
def list_instances(
    workspace: Workspace,
    *,
    study: Annotated[str, typer.Option(help="Only objects of this StudyInstanceUID.")] = "",
    series: Annotated[str, typer.Option(help="Only objects of this SeriesInstanceUID.")] = "",
    modality: Annotated[str, typer.Option(help="Only objects of this Modality.")] = "",
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the received objects: class, transfer syntax, size, SHA-256, source and job."""
    for name, uid in (("study", study), ("series", series)):
        if uid and not is_valid_uid(uid):
            raise InputError(
                f"--{name} needs a UID: {shown(uid)} is not one. Enter digits and dots, at most 64 characters."
            )
    values = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "Modality": modality.upper()}
    frame = workspace.files.list({name: value for name, value in values.items() if value})
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'file')} in {workspace.files.folder}.")


@with_workspace
def sql(
    workspace: Workspace,
    text: Annotated[str, typer.Argument(help="One SELECT statement.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Run one SELECT on the tables, such as studies, series, instances, queries, jobs and nodes."""
    print_frame(workspace.sql(text), form, output)
