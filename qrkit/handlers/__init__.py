"""What happens to a series after it has arrived: handlers that a site registers, as values and pure decisions.

A handler copies the files of a series to a folder, runs a command, sends them on to a node, or calls a Python
function. Which handlers a site has stands in ``[[after]]`` tables of `qrkit.toml`; the worker runs them.
"""

from __future__ import annotations

from qrkit.handlers.command_line import arguments, redacted
from qrkit.handlers.handler import Handler, Rule, chosen, handlers_from, pause_after
from qrkit.handlers.run import AfterRun, RunState, Series, content_of, summary

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
