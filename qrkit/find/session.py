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
from dataclasses import dataclass, field, replace
from statistics import median
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa

from qrkit.dimse.association import Association
from qrkit.dimse.find import find, find_proposals
from qrkit.errors import (
    AssociationAborted,
    Cancelled,
    ConnectionLost,
    LimitReached,
    NodeError,
    NodeTimeout,
    StatusError,
)
from qrkit.find.associations import AssociationPool, Ending
from qrkit.find.windows import Failure, FailureKind, failure_of
from qrkit.node import Node
from qrkit.profile.subjects import NO_HABITS, NodeHabits
from qrkit.query import Load, Request, answer_keywords, identifier
from qrkit.stop import NEVER, Stop
from qrkit.words import counted

if TYPE_CHECKING:
    from qrkit.store.results import Batch, Spool

_SAMPLE = 5
"""Response times that make a figure; no fewer than twice as many are judged."""
_SLOWER = 3.0
_SLOW = 0.5
_SHARE = 0.5
_PAGE = 100
"""Answers that count as much as a request: a long answer does not mean that a node is slow."""
MOST_BACK_OFF = 2.0
"""Seconds that are waited at most because a node answers slower."""

_MOST_BYTES = 1_073_741_824
"""Bytes of the rows of one answer that are kept: what a table in memory may have."""

_MOST_REPEATS = 2
"""How often a request that broke off is sent again."""

_MOST_VAIN = 2
"""Repeated requests in a row that broke off again; then nothing is repeated any more."""

_MOST_ENDLESS = 10
"""Answers in a row that a limit has ended, each after a timeout or very many responses; then no more is asked."""


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
        self.wait()
        return self.start()

    def wait(self) -> None:
        """Wait for the turn of a request."""
        with self._lock:
            now = self.clock()
            gap = max(self.pause, back_off(self._usual, self._latest))
            begins = now if self._last is None or not gap else max(now, self._last + gap)
            self._last = begins
            self.load = replace(self.load, waited=self.load.waited + begins - now)
        if begins > now:
            self.sleep(begins - now)

    def start(self) -> float:
        """Record that a request begins; return when, which `end` wants."""
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
        habits: NodeHabits = NO_HABITS,  # what is known of the node
        patience: float | None = None,
        most_lost: int = 0,
    ) -> None:
        self._node = node
        self._stop = stop.or_when(lambda: self._is_interrupted)
        self._is_interrupted = False
        # keeps answers on disk, also those of a query that is stopped; None: in memory
        self.spool: Spool | None = None
        self._relational = habits.relational
        self._most_lost = most_lost
        self._lost: list[Failure] = []
        self._vain = 0
        self._endless: list[Failure] = []  # answers in a row that did not end by themselves
        self._pool = AssociationPool(
            node,
            calling_ae_title=calling_ae_title,
            stop=stop,
            patience=patience,
            one_request=habits.one_request,
        )
        # keeps the node's pause over all associations, and account of the load
        self.pacing = Pacing(pause=node.pause, sleep=stop.wait)
        # whether the node said of a request that it does not support some optional key (0xFF01)
        self.keys_unsupported = False
        # pending responses that brought no row, by the request that was under way
        self.vain: dict[Request, VainResponses] = {}
        # whether the node has answered a request, of this session or just before
        self.has_answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close(is_failed=kind is not None)

    @property
    def one_request(self) -> str:
        """The evidence that the node answers one request in each association; empty: there is none."""
        return self._pool.evidence

    @property
    def requests(self) -> int:
        """C-FIND requests sent so far."""
        return self.pacing.load.requests

    def forget_lost(self) -> None:
        """Count lost associations from zero again, before requests of another kind."""
        self._lost.clear()

    def try_ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests, or why there is none: each fails for itself.

        What broke off while others were asked is asked again alone, and again as long as more is answered.
        """
        answers = self._all(requests)
        broken = len(requests) + 1
        while self._is_parallel(requests) and 0 < (left := sum(map(_has_broken_off, answers))) < broken:
            broken, self._vain = left, 0  # so far what broke off again may have met what others asked
            answers = [self._repeat(request, answer) for request, answer in zip(requests, answers, strict=True)]
        return answers

    def _all(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        if not self._is_parallel(requests):
            return [self._try_ask(request) for request in requests]
        with ThreadPoolExecutor(min(self._node.associations, len(requests)), thread_name_prefix="find") as pool:
            try:
                return list(pool.map(self._try_ask, requests))
            except BaseException:
                self._is_interrupted = True
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _is_parallel(self, requests: Sequence[Request]) -> bool:
        return len(requests) > 1 and self._node.associations > 1

    def _try_ask(self, request: Request) -> pa.Table | Failure:
        lost, endless = list(self._lost), list(self._endless)
        if self._most_lost and len(lost) >= self._most_lost:
            return lost[-1]
        if len(endless) >= _MOST_ENDLESS:
            return replace(endless[-1], count=0, rows=None)
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
        if isinstance(answer, Failure) and answer.kind is FailureKind.ENDED:
            self._endless.append(answer)
        else:
            self._endless.clear()
        return answer

    def _is_worth_repeating(self, answer: pa.Table | Failure) -> bool:
        """Whether a request that broke off may be answered now."""
        may_be_gone = self._most_lost and (not self.has_answered or len(self._lost) >= self._most_lost)
        if may_be_gone or self._vain >= _MOST_VAIN or self._stop.wanted():
            return False
        return _has_broken_off(answer)

    def _ask_once(self, request: Request, *, is_repeated: bool = False) -> pa.Table | Failure:
        model = self._node.information_model
        keywords = answer_keywords(request, model)
        asked = identifier(request, model, character_set=self._node.character_set)

        def send(association: Association, node: Node) -> pa.Table | Failure:
            begun = self.pacing.start()
            answers = Answers(self.spool, node)
            finding = find(association, asked, keywords, node=node, stop=answers.stop(self._stop))
            finding.keep = answers.add
            try:
                for batch in finding:
                    answers.add(batch)
                return answers.table()
            except NodeError as error:
                return failure_of(error, finding.count, answers.rows)
            except Cancelled:
                if answers.limit is None:
                    raise
                return failure_of(answers.limit, finding.count, answers.rows)
            finally:
                self.keys_unsupported |= finding.keys_unsupported
                if finding.without_identifier or finding.of_another:
                    self.vain[request] = VainResponses(finding.without_identifier, finding.of_another)
                self.pacing.end(begun, finding.count)

        self.pacing.wait()  # before there is an association, which the node might end meanwhile
        proposals = find_proposals(self._node, relational=self._relational)
        try:
            return self._pool.ask(proposals, send, _ending, is_new=is_repeated)
        except NodeError as error:
            return failure_of(error)


def _in_memory(batch: pa.RecordBatch) -> Batch:
    from qrkit.store.results import Batch  # loads DuckDB, which commands that query nothing go without

    return Batch(batch)


class VainResponses(NamedTuple):
    """Numbers of pending responses that brought no row of a request."""

    without_identifier: int = 0
    of_another: int = 0  # they name another request


class Answers:
    """The rows of one answer, batch by batch, up to the node's limits."""

    def __init__(self, spool: Spool | None, node: Node) -> None:
        self._spool = spool
        self._node = node
        self._until = time.monotonic() + node.timeouts.query
        self._batches: list[Batch] = []
        self._size = 0
        self.count = 0  # rows that are kept
        self.limit: LimitReached | None = None  # the limit that was reached

    def stop(self, stop: Stop) -> Stop:
        """Return a token that ends the request at a limit too."""
        return stop.or_when(self._is_beyond)

    def add(self, batch: pa.RecordBatch) -> None:
        """Keep a batch; of one that goes beyond the limit what is within it."""
        room = self._node.most_rows - self.count
        if batch.num_rows > room:
            batch = batch.slice(0, room)
            self._reached(f"more than {self._node.most_rows:,} rows, the limit of the node's settings", "most_rows")
        if batch.num_rows or not self._batches:
            self._batches.append(_in_memory(batch) if self._spool is None else self._spool.add(batch))
        self.count += batch.num_rows
        self._size += batch.nbytes
        if self._size > _MOST_BYTES:
            self._reached(f"more than {_MOST_BYTES:,} bytes in {counted(self.count, 'row')}", "")

    @property
    def rows(self) -> pa.Table | None:
        """The rows so far; None if there are none."""
        return self._table() if self.count else None

    def table(self) -> pa.Table:
        """Return all rows. Raises LimitReached if these are not all."""
        if self.limit is not None:
            raise self.limit
        return self._table()

    def _table(self) -> pa.Table:
        if self._spool is not None:
            return self._spool.table(self._batches)
        return pa.Table.from_batches([batch.content for batch in self._batches])

    def _is_beyond(self) -> bool:
        if time.monotonic() >= self._until:
            seconds = self._node.timeouts.query
            self._reached(f"no end within {seconds:g} seconds, the limit of the node's settings", "query timeout")
        return self.limit is not None

    def _reached(self, what: str, setting: str) -> None:
        advice = f"Narrow the query, or raise the {setting} of the node." if setting else "Narrow the query."
        self.limit = self.limit or LimitReached(f"{self._node.name} sent {what}.", advice=advice)


def _has_broken_off(answer: pa.Table | Failure) -> bool:
    """Whether a request may have broken off by chance, so that nothing smaller is needed."""
    if not isinstance(answer, Failure) or answer.count >= _PAGE:
        return False
    return isinstance(answer.error, (AssociationAborted, ConnectionLost))


def _ending(answer: pa.Table | Failure) -> Ending:
    if not isinstance(answer, Failure) or isinstance(answer.error, StatusError):
        return Ending.ANSWERED  # a status ends the operation, and the association goes on
    if answer.count or isinstance(answer.error, LimitReached):
        return Ending.CUT
    return Ending.SILENCE if isinstance(answer.error, NodeTimeout) else Ending.NOTHING
