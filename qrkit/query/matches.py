"""Whether a value answers a matching key, in the degrees that a row can be judged here, and what judges share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from enum import Enum


class Match(Enum):
    """Whether a value answers what was asked for.

    YES
        It does, by some reading of the standard.
    ALIKE
        It does not by the standard, but a node may find it: another case, spelling or length.
    UNSURE
        It cannot be judged: not all of it could be read, or it is in another script.
    NO
        It surely does not.
    """

    YES = "yes"
    ALIKE = "alike"
    UNSURE = "unsure"
    NO = "no"


Judge = Callable[[str], Match]

ESCAPES = re.compile(r"[\x1b\x9b\u241b\ufffd]|\$(?:[@AB]|\([@A-D]|\)[ACG])", re.IGNORECASE)
"""Remains of ISO 2022 escape sequences (PS3.3 C.12.1.1.2), and characters that stand for undecodable bytes."""


def pattern(asked: str) -> re.Pattern[str]:
    """Return the pattern of a value with wildcards (PS3.4 C.2.2.2.4)."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one) or re.escape(one) for one in asked), re.DOTALL)


def scripts(text: str) -> frozenset[str]:
    """Return the scripts of the letters of a text, as Unicode names them."""
    return frozenset(unicodedata.name(letter, "?").partition(" ")[0] for letter in set(text) if letter.isalpha())
