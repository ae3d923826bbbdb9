"""How a query is split until nothing of its answer can be missing, without any I/O."""

from __future__ import annotations

from qrkit.find.windows.caps import Caps, cap_reason, looks_capped
from qrkit.find.windows.driver import Drive, drive
from qrkit.find.windows.results import Answered, Asked, Driven, Failure, Row, Trouble, answered, failure_of
from qrkit.find.windows.state import Knowledge

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
