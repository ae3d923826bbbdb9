"""What happens to a series after it has arrived: handlers that a site registers, as values and pure decisions.

A handler copies the files of a series to a folder, runs a command, sends them on to a node, or calls a Python
function. Which handlers a site has stands in ``[[after]]`` tables of `qrkit.toml`; the worker runs them.
"""

from __future__ import annotations

from qrkit.after.arguments import arguments
from qrkit.after.handler import Handler, chosen, handlers_from
from qrkit.after.pauses import pause_after
from qrkit.after.redaction import redacted
from qrkit.after.rule import Rule
from qrkit.after.run import AfterRun, RunState, summary
from qrkit.after.series import Series, content_of

__all__ = [
    "AfterRun",
    "Handler",
    "Rule",
    "RunState",
    "Series",
    "arguments",
    "chosen",
    "content_of",
    "handlers_from",
    "pause_after",
    "redacted",
    "summary",
]
