"""How PatientIDs and names begin: the last ways to part a window that no range can split."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_uppercase

_MOST = 40
"""Parts; with more, the requests are no longer in proportion to what they may find."""

_SPECIAL = frozenset("*?\\")


def beginnings(patients: Iterable[str], given: str = "") -> tuple[str, ...]:
    """Return matching values that tell known PatientIDs apart by their next letter; empty if there are none.

    They are no proof: nobody knows how the PatientIDs begin that were not found.

    Parameters
    ----------
    given
        The matching value by which the window is narrowed already.

    >>> beginnings(["Q100", "Q101", "Q2", "X7"]), beginnings(["Q100", "Q101", "Q2"], "Q*")
    (('Q*', 'X*'), ('Q1*', 'Q2*'))
    """
    start = given.removesuffix("*")
    if given and given == start:
        return ()
    known = sorted({one for one in patients if one.startswith(start) and not _SPECIAL.intersection(one)})
    if len(known) < 2:
        return ()
    first, last = known[0], known[-1]  # sorted, so that what these share all share
    length = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    shared = first[:length]
    letters = sorted({one[len(shared)] for one in known if len(one) > len(shared)})
    own = (shared,) if shared in known else ()
    parts = (*own, *(f"{shared}{letter}*" for letter in letters))
    return parts if len(parts) <= _MOST else ()


def initials(known: Iterable[str]) -> tuple[str, ...]:
    """Return matching values for names by their first letter: A to Z, and what known names begin with.

    A lower-case letter is left out beside its capital: names match in any case (PS3.4 C.2.2.2.1).

    >>> initials(["d", "Å"])[-3:], len(initials([]))
    (('Y*', 'Z*', 'Å*'), 26)
    """
    letters = {one.upper() for one in known if one and not _SPECIAL.intersection(one)}
    return tuple(f"{letter}*" for letter in sorted(letters.union(ascii_uppercase)))
