"""The process in which a Python handler is called: ``python -m qrkit.handlers.entry package.module:function``.

It reads the series as JSON from stdin. The workspace folder is on the path, so it may contain the module. If the
function does not exist, the exit status is `NOT_FOUND` and the last line names what is missing; a retry is useless.
"""

from __future__ import annotations

import json
import sys
import traceback
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from qrkit.jobs.handler_run import ReceivedSeries

NOT_FOUND = 78  # EX_CONFIG of sysexits.h


def main(entry_point: str, given: str) -> None:
    """Call a function with the series that `given` describes."""
    values: dict[str, Any] = json.loads(given)
    files = tuple(Path(path) for path in values.pop("files"))
    given_as_lists: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    function = _function(entry_point)
    function(ReceivedSeries(**given_as_lists, files=files))


def _function(entry_point: str) -> Any:  # noqa: ANN401 - any attribute of the site's module
    module, _, name = entry_point.partition(":")
    try:
        function: Any = reduce(getattr, name.split("."), import_module(module))
    except (ImportError, AttributeError, SyntaxError):
        traceback.print_exc()
        sys.exit(NOT_FOUND)
    return function


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read())
