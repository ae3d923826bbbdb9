"""How a query is split until nothing of its answer can be missing, without any I/O."""

from __future__ import annotations

from qrkit.find.windows.caps import Caps, cap_reason, looks_capped
from qrkit.find.windows.driver import WindowSteps, ask_in_windows
from qrkit.find.windows.results import (
    Failure,
    FailureKind,
    Row,
    WindowAnswer,
    WindowRecord,
    WindowsResult,
    failure_of,
    row_keys,
    window_answer,
)
from qrkit.find.windows.state import WindowContext

__all__ = [
    "Caps",
    "Failure",
    "FailureKind",
    "Row",
    "WindowAnswer",
    "WindowContext",
    "WindowRecord",
    "WindowSteps",
    "WindowsResult",
    "ask_in_windows",
    "cap_reason",
    "failure_of",
    "looks_capped",
    "row_keys",
    "window_answer",
]
