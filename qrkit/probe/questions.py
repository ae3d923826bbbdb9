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
    """An association that offers everything: C-ECHO, and C-FIND, C-GET and C-MOVE under every information model.

    Attributes
    ----------
    extensions
        Extensions in the offer for C-FIND.
    """

    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The result of an offer.

    Attributes
    ----------
    echo
        Whether C-ECHO was accepted.
    find, get, move
        Accepted information models of each service.
    extensions
        Accepted extensions for C-FIND under each information model.
    failure
        How the association failed; the rest is then empty.
    """

    echo: bool = False
    find: tuple[InformationModel, ...] = ()
    get: tuple[InformationModel, ...] = ()
    move: tuple[InformationModel, ...] = ()
    extensions: Mapping[InformationModel, tuple[Extension, ...]] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One C-FIND request, which is cancelled by C-CANCEL after `limit` responses.

    Attributes
    ----------
    relational
        Whether the association offers relational queries.
    what
        Short description for the user.
    """

    request: Request
    model: InformationModel
    limit: int
    relational: bool = False
    what: str = ""


class QueryEnd(Enum):
    """How a C-FIND ended: with success, cancelled, with a failure status, aborted by the peer, or by its silence.

    DEAF
        C-CANCEL was ignored until we aborted.
    """

    SUCCESS = "success"
    CANCELLED = "cancelled"
    FAILED = "failed"
    LOST = "lost"
    SILENT = "silent"
    CANCEL_IGNORED = "deaf"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswers:
    """The responses to a question.

    Attributes
    ----------
    rows
        The responses up to the question's limit.
    held
        Number of rows with an element, empty or not, by keyword.
    odd_texts
        Number of rows with text that is not in their character set.
    count
        Number of responses, including those after C-CANCEL.
    was_cancelled
        Whether C-CANCEL was sent.
    after_cancel
        Seconds from C-CANCEL to the end.
    status
        Status of the last response.
    failure
        Description of the failure; empty if there was none.
    """

    rows: tuple[AnswerRow, ...] = ()
    element_counts: Mapping[str, int] = field(default_factory=dict)
    undecodable_texts: int = 0
    count: int = 0
    ended: QueryEnd = QueryEnd.SUCCESS
    was_cancelled: bool = False
    after_cancel: float = 0.0
    status: int = 0
    failure: str = ""

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
