"""Sends the requests of a query to a node, over as many associations as it allows, and gathers the answers.

How a node that lets no association in for now is asked again: few tries, growing pauses, within a limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count as numbers
from queue import Empty, SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa

from qrkit.dimse.association import Association, associate
from qrkit.dimse.find import find, find_proposals
from qrkit.errors import Congested, NodeError, StatusError
from qrkit.find.pacing import Pacing
from qrkit.find.windows import Failure, failure_of
from qrkit.node import Node
from qrkit.query import Request, answer_keywords, identifier
from qrkit.stop import NEVER, Stop

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds; the last one goes on."""


class AssociationRetry:
    """One query at a node's door, over all its threads (temporary congestion, local limit exceeded: PS3.8 9.3.4).

    Parameters
    ----------
    limit
        Seconds for which a node is asked again that lets none of our associations in.
    clock
        Of the monotonic kind.
    """

    def __init__(self, limit: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._inside = 0
        self._alone_since: float | None = None
        self._lock = Lock()

    def opened(self) -> None:
        """WindowNote that an association was made."""
        with self._lock:
            self._inside += 1
            self._alone_since = None

    def closed(self) -> None:
        """WindowNote that an association has ended."""
        with self._lock:
            self._inside -= 1

    def pause(self, tries: int) -> float | None:
        """Return after how many seconds to try again after so many tries in vain; None: no more.

        While an association of ours is open, there is always another try.

        >>> [AssociationRetry(6.0, clock=lambda: 0.0).pause(tries) for tries in (1, 4, 5)]
        [0.5, 5.0, None]
        """
        pause = _PAUSES[min(tries, len(_PAUSES)) - 1]
        with self._lock:
            if self._inside:
                return pause
            now = self._clock()
            if self._alone_since is None:
                self._alone_since = now
            return pause if now + pause - self._alone_since <= self._limit else None


_Answer = TypeVar("_Answer")

_TICK = 0.25
"""Seconds after which a query that waits looks whether it shall end."""


class FindSession:
    """Asks one node; its associations stay open until the query ends.

    Parameters
    ----------
    stop
        Ends early what is under way.
    relational
        Offer relational queries, to a node that is known to accept them.
    patience
        Seconds for which a node that lets no association in is asked again; None: its association timeout.

    Attributes
    ----------
    pacing
        Keeps the node's pause over all associations, and account of the load.
    keys_unsupported
        Whether the node said of a request that it does not support some optional key (0xFF01).
    """

    def __init__(
        self,
        node: Node,
        *,
        calling_ae_title: str,
        stop: Stop = NEVER,
        relational: bool = False,
        patience: float | None = None,
    ) -> None:
        self._node = node
        self._calling_ae_title = calling_ae_title
        self._stop = stop
        self._relational = relational
        self._idle: SimpleQueue[Association] = SimpleQueue()
        self._retry = AssociationRetry(node.timeouts.association if patience is None else patience)
        self._stack = ExitStack()
        self.pacing = Pacing(pause=node.pause, sleep=stop.wait)
        self.keys_unsupported = False

    def __enter__(self) -> Self:
        self._stack.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def requests(self) -> int:
        """C-FIND requests sent so far."""
        return self.pacing.load.requests

    def try_ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests, or why there is none: each fails for itself.

        An association on which a request has failed is aborted; the next request opens a new one.
        """
        return self._all(self._try_ask, requests)

    def ask(self, requests: Sequence[Request]) -> list[pa.Table]:
        """Return the answers to requests that do not depend on one another, in their order.

        Raises
        ------
        NodeError
            Of the first request that fails; the others are given up.
        """
        return self._all(self._ask, requests)

    def _all(self, ask: Callable[[Request], _Answer], requests: Sequence[Request]) -> list[_Answer]:
        if len(requests) < 2 or self._node.associations < 2:
            return [ask(request) for request in requests]
        with ThreadPoolExecutor(min(self._node.associations, len(requests)), thread_name_prefix="find") as pool:
            try:
                return list(pool.map(ask, requests))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _ask(self, request: Request) -> pa.Table:
        answer = self._try_ask(request)
        if isinstance(answer, Failure):
            raise answer.error
        return answer

    def _try_ask(self, request: Request) -> pa.Table | Failure:
        try:
            association = self._association()
        except NodeError as error:
            return failure_of(error)
        model = self._node.information_model
        keywords = answer_keywords(request, model)
        asked = identifier(request, model, character_set=self._node.character_set)
        begun = self.pacing.begin()
        count = 0
        try:
            finding = find(association, asked, keywords, node=self._node, stop=self._stop)
            try:
                answers = pa.Table.from_batches(list(finding))
            finally:
                count = finding.count
                self.keys_unsupported |= finding.keys_unsupported
        except StatusError as error:  # the operation has ended, and the association goes on
            self._idle.put(association)
            return failure_of(error, count)
        except NodeError as error:
            self._give_up(association)
            return failure_of(error, count)
        finally:
            self.pacing.end(begun, count)
        self._idle.put(association)
        return answers

    def _association(self) -> Association:
        """Return an association that is free; of a node that lets no more in for now, one that becomes free."""
        proposals = find_proposals(self._node, relational=self._relational)
        for tries in numbers(1):
            with suppress(Empty):
                return self._idle.get_nowait()
            try:
                opened = associate(
                    self._node,
                    proposals,
                    calling_ae_title=self._calling_ae_title,
                    stop=self._stop,
                )
            except Congested:
                pause = self._retry.pause(tries)
                if pause is None:
                    raise
                free = self._one_of_ours(pause)
                if free is not None:
                    return free
            else:
                self._retry.opened()
                return self._stack.enter_context(opened)
        raise AssertionError  # numbers have no end

    def _give_up(self, association: Association) -> None:
        association.abort()
        self._retry.closed()

    def _one_of_ours(self, seconds: float) -> Association | None:
        """Return an association of ours that becomes free within some seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._stop.check()
            with suppress(Empty):
                return self._idle.get(timeout=min(left, _TICK))
        return None
