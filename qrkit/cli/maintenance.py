"""``qrkit serve``, which runs the worker; ``qrkit repair`` and ``qrkit report``."""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qrkit
from qrkit.cli import NOT_COMPLETE
from qrkit.cli.options import Format, WorkspaceOption, folder_given, loaded, with_workspace
from qrkit.cli.output import print_json, say
from qrkit.errors import QrkitError, WorkerError
from qrkit.worker.process import cancel_forced_exit, force_exit_later, limit_malloc_arenas, log_file, log_to_file
from qrkit.worker.service import Worker

if TYPE_CHECKING:
    from qrkit.workspace import Workspace

logger = logging.getLogger(__name__)


def repair(
    *,
    workspace: WorkspaceOption = None,
    thorough: Annotated[bool, typer.Option("--thorough", help="Also compare each object with its SHA-256.")] = False,
    form: Annotated[Format, typer.Option("--format", help="Output format: table or json.")] = Format.TABLE,
) -> None:
    """Repair a damaged workspace while no worker runs. Nothing is deleted."""
    loaded()
    done = qrkit.repair(folder_given(workspace), thorough=thorough)
    if form is Format.JSON:
        print_json(done.to_json())
    for line in str(done).splitlines():
        say(line)
    if not done.is_whole:
        raise typer.Exit(NOT_COMPLETE)


@with_workspace
def report(
    workspace: Workspace,
    name: Annotated[str, typer.Argument(help="Report: query, plan, job, or compare for two queries.")],
    ids: Annotated[
        list[str], typer.Argument(help="Id of the query, plan or job. For compare: the ids of two queries.")
    ],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: NAME-ID.html in this folder.")
    ] = None,
    with_patients: Annotated[
        bool, typer.Option("--with-patients", help="Include the columns that identify patients.")
    ] = False,
) -> None:
    """Write a report on a query, plan or job as one HTML file that works offline."""
    path = output or Path(f"{name}-{'-'.join(text[:8] for text in ids)}.html")
    say(f"Report: {workspace.report(name, *ids, path=path, with_patients=with_patients)}")


@with_workspace
def serve(
    workspace: Workspace,
    *,
    idle_exit: Annotated[float | None, typer.Option(min=0, help="Stop after this many seconds without work.")] = None,
    background: Annotated[bool, typer.Option("--background", hidden=True)] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the running worker. The exit status is 1 if it has a problem.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="Output format of --check: table or json.")] = Format.TABLE,
) -> None:
    """Run the worker and its Storage SCP until stopped."""
    if check:
        _check(workspace, form)
        return
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # worker.err, or the journal of the service
    limit_malloc_arenas()
    handler = log_to_file(log_file(workspace.settings))
    try:
        _run(workspace, idle_exit=idle_exit, background=background)
    except WorkerError:
        raise  # that there is another one is no end of a worker
    except QrkitError as error:
        logger.critical("%s", error)
        raise
    except Exception as error:
        logger.critical("%s: %s", type(error).__name__, error, exc_info=True)
        raise
    finally:
        cancel_forced_exit()
        logging.getLogger("qrkit").removeHandler(handler)
        handler.close()


def _check(workspace: Workspace, form: Format) -> None:
    health = workspace.health()
    if form is Format.JSON:
        print_json(health.to_json())
    for problem in health.problems or ("The worker is well.",):
        say(problem)
    if not health.is_well:
        raise typer.Exit(1)


def _run(workspace: Workspace, *, idle_exit: float | None, background: bool) -> None:
    settings = workspace.settings

    def started(port: int) -> None:
        if not background:
            say(f"Worker of {settings.workspace} runs. Storage SCP {settings.ae_title} listens on port {port}.")

    while True:
        worker = workspace.worker(needs_scp=not background)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _stop(worker))  # noqa: B023 - the worker of this turn is meant
        try:
            worker.run(idle_exit=idle_exit, started=started)
        except WorkerError:
            if background:  # another one was quicker, which is as good
                return
            raise
        # a job that came while this worker left found it still there, and started no other
        if worker.is_stopped or not workspace.has_waiting_jobs():
            return


def _stop(worker: Worker) -> None:
    """Stop a worker. If it still waits for something after a while, it is killed."""
    force_exit_later()
    worker.stop()
