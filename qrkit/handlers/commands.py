"""Handlers that run programs: a command of the site, or a Python function in a separate process.

Programs run without a shell and within a time limit. The end of their output is logged without patient data.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

from qrkit.advice import Action, Advice
from qrkit.character_sets import encodings_of, read_text
from qrkit.errors import HandlerFailed
from qrkit.handlers.command_line import arguments, redacted
from qrkit.handlers.entry import NOT_FOUND
from qrkit.handlers.handler import Task

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)

OUTPUT_LIMIT = 8_192
"""Bytes stored from the end of a program's output."""

_LOOK = 0.25
_GRACE = 2.0
_SECRETS = ("QRKIT_DATABASE_URL",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramResult:
    """The exit status of a program and the end of its output, stdout and stderr together."""

    status: int
    output: str


def run_program(
    command: Sequence[str], *, folder: Path, check: Callable[[], None], given: bytes | None = None
) -> ProgramResult:
    """Run a program in a folder to its end; `given` is its stdin.

    An exception of `check`, called four times a second, ends it with its child processes. Raise `HandlerFailed` if it
    cannot be started.
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
    return ProgramResult(status=status, output=output.text)


class _Tail:
    """Reads the output of a program and stores its end."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe = pipe
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace").strip()

    def close(self) -> None:
        self._thread.join(_GRACE)  # a remaining child process may hold the pipe open

    def _read(self) -> None:
        if self._pipe is None:
            return
        with self._pipe, suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), OUTPUT_LIMIT):
                self._kept = (self._kept + chunk)[-OUTPUT_LIMIT:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and its child processes."""
    family = []
    with suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
    for member in family:
        with suppress(psutil.Error):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=_GRACE)
    for survivor in alive:
        with suppress(psutil.Error):
            survivor.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


_LAST_LINE = 300


def run_command(task: Task) -> str:
    """Run the command of a handler.

    Raise `HandlerFailed` if it cannot be started, exceeds its time limit, or ends with a status other than 0.
    """
    with tempfile.TemporaryDirectory(prefix="qrkit-handler-") as folder:
        listing = Path(folder) / "files.txt"
        listing.write_text("".join(f"{path}\n" for path in task.series.files), encoding="utf-8")
        series_folder = task.settings.files / task.series.StudyInstanceUID / task.series.SeriesInstanceUID
        command = arguments(task.handler.command, task.series, folder=series_folder, listing=listing)
        return _run(command, task)


def call_function(task: Task) -> str:
    """Call the Python function of a handler in a separate process, so that it cannot delay a retrieve.

    Raise `HandlerFailed` if it raises an exception, exceeds its time limit, or does not exist; the last is permanent.
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
        f"; its output:\n{output}" if output else "",
    )
    if task.handler.call and ended.status == NOT_FOUND:
        raise HandlerFailed(
            f"{task.handler.call} cannot be called{_last_line(output)}.",
            advice=Advice(
                "Correct the function or its name in qrkit.toml, restart the worker and retry the handler run",
                Action.RETRY_HANDLER_RUN,
                "RUN",
            ),
            transient=False,
        )
    if ended.status != 0:
        program = task.handler.call or task.handler.command[0]
        raise HandlerFailed(
            f"{program} ended with status {ended.status}{_last_line(output)}.",
            advice="See the worker's log for its output.",
        )
    return ""


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


_OTHERWISE = ("latin_1",)


def private_values(files: Sequence[Path]) -> tuple[str, ...] | None:
    """Return the patient's values in the first file of a series; they are the same in all its files.

    None if the file cannot be read, so that the values to remove are unknown.
    """
    from pydicom import config, dcmread

    try:
        with config.disable_value_validation():
            dataset = dcmread(files[0], stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            values = [value for keyword in _KEYWORDS for value in _readings(dataset, keyword)]
    except Exception:  # noqa: BLE001 - the handler runs even if the reader fails on a broken object
        logger.info("The first file of a series cannot be read, so the output of its handler is discarded")
        return None
    return tuple(dict.fromkeys(value for value in values if value))


def _readings(dataset: Dataset, keyword: str) -> Iterator[str]:
    """Yield the intended reading of a value, and that of pydicom, which a handler may print."""
    raw = dataset.get_item(keyword).value if keyword in dataset else b""
    if isinstance(raw, bytes):
        named = dataset.get("SpecificCharacterSet") or ""
        terms = [named] if isinstance(named, str) else named
        text, _ = read_text(raw, encodings_of("\\".join(terms)) or _OTHERWISE, _OTHERWISE)
        yield text.strip(" \0")
    yield str(dataset.get(keyword, ""))
