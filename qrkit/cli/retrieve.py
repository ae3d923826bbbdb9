"""``qrkit retrieve`` and ``qrkit jobs``, the progress of a job, and the exit status of what waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from qrkit.cli import INTERRUPTED, NOT_COMPLETE
from qrkit.cli.handlers import handler_names, say_after
from qrkit.cli.options import Commands, Format, FormatOption, OutputOption, with_workspace
from qrkit.cli.output import print_json, print_records, say, stderr
from qrkit.errors import InputError
from qrkit.jobs import ItemRow, JobRow, JobState, PausedBy
from qrkit.jobs.estimate import Rate
from qrkit.words import comma_list, counted, listed, local_time, out_of, volume

if TYPE_CHECKING:
    from qrkit.dose import Budget, Plan
    from qrkit.workspace import Job, Workspace

_OF_JOB = ("job_id", "state", "expected", "stored", "bytes", "proven", "why")
_OF_ITEM = (
    "level",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "state",
    "expected",
    "stored",
    "missing",
    "proven",
    "why",
    "error",
)
_NOTHING: dict[str, object] = {
    "job_id": None,
    "state": "complete",
    "expected": 0,
    "stored": 0,
    "bytes": 0,
    "proven": True,
    "why": [],
    "items": [],
}

_MOST_SHOWN = 10
"""Items that are not complete and that the outcome of a job names."""

_MOST_MISSING = 5
"""Missing objects that the outcome of an item names."""

JobId = Annotated[str, typer.Argument(help="Id of the job.")]


def follow(job: Job) -> JobRow:
    """Show the progress of a job on stderr until it ends; Ctrl-C ends the command, not the job."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[volume]}"),
        TimeRemainingColumn(),
    )
    rate = Rate()
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as bars:
        bar = bars.add_task("retrieve", total=None, volume="")

        told = ""

        def show(status: JobRow) -> None:
            nonlocal told
            if status.reason and status.reason != told and not status.state.is_final:
                say(status.reason)  # so that no user waits without knowing why
            told = status.reason
            rate.add(status.bytes)
            bars.update(
                bar,
                description=status.state.value,
                completed=status.stored,
                total=status.expected or None,
                volume=f"{status.bytes / 1e6:.1f} MB, {rate.per_second / 1e6:.1f} MB/s",
            )

        try:
            return job.wait(on_progress=show)
        except KeyboardInterrupt:
            say(f"Job {job.job_id} continues in the background. Cancel it: qrkit jobs cancel {job.job_id}")
            raise typer.Exit(INTERRUPTED) from None


def exit_for(job: JobRow) -> None:
    """Report how a job ended, and exit: 0 complete, 3 objects missing or not proven, 1 nothing received."""
    stored = f"{out_of(job.stored, job.expected, 'object')} stored"
    say(f"{stored}, {volume(job.bytes)} retrieved: {job.state_in_words}.")
    failed = _say_failed(job)
    for note, count in Counter(item.outcome.note for item in job.items if item.outcome.note).items():
        say(f"{note} ({count} items)" if count > 1 else note)
    if job.doubt:
        say(job.doubt)
    if failed and not any(item.outcome.error for item in failed) and job.error:
        say(job.error_text)
    exit_with_status(job)


def _say_failed(job: JobRow) -> list[ItemRow]:
    """Report the first items that are not complete: the missing objects, the error and the advice; return all."""
    failed = [
        item for item in job.items if item.outcome.state in (JobState.PARTIAL, JobState.FAILED, JobState.CANCELLED)
    ]
    for item in failed[:_MOST_SHOWN]:
        request = item.request
        what = request.SeriesInstanceUID or request.StudyInstanceUID
        missing = _missing(item.outcome.missing)
        say(f"{request.level} {what}: {item.outcome.state.value}{missing}. {item.outcome.error_text}".strip())
    if len(failed) > _MOST_SHOWN:
        say(f"… and {len(failed) - _MOST_SHOWN:,} more: qrkit jobs show {job.job_id} --format json")
    return failed


def _missing(uids: Sequence[str]) -> str:
    """Return how many objects are missing, with the first UIDs.

    >>> _missing(["1.1"]), _missing([])
    (', 1 missing (1.1)', '')
    """
    if not uids:
        return ""
    more = len(uids) - _MOST_MISSING
    return f", {len(uids):,} missing ({listed([*uids[:_MOST_MISSING], *([f'{more:,} more'] if more > 0 else [])])})"


def exit_with_status(job: JobRow) -> None:
    """Exit by how a job ended: 0 complete, 3 objects missing or not proven, 1 failed; 0 while it has not ended."""
    if not job.state.is_final or (job.state is JobState.COMPLETE and job.proven is not False):
        return
    raise typer.Exit(1 if job.state is JobState.FAILED else NOT_COMPLETE)


@with_workspace
def retrieve(
    workspace: Workspace,
    node: Annotated[str, typer.Argument(help="Name of the node.")],
    *,
    study: Annotated[list[str] | None, typer.Option(help="StudyInstanceUIDs, separated by commas.")] = None,
    series: Annotated[list[str] | None, typer.Option(help="SeriesInstanceUIDs, separated by commas.")] = None,
    from_query: Annotated[str, typer.Option(help="Id of a query: retrieve all its rows.")] = "",
    plan: Annotated[str, typer.Option(help="Id of a plan: retrieve its missing objects.")] = "",
    method: Annotated[str, typer.Option(help="Retrieve method: auto, get or move.")] = "auto",
    to: Annotated[
        str, typer.Option(help="Name of a node that receives the objects by C-MOVE, instead of this workspace.")
    ] = "",
    after: Annotated[
        str | None,
        typer.Option(
            help="Handlers to run on received series, separated by commas, or none. Default: the automatic ones."
        ),
    ] = None,
    most_objects: Annotated[
        int,
        typer.Option(
            help="With --plan: refuse a plan with more objects; 0: only the limit in qrkit.toml counts.", min=0
        ),
    ] = 0,
    most_bytes: Annotated[
        int,
        typer.Option(
            help="With --plan: refuse a plan with more bytes; 0: only the limit in qrkit.toml counts.", min=0
        ),
    ] = 0,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Retrieve a plan even if it exceeds a budget, and a plan or query even from another node."
        ),
    ] = False,
    priority: Annotated[int, typer.Option(help="-100 to 100. Jobs with a higher priority run first.")] = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait. The job runs in the background.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Retrieve a plan, studies, series or a query's rows. Exit status 3 if objects are missing or unproven."""
    what = {"study": study or [], "series": series or [], "from_query": from_query, "plan": plan}
    options = {"method": method, "to": to, "after": handler_names(after)}
    from qrkit.dose import Budget

    budget = Budget(objects=most_objects, bytes=most_bytes)
    job = _queued(workspace, node, what, None if yes else budget, **options)
    if isinstance(job, tuple):
        _end_with_nothing(job, form)
        return
    if priority:
        job.prioritise(priority)
    nobody = workspace.nobody_for(job.status.node, one_starts=True)
    if nobody:
        say(nobody)
    if job.status.paused_by is PausedBy.DISK:
        say(job.status.reason)
    if detach:
        say(f"Job {job.job_id} is queued. Follow it: qrkit jobs show {job.job_id}")
        _print(job, form)
        return
    status = follow(job)
    _print(job, form)
    say_after(job)
    exit_for(status)


def _print(job: Job, form: Format) -> None:
    """Print a job for other programs; people read the sentences on stderr."""
    if form is Format.JSON:
        print_json(_job_json(job))
    elif form is not Format.TABLE:
        print_records(job.item_records, form)


def _job_json(job: Job) -> dict[str, Any]:
    """Return the JSON that other programs may rely on; ``qrkit jobs show`` has more."""
    told = job.to_json()
    items = [{name: item[name] for name in _OF_ITEM} for item in told["items"]]
    return {name: told[name] for name in _OF_JOB} | {"items": items}


def _queued(
    workspace: Workspace,
    node: str,
    what: Mapping[str, Any],
    budget: Budget | None,
    **options: Any,  # noqa: ANN401 - as `Workspace.retrieve` takes them
) -> Job | tuple[str, ...]:
    """Queue a retrieve; if the plan or the result is empty, return why it may be incomplete."""
    from qrkit.workspace.retrieve import doubts_of

    studies, all_series = _uids(what["study"]), _uids(what["series"])
    query, plan = what["from_query"], what["plan"]
    if sum(map(bool, (query, plan, studies or all_series))) != 1:
        raise InputError("Select what to retrieve by one of --plan, --study, --series or --from-query.")
    if plan:
        kept = _within(budget, workspace.plans[plan])
        _check_node(f"Plan {kept.plan_id}", kept.node, node, is_confirmed=budget is None)
        return workspace.retrieve(kept, node=node, **options) if kept.requests() else doubts_of(kept)
    if query:
        row = workspace.queries.show(query)
        _check_node(f"Query {row.query_id}", row.node, node, is_confirmed=budget is None)
        rows = workspace.queries.read(query)
        return workspace.retrieve(rows, node=node, **options) if len(rows) else doubts_of(rows)
    return workspace.retrieve_uids(node, study_uids=studies, series_uids=all_series, **options)


def _end_with_nothing(doubts: tuple[str, ...], form: Format) -> None:
    """Report an empty plan or result, and exit with status 3 if it may be incomplete."""
    say("Nothing to retrieve: all objects are already stored, or the selection is empty.")
    for doubt in doubts:
        say(f"{doubt[0].upper()}{doubt[1:]}.")
    if form is Format.JSON:
        print_json(_NOTHING | {"proven": not doubts, "why": list(doubts)})
    if doubts:
        raise typer.Exit(NOT_COMPLETE)


def _within(budget: Budget | None, plan: Plan) -> Plan:
    """Return a plan that is within the budget, or confirmed where there is none."""
    if budget is None:
        return plan.confirmed()
    budget.check(plan.cost)
    return plan


def _check_node(what: str, its_node: str, node: str, *, is_confirmed: bool) -> None:
    """Refuse to retrieve from another node than the one that a plan or query is of, unless that is confirmed."""
    if node != its_node and not is_confirmed:
        raise InputError(
            f"{what} is of node {its_node}, not of node {node}.",
            advice=f"Retrieve from {its_node}, or confirm that {node} has the same studies: --yes.",
        )


def _uids(given: list[str]) -> list[str]:
    return [uid for text in given for uid in comma_list(text)]


jobs = typer.Typer(cls=Commands, no_args_is_help=True)


@jobs.command("list")
@with_workspace
def list_jobs(
    workspace: Workspace,
    *,
    limit: Annotated[int, typer.Option(help="Number of jobs, newest first.", min=1)] = 50,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """List the newest jobs."""
    print_records(workspace.jobs.records(limit), form, output)


@jobs.command("show")
@with_workspace
def show(
    workspace: Workspace,
    job_id: JobId,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job until it ends.")] = False,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
) -> None:
    """Show a job and its items. The exit status is 3 if it ended with objects missing or unproven, 1 if it failed."""
    job = workspace.jobs[job_id]
    status = follow(job) if wait else job.status
    if form is Format.JSON and output is None:
        print_json(job.to_json())
    else:
        print_records(job.item_records, form, output)
    say_after(job)
    if wait:
        exit_for(status)
    else:
        _say_failed(status)
        lines = [
            f"{status.state_in_words}: {out_of(status.stored, status.expected, 'object')} stored.",
            status.doubt,
            status.reason,
        ]
        if status.not_before:
            lines.append(f"Next attempt at {local_time(status.not_before)}.")
        if status.state in (JobState.QUEUED, JobState.RUNNING):
            lines.append(workspace.nobody_for(status.node))
        say(" ".join(filter(None, lines)))
        exit_with_status(status)


@jobs.command("cancel")
@with_workspace
def cancel(workspace: Workspace, job_id: JobId) -> None:
    """Cancel a job. Received objects are kept."""
    workspace.jobs[job_id].cancel()
    say(f"Cancelling job {job_id}.")


@jobs.command("pause")
@with_workspace
def pause(workspace: Workspace, job_id: JobId) -> None:
    """Pause a job. Received objects are kept."""
    workspace.jobs[job_id].pause()
    say(f"Pausing job {job_id}. Resume it: qrkit jobs resume {job_id}")


@jobs.command("resume")
@with_workspace
def resume(workspace: Workspace, job_id: JobId) -> None:
    """Resume a paused job, or retry a waiting one now."""
    workspace.jobs[job_id].resume()
    say(f"Resumed job {job_id}.")


@jobs.command("retry")
@with_workspace
def retry(workspace: Workspace, job_id: JobId) -> None:
    """Retry the items that failed, are incomplete or were cancelled."""
    count = workspace.jobs[job_id].retry()
    say(f"Retrying {counted(count, 'item')} of job {job_id}.")


@jobs.command("prioritise")
@with_workspace
def prioritise(
    workspace: Workspace,
    job_id: JobId,
    priority: Annotated[int, typer.Argument(help="-100 to 100; the default of a job is 0.")],
) -> None:
    """Set the priority of a job. Jobs with a higher priority run first."""
    workspace.jobs[job_id].prioritise(priority)
    say(f"Job {job_id} has priority {priority}.")
