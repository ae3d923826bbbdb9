"""Numbers, sizes and times in words, for every place where people read them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

MOST_SHOWN = 80
"""Characters of a value that a message repeats."""

_STEP_LABELS = {"held": "not stored yet", "to fetch": "to retrieve"}


def counted(number: int, what: str, *, plural: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "study"), counted(2, "study"), counted(2, "day"), counted(2, "series"), counted(1200, "file")
    ('1 study', '2 studies', '2 days', '2 series', '1,200 files')
    """
    return f"{number:,} {what if number == 1 else plural or _plural(what)}"


def out_of(number: int, total: int | None, what: str) -> str:
    """Return how many of a total, with their noun; only the number if no total is known.

    >>> out_of(12, 1200, "object"), out_of(1, 1, "object"), out_of(3, 0, "object")
    ('12 of 1,200 objects', '1 of 1 object', '3 objects')
    """
    return f"{number:,} of {counted(total, what)}" if total else counted(number, what)


def comma_list(text: str) -> list[str]:
    """Return the items of a list that is written with commas.

    >>> comma_list("CT, MR,,"), comma_list("")
    (['CT', 'MR'], [])
    """
    return [item for part in text.split(",") if (item := part.strip())]


def _plural(noun: str) -> str:
    if noun.endswith("series"):
        return noun
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def volume(size: float) -> str:
    """Return bytes in words.

    >>> volume(0), volume(31_200), volume(12_340_000), volume(3.1e9)
    ('0 bytes', '31 kB', '12.3 MB', '3.10 GB')
    """
    if size < 1e3:
        return counted(round(size), "byte")
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Return seconds in words.

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


def local_time(text: str | None, zone: tzinfo | None = None) -> str:
    """Return a time of the state, UTC in ISO 8601, by the clock of a zone or of the user; empty for none."""
    return datetime.fromisoformat(text).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if text else ""


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Return names as a sentence has them.

    >>> listed(["find", "get", "move"]), listed(["CT", "PT"], last="or"), listed([])
    ('find, get and move', 'CT or PT', '')
    """
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return the known name that a mistyped one probably stands for; empty if none is near.

    Case, underscores and spaces do not count. Of several names that are equally near, the first is returned. `cutoff`
    is how near it must be, 0 to 1.

    >>> nearest("patientid", ["patient_id", "PatientID"]), nearest("pasc", ["pacs", "ct1"]), nearest("x", ["pacs"])
    ('patient_id', 'pacs', '')
    """
    plain: dict[str, str] = {}
    for candidate in known:
        plain.setdefault(_letters(candidate), candidate)
    close = difflib.get_close_matches(_letters(name), plain, n=1, cutoff=cutoff)
    return plain[close[0]] if close else ""


def _letters(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return the advice for a mistyped name: the nearest one as a question, else another sentence.

    >>> did_you_mean("pasc", ["pacs", "ct1"]), did_you_mean("x", ["pacs"], otherwise="There is pacs.")
    ('Did you mean pacs?', 'There is pacs.')
    """
    near = nearest(name, known) if len(name) <= MOST_SHOWN else ""
    return f"Did you mean {near}?" if near else otherwise


def shown(value: object) -> str:
    """Return a value as a message repeats it: in one line of at most 80 characters, control characters escaped.

    >>> shown("a b"), shown(["x"]), len(shown("x" * 1000)), shown(None)
    ("'a b'", "['x']", 80, 'None')
    """
    try:
        text = repr(value[:MOST_SHOWN] if isinstance(value, str) else value)
    except ValueError:  # Python does not write numbers of thousands of digits
        text = f"a very large {type(value).__name__}"
    if text.startswith("<") and " at 0x" in text:
        text = f"a value of type {type(value).__name__}"
    line = " ".join(text.split())
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 1]}…"


def printable(text: str) -> str:
    r"""Return a text whose control characters are escaped, so that it cannot steer a terminal.

    >>> print(printable("a b\x1b[31m"))
    a b\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def one_line(text: str, *, most: int = 160) -> str:
    """Return a text in one line: control characters escaped, and the middle of a long text left out.

    >>> one_line("a b"), one_line("/data/archive/results", most=12)
    ('a b', '/data…esults')
    """
    line = printable(text)
    return line if len(line) <= most else f"{line[: most // 2 - 1]}…{line[-(most - most // 2) :]}"


def step_label(step: str) -> str:
    """Return the label of a step of a selection, whose name in the JSON of a plan stays as it is.

    >>> step_label("held"), step_label("CT rules")
    ('not stored yet', 'CT rules')
    """
    return _STEP_LABELS.get(step, step)
