"""Retries of temporary failures: growing pauses with jitter, and a limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from qrkit.jobs.job import ItemOutcome

LONGEST_PAUSE = 1_800.0
"""Seconds; a later time of the next attempt was written by a wrong clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The number of retries and the pauses before them.

    Attributes
    ----------
    most
        Retries after the first failure; a failure with new objects restarts the count.
    first
        Seconds before the first retry.
    growth
        Factor between consecutive pauses.
    jitter
        Random share of a pause, so that many items do not retry at the same time.
    """

    most: int = 3
    first: float = 2.0
    growth: float = 3.0
    jitter: float = 0.2

    def pause(self, failures: int, *, luck: float) -> float | None:
        """Return the seconds until the next attempt; None if there is none.

        Parameters
        ----------
        failures
            Consecutive failures, including the last one.
        luck
            Random number from 0 to 1.

        >>> policy = RetryPolicy(most=3)
        >>> [policy.pause(failures, luck=0.5) for failures in (1, 2, 3, 4)]
        [2.0, 6.0, 18.0, None]
        >>> round(policy.pause(1, luck=0.0), 3), round(policy.pause(1, luck=1.0), 3)
        (1.6, 2.4)
        """
        if failures > self.most:
            return None
        # limits the exponent, since a site may allow a thousand retries
        exponent = min(failures - 1, 64)
        whole = min(self.first * self.growth**exponent, LONGEST_PAUSE / (1 + self.jitter))
        return whole * (1 + self.jitter * (2 * luck - 1))

    def next_try(self, failures: int, *, now: datetime, luck: float) -> datetime | None:
        """Return the time of the next attempt; parameters as `pause`."""
        pause = self.pause(failures, luck=luck)
        return None if pause is None else now + timedelta(seconds=pause)


def failures_after(failures: int, before: ItemOutcome, now: ItemOutcome) -> int:
    """Return the number of consecutive failures; an attempt with new objects restarts the count.

    Stored objects count, not received ones: a node may send the same object each time before it fails.

    >>> from qrkit.jobs.job import JobState
    >>> some, more = ItemOutcome(state=JobState.QUEUED, stored=3), ItemOutcome(state=JobState.PARTIAL, stored=4)
    >>> failures_after(2, some, more), failures_after(2, more, more)
    (1, 3)
    """
    return 1 if now.stored > before.stored else failures + 1
