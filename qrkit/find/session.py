"""Sends the requests of a query to a node, over as many associations as it allows, and collects the answers.

The node's pause is kept over all associations; a node that answers ever slower is asked more slowly; one that is
congested is asked again, a few times, with growing pauses. A request whose association breaks off is sent again
over a new one; the answers to all others stay.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import count as numbers
from queue import Empty, SimpleQueue
from statistics import median
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

import pyarrow as pa

from qrkit.dimse.association import Association, associate
from qrkit.dimse.find import find, find_proposals
from qrkit.errors import AssociationAborted, Congested, ConnectionLost, NodeError, StatusError
from qrkit.find.windows import Failure, failure_of
from qrkit.node import Node
from qrkit.query import Load, Request, answer_keywords, identifier
from qrkit.stop import NEVER, Stop

_SAMPLE = 5
"""Response times that make a figure; no fewer than twice as many are judged."""
_SLOWER = 3.0
_SLOW = 0.5
_SHARE = 0.5
_PAGE = 100
"""Answers that count as much as a request: a long answer does not mean that a node is slow."""
MOST_BACK_OFF = 2.0
"""Seconds that are waited at most because a node answers slower."""

_RETRY_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between the tries of an association that the node refuses; the last one is repeated."""

_Answer = TypeVar("_Answer")

_MOST_REPEATS = 2
"""How often a request that broke off is sent again."""

_MOST_VAIN = 2
"""Repeated requests in a row that broke off again; then nothing is repeated any more."""

_TICK = 0.25
"""Seconds after which a waiting query checks whether it should end."""


def back_off(usual: Sequence[float], latest: Sequence[float]) -> float:
    """Return how long to wait before the next request, in seconds.

    Nothing, unless the latest responses took half a second and thrice as long as the usual ones; then half of what
    they took, so that a query takes at most half as long again, and never more than `MOST_BACK_OFF`.

    `usual`, `latest`: seconds of the first responses of a query, and of the last ones.

    >>> back_off([0.1] * 5, [0.2] * 5), back_off([0.1] * 5, [1.0] * 5), back_off([0.1] * 5, [60.0] * 5)
    (0.0, 0.5, 2.0)
    """
    if len(usual) < _SAMPLE or len(latest) < _SAMPLE:
        return 0.0
    now = median(latest)
    return min(MOST_BACK_OFF, now * _SHARE) if now >= max(_SLOW, _SLOWER * median(usual)) else 0.0


@dataclass(slots=True)
class Pacing:
    """Spaces the requests of one query, whatever association and thread they are sent by.

    A request begins no sooner than `pause` seconds after the last one began, and after the last answer ended.
    """

    pause: float = 0.0  # seconds
    # `clock` and `sleep`: of the monotonic kind
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    load: Load = field(default_factory=Load)  # what was asked so far
    _last: float | None = None
    _under_way: int = 0
    _usual: list[float] = field(default_factory=list)
    _latest: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLE))
    _lock: Lock = field(default_factory=Lock)

    def begin(self) -> float:
        """Wait for the turn of a request; return when it begins, which `end` wants."""
        with self._lock:
            now = self.clock()
            gap = max(self.pause, back_off(self._usual, self._latest))
            begins = now if self._last is None or not gap else max(now, self._last + gap)
            self._last = begins
            self.load = replace(self.load, waited=self.load.waited + begins - now)
        if begins > now:
            self.sleep(begins - now)
        with self._lock:
            self._under_way += 1
            busiest = max(self.load.busiest, self._under_way)
            self.load = replace(self.load, requests=self.load.requests + 1, busiest=busiest)
        return self.clock()

    def end(self, begun: float, answers: int) -> None:
        """Record that a request has ended, and with how many answers."""
        with self._lock:
            now = self.clock()
            self._under_way -= 1
            self._last = max(now, self._last or now)
            seconds = self.load.seconds + now - begun
            self.load = replace(self.load, answers=self.load.answers + answers, seconds=seconds)
            per_page = (now - begun) / (1 + answers / _PAGE)
            if len(self._usual) < _SAMPLE:
                self._usual.append(per_page)
            else:
                self._latest.append(per_page)


class AssociationRetry:
    """One query at a node's door, over all its threads (temporary congestion, local limit exceeded: PS3.8 9.3.4).

    A node that lets none of our associations in is asked again for `limit` seconds, by the monotonic `clock`.
    """

    def __init__(self, limit: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._inside = 0
        self._alone_since: float | None = None
        self._lock = Lock()

    def opened(self) -> None:
        """Record that an association was opened."""
        with self._lock:
            self._inside += 1
            self._alone_since = None

    def closed(self) -> None:
        """Record that an association has ended."""
        with self._lock:
            self._inside -= 1

    def pause(self, tries: int) -> float | None:
        """Return the seconds to wait after a number of failed tries; None: do not try again.

        While an association of ours is open, there is always another try.

        >>> [AssociationRetry(6.0, clock=lambda: 0.0).pause(tries) for tries in (1, 4, 5)]
        [0.5, 5.0, None]
        """
        pause = _RETRY_PAUSES[min(tries, len(_RETRY_PAUSES)) - 1]
        with self._lock:
            if self._inside:
                return pause
            now = self._clock()
            if self._alone_since is None:
                self._alone_since = now
            return pause if now + pause - self._alone_since <= self._limit else None


class FindSession:
    """Asks one node; its associations stay open until the query ends.

    A node that accepts no association is tried again for `patience` seconds, by default its association timeout.
    After `most_lost` requests in a row that lost their association or got none, no more is asked; 0 is no limit. With
    a limit, a request that breaks off is sent again only to a node that has answered before, and counts each time.
    """

    def __init__(
        self,
        node: Node,
        *,
        calling_ae_title: str,
        stop: Stop = NEVER,  # ends early what is under way
        relational: bool = False,  # offer relational queries, to a node that is known to accept them
        patience: float | None = None,
        most_lost: int = 0,
    ) -> None:
        self._node = node
        self._calling_ae_title = calling_ae_title
        self._stop = stop
        self._relational = relational
        self._most_lost = most_lost
        self._lost: list[Failure] = []
        self._vain = 0
        self._idle: SimpleQueue[Association] = SimpleQueue()
        self._retry = AssociationRetry(node.timeouts.association if patience is None else patience)
        self._stack = ExitStack()
        # keeps the node's pause over all associations, and account of the load
        self.pacing = Pacing(pause=node.pause, sleep=stop.wait)
        # whether the node said of a request that it does not support some optional key (0xFF01)
        self.keys_unsupported = False
        # whether the node has answered a request, of this session or just before
        self.has_answered = False

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

    def forget_lost(self) -> None:
        """Count lost associations from zero again, before requests of another kind."""
        self._lost.clear()

    def try_ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests, or why there is none: each fails for itself.

        An association on which a request has failed is aborted; the next request opens a new one.
        """
        answers = self._all(self._try_ask, requests)
        if self._is_parallel(requests):
            self._vain = 0  # so far what broke off again may have met what others asked
            answers = [self._repeat(request, answer) for request, answer in zip(requests, answers, strict=True)]
        return answers

    def ask(self, requests: Sequence[Request]) -> list[pa.Table]:
        """Return the answers to requests that do not depend on one another, in their order.

        Raise the `NodeError` of the first request that fails; the others are given up.
        """
        return self._all(self._ask, requests)

    def _all(self, ask: Callable[[Request], _Answer], requests: Sequence[Request]) -> list[_Answer]:
        if not self._is_parallel(requests):
            return [ask(request) for request in requests]
        with ThreadPoolExecutor(min(self._node.associations, len(requests)), thread_name_prefix="find") as pool:
            try:
                return list(pool.map(ask, requests))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _is_parallel(self, requests: Sequence[Request]) -> bool:
        return len(requests) > 1 and self._node.associations > 1

    def _ask(self, request: Request) -> pa.Table:
        answer = self._try_ask(request)
        if isinstance(answer, Failure):
            raise answer.error
        return answer

    def _try_ask(self, request: Request) -> pa.Table | Failure:
        lost = list(self._lost)
        if self._most_lost and len(lost) >= self._most_lost:
            return lost[-1]
        return self._repeat(request, self._ask_counted(request))

    def _repeat(self, request: Request, answer: pa.Table | Failure) -> pa.Table | Failure:
        for _ in range(_MOST_REPEATS):
            if not self._is_worth_repeating(answer):
                break
            answer = self._ask_counted(request, is_repeated=True)
            self._vain = self._vain + 1 if isinstance(answer, Failure) else 0
        return answer

    def _ask_counted(self, request: Request, *, is_repeated: bool = False) -> pa.Table | Failure:
        answer = self._ask_once(request, is_repeated=is_repeated)
        if isinstance(answer, Failure) and not isinstance(answer.error, StatusError):
            self._lost.append(answer)
        else:
            self._lost.clear()
            self.has_answered = True
        return answer

    def _is_worth_repeating(self, answer: pa.Table | Failure) -> bool:
        """Whether a request may have broken off by chance; what breaks off in a long answer needs smaller windows."""
        may_be_gone = self._most_lost and (not self.has_answered or len(self._lost) >= self._most_lost)
        if may_be_gone or self._vain >= _MOST_VAIN or self._stop.wanted() or not isinstance(answer, Failure):
            return False
        return isinstance(answer.error, (AssociationAborted, ConnectionLost)) and answer.count < _PAGE

    def _ask_once(self, request: Request, *, is_repeated: bool = False) -> pa.Table | Failure:
        try:
            association = self._association(is_new=is_repeated)
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

    def _association(self, *, is_new: bool = False) -> Association:
        """Return a free association or a new one; of a congested node, one that becomes free."""
        proposals = find_proposals(self._node, relational=self._relational)
        for tries in numbers(1):
            with suppress(Empty):
                if not is_new:
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
