"""``qrkit serve``: the worker in the foreground, or as it is started in the background."""

from __future__ import annotations

import faulthandler
import logging
import signal
import sys
from typing import Annotated

import typer

from qrkit.cli.options import Format, Workspace, with_workspace
from qrkit.cli.output import print_json, say
from qrkit.errors import QrkitError, WorkerError
from qrkit.worker.ending import calm_down, end_for_certain
from qrkit.worker.heaps import keep_heaps_few
from qrkit.worker.logs import log_file, log_to_file
from qrkit.worker.service import Worker

logger = logging.getLogger(__name__)


@with_workspace
def serve(
    workspace: Workspace,
    *,
    idle_exit: Annotated[float | None, typer.Option(min=0, help="After so many seconds without work, leave.")] = None,
    background: Annotated[bool, typer.Option("--background", hidden=True)] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say how the worker is; exit 1 if it is not well.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="Of --check: table or json.")] = Format.TABLE,
) -> None:
    """Run the worker and its Storage SCP, until stopped."""
    if check:
        _check(workspace, form)
        return
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # worker.err, or the journal of the service
    keep_heaps_few()
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
        calm_down()
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
            say(f"Worker of {settings.workspace}; Storage SCP {settings.ae_title} on port {port}.")

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
    """Have a worker end; in a while for certain, as if it was killed, whatever it waits for."""
    end_for_certain()
    worker.stop()
