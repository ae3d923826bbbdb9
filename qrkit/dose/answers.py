"""Answers the needs of a plan: from the cache, otherwise by C-FIND over several associations.

A failure on one study does not fail the plan, and all answers are stored even if the node fails later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from qrkit.dose.cache import AnswerCache
from qrkit.dose.facts import Answer, Need
from qrkit.dose.requests import NeedRequest, NeedRequests
from qrkit.find.session import FindSession
from qrkit.find.windowed import WindowedAnswer, WindowedFind
from qrkit.find.windows import FailureKind, failure_of
from qrkit.stop import NEVER, Stop

AT_ONCE = 64
"""Requests in one batch; small, so that a stop and the loss of the node take effect soon."""

PATIENCE = 3
"""Consecutive requests that may lose the association before the node counts as unreachable."""


class AnswerSession:
    """Answers needs by C-FIND.

    Parameters
    ----------
    session
        The associations with the node; the block that opens this session opens them.
    find
        Asks over them, and learns from the answers.
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
        session: FindSession,
        find: WindowedFind,
        need_requests: NeedRequests,
        cache: AnswerCache,
        *,
        keep: Callable[[Mapping[Need, Answer]], None],
        stop: Stop = NEVER,
    ) -> None:
        self._session = session
        self.find = find
        self._need_requests = need_requests
        self._cache = cache
        self._keep = keep
        self._stop = stop
        self._asked: dict[Need, Answer] = {}
        self._lost = 0

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
        self._need_requests.learn(answers.values())
        return answers

    def _ask_for(self, needs: Sequence[Need]) -> Mapping[Need, Answer]:
        asking = self._need_requests.requests_for(needs)
        try:
            requests = next(asking)
            while True:
                replies: list[WindowedAnswer] = []
                for start in range(0, len(requests), AT_ONCE):
                    replies += self._ask(requests[start : start + AT_ONCE])
                requests = asking.send(replies)
        except StopIteration as end:
            answers: Mapping[Need, Answer] = end.value
            return answers

    def _ask(self, requests: Sequence[NeedRequest]) -> list[WindowedAnswer]:
        """Return the result of each request, or its error.

        Raises
        ------
        NodeError
            If the node is away, or has broken off several requests in a row.
        """
        self._stop.check()
        self._session.forget_lost()
        replies = self.find.try_ask([one.request for one in requests], [one.has_all for one in requests])
        for reply in replies:
            kind = None if reply.error is None else failure_of(reply.error).kind
            self._lost = self._lost + 1 if kind is FailureKind.BROKEN else 0
            if reply.error is not None and (kind is FailureKind.AWAY or self._lost == PATIENCE):
                raise reply.error
        return replies
