"""When a number of answers looks as if the node had cut it off.

Many PACS answer a large C-FIND with the first 200, 500 or 1,000 matches and then report success. Nothing in the
protocol tells that apart from a complete answer but the number itself, and what other requests bring.
"""

from __future__ import annotations

from collections import defaultdict

_LEAST_TWICE = 10
"""Smaller numbers are the same in two windows by chance."""

_LEAST_UNPROVEN = 20
"""A PACS with a smaller cap would be useless, so smaller numbers are not suspected: they are an assumption."""

_MOST_SUSPECT = 65_536
"""A PACS that stops does so to spare itself, so larger numbers are not suspected: they are an assumption."""

_LEAST_ASSUMED = 2
"""A single answer is what most queries for a single thing get."""


def cap_reason(count: int) -> str:
    """Return why a number of answers is suspicious, or an empty text.

    Suspicious are 50, round numbers from 100, and powers of two from 64. The larger the number, the rounder it has to
    be: any multiple of 100 up to 1,000, of 500 up to 10,000, of 1,000 up to 65,536, none beyond.

    >>> cap_reason(200)
    '200 rows are a multiple of 100, as if the node had stopped there'
    >>> cap_reason(4096)
    '4096 rows are a power of two, as if the node had stopped there'
    >>> cap_reason(1100), cap_reason(99), cap_reason(0)
    ('', '', '')
    """
    if count > _MOST_SUSPECT:
        return ""
    if count >= 64 and count & (count - 1) == 0:
        return f"{count} rows are a power of two, as if the node had stopped there"
    step = 50 if count <= 100 else 100 if count <= 1_000 else 500 if count <= 10_000 else 1_000
    if count >= 50 and count % step == 0:
        return f"{count} rows are a multiple of {step}, as if the node had stopped there"
    return ""


def looks_capped(count: int) -> bool:
    """Whether a number of answers looks as if the node had stopped there.

    >>> [count for count in (32, 50, 64, 99, 100, 128, 150, 500, 1100, 1500, 12_000) if looks_capped(count)]
    [50, 64, 100, 128, 500, 1500, 12000]
    """
    return bool(cap_reason(count))


class Caps:
    """The cap of a node, from its profile and from the answers of one query.

    A cap is one number, so whatever is below the largest answer is no cap.

    `likely` is the cap by the node's profile; None if it has none or is unknown. `most` is the largest number of
    answers that one request is known to have got uncut.
    """

    def __init__(self, *, likely: int | None = None, most: int = 0) -> None:
        self.known = likely  # the cap, by the profile or as it was proved since; None: unknown
        self.largest = most  # the most answers that one request has got
        self.proven = most  # the most answers that one request is known to have got uncut, by now
        # whether the node says so when there is too much (0xA700), instead of cutting off in silence
        self.is_told = False
        self.contradiction = ""
        self._proved = False
        self._accepted = 0  # the largest answer that was taken for whole because it is small
        self._whole: set[int] = set()
        self._seen: defaultdict[int, set[int]] = defaultdict(set)

    def observe(self, count: int, uids: frozenset[str]) -> None:
        """Take note of an answer that ended with success, and of the Unique Keys in it."""
        self._seen[count].add(hash(uids))
        self.largest = max(self.largest, count)
        if self.known is not None and count > self.known:
            self.contradiction = f"one request got {count} rows, beyond the cap of {self.known}"
            self.known = None

    def suspicion(self, count: int) -> str:
        """Return why an answer that was observed may be cut off, or an empty text.

        The same answer to two requests has the same number anyhow: that tells of a key that is ignored, of no cap.

        >>> caps = Caps(likely=60)
        >>> caps.observe(60, frozenset({"1.2"}))
        >>> caps.suspicion(60), caps.suspicion(59)
        ('60 rows are as many as this node returns at most', '')
        """
        if self.known is not None:
            return f"{count} rows are as many as this node returns at most" if count >= self.known else ""
        if count < self.largest or count in self._whole:
            return ""
        if count >= _LEAST_TWICE and len(self._seen[count]) > 1:
            return f"several requests got {count} rows each, as if the node had stopped there"
        return cap_reason(count)

    def wants_proof(self, count: int) -> bool:
        """Whether an answer that looks like any other may be cut off all the same, as nothing of its size was proven.

        >>> caps = Caps(most=60)
        >>> caps.wants_proof(60), caps.wants_proof(61), Caps().wants_proof(19), Caps(likely=500).wants_proof(61)
        (False, True, False, False)
        """
        unproven = self.known is None and not self.is_told and count not in self._whole
        return unproven and _MOST_SUSPECT >= count >= max(_LEAST_UNPROVEN, self.largest, self.proven + 1)

    def confirm(self, count: int) -> None:
        """Take note that an answer of this size was cut off."""
        if self.known is None or count > self.known:
            self.known = count
        self._proved = True
        self._whole.discard(count)

    def clear(self, count: int) -> None:
        """Take note that an answer of this size was whole, though it looked otherwise."""
        self._whole.add(count)
        self.proven = max(self.proven, count)

    def accept(self, count: int) -> None:
        """Take note that an answer was taken for whole by its number alone."""
        self._accepted = max(self._accepted, count)

    @property
    def assumption(self) -> str:
        """The assumption of small answers, if none shows that the node has no cap of their size; empty: none.

        >>> caps = Caps()
        >>> caps.observe(7, frozenset({"1.2"}))
        >>> caps.accept(7)
        >>> caps.assumption
        'the node has no cap of 7 rows, as no larger result was seen'
        >>> caps.observe(8, frozenset({"1.3"}))
        >>> caps.assumption
        ''
        """
        is_proven = self.known is not None or self.is_told or self._accepted in self._whole
        if is_proven or self._accepted < max(_LEAST_ASSUMED, self.largest, self.proven + 1):
            return ""
        return f"the node has no cap of {self._accepted} rows, as no larger result was seen"

    @property
    def is_proved(self) -> bool:
        """Whether an answer of this query was cut off, which proves the cap."""
        return self._proved
