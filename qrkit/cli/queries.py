"""``echo``, ``find`` and ``plan``; ``queries``, ``plans``, ``instances`` and ``sql`` show what is stored."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qrkit.cli import NOT_COMPLETE
from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_filters, with_workspace
from qrkit.cli.output import print_frame, print_json, print_records, print_text, say, stderr
from qrkit.errors import InputError
from qrkit.jobs.estimate import cost_in_words
from qrkit.query import Filters, Query
from qrkit.query.coverage import Coverage
from qrkit.tables import Level, reasons_of
from qrkit.uids import is_usable_uid
from qrkit.words import counted, listed, local_time, shown, step_label

if TYPE_CHECKING:
    import pandas as pd

    from qrkit.dose import Plan
    from qrkit.workspace import Workspace

_REASONS_SHOWN = 5
_VALUES_SHOWN = 20

QueryId = Annotated[str, typer.Argument(help="Id of the query.")]

PlanId = Annotated[str, typer.Argument(help="Id of the plan.")]

_PLAN_SHOWN = ["StudyDate", "group", "keep", "rule", "reason", "AccessionNumber", "StudyDescription", "objects"]


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
    try:
        with stderr.status(f"Querying {node} …"):
            frame = workspace.find(node, level=level, **filters)
    except KeyboardInterrupt as stopped:  # it names the query that has the rows until then, if there are any
        if not str(stopped):
            raise
        say(str(stopped))
        raise typer.Exit(NOT_COMPLETE) from None
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
    _say_not_found(coverage, query)
    _say_warnings(info["warnings"])
    for assumption in coverage.assumptions:
        say(f"Assumed: {assumption}.")
    if coverage.is_complete:
        say("Complete.")
    _exit_for(coverage)


def _exit_for(*coverages: Coverage) -> None:
    """Exit with status 3 if a result, or one of several, may be incomplete, and report why."""
    reasons = dict.fromkeys(why for coverage in coverages for why in coverage.why)
    for why in reasons:
        say(f"May be incomplete: {why}.")
    if reasons:
        raise typer.Exit(NOT_COMPLETE)


def _say_not_found(coverage: Coverage, query: Query, *, filtered: bool = False) -> None:
    """Name the values of lists without a row, the first of many: not found, not returned, or not answered.

    `filtered` is for filters that are not in the query, such as dose groups.
    """
    narrowed = filtered or bool(query.modalities or query.dates or query.times or query.filters != Filters())
    for sentence, missing in coverage.missing_values():
        for keyword, values in missing:
            more = len(values) - _VALUES_SHOWN
            shown = [*values[:_VALUES_SHOWN], f"{more:,} more"] if more > 0 else values
            is_narrowed = narrowed or set(dict(query.keys)) - {keyword}
            others = " with these filters" if is_narrowed and missing is coverage.not_found else ""
            say(sentence.format(f"{keyword} {listed(shown)}{others}"))


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


queries = typer.Typer(cls=Commands, no_args_is_help=True)


@queries.command("list")
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


@queries.command("show")
@with_workspace
def show_query(
    workspace: Workspace,
    query_id: QueryId,
    *,
    about: Annotated[bool, typer.Option("--about", help="Show the query and its outcome instead of rows.")] = False,
    page: Annotated[int, typer.Option(min=1, help="Page of the result.")] = 1,
    rows: Annotated[int, typer.Option(min=1, help="Rows on a page.")] = 1_000,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show the result of a query again, page by page. The exit status is 3 if it may be incomplete."""
    row = workspace.queries.show(query_id)
    coverage = row.coverage or Coverage()
    if about:
        print_json(asdict(row))
        _exit_for(coverage)
        return
    frame = workspace.queries.read_page(query_id, offset=(page - 1) * rows, limit=rows)
    print_frame(frame, form, output)
    when = local_time(row.started)
    pages = max(1, -(-(row.row_count or 0) // rows))
    say(
        f"Page {page} of {pages}; {counted(row.row_count or 0, 'row')} from {row.node}, queried {when} by {row.user}."
    )
    _exit_for(coverage)


@queries.command("rerun")
@with_workspace
def rerun_query(
    workspace: Workspace, query_id: QueryId, *, form: FormatOption = Format.TABLE, output: OutputOption = None
) -> None:
    """Run a query again, as a new query. The exit status is 3 if the result may be incomplete."""
    frame = workspace.queries.rerun(query_id)
    print_frame(frame, form, output)
    info = frame.attrs["qrkit"]
    say(f"{counted(len(frame), 'row')}; stored as query {info['query_id']}.")
    _exit_for(Coverage.from_json(info["coverage"]))


@queries.command("diff")
@with_workspace
def diff_queries(
    workspace: Workspace,
    before: QueryId,
    after: Annotated[str, typer.Argument(help="Id of the later query.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Compare two results: rows added, removed and changed. The exit status is 3 if one may be incomplete."""
    frame = workspace.queries.diff(before, after)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'difference')}.")
    _exit_for(*(workspace.queries.show(query_id).coverage or Coverage() for query_id in (before, after)))


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
        if uid and not is_usable_uid(uid):
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


plans = typer.Typer(cls=Commands, no_args_is_help=True)


@plans.command("list")
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


@plans.command("show")
@with_workspace
def show_stored_plan(
    workspace: Workspace, plan_id: PlanId, *, form: FormatOption = Format.TABLE, output: OutputOption = None
) -> None:
    """Show a plan again."""
    _show_plan(workspace.plans[plan_id], form, output)


@plans.command("why")
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
    if form is not Format.TABLE or output is not None:
        print_frame(frame, form, output)
        return
    for row in frame.to_dict("records"):
        print_text(_sentence({str(name): value for name, value in row.items()}))


@plans.command("diff")
@with_workspace
def diff_plans(
    workspace: Workspace,
    before: PlanId,
    after: Annotated[str, typer.Argument(help="Id of the later plan.")],
    *,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Compare two plans: the series that only one of them retrieves, and why. Status 3 if one may lack studies."""
    frame = workspace.plans.diff(before, after)
    print_frame(frame, form, output)
    say(f"{counted(len(frame), 'difference')}.")
    _exit_for(*(workspace.plans[plan_id].coverage for plan_id in (before, after)))


def _sentence(row: dict[str, Any]) -> str:
    what = row["SOPInstanceUID"] or row["SeriesInstanceUID"] or row["StudyInstanceUID"]
    judged = f" as {row['group']}" if row["group"] else ""
    decision = "retrieve" if row["keep"] else "do not retrieve"
    stored = "; already stored" if row["here"] else ""
    steps = "".join(f"\n  {step}" for step in row["trail"])
    return f"{row['level']} {what}{judged}: {decision}{stored}. Plan {row['plan_id']}:{steps}"


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
    _show_plan(made, form, output)


def _show_plan(made: Plan, form: Format, output: Path | None = None) -> None:
    """Print a plan and exit with its status."""
    if form is Format.JSON and output is None:
        print_json(made.to_json())
    elif form is Format.TABLE and output is None:
        print_frame(made.studies[_PLAN_SHOWN], form)
        print_frame(made.steps.assign(step=made.steps["step"].map(step_label)), form)
    else:
        print_frame(_rows_of(made), form, output)
    _say_not_found(made.coverage, made.asked.query, filtered=True)
    for note in made.notes:
        say(note)
    say(f"{made.cost_in_words}; {counted(made.coverage.requests or 0, 'request')}; stored as plan {made.plan_id}.")
    again = f"Retrieve it: qrkit retrieve {made.node} --plan {made.plan_id}"
    say(again if made.requests() else "Nothing to retrieve.")
    _exit_for(made.coverage)


def _rows_of(made: Plan) -> pd.DataFrame:
    """Return a plan as one table: a row per series, and one per study whose series were not queried."""
    studies = made.studies.drop(columns=["series", "objects", "trail"])
    series = made.series.drop(columns=["trail"])
    return studies.merge(series, how="left", on=["StudyInstanceUID", "group"], suffixes=("_study", ""))
