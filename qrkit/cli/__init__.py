"""The command line: `qrkit`, thin over `qrkit.Workspace`.

Exit status: 0 done and complete; 1 a failure, said in one line on stderr; 2 wrong usage; 3 done but not complete.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run `qrkit`."""
    from qrkit.cli.app import run

    sys.exit(run())
