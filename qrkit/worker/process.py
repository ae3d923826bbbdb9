"""The process of a worker: started in the background, limited in memory, forced to exit if it hangs; and its log.

A worker in the background outlives the notebook that started it. After a forced exit the next worker takes over its
items, as after any death. glibc gives each thread a malloc arena of its own, up to eight for each processor, and free
memory in one is of no use to the others, so a worker that runs for months would grow. Two arenas are enough for
threads that wait for one another anyway (measured: `docs/deployment.md`).

The log is lines of JSON, in a few files of limited size.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import logging
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from qrkit.advice import Action, Advice
from qrkit.errors import WorkerError
from qrkit.settings import Settings
from qrkit.store.workers import WorkerTable

_BOOT = 10.0
"""Seconds that a worker may take from its start until it holds the lock, before another one is started."""

_SOON = 60.0
"""Seconds within which the end of a worker is taken for a failed start."""

_failures: dict[Path, int] = {}
_TRIES = 2
"""Number of failed starts of a worker in a row before an error is raised."""

_started: list[_StartedProcess] = []
"""Those that still run; a station may have two for a moment, of which one finds the lock held and ends."""

LEAVES_WITHIN = 30.0
"""Seconds until the forced exit, with status 1."""

_M_ARENA_MAX = -8
"""As glibc's malloc.h has it."""

_MALLOC_ARENAS = 2

ERRORS_FILE = "worker.err"

_LAST_WORDS = 200_000
"""Bytes at the end of the log that are searched for the last error."""

_LOG_SIZE = 5_000_000
_LOG_FILES = 5


@dataclass(frozen=True, slots=True)
class _StartedProcess:
    """A worker that this process has started: of which station, and when."""

    lock: Path
    process: subprocess.Popen[bytes]
    since: float


def lock_path(workspace: Path, site: str = "") -> Path:
    """Return the file whose lock the worker of this station holds; of one machine, each site is a station."""
    return workspace / f"worker-{socket.gethostname()}{f'-{site}' if site else ''}.lock"


def is_running(workspace: Path, site: str = "") -> bool:
    """Whether a worker of this station runs the workspace: it holds the lock as long as it runs."""
    lock = FileLock(lock_path(workspace, site))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def ensure_worker(settings: Settings, workers: WorkerTable) -> bool:
    """Start a worker in the background unless one runs; return whether one was started.

    Two starts at once do no harm: one worker gets the lock, the other ends. A worker that is ending and no longer
    holds the lock does not count as running.

    Raise `WorkerError` if it cannot be started or has ended by an error each time, `StoreError` if the state cannot
    be read.
    """
    _look_after_started()
    lock = lock_path(settings.workspace, settings.site)
    if _failures.get(lock, 0) >= _TRIES:
        del _failures[lock]
        raise WorkerError(
            f"The worker ends as soon as it starts, so what is queued waits: {_last_words(settings.workspace)}",
            advice=Advice("Correct the cause. To see the error, start a worker yourself", Action.START_WORKER),
        )
    try:
        with FileLock(lock.with_suffix(".starting.lock"), timeout=0):
            if _is_booting(lock, settings, workers) or is_running(settings.workspace, settings.site):
                return False
            process = _start(settings)
            with suppress(OSError):  # then another process may start one too, which does no harm
                _mark(lock).write_text(str(process.pid), encoding="ascii")
    except Timeout:  # another process is starting one
        return False
    _started.append(_StartedProcess(lock, process, time.monotonic()))
    return True


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "qrkit.cli",
        "serve",
        "--background",
        "--idle-exit",
        str(settings.worker_idle_exit),
    ]
    keep_errors_small(settings.workspace)
    try:
        with errors_file(settings.workspace).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own program, with arguments of ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=settings.workspace,
                env=_environment(settings),
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
    except OSError as error:
        raise WorkerError(
            f"The worker cannot be started: {error}.", advice=Advice("Start it yourself", Action.START_WORKER)
        ) from error


def _mark(lock: Path) -> Path:
    """Return the file that has the process id of the worker of this station that was started last."""
    return lock.with_suffix(".starting")


def _is_booting(lock: Path, settings: Settings, workers: WorkerTable) -> bool:
    """Whether a worker of this station was just started and does not hold its lock yet."""
    try:
        age = time.time() - _mark(lock).stat().st_mtime
        pid = int(_mark(lock).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    if not 0 <= age < _BOOT or not is_process_alive(pid):
        return False
    last = workers.last(socket.gethostname(), settings.site)
    return last is None or last.pid != pid


def is_process_alive(pid: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _look_after_started() -> None:
    """Forget ended workers, and count those that failed, since the next one would fail too."""
    for one in list(_started):
        status = one.process.poll()
        if status is not None:
            with suppress(ValueError):  # another thread has looked too
                _started.remove(one)
            is_failure = status > 0 and time.monotonic() - one.since < _SOON
            _failures[one.lock] = _failures.get(one.lock, 0) + 1 if is_failure else 0


def _last_words(workspace: Path) -> str:
    try:
        lines = errors_file(workspace).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.removeprefix("qrkit: ") for line in reversed(lines) if line.strip()), "no message.")


def _environment(settings: Settings) -> dict[str, str]:
    # The role belongs to the user who started the worker, and the worker serves all users.
    inherited = {name: value for name, value in os.environ.items() if name != "QRKIT_ROLE"}
    return inherited | settings.environment()


def force_exit_later() -> None:
    """End this process in a while, whatever it waits for, unless `cancel_forced_exit` is called before.

    It does not need a thread of ours, which a hanging database, disk or lock would block too. The stack of every
    thread is written to worker.err or the journal of the service.
    """
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(LEAVES_WITHIN, exit=True, file=sys.__stderr__)


def cancel_forced_exit() -> None:
    """Cancel the forced exit of this process."""
    faulthandler.cancel_dump_traceback_later()


def limit_malloc_arenas() -> bool:
    """Limit the malloc arenas for threads started from now on; return whether the C library supports it.

    A value of MALLOC_ARENA_MAX in the environment is left as it is.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _MALLOC_ARENAS))


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, message, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_file(settings: Settings) -> Path:
    """Return the log of this station's worker, which names the station where workers may share the folder.

    Two that write and rotate the same file would lose each other's lines.
    """
    station = "-".join(filter(None, (socket.gethostname(), settings.site)))
    shared = settings.database_url or settings.site
    return settings.workspace / (f"worker-{station}.log" if shared else "worker.log")


def errors_file(folder: Path) -> Path:
    """Return the file for the output of a background worker."""
    return folder / ERRORS_FILE


def keep_errors_small(folder: Path) -> None:
    """Move the output of background workers to a second file once it is large.

    Workers keep the file open and append to it, so it is copied and emptied, not renamed.
    """
    path = errors_file(folder)
    with suppress(OSError):  # there is none, or on Windows: it is in use
        if path.stat().st_size > _LOG_SIZE:
            shutil.copyfile(path, path.with_name(f"{ERRORS_FILE}.1"))
            os.truncate(path, 0)


def last_words(path: Path, *, since: datetime) -> str:
    """Return the message of the last error in a worker's log, and when; empty if there was none since then."""
    try:
        with path.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _LAST_WORDS, 0))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError):  # the first may be cut, the last half written
            told = json.loads(line)
            if told["level"] == "critical" and datetime.fromisoformat(told["time"]) >= since:
                return f"{told['time'][:19]}Z: {told['message']}"
    return ""


def log_to_file(path: Path) -> logging.Handler:
    """Have qrkit's log written to a file of the worker's own, rotated at 5 MB; return its handler.

    Raise `WorkerError` if it cannot be written, as on a disk that is read-only.
    """
    try:
        handler = RotatingFileHandler(path, maxBytes=_LOG_SIZE, backupCount=_LOG_FILES, encoding="utf-8")
    except OSError as error:
        raise WorkerError(
            f"The worker's log, {path}, cannot be written: {error.strerror}.",
            advice="Check that the disk of the workspace can be written, then start the worker again.",
        ) from error
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("qrkit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler
