"""What is below many rows, asked for in lists of their UIDs (PS3.4 C.2.2.2.2) instead of row by row.

No list is believed further than it can be checked: a row above whose children did not all come by their count, or of
which nothing came, is asked for alone, and so are all of a list in whose answer something has no place.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from qrkit.query.below import Parent, asks_for_all, canonical, expected_below
from qrkit.query.request import Request
from qrkit.tables import Level, unique_key

_MOST_UIDS = 90
"""UIDs in one list: about 6 kB of Identifier."""

_MOST_ROWS = 190
"""Rows that are expected of one list at most: fewer than PACS stop at."""

_GUESS = 8
"""Series of a study that does not count them."""

_UIDS = (unique_key(Level.STUDY), unique_key(Level.SERIES))

Asked = Sequence[tuple[Parent, Request]]


@dataclass(frozen=True, slots=True)
class InLists:
    """What came: the tables for each that was asked, by how many requests in all.

    Attributes
    ----------
    short
        How many rows above had fewer children in a list than alone, at a node that was said to take lists.
    """

    tables: list[list[pa.Table]]
    sent: int
    short: int = 0


@dataclass(slots=True)
class _List:
    """Some of what is asked, in one request, the places of which nothing came, and how many came of too few."""

    places: list[int]
    request: Request
    empty: list[int] = field(default_factory=list)
    few: dict[int, int] = field(default_factory=dict)


Step = Generator[tuple[Request, ...], Sequence[pa.Table], InLists]


def in_lists(asked: Asked, level: Level) -> Step:
    """Ask what is below rows in lists of those rows, and alone what the answers leave open.

    Images are listed only where their series count them; the first list shows whether the node takes such lists.
    """
    lists = list(_lists(asked, level))
    told: dict[int, pa.Table] = {}
    sent = 0
    for some in (lists[:1], lists[1:]) if level is Level.IMAGE else (lists,):
        if not some or (sent and not told):
            continue
        answers = yield tuple(one.request for one in some)
        sent += len(some)
        for one, answer in zip(some, answers, strict=True):
            told |= _told(asked, level, one, answer)
    samples = [one.empty[0] for one in lists if one.empty]
    alone = [place for place in range(len(asked)) if place not in told or place in samples]
    while alone:
        answers = yield tuple(asked[place][1] for place in alone)
        sent += len(alone)
        told |= dict(zip(alone, answers, strict=True))
        wrong = [one for one in lists if one.empty and told[one.empty[0]].num_rows]
        alone = [place for one in wrong for place in one.empty if place not in samples]
        samples += alone
    short = sum(told[place].num_rows > came for one in lists for place, came in one.few.items())
    return InLists([[told[place]] for place in range(len(asked))], sent, short)


def _lists(asked: Asked, level: Level) -> Iterator[_List]:
    """Give lists of what differs in nothing but its UIDs above; a list of one is left out."""
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, (parent, request) in enumerate(asked):
        if level is Level.SERIES or expected_below(parent, request, level) is not None:
            others = tuple(pair for pair in request.keys if pair not in parent.keys or pair[0] not in _UIDS)
            groups.setdefault(others, []).append(place)
    for places in groups.values():
        for some in _in_parts(places, asked, level):
            if len(some) > 1:
                yield _List(some, _listed([asked[place][1] for place in some], level))


def _in_parts(places: Sequence[int], asked: Asked, level: Level) -> Iterator[list[int]]:
    some: list[int] = []
    rows = 0
    for place in places:
        expected = expected_below(*asked[place], level)
        if some and (len(some) == _MOST_UIDS or rows + (_GUESS if expected is None else expected) > _MOST_ROWS):
            yield some
            some, rows = [], 0
        some.append(place)
        rows += _GUESS if expected is None else expected
    yield some


def _listed(requests: Sequence[Request], level: Level) -> Request:
    listed = requests[0]
    for name in _UIDS[: 1 if level is Level.SERIES else 2]:
        listed = listed.with_key(name, "\\".join(dict.fromkeys(request.value(name) for request in requests)))
    return listed


def _told(asked: Asked, level: Level, one: _List, answer: pa.Table) -> dict[int, pa.Table]:
    """Return the answer by the rows above of which it is to be believed; note those of which nothing came."""
    rows = _by_place(asked, level, one, answer)
    own = answer[unique_key(level)].to_pylist()
    told = {}
    for place, some in rows.items():
        parent, request = asked[place]
        expected = expected_below(parent, request, level)
        least = int(asks_for_all(parent, request)) if expected is None else expected
        if len({own[row] for row in some}) >= least:
            told[place] = answer.take(pa.array(some, pa.int64()))
            if not some and expected is None:
                one.empty.append(place)
        else:
            one.few[place] = len(some)
    return told


def _by_place(asked: Asked, level: Level, one: _List, answer: pa.Table) -> dict[int, list[int]]:
    """Return the rows of an answer by the row above that each belongs to; none if one of them has no place."""
    name = _UIDS[0 if level is Level.SERIES else 1]
    places = {canonical(dict(asked[place][0].keys)[name]): place for place in one.places}
    rows: dict[int, list[int]] = {place: [] for place in places.values()}
    if len(places) < len(one.places) or name not in answer.column_names:
        return {}
    for row, uid in enumerate(answer[name].to_pylist()):
        place = places.get(canonical(uid or ""))
        if place is None:
            return {}
        rows[place].append(row)
    return rows
