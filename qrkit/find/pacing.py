"""How fast a node is asked: its pause over all associations of a query, and slower while it answers ever slower."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from threading import Lock

from qrkit.query import Load

_SAMPLE = 5
"""Response times that make a figure; no fewer than twice as many are judged."""
_SLOWER = 3.0
_SLOW = 0.5
_SHARE = 0.5
_PAGE = 100
"""Answers that are taken to cost as much as a request: a long answer is no sign of a slow node."""
MOST_BACK_OFF = 2.0
"""Seconds that are waited at most because a node answers slower."""


def back_off(usual: Sequence[float], latest: Sequence[float]) -> float:
    """Return how long to wait before the next request, in seconds.

    Nothing, unless the latest responses took half a second and thrice as long as the usual ones; then half of what
    they took, so that a query takes at most half as long again, and never more than `MOST_BACK_OFF`.

    Parameters
    ----------
    usual, latest
        Seconds of the first responses of a query, and of the last ones.

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

    Attributes
    ----------
    pause
        Seconds.
    clock, sleep
        Of the monotonic kind.
    load
        What was asked so far.
    """

    pause: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    load: Load = field(default_factory=Load)
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
        """WindowNote that a request has ended, well or badly, with so many answers."""
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
