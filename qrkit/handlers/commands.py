"""Handlers that are programs: a command of the site, or a Python function in a process of its own.

Programs of a site: run without a shell, within a time limit, with a bounded part of what they print.

Whose objects they are: the values that must not stand in a log.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from qrkit.errors import HandlerFailed
from qrkit.handlers.command_line import arguments, redacted
from qrkit.handlers.entry import NOT_THERE
from qrkit.handlers.task import Task

logger = logging.getLogger(__name__)

OUTPUT_LIMIT = 8_192
"""Bytes at the end of what a program prints that are kept."""

_LOOK = 0.25
_GRACE = 2.0
_SECRETS = ("QRKIT_DATABASE_URL",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended, and the end of what it printed on stdout and stderr together."""

    status: int
    output: str


def run_program(
    command: Sequence[str], *, folder: Path, check: Callable[[], None], given: bytes | None = None
) -> Ended:
    """Run a program to its end.

    Parameters
    ----------
    folder
        Where it runs.
    check
        Asked four times a second; what it raises ends the program and all that it has started.
    given
        What it reads on stdin.

    Raises
    ------
    HandlerFailed
        If it cannot be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - a list from the site's own settings, and no shell
            list(command),
            stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in _SECRETS},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise HandlerFailed(
            f"{command[0]} cannot be started: {error.strerror}.", advice="Check the command in qrkit.toml."
        ) from error
    output = _Tail(process.stdout)
    try:
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(given or b"")
        while True:
            check()
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(_LOOK)
                break
    except BaseException:
        _end(process)
        raise
    finally:
        output.close()
    return Ended(status=status, output=output.text)


class _Tail:
    """Reads what a program prints, and keeps the end of it."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace").strip()

    def close(self) -> None:
        self._thread.join(_GRACE)  # a process that it left behind may hold the pipe open for ever

    def _read(self) -> None:
        if self._pipe is None:
            return
        with self._pipe, suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), OUTPUT_LIMIT):
                self._kept = (self._kept + chunk)[-OUTPUT_LIMIT:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started."""
    family = []
    with suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
    for one in family:
        with suppress(psutil.Error):
            one.terminate()
    _, alive = psutil.wait_procs(family, timeout=_GRACE)
    for one in alive:
        with suppress(psutil.Error):
            one.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


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
    command = [sys.executable, "-m", "qrkit.handlers.entry", task.handler.call]
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


_KEYWORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)


def private_values(files: Sequence[Path]) -> tuple[str, ...] | None:
    """Return the values of the patient in the first of some files of one series, which is the same in all.

    None where it cannot be read, so nobody knows what must not be said.
    """
    from pydicom import config, dcmread

    try:
        with config.disable_value_validation():
            dataset = dcmread(files[0], stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            values = [str(dataset.get(keyword, "")) for keyword in _KEYWORDS]
    except Exception:  # noqa: BLE001 - whatever a broken object does to the reader, the handler still runs
        logger.info("The first file of a series cannot be read, so nothing is kept of what its handler prints")
        return None
    return tuple(value for value in values if value)
