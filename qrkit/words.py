"""Numbers, sizes and times in words, for every place where people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime


def counted(number: int, what: str, *, plural: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "study"), counted(2, "study"), counted(2, "day"), counted(2, "series"), counted(1200, "file")
    ('1 study', '2 studies', '2 days', '2 series', '1,200 files')
    """
    return f"{number:,} {what if number == 1 else plural or _plural(what)}"


def _plural(noun: str) -> str:
    if noun.endswith("series"):
        return noun
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def volume(size: float) -> str:
    """Return bytes as people read them.

    >>> volume(0), volume(31_200), volume(12_340_000), volume(3.1e9)
    ('0 bytes', '31 kB', '12.3 MB', '3.10 GB')
    """
    if size < 1e3:
        return counted(round(size), "byte")
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Return seconds as people say them.

    >>> duration(0.4), duration(59.6), duration(150), duration(8000)
    ('1 s', '1 min', '2 min 30 s', '2 h 13 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def local_time(text: str | None) -> str:
    """Return a time of the state, UTC in ISO 8601, by the user's own clock; empty where there is none."""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S") if text else ""


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Return names as a sentence has them.

    >>> listed(["find", "get", "move"]), listed(["CT", "PT"], last="or"), listed([])
    ('find, get and move', 'CT or PT', '')
    """
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
