"""The days of a hospital: which studies fall on which of them."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass, field
from datetime import date, timedelta

_WEEKDAY_WEIGHTS = (10, 11, 10, 11, 9, 3, 2)
"""How busy the days are, from Monday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which study numbers fall on which day: a working week's ups and downs over a number of studies."""

    first: date
    ends: tuple[int, ...] = field(repr=False)
    """For each day, the number after its last study."""

    @classmethod
    def spread(cls, studies: int, until: date, days: int) -> Calendar:
        """Studies spread over so many days, the last of which is `until`."""
        first = until - timedelta(days=days - 1)
        weights = [_WEEKDAY_WEIGHTS[(first.weekday() + offset) % 7] for offset in range(days)]
        total = sum(weights)
        ends = tuple(studies * done // total for done in itertools.accumulate(weights)) if total else ()
        return cls(first=first, ends=ends)

    @property
    def last(self) -> date:
        """The last day."""
        return self.first + timedelta(days=len(self.ends) - 1)

    def day_of(self, number: int) -> date:
        """Return the day of one study."""
        return self.first + timedelta(days=bisect.bisect_right(self.ends, number))

    def numbers_on(self, day: date) -> range:
        """Return the studies of one day."""
        offset = (day - self.first).days
        if not 0 <= offset < len(self.ends):
            return range(0)
        return range(self.ends[offset - 1] if offset else 0, self.ends[offset])
