"""The process in which a Python handler is called: ``python -m qrkit.handlers.entry package.module:function``.

The series comes as JSON on stdin. The folder of the workspace is on the path, so a module may lie there. Where there
is no such function, the status is `NOT_THERE` and the last line says what is missing: another try would find no more.
"""

from __future__ import annotations

import json
import sys
import traceback
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from qrkit.handlers.run import Series

NOT_THERE = 78  # EX_CONFIG of sysexits.h


def main(entry_point: str, given: str) -> None:
    """Call a function with the series that `given` describes."""
    values: dict[str, Any] = json.loads(given)
    files = tuple(Path(path) for path in values.pop("files"))
    given_as_lists: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    function = _function(entry_point)
    function(Series(**given_as_lists, files=files))


def _function(entry_point: str) -> Any:  # noqa: ANN401 - whatever the site's module has of that name
    module, _, name = entry_point.partition(":")
    try:
        function: Any = reduce(getattr, name.split("."), import_module(module))
    except (ImportError, AttributeError, SyntaxError):
        traceback.print_exc()
        sys.exit(NOT_THERE)
    return function


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read())
