"""The associations over which a node is asked: opened when needed, kept for more requests, replaced when they end.

Some nodes end an association after each answer, or when it is idle: by A-RELEASE, by A-ABORT, by closing the
connection or by silence. So what is not answered over an association that was used before is asked over a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from itertools import count as numbers
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TypeVar

from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal
from qrkit.errors import Congested
from qrkit.node import Node
from qrkit.stop import NEVER, Stop

_RETRY_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between the tries of an association that the node refuses; the last one is repeated."""


_TICK = 0.25
"""Seconds after which a waiting query checks whether it should end."""

_UNPROVEN_PATIENCE = 30.0
"""Seconds for the first answer over a used association, as long as none was ever answered over a used one."""

_MOST_ENDED = 2
"""Used associations in a row that brought nothing, while new ones did; then each request gets its own."""

_Answer = TypeVar("_Answer")


class Ending(Enum):
    """How a request over an association ended.

    ANSWERED
        With a final response: the association goes on.
    CUT
        The association is over, after some answers.
    NOTHING
        The association is over before any answer.
    SILENCE
        No answer came within the timeout.
    """

    ANSWERED = "answered"
    CUT = "cut"
    NOTHING = "nothing"
    SILENCE = "silence"


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


class AssociationPool:
    """The associations with one node; they stay open for the next request, unless it takes one request in each.

    `one_request`: whether that is known. A node that accepts no association is tried again for `patience` seconds.
    """

    def __init__(
        self,
        node: Node,
        *,
        calling_ae_title: str,
        stop: Stop = NEVER,
        patience: float | None = None,
        one_request: bool = False,
    ) -> None:
        self._node = node
        self._calling_ae_title = calling_ae_title
        self._stop = stop
        self._retry = AssociationRetry(node.timeouts.association if patience is None else patience)
        self._idle: SimpleQueue[Association] = SimpleQueue()
        self._open: set[Association] = set()
        self._lock = Lock()
        # whether each request gets an association of its own, from the beginning or by what was seen
        self.one_request = one_request
        self.evidence = ""  # what showed that; empty: nothing did
        self._ended = 0  # used associations in a row that brought nothing while a new one did
        self._is_proven = False  # whether a request was ever answered over a used association
        self._names_requests: bool | None = None  # False: no response names its request (Message ID)
        self._is_slow = False  # whether a new association was as silent as a used one

    def close(self, *, is_failed: bool) -> None:
        """Release all associations; after a failure, abort them."""
        with self._lock:
            left, self._open = self._open, set()
        for association in left:
            if is_failed:
                association.abort()
            else:
                association.release()

    def ask(
        self,
        proposals: Sequence[Proposal],
        send: Callable[[Association, Node], _Answer],
        ending: Callable[[_Answer], Ending],
        *,
        is_new: bool = False,
    ) -> _Answer:
        """Return what `send` returns over an association: a new one if that is wanted, or a used one brings nothing.

        `send` takes an association, and the node with the timeouts to wait. Raise NodeError if there is none.
        """
        before: Ending | None = None  # how it ended over a used association
        while True:
            association, is_used = self._take(proposals, is_new=is_new or self.one_request or before is not None)
            begun = time.monotonic()
            answer = self._over(association, send, ending, is_used=is_used)
            how = ending(answer)
            if not is_used:
                if before is not None:
                    self._compare(before, how, time.monotonic() - begun)
                return answer
            if how in (Ending.ANSWERED, Ending.CUT):
                self._ended, self._is_proven = 0, True
                return answer
            if how is Ending.SILENCE and self._is_slow:
                return answer
            before = how

    def _compare(self, used: Ending, new: Ending, seconds: float) -> None:
        """Learn from a used association that brought nothing, and the new one that was asked after it."""
        if used is Ending.SILENCE and (new is Ending.SILENCE or seconds >= self._hasty().timeouts.response):
            self._is_slow = True
            return
        if new is not Ending.ANSWERED or self.one_request:
            return
        with self._lock:
            self._ended += 1
            ended = self._ended
        if used is Ending.SILENCE or ended >= _MOST_ENDED:
            what = "was not answered" if used is Ending.SILENCE else "broke off"
            self.evidence = f"a further request on an association {what}; on a new association it was answered"
            self.one_request = True
            self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(Empty):
            while True:
                association = self._idle.get_nowait()
                self._leave(association)
                association.release()

    def _over(
        self,
        association: Association,
        send: Callable[[Association, Node], _Answer],
        ending: Callable[[_Answer], Ending],
        *,
        is_used: bool,
    ) -> _Answer:
        is_unproven = is_used and not (self._is_proven or self._is_slow)
        try:
            answer = send(association, self._hasty() if is_unproven else self._node)
        except BaseException:
            self._give_up(association)
            raise
        if ending(answer) is not Ending.ANSWERED:
            self._give_up(association)
        elif self.one_request or association.names_requests is False:
            if association.names_requests is False:  # what comes late would be taken for the next answer
                self._names_requests = False
            self._leave(association)
            association.release()
        else:
            self._idle.put(association)
        return answer

    def _hasty(self) -> Node:
        timeouts = self._node.timeouts
        response = min(timeouts.response, _UNPROVEN_PATIENCE)
        return replace(self._node, timeouts=replace(timeouts, response=response))

    def _take(self, proposals: Sequence[Proposal], *, is_new: bool) -> tuple[Association, bool]:
        """Return a free association or a new one, and whether it was used; a congested node's that becomes free."""
        for tries in numbers(1):
            with suppress(Empty):
                if not is_new:
                    return self._idle.get_nowait(), True
            try:
                opened = associate(self._node, proposals, calling_ae_title=self._calling_ae_title, stop=self._stop)
            except Congested:
                pause = self._retry.pause(tries)
                if pause is None:
                    raise
                free = self._one_of_ours(pause)
                if free is not None:
                    return free, True
            else:
                opened.names_requests = self._names_requests
                self._retry.opened()
                with self._lock:
                    self._open.add(opened)
                return opened, False
        raise AssertionError  # numbers have no end

    def _one_of_ours(self, seconds: float) -> Association | None:
        """Return an association of ours that becomes free within some seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._stop.check()
            with suppress(Empty):
                return self._idle.get(timeout=min(left, _TICK))
        return None

    def _give_up(self, association: Association) -> None:
        association.abort()
        self._leave(association)

    def _leave(self, association: Association) -> None:
        with self._lock:
            self._open.discard(association)
        self._retry.closed()
