"""A series that has arrived, as handlers see it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


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
