"""Programs of a site: run without a shell, within a time limit, with a bounded part of what they print."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from qrkit.errors import HandlerFailed

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
