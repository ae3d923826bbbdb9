"""Requests for several values of a key for which DICOM has no list, such as AccessionNumber: one for each value.

A node that ignores the key returns the same for every value. Then one search by the other keys is enough, and all
values are matched here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from qrkit.find.parents import Parent
from qrkit.query.local_matching import local_judge
from qrkit.query.matches import Match
from qrkit.query.matching import is_enumerated
from qrkit.query.query import Query
from qrkit.query.request import Request
from qrkit.tables import Level, unique_key

_LEAST = 4
"""Values from which it is worth looking whether the node ignores their key."""

ChildRequests = Sequence[tuple[Parent, Request]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueList:
    """Requests at one level that differ in the value of a key.

    Attributes
    ----------
    keyword
        The key.
    samples
        Two of the requests, which differ in nothing else.
    others
        All that is left to ask if the node heeds the key.
    groups
        What is left to ask if it ignores the key: one request for each combination of the other keys.
    size
        How many values there are.
    """

    keyword: str
    samples: ChildRequests
    others: ChildRequests
    groups: ChildRequests
    size: int


def value_list(query: Query, asked: ChildRequests) -> ValueList | None:
    """Return the list of values that some requests are for; None if there is none of a size worth it."""
    for keyword in sorted(keyword for keyword, value in query.keys if is_enumerated(keyword, value)):
        groups: dict[tuple[tuple[str, str], ...], list[tuple[Parent, Request]]] = {}
        for parent, request in asked:
            others = tuple(pair for pair in request.keys if pair[0] != keyword)
            groups.setdefault(others, []).append((parent, request))
        largest = max(groups.values(), key=len, default=[])
        if len(largest) >= _LEAST and all(request.value(keyword) for _, request in asked):
            samples = largest[:2]
            return ValueList(
                keyword=keyword,
                samples=samples,
                others=[one for one in asked if one not in samples],
                groups=[some[0] for some in groups.values() if some is not largest],
                size=len(largest),
            )
    return None


ValueSteps = Generator[tuple[Request, ...], Sequence[pa.Table], "ValueAnswers"]
"""Yields the requests of a step, is sent a table for each in the same order, returns what was found."""

AskAll = Callable[[ChildRequests], Generator[tuple[Request, ...], Sequence[pa.Table], pa.Table]]
"""Asks requests of one level, and returns their rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAnswers:
    """The rows for all values.

    Attributes
    ----------
    ignored
        That the node ignores the key, in words; empty: nothing shows that.
    doubt
        Why rows may be missing; empty: nothing shows that.
    """

    tables: Sequence[pa.Table]
    ignored: str = ""
    doubt: str = ""


def ask_values(values: ValueList, level: Level, ask: AskAll) -> ValueSteps:
    """Ask for one value, and for all others, unless the rows for a second one show that the node ignores the key."""
    first = yield from ask(values.samples[:1])
    if not _foreign(values, level, first, values.samples[:1]):
        rest = yield from ask([*values.samples[1:], *values.others])
        return ValueAnswers(tables=[first, rest])
    second = yield from ask(values.samples[1:])
    shared = _foreign(values, level, first, values.samples) & _foreign(values, level, second, values.samples)
    is_same = _uids(first, level) == _uids(second, level)
    if _differs(values, level, first, second) or len(shared) < (1 if is_same else _LEAST):
        rest = yield from ask(values.others)
        return ValueAnswers(tables=[first, second, rest])
    rest = yield from ask(values.groups)
    return ValueAnswers(
        tables=[first, second, rest],
        ignored=f"{values.keyword}: the node ignores it, so all {values.size} values were matched here",
        doubt="" if is_same else f"the node ignores {values.keyword} and returns other rows each time",
    )


def _uids(rows: pa.Table, level: Level) -> set[str]:
    return set(rows[unique_key(level)].to_pylist())


def _foreign(values: ValueList, level: Level, rows: pa.Table, samples: ChildRequests) -> set[str]:
    """Return the Unique Keys of rows that answer none of some samples: they were not asked for."""
    if values.keyword not in rows.column_names:
        return set()
    judges = [local_judge(values.keyword, request.value(values.keyword)) for _, request in samples]
    pairs = zip(rows[unique_key(level)].to_pylist(), rows[values.keyword].to_pylist(), strict=True)
    return {
        uid
        for uid, value in pairs
        if value and all(judge is not None and judge(value) is Match.NO for judge in judges)
    }


def _differs(values: ValueList, level: Level, first: pa.Table, second: pa.Table) -> bool:
    """Whether rows have the value that they were asked for: the node returned none, so they inherited it."""
    names = (unique_key(level), values.keyword)
    known, other = (dict(zip(*(rows[name].to_pylist() for name in names), strict=True)) for rows in (first, second))
    return any(other.get(uid, value) != value for uid, value in known.items())
