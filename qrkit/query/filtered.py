"""What local filters left over of the rows of one level, and what is told of each filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

import pyarrow as pa

from qrkit.query.value import Query
from qrkit.tables import Level


class Where(Enum):
    """Where a filter ran.

    NODE
        At the node alone: no row has a value to judge by here.
    LOCAL
        Here alone: no PACS offers it, or this node does not match the key.
    BOTH
        At the node, and again here, since nodes ignore keys and say success.
    """

    NODE = "node"
    LOCAL = "local"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterReport:
    """What a filter did.

    Attributes
    ----------
    name
        Such as ``description include``, or the keyword of a matching key.
    level
        Of the rows it was applied to.
    terms
        What was sought.
    before, after
        Number of rows.
    blank_kept
        Rows kept because they have no value to judge by.
    where
        Where it ran.
    """

    name: str
    level: Level
    terms: tuple[str, ...]
    before: int
    after: int
    blank_kept: int = 0
    where: Where = Where.LOCAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Rows that local filters left over, and what each filter did."""

    table: pa.Table
    reports: tuple[FilterReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """What is known of how a node matches, by keyword; what is in neither is unknown.

    Attributes
    ----------
    honoured
        Matched as PS3.4 says.
    unmatched
        Ignored or refused: not asked to be matched where the query stays narrow without, and matched here.
    lists
        Levels at which several rows above may be asked for at once, by a list of their UIDs.
    """

    honoured: frozenset[str] = frozenset()
    unmatched: frozenset[str] = frozenset()
    lists: frozenset[Level] = frozenset()

    def without(self, keywords: Iterable[str]) -> Reliance:
        """Return the same for a query some of whose keys the node does not match, for what is asked in them."""
        unmatched = self.unmatched | set(keywords)
        return replace(self, honoured=self.honoured - unmatched, unmatched=unmatched)


Select = Callable[[Query, Level, pa.Table], Selected]
"""Applies the local filters that belong to a level; `qrkit.selection.select` is one."""
