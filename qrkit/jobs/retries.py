"""When something that failed for now is tried again: growing pauses, a little luck, an end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from qrkit.jobs.job import ItemOutcome

LONGEST_PAUSE = 1_800.0
"""Seconds; a later time to try again was written by a clock that was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and after which pauses.

    Attributes
    ----------
    most
        Tries after the first that failed; each failure that brought something new starts the count afresh.
    first
        Seconds before the second try.
    growth
        How many times as long each further pause is.
    jitter
        Share of a pause by which it is shorter or longer, so that many items do not come back at once.
    """

    most: int = 3
    first: float = 2.0
    growth: float = 3.0
    jitter: float = 0.2

    def pause(self, failures: int, *, luck: float) -> float | None:
        """Return the seconds until the next try; None where there is none.

        Parameters
        ----------
        failures
            In a row, the last one included.
        luck
            0 to 1, drawn by the caller.

        >>> policy = RetryPolicy(most=3)
        >>> [policy.pause(failures, luck=0.5) for failures in (1, 2, 3, 4)]
        [2.0, 6.0, 18.0, None]
        >>> round(policy.pause(1, luck=0.0), 3), round(policy.pause(1, luck=1.0), 3)
        (1.6, 2.4)
        """
        if failures > self.most:
            return None
        # growing no further than needed: a site may allow a thousand tries
        exponent = min(failures - 1, 64)
        whole = min(self.first * self.growth**exponent, LONGEST_PAUSE / (1 + self.jitter))
        return whole * (1 + self.jitter * (2 * luck - 1))

    def next_try(self, failures: int, *, now: datetime, luck: float) -> datetime | None:
        """Return when to try again; arguments as `pause`."""
        pause = self.pause(failures, luck=luck)
        return None if pause is None else now + timedelta(seconds=pause)


def failures_after(failures: int, before: ItemOutcome, told: ItemOutcome) -> int:
    """Return how many failures in a row it is now: a try that brought something new is the first again.

    What is stored counts, not what came: a node may send the same object each time before it fails.

    >>> from qrkit.jobs.job import JobState
    >>> some, more = ItemOutcome(state=JobState.QUEUED, stored=3), ItemOutcome(state=JobState.PARTIAL, stored=4)
    >>> failures_after(2, some, more), failures_after(2, more, more)
    (1, 3)
    """
    return 1 if told.stored > before.stored else failures + 1
