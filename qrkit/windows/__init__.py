"""How a query is split until nothing of its answer can be missing, without any I/O."""

from __future__ import annotations

from qrkit.windows.caps import Caps, cap_reason, looks_capped
from qrkit.windows.driver import Drive, drive
from qrkit.windows.facts import Answered, Failure, Row, Trouble, answered, failure_of
from qrkit.windows.outcome import Asked, Driven
from qrkit.windows.progress import Knowledge

__all__ = [
    "Answered",
    "Asked",
    "Caps",
    "Drive",
    "Driven",
    "Failure",
    "Knowledge",
    "Row",
    "Trouble",
    "answered",
    "cap_reason",
    "drive",
    "failure_of",
    "looks_capped",
]
