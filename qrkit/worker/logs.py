"""The worker's log: lines of JSON, a few files of limited size."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from qrkit.errors import WorkerError
from qrkit.settings import Settings

ERRORS_FILE = "worker.err"

_LAST = 200_000
_SIZE = 5_000_000
_FILES = 5


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
        if path.stat().st_size > _SIZE:
            shutil.copyfile(path, path.with_name(f"{ERRORS_FILE}.1"))
            os.truncate(path, 0)


def last_words(path: Path, *, since: datetime) -> str:
    """Return the message of the last error in a worker's log, and when; empty if there was none since then."""
    try:
        with path.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - _LAST, 0))
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

    Raises
    ------
    WorkerError
        If it cannot be written, as on a disk that is read-only.
    """
    try:
        handler = RotatingFileHandler(path, maxBytes=_SIZE, backupCount=_FILES, encoding="utf-8")
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
