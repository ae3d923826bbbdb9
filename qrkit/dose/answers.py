"""Answers the needs of a plan: from the cache, otherwise by C-FIND over several associations.

A failure on one study does not fail the plan, and all answers are stored even if the node fails later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from qrkit.dose.cache import AnswerCache
from qrkit.dose.facts import Answer, Need, Unanswered
from qrkit.dose.requests import NeedRequests
from qrkit.errors import AssociationAborted, ConnectionLost, NodeError, NodeTimeout, StatusError
from qrkit.find.session import FindSession
from qrkit.node import Node
from qrkit.query import Request
from qrkit.stop import NEVER, Stop

AT_ONCE = 64
"""Requests in one batch; small, so that a failure repeats few of them and a stop takes effect soon."""

_PATIENCE = 3
"""Consecutive requests that may lose the association before the node counts as unreachable."""


class AnswerSession:
    """Answers needs by C-FIND.

    Parameters
    ----------
    need_requests
        Turns needs into requests.
    cache
        Earlier answers.
    keep
        Stores the new answers at the end.
    stop
        Ends early what is under way.
    """

    def __init__(
        self,
        node: Node,
        need_requests: NeedRequests,
        cache: AnswerCache,
        *,
        keep: Callable[[Mapping[Need, Answer]], None],
        calling_ae_title: str,
        stop: Stop = NEVER,
    ) -> None:
        self._need_requests = need_requests
        self._cache = cache
        self._keep = keep
        self._stop = stop
        self._asked: dict[Need, Answer] = {}
        self._session = FindSession(
            node,
            calling_ae_title=calling_ae_title,
            stop=stop,
            relational=need_requests.offers_relational,
        )

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)
        if self._asked:
            self._keep(self._asked)

    @property
    def requests(self) -> int:
        """Number of C-FIND requests sent."""
        return self._session.requests

    def answer(self, needs: Sequence[Need]) -> Mapping[Need, Answer]:
        """Return the answers to needs.

        Raises
        ------
        NodeError
            If the node is no longer reachable.
        Cancelled
            If `stop` wants it.
        """
        answers = self._cache.recall(needs)
        rest = [need for need in needs if need not in answers]
        if rest:
            asked = self._ask_for(rest)
            self._asked |= asked
            answers |= asked
        return answers

    def _ask_for(self, needs: Sequence[Need]) -> Mapping[Need, Answer]:
        asking = self._need_requests.requests_for(needs)
        try:
            requests = next(asking)
            while True:
                replies: list[Any] = []
                for start in range(0, len(requests), AT_ONCE):
                    replies += self._ask(requests[start : start + AT_ONCE])
                requests = asking.send(replies)
        except StopIteration as end:
            answers: Mapping[Need, Answer] = end.value
            return answers

    def _ask(self, requests: Sequence[Request]) -> list[Any]:
        """Return a table or the failure for each request; repeat a failed batch one by one."""
        self._stop.check()
        try:
            return list(self._session.ask(requests))
        except _FAILED:
            return self._one_by_one(requests)

    def _one_by_one(self, requests: Sequence[Request]) -> list[Any]:
        replies: list[Any] = []
        broken = 0
        for request in requests:
            try:
                replies += self._session.ask([request])
                broken = 0
            except StatusError as error:
                replies.append(Unanswered(error.message))
                broken = 0
            except _BROKEN as error:
                broken += 1
                if broken == _PATIENCE:
                    raise
                replies.append(Unanswered(error.message))
        return replies


_BROKEN: tuple[type[NodeError], ...] = (AssociationAborted, ConnectionLost, NodeTimeout)
_FAILED: tuple[type[NodeError], ...] = (StatusError, *_BROKEN)
