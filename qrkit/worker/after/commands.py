"""Handlers that are programs: a command of the site, or a Python function in a process of its own."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from qrkit.after import arguments, redacted
from qrkit.errors import HandlerFailed
from qrkit.worker.after.entry import NOT_THERE
from qrkit.worker.after.processes import Ended, run_program
from qrkit.worker.after.task import Task

logger = logging.getLogger(__name__)

_LAST_LINE = 300


def run_command(task: Task) -> str:
    """Run the command of a handler.

    Raises
    ------
    HandlerFailed
        If it cannot be started, takes too long, or ends with another status than 0.
    """
    with tempfile.TemporaryDirectory(prefix="qrkit-after-") as folder:
        listing = Path(folder) / "files.txt"
        listing.write_text("".join(f"{path}\n" for path in task.series.files), encoding="utf-8")
        series_folder = task.settings.files / task.series.StudyInstanceUID / task.series.SeriesInstanceUID
        command = arguments(task.handler.command, task.series, folder=series_folder, listing=listing)
        return _run(command, task)


def call_function(task: Task) -> str:
    """Call the Python function of a handler in a process of its own, so that nothing it does holds up a retrieve.

    Raises
    ------
    HandlerFailed
        If it raises something, or takes too long; not for now only, if there is no such function.
    """
    series = asdict(task.series) | {"files": [str(path) for path in task.series.files]}
    command = [sys.executable, "-m", "qrkit.worker.after.entry", task.handler.call]
    return _run(command, task, given=json.dumps(series).encode())


def _run(command: list[str], task: Task, *, given: bytes | None = None) -> str:
    ended = run_program(command, folder=task.settings.workspace, check=task.check, given=given)
    output = "" if task.private is None else redacted(ended.output, task.private)
    logger.log(
        logging.INFO if ended.status == 0 else logging.WARNING,
        "Handler %s, series %s, ended with status %d%s",
        task.handler.name,
        task.series.SeriesInstanceUID,
        ended.status,
        f"; it printed:\n{output}" if output else "",
    )
    if task.handler.call and ended.status == NOT_THERE:
        raise HandlerFailed(
            f"{task.handler.call} cannot be called{_last_line(output)}.",
            advice="Mend the function, or its name in qrkit.toml and start the worker again; then qrkit after retry.",
            transient=False,
        )
    if ended.status != 0:
        raise HandlerFailed(_said(ended, output, task), advice="The worker's log has what it printed.")
    return ""


def _said(ended: Ended, output: str, task: Task) -> str:
    program = task.handler.call or task.handler.command[0]
    return f"{program} ended with status {ended.status}{_last_line(output)}."


def _last_line(output: str) -> str:
    last = output.splitlines()[-1].strip()[:_LAST_LINE] if output else ""
    return last and f": {last}"
