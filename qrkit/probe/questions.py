"""What a probe asks, and what it hears: plain values, so that it does no I/O itself."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from qrkit.node import InformationModel
from qrkit.profile.subjects import Extension
from qrkit.query.request import Request

AnswerRow = Mapping[str, Any]
"""One answer: values by keyword, typed as the columns of answers are; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An association that offers everything: C-ECHO, and C-FIND, C-GET and C-MOVE under every information model.

    Attributes
    ----------
    extensions
        Offered for C-FIND.
    """

    extensions: tuple[Extension, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What came of an offer.

    Attributes
    ----------
    echo
        Whether C-ECHO was accepted.
    find, get, move
        Information models accepted for each.
    extensions
        Those accepted under each information model, for C-FIND.
    failure
        How the association failed; then the rest says nothing.
    """

    echo: bool = False
    find: tuple[InformationModel, ...] = ()
    get: tuple[InformationModel, ...] = ()
    move: tuple[InformationModel, ...] = ()
    extensions: Mapping[InformationModel, tuple[Extension, ...]] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One C-FIND request, cancelled by C-CANCEL after `limit` answers.

    Attributes
    ----------
    relational
        Whether its association offers relational queries.
    what
        What is asked for, for people.
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
    """The answers to a question.

    Attributes
    ----------
    rows
        The answers, at most as many as the question's limit.
    held
        How many of them held an element, empty or not, by keyword.
    odd_texts
        How many of them have text that is not in the character set that they name.
    count
        How many answers came, those after C-CANCEL included.
    was_cancelled
        Whether C-CANCEL was sent.
    after_cancel
        Seconds from C-CANCEL to the end.
    status
        Of the last response.
    failure
        A sentence on what went wrong; empty if nothing did.
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
        """Whether the node says that this is all, and was not cut short by us."""
        return self.ended is QueryEnd.SUCCESS and not self.was_cancelled

    @property
    def is_refusal(self) -> bool:
        """Whether it is an error instead of answers."""
        return self.ended in (QueryEnd.FAILED, QueryEnd.LOST, QueryEnd.SILENT) and not self.rows


ProbeSteps = Generator[Question, QueryAnswers, None]
"""A part of a probe: yields questions, is sent what was heard."""
