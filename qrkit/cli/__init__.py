"""The command line: `qrkit`, thin over `qrkit.Workspace`.

Exit status: 0 done and complete; 1 a failure, said in one line on stderr; 2 wrong usage; 3 done but not complete;
141 the reader of the output has closed it, as ``| head`` does.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress

NOT_COMPLETE = 3
INTERRUPTED = 130
"""The exit status that shells give to what Ctrl-C ended: 128 and the number of SIGINT."""


def main() -> None:
    """Run `qrkit`; Ctrl-C ends it without a traceback, also while it is still being loaded.

    Nothing that is loaded becomes garbage. So Python collects none until the workspace is open, see
    `qrkit.cli.options.loaded`, which took a quarter of the time of a short command. It collects at the end: DuckDB
    reports each of its objects that is left over then.
    """
    gc.disable()
    try:
        from qrkit.cli.app import run

        status = run()
    except KeyboardInterrupt:
        status = INTERRUPTED
        with suppress(OSError):
            print("qrkit: Interrupted.", file=sys.stderr)  # noqa: T201 - the one line of an error
    sys.exit(status)
