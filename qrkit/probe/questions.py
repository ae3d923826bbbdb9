"""The questions of a probe and their results as plain values, so that the probe does no I/O itself."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from qrkit.node import InformationModel
from qrkit.profile.subjects import Extension
from qrkit.query.request import Request

AnswerRow = Mapping[str, Any]
"""One response: values by keyword, with the types of the columns; None for a missing value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An association that offers C-ECHO, and C-FIND, C-GET and C-MOVE under every information model."""

    extensions: tuple[Extension, ...] = ()
    """Extensions in the offer for C-FIND."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The result of an offer: the accepted information models of each service."""

    echo: bool = False
    find: tuple[InformationModel, ...] = ()
    get: tuple[InformationModel, ...] = ()
    move: tuple[InformationModel, ...] = ()
    extensions: Mapping[InformationModel, tuple[Extension, ...]] = field(default_factory=dict)
    """Accepted extensions for C-FIND under each information model."""
    failure: str = ""
    """How the association failed; the rest is then empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One C-FIND request, which is cancelled by C-CANCEL after `limit` responses."""

    request: Request
    model: InformationModel
    limit: int
    relational: bool = False
    """Whether the association offers relational queries."""
    what: str = ""
    """Short description for the user."""


class QueryEnd(Enum):
    """How a C-FIND ended: CANCEL_IGNORED by our A-ABORT, LOST by one of the peer, SILENT without a response."""

    SUCCESS = "success"
    CANCELLED = "cancelled"
    FAILED = "failed"
    LOST = "lost"
    SILENT = "silent"
    CANCEL_IGNORED = "deaf"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswers:
    """The responses to a question."""

    rows: tuple[AnswerRow, ...] = ()
    """The responses up to the question's limit."""
    element_counts: Mapping[str, int] = field(default_factory=dict)
    """Number of rows with an element, empty or not, by keyword."""
    undecodable_texts: int = 0
    """Number of rows with text that is not in their character set."""
    count: int = 0
    """Number of responses, including those after C-CANCEL."""
    ended: QueryEnd = QueryEnd.SUCCESS
    was_cancelled: bool = False
    after_cancel: float = 0.0
    """Seconds from C-CANCEL to the end."""
    status: int = 0
    """Status of the last response."""
    failure: str = ""
    """Description of the failure; empty if there was none."""

    @property
    def is_whole(self) -> bool:
        """True if the node returned success without C-CANCEL."""
        return self.ended is QueryEnd.SUCCESS and not self.was_cancelled

    @property
    def is_refusal(self) -> bool:
        """True if there is an error instead of responses."""
        return self.ended in (QueryEnd.FAILED, QueryEnd.LOST, QueryEnd.SILENT) and not self.rows


ProbeSteps = Generator[Question, QueryAnswers, None]
"""A part of a probe: it yields questions and is sent their responses."""
