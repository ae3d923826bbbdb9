"""Values of handler runs: one run is one handler for one series with one content, from waiting to done or failed.

The state stores runs, the worker performs them, and a handler receives the series.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 3_600, 21_600))
LONGEST_PAUSE = _PAUSES[-1]
"""A run that is due later than this was postponed by a wrong clock."""


class RunState(Enum):
    """The state of a run."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRun:
    """One run, as the state holds it. Times are UTC, ISO 8601."""

    run_id: int
    handler: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    content: str  # identifies the content of the series; see `content_of`
    last_instance_id: int  # the content is the rows of the series in `instances` up to this one
    objects: int  # number of files
    levels: tuple[str, ...]  # levels of the requests that retrieved the series
    job_id: str  # the job that completed the series first
    state: RunState
    attempts: int
    due: str  # time of the next attempt, while the run waits
    created: str
    started: str | None = None
    finished: str | None = None
    error: str = ""  # why the last attempt failed
    note: str = ""  # remarks on a successful run, such as warnings of the receiver

    def to_json(self) -> dict[str, Any]:
        """Return it as the command line prints it with a job."""
        return {
            "run_id": self.run_id,
            "handler": self.handler,
            "StudyInstanceUID": self.StudyInstanceUID,
            "SeriesInstanceUID": self.SeriesInstanceUID,
            "objects": self.objects,
            "state": self.state.value,
            "attempts": self.attempts,
            "due": self.due if self.state is RunState.WAITING else None,
            "finished": self.finished,
            "job_id": self.job_id,
            "error": self.error,
            "note": self.note,
        }


def summary(runs: Sequence[HandlerRun]) -> str:
    """Return the states of runs in a few words; empty if there are none.

    >>> summary([])
    ''
    """
    counts = Counter((run.handler, run.state.value) for run in runs)
    return ", ".join(f"{handler}: {count} {state}" for (handler, state), count in sorted(counts.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSeries:
    """A received series: the argument of a Python handler.

    Attributes
    ----------
    modality, station, description, node
        The values of Modality, StationName, SeriesDescription and sending node in its objects.
    level
        Levels of the requests that retrieved it: STUDY, SERIES or IMAGE.
    job_id
        The job that completed it.
    files
        Its files; both files of a SOP Instance that was received with two contents.
    """

    StudyInstanceUID: str
    SeriesInstanceUID: str
    modality: tuple[str, ...] = ()
    station: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    job_id: str = ""
    files: tuple[Path, ...] = ()


def content_of(objects: Iterable[tuple[str, str]]) -> str:
    """Return an identifier of the content of a series; it changes with each new object and each other byte.

    The objects are SOP Instance UID and SHA-256 of each file, in any order.

    >>> content_of([("1.2", "aa"), ("1.3", "bb")]) == content_of([("1.3", "bb"), ("1.2", "aa")])
    True
    """
    return hashlib.sha256("\n".join(f"{uid} {digest}" for uid, digest in sorted(objects)).encode()).hexdigest()


def pause_after(attempts: int, *, most: int, transient: bool = True) -> timedelta | None:
    """Return the pause before the next attempt; None if there is none.

    Pauses grow: a receiver that restarts gets the series soon, and one that is down for a night gets few attempts.

    Of `most` attempts in total there were some so far; a transient failure may pass without any change.

    >>> [pause_after(tried, most=3) for tried in (1, 2, 3)]
    [datetime.timedelta(seconds=30), datetime.timedelta(seconds=120), None]
    >>> pause_after(1, most=3, transient=False) is None
    True
    """
    if not transient or attempts >= most:
        return None
    return _PAUSES[min(max(attempts, 1), len(_PAUSES)) - 1]
