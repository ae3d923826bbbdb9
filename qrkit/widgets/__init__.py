"""What a notebook shows: the live progress of a retrieve, and tables that can be sorted and searched."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrkit.widgets.answer_table import table
    from qrkit.widgets.job_progress import JobProgress

__all__ = ["JobProgress", "table"]

_WHERE = {"JobProgress": "job_progress", "table": "answer_table"}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562): the widget libraries take half a second."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
