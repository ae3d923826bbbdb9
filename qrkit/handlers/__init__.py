"""Handlers: programs, functions, copies and transfers that a site runs on each received series.

The ``[[handlers]]`` tables of `qrkit.toml` register them; the worker runs them.
"""

from __future__ import annotations

from qrkit.handlers.command_line import arguments, redacted
from qrkit.handlers.handler import Handler, SeriesCriteria, chosen, handlers_from
from qrkit.jobs.handler_run import HandlerRun, ReceivedSeries, RunState, summary

__all__ = [
    "Handler",
    "HandlerRun",
    "ReceivedSeries",
    "RunState",
    "SeriesCriteria",
    "arguments",
    "chosen",
    "handlers_from",
    "redacted",
    "summary",
]
