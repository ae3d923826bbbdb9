"""What a handler is given: the series with its files, and how long it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from qrkit.errors import Cancelled, HandlerFailed
from qrkit.handlers.handler import Handler
from qrkit.handlers.run import Series
from qrkit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSend:
    """How a file is announced by C-STORE; in the order of the series' files."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt of one handler at one series.

    Attributes
    ----------
    run_id
        Of the run; no other attempt of any worker has it at the same time.
    private
        Values of the patient, which are kept out of what is logged; None: not known, so nothing is logged.
    deadline
        On `time.monotonic`, when its time is over.
    is_stopping
        Whether the worker stops.
    """

    run_id: int
    handler: Handler
    series: Series
    objects: tuple[ToSend, ...]
    settings: Settings
    private: tuple[str, ...] | None
    deadline: float
    is_stopping: Callable[[], bool]

    def check(self) -> None:
        """End the attempt if it has to end.

        Raises
        ------
        Cancelled
            If the worker stops.
        HandlerFailed
            If its time is over.
        """
        if self.is_stopping():
            raise Cancelled("The worker stops.")
        if time.monotonic() > self.deadline:
            raise HandlerFailed(
                f"It took longer than {self.handler.time_limit:g} seconds, and was ended.",
                advice=f"If it needs longer, raise time_limit of handler {self.handler.name} in qrkit.toml.",
            )
