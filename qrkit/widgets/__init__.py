"""Widgets for notebooks and pages: the live progress of a retrieve, and tables to sort and search."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrkit.widgets.job_progress import JobProgress
    from qrkit.widgets.result_table import table

__all__ = ["JobProgress", "table"]

_WHERE = {"JobProgress": "job_progress", "table": "result_table"}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562): the widget libraries take half a second."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
