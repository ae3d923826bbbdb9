"""A run: one handler and one series with one content, from waiting to done or failed.

A series that has arrived, as handlers see it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any


class RunState(Enum):
    """Where a run is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterRun:
    """One run, as the state holds it. Times are UTC, ISO 8601.

    Attributes
    ----------
    content
        Stands for the content of the series; see `qrkit.handlers.content_of`.
    last_instance_id
        Of the rows of the series in `instances`, those up to this one are its content.
    objects
        How many files that are.
    levels
        Levels of the requests that brought it.
    job_id
        The job within which the series became complete first.
    due
        When a waiting one is tried next.
    error
        Why the last attempt failed.
    note
        What is to be known of one that worked, such as warnings of a receiver.
    """

    run_id: int
    handler: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    content: str
    last_instance_id: int
    objects: int
    levels: tuple[str, ...]
    job_id: str
    state: RunState
    attempts: int
    due: str
    created: str
    started: str | None = None
    finished: str | None = None
    error: str = ""
    note: str = ""

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


def summary(runs: Sequence[AfterRun]) -> str:
    """Return what became of some runs, in a few words; empty where there are none.

    >>> summary([])
    ''
    """
    counts = Counter((run.handler, run.state.value) for run in runs)
    return ", ".join(f"{handler}: {count} {state}" for (handler, state), count in sorted(counts.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series that is here.

    A Python handler is called with one of these.

    Attributes
    ----------
    modality, station, description, node
        Each value that its objects have of Modality, StationName, SeriesDescription and of the node they came from.
    level
        Levels of the requests that brought it: STUDY, SERIES or IMAGE.
    job_id
        The job within which it became complete.
    files
        Its files; of a SOP Instance that came with two contents, both.
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
    """Return what stands for the content of a series: it changes when an object comes, or comes with other bytes.

    Parameters
    ----------
    objects
        SOP Instance UID and SHA-256 of each file, in any order.

    >>> content_of([("1.2", "aa"), ("1.3", "bb")]) == content_of([("1.3", "bb"), ("1.2", "aa")])
    True
    """
    return hashlib.sha256("\n".join(f"{uid} {digest}" for uid, digest in sorted(objects)).encode()).hexdigest()
