"""What became of a study, series or object: kept or not, by which rule, for what reason, and what came before.

Few different fates are shared by very many rows, so equal ones are one object.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Fate:
    """Whether something is kept, and why.

    Attributes
    ----------
    rule, reason
        What decided; of what is dropped, the first that dropped it.
    trail
        Everything that was said of it, in order, as ``rule: reason``.
    """

    keep: bool = True
    rule: str = ""
    reason: str = ""
    trail: tuple[str, ...] = ()

    def kept(self, rule: str, reason: str) -> Fate:
        """Return the fate after a rule that keeps it; what was dropped before stays dropped.

        >>> FOUND.dropped("SR only", "it holds images").kept("RDSR", "it is a dose report").reason
        'it holds images'
        """
        return _after(self, True, rule, reason)

    def dropped(self, rule: str, reason: str) -> Fate:
        """Return the fate after a rule that drops it; the first reason stands, a later one joins the trail.

        >>> fate = FOUND.kept("RDSR", "a dose report").dropped("held", "it is here")
        >>> fate.keep, fate.reason, fate.trail
        (False, 'it is here', ('RDSR: a dose report', 'held: it is here'))
        """
        return _after(self, False, rule, reason)


@lru_cache(maxsize=65_536)
def _after(before: Fate, keep: bool, rule: str, reason: str) -> Fate:  # noqa: FBT001 - cached by position
    trail = (*before.trail, f"{rule}: {reason}")
    if before.keep:
        return Fate(keep, rule, reason, trail)
    return Fate(keep=False, rule=before.rule, reason=before.reason, trail=trail)


FOUND = Fate()
"""The fate of what was found and not judged yet."""
