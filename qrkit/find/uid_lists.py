"""Ask for the rows below many others in lists of UIDs (PS3.4 C.2.2.2.2) instead of one by one.

No list is believed further than it can be checked: a row above whose children did not all come by their count, or of
which nothing came, is asked for alone, and so are all of a list in whose answer something has no place.

`UidLists` sends the requests, UID by UID to a node that refuses a list or matches only a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from qrkit.find.parents import Parent, asks_for_all, canonical, distinct_rows, expected_below
from qrkit.find.windows import Failure, FailureKind, row_keys
from qrkit.profile import Verdict
from qrkit.query import Request
from qrkit.tables import Level, unique_key

_MOST_UIDS = 90
"""UIDs in one list: about 6 kB of Identifier."""

_MOST_ROWS = 190
"""Rows that are expected of one list at most: fewer than PACS stop at."""

_GUESS = 8
"""Series of a study that does not count them."""

_Value = TypeVar("_Value")

_UIDS = (unique_key(Level.STUDY), unique_key(Level.SERIES))

ChildRequests = Sequence[tuple[Parent, Request]]


@dataclass(frozen=True, slots=True)
class ListedAnswers:
    """The answers to lists: the tables of each parent, and the number of requests."""

    tables: list[list[pa.Table]]
    sent: int
    # how many rows above had fewer children in a list than alone, at a node that was said to take lists
    short: int = 0


@dataclass(slots=True)
class _UidList:
    """A list of parents in one request: which were not answered, and which have too few rows."""

    places: list[int]
    request: Request
    empty: list[int] = field(default_factory=list)
    few: dict[int, int] = field(default_factory=dict)


ListSteps = Generator[tuple[Request, ...], Sequence[pa.Table], ListedAnswers]


def ask_in_lists(asked: ChildRequests, level: Level) -> ListSteps:
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
    return ListedAnswers([[told[place]] for place in range(len(asked))], sent, short)


def _lists(asked: ChildRequests, level: Level) -> Iterator[_UidList]:
    """Give lists of what differs in nothing but its UIDs above; a list of one is left out."""
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, (parent, request) in enumerate(asked):
        if level is Level.SERIES or expected_below(parent, request, level) is not None:
            others = tuple(pair for pair in request.keys if pair not in parent.keys or pair[0] not in _UIDS)
            groups.setdefault(others, []).append(place)
    for places in groups.values():
        for some in _in_parts(places, asked, level):
            if len(some) > 1:
                yield _UidList(some, _listed([asked[place][1] for place in some], level))


def in_parts(values: Sequence[_Value], most: int = _MOST_UIDS) -> Iterator[Sequence[_Value]]:
    """Yield values, in order, in parts of as many as one list of UIDs may have.

    >>> [len(part) for part in in_parts("x" * 200)]
    [90, 90, 20]
    """
    for start in range(0, len(values), most):
        yield values[start : start + most]


def _in_parts(places: Sequence[int], asked: ChildRequests, level: Level) -> Iterator[list[int]]:
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


def _told(asked: ChildRequests, level: Level, one: _UidList, answer: pa.Table) -> dict[int, pa.Table]:
    """Return the rows of each parent for which the answer is credible; record the parents without any."""
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


def _by_place(asked: ChildRequests, level: Level, one: _UidList, answer: pa.Table) -> dict[int, list[int]]:
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


TryAsk = Callable[[Sequence[Request]], "list[pa.Table | Failure]"]
"""Asks requests; `qrkit.find.session.FindSession.try_ask` is one."""

_UNIQUE = tuple(unique_key(level) for level in (Level.STUDY, Level.SERIES, Level.IMAGE))


class UidLists:
    """Sends requests; where the node does not take a list of UIDs, it sends one request for each UID.

    `verdict_of` returns whether the node takes lists at a level. If that is unknown, one UID without an answer is
    asked for alone.
    """

    def __init__(self, try_ask: TryAsk, verdict_of: Callable[[Level], Verdict]) -> None:
        self._try_ask = try_ask
        self._verdict_of = verdict_of
        self.told = ""  # how often lists were asked UID by UID, and why; empty: never
        self.against: dict[Level, str] = {}  # what the node has shown of lists, by level, that do not work

    def try_ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests, or why there is none, in their order."""
        lists = [_list_key(request) for request in requests]
        by_uid = [bool(key) and self._is_against(one.level) for one, key in zip(requests, lists, strict=True)]
        came = iter(self._try_ask([one for one, alone in zip(requests, by_uid, strict=True) if not alone]))
        answers: list[pa.Table | Failure] = []
        for request, key, alone in zip(requests, lists, by_uid, strict=True):
            if not key:
                answers.append(next(came))
            elif alone:
                why = self.against.get(request.level, "by its profile the node does not take lists")
                answers.append(self._one_by_one(request, key, why))
            else:
                answers.append(self._whole(request, key, next(came)))
        return answers

    def _is_against(self, level: Level) -> bool:
        return level in self.against or self._verdict_of(level).is_against

    def _whole(self, request: Request, key: str, answer: pa.Table | Failure) -> pa.Table | Failure:
        """Return the answer to a list, or to each of its UIDs if the list was refused or matched in part."""
        if isinstance(answer, Failure):
            return self._refused(request, key) if answer.kind is FailureKind.REFUSED else answer
        if self._verdict_of(request.level) is Verdict.HONOURED:
            return answer
        wanted = request.value(key).split("\\")
        if key == unique_key(request.level) and not all(known for _, known in row_keys(answer, request.level)):
            return self._without_uids(request, key, answer)
        here = _canonical_uids(answer, key)
        missed = [uid for uid in wanted if canonical(uid) not in here]
        if not missed or here - {canonical(uid) for uid in wanted}:  # the node may ignore the key: matched here then
            return answer
        (alone,) = self._try_ask([request.with_key(key, missed[0])])
        if isinstance(alone, Failure) or not alone.num_rows or _canonical_uids(alone, key) - {canonical(missed[0])}:
            return answer
        why = self.against.setdefault(request.level, "the node matches only a part of a list")
        rest = self._one_by_one(request.with_key(key, "\\".join(missed)), key, why)
        return rest if isinstance(rest, Failure) else _together([answer, rest])

    def _without_uids(self, request: Request, key: str, answer: pa.Table) -> pa.Table | Failure:
        """Return an answer whose rows do not show their UIDs, or those to each UID where rows may be missing."""
        if distinct_rows(answer, request.level).num_rows >= len(request.value(key).split("\\")):
            return answer
        return self._one_by_one(request, key, f"rows without {key} do not show which of a list they are")

    def _refused(self, request: Request, key: str) -> pa.Table | Failure:
        """Return the answers to the UIDs of a refused list; if one of them fails alone, lists are not at fault."""
        why = "the node refuses lists"
        answer = self._one_by_one(request, key, why)
        if not isinstance(answer, Failure):
            self.against.setdefault(request.level, why)
        return answer

    def _one_by_one(self, request: Request, key: str, why: str) -> pa.Table | Failure:
        uids = request.value(key).split("\\")
        self.told = f"{key}: {why}, so each UID was asked for alone"
        answers = self._try_ask([request.with_key(key, uid) for uid in uids])
        failed = next((answer for answer in answers if isinstance(answer, Failure)), None)
        return failed or _together([answer for answer in answers if not isinstance(answer, Failure)])


def _list_key(request: Request) -> str:
    """Return the only Unique Key for which a request has a list of UIDs, or an empty text.

    A request with lists for two keys stays as it is: who asks it asks again for each pair of UIDs.
    """
    keys = [key for key, value in request.keys if key in _UNIQUE and "\\" in value]
    return keys[0] if len(keys) == 1 else ""


def _canonical_uids(table: pa.Table, key: str) -> set[str]:
    values = table[key].to_pylist() if key in table.column_names else []
    return {canonical(uid) for uid in values if uid}


def _together(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive")
