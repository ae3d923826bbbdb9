"""What a program prints may quote the patient: that is taken out before it is kept or logged."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHORTEST = 3
"""Shorter parts of a value, as "Li" of a name, would take half of every sentence along."""

_GONE = "[…]"


def redacted(text: str, values: Iterable[str]) -> str:
    """Return a text without the values of a patient, whole and by their parts, in any case.

    A program that prints them in another form, such as a date of birth with other separators, is not found out; dates
    of eight digits are also sought with separators.

    >>> redacted("read DOE^JANE (id Q-1234, born 1970-01-31): Jane failed", ["Doe^Jane", "Q-1234", "19700131"])
    'read […] (id […], born […]): […] failed'
    """
    parts = {part for value in values for part in _parts(value) if len(part) >= _SHORTEST}
    for part in sorted(parts, key=lambda part: (-len(part), part)):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", _GONE, text, flags=re.IGNORECASE)
    return text


def _parts(value: str) -> Iterable[str]:
    yield value
    yield from re.split(r"[\^=\\ ]+", value)
    if re.fullmatch(r"\d{8}", value, re.ASCII):
        year, month, day = value[:4], value[4:6], value[6:]
        for sign in "-./":
            yield sign.join((year, month, day))
            yield sign.join((day, month, year))
