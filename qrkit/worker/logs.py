"""The worker's log: lines of JSON, a few files of limited size."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

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


def log_to_file(path: Path) -> logging.Handler:
    """Have qrkit's log written to a file of the worker's own, rotated at 5 MB; return its handler."""
    handler = RotatingFileHandler(path, maxBytes=_SIZE, backupCount=_FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("qrkit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler
