"""One attempt of a handler: the series with its files, and the time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from qrkit.errors import Cancelled, HandlerFailed
from qrkit.handlers.handler import Handler
from qrkit.jobs.handler_run import ReceivedSeries
from qrkit.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SopReference:
    """The SOP Class and Instance of one file, as C-STORE announces it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt of one handler for one series.

    Attributes
    ----------
    run_id
        Identifies the run; no other attempt has it at the same time.
    objects
        In the order of the series' files.
    private
        Values of the patient, which are never logged; None: unknown, so that no output is logged.
    deadline
        End of the time limit on `time.monotonic`.
    is_stopping
        True when the worker stops.
    """

    run_id: int
    handler: Handler
    series: ReceivedSeries
    objects: tuple[SopReference, ...]
    settings: Settings
    private: tuple[str, ...] | None
    deadline: float
    is_stopping: Callable[[], bool]

    def check(self) -> None:
        """Raise if the attempt must end.

        Raises
        ------
        Cancelled
            If the worker stops.
        HandlerFailed
            If the time limit has passed.
        """
        if self.is_stopping():
            raise Cancelled("The worker stops.")
        if time.monotonic() > self.deadline:
            raise HandlerFailed(
                f"The attempt exceeded its time limit of {self.handler.time_limit:g} seconds.",
                advice=f"Raise time_limit of handler {self.handler.name} in qrkit.toml.",
            )
