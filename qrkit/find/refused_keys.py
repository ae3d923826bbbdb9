"""Keys that a node refuses: what it answers without them, and which of them it is.

Some nodes end a C-FIND with a failure status where they do not know an optional key, instead of leaving it out of the
responses (PS3.4 C.4.1.1.3.2). Such a request is sent again with the keys that every node has to know; if that is
answered, halves of the others show which of them is refused, in requests for one row.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from qrkit.errors import StatusError
from qrkit.find.windows import Failure, FailureKind
from qrkit.node import InformationModel
from qrkit.profile import Fill, Returned
from qrkit.query import Request, answer_keywords
from qrkit.tables import Level, schema, unique_key, unique_keys_above

_REQUIRED = frozenset(
    {
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "PatientName",
        "PatientID",
        "StudyID",
        "Modality",
        "SeriesNumber",
        "InstanceNumber",
    }
)
"""Required Keys of the information models (PS3.4 C.6.1.1, C.6.2.1)."""

_UIDS = frozenset(unique_key(level) for level in (Level.STUDY, Level.SERIES, Level.IMAGE))

_NARROW = frozenset({"StudyDate", "AccessionNumber", "PatientID", "PatientName", *_UIDS})
"""Keys of which one has to stay if others are not matched by the node."""

_OF_THE_SERVICE = frozenset({0x0122, 0x0124, 0x0210, 0x0211, 0xFE00})
"""Failure statuses that have nothing to do with the keys of a request."""

_MOST_TRIALS = 40
"""Requests by which refused keys are found; what is open then counts as refused."""

KeySteps = Generator[tuple[str, ...], bool, tuple[str, ...]]
"""Yields keys that are to be requested together, is sent whether the node takes them, returns those that it takes."""


def taken_keys(keys: Sequence[str], *, are_refused: bool = True) -> KeySteps:
    """Find out by halves which keys a node takes, of some that it is thought not to take together.

    No key counts as refused that was not refused by itself: a node may have failed for another reason.

    `are_refused`: False where the keys were never requested without another one that may be the reason.

    >>> steps = taken_keys(["a", "b", "bad", "c"])
    >>> tried = next(steps)
    >>> try:
    ...     while True:
    ...         tried = steps.send("bad" not in tried)
    ... except StopIteration as end:
    ...     end.value
    ('a', 'b', 'c')
    """
    taken: tuple[str, ...] = ()
    waiting = [(tuple(keys), are_refused and len(keys) > 1)]  # keys, and whether they need not be tried together
    trials = 0
    while waiting:
        some, is_known = waiting.pop(0)
        if not is_known:
            if trials >= _MOST_TRIALS:
                continue
            trials += 1
            if (yield (*taken, *some)):
                taken = (*taken, *some)
                continue
        if len(some) == 1:
            continue
        first, second = some[: len(some) // 2], some[len(some) // 2 :]
        trials += 1
        if (yield (*taken, *first)):
            taken = (*taken, *first)
            waiting.insert(0, (second, len(second) > 1))
        else:
            waiting[:0] = [(first, True), (second, False)]
    return taken


class _NotDecided(Exception):
    """The node failed in another way."""


def may_be_for_a_key(answer: object) -> bool:
    """Whether a request failed in a way that one of its keys may be the reason for."""
    if not isinstance(answer, Failure) or answer.kind is not FailureKind.REFUSED or answer.count:
        return False
    return isinstance(answer.error, StatusError) and answer.error.status not in _OF_THE_SERVICE


TryAsk = Callable[[Sequence[Request]], "list[pa.Table | Failure]"]
_Columns = dict[Level, dict[str, str]]


@dataclass(slots=True, kw_only=True)
class RefusedKeys:
    """Sends requests without the keys that a node refuses; it finds out which those are.

    `refused` and `unmatched` have the keys by level, each with the evidence: those that are not requested, and those
    that are not matched by the node.
    """

    try_ask: TryAsk  # sends requests as they are
    model: InformationModel
    refused: _Columns = field(default_factory=dict)
    unmatched: _Columns = field(default_factory=dict)
    learnt: dict[tuple[Level, str], str] = field(default_factory=dict)  # refused keys that were not known before
    _left: dict[Level, dict[str, None]] = field(default_factory=dict)  # what was not requested because of that
    _vain: set[tuple[Level, frozenset[str]]] = field(default_factory=set)
    sampled: dict[Request, pa.Table] = field(default_factory=dict)  # answers to single UIDs of refused lists

    @property
    def left_out(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The keys that were not requested, by level, as a coverage has them."""
        return tuple((level.value, tuple(self._left[level])) for level in Level if level in self._left)

    @property
    def returned(self) -> tuple[Returned, ...]:
        """The refused return keys that were not known before, as a profile has them."""
        return tuple(
            Returned(level=level, keyword=keyword, fill=Fill.REFUSED, evidence=why)
            for (level, keyword), why in self.learnt.items()
        )

    def ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests, each with all columns that were requested."""
        sent = [self.without(request) for request in requests]
        sampled = [self.sampled.pop(request, None) for request in sent]
        rest = [request for request, answer in zip(sent, sampled, strict=True) if answer is None]
        others = iter(self.try_ask(rest) if rest else ())
        answers = [next(others) if answer is None else answer for answer in sampled]
        return self.settle(requests, sent, answers)

    def settle(
        self, requests: Sequence[Request], sent: Sequence[Request], answers: Sequence[pa.Table | Failure]
    ) -> list[pa.Table | Failure]:
        """Return the answers to requests; those that a key was refused in are sent again without it."""
        return [
            self._with_columns(request, self._settled(request, was_sent, answer))
            for request, was_sent, answer in zip(requests, sent, answers, strict=True)
        ]

    def without(self, request: Request) -> Request:
        """Return a request without the keys that the node is known to refuse."""
        for key in self.unmatched.get(request.level, ()):
            if _is_narrow(request, without=[key]):
                request = request.with_key(key, "")
        refused = self.refused.get(request.level)
        if not refused:
            return request
        left = [key for key in request.return_keys if key in refused]
        if left:
            self._left.setdefault(request.level, {}).update(dict.fromkeys(left))
        return replace(request, return_keys=tuple(key for key in request.return_keys if key not in refused))

    def _settled(self, request: Request, sent: Request, answer: pa.Table | Failure) -> pa.Table | Failure:
        """Return the answer to a request that was sent so, or to what the node takes of it."""
        lean = self.without(request)
        if isinstance(answer, Failure) and lean != sent and may_be_for_a_key(answer):  # learnt from others meanwhile
            (answer,) = self.try_ask([lean])
        if not isinstance(answer, Failure) or not may_be_for_a_key(answer):
            return answer
        if (single := _with_single_uids(lean)) != lean:
            return self._list_settled(request, single, answer)
        least = self.find(lean, answer)
        if least is None or (after := self.without(request)) == lean:
            return answer if least is None else least
        (whole,) = self.try_ask([after])
        if isinstance(whole, Failure) and may_be_for_a_key(whole):  # refused together: none of them is requested
            self._refuse(request.level, [key for key in after.return_keys if key not in self._needed(request)], whole)
            return least
        return whole

    def _list_settled(self, request: Request, single: Request, failure: Failure) -> pa.Table | Failure:
        """Return the answer to a refused list of UIDs without the keys that are refused for a single UID, too.

        If there are none, the list itself is refused: the answer to the single UID is kept for who asks for it next.
        """
        if _place(single) in self._vain:
            return failure
        before = self.without(request)
        (sample,) = self.ask([single])
        if (after := self.without(request)) != before:
            (whole,) = self.try_ask([after])
            return whole
        if not isinstance(sample, Failure):
            self.sampled[self.without(single)] = sample
        return failure

    def find(self, request: Request, failure: Failure) -> pa.Table | None:
        """Find out which keys of a refused request the node refuses.

        Return an answer without optional keys; None if the node refuses that, too.
        """
        place = _place(request)
        if place in self._vain:
            return None
        bare, answer = self._least(request, failure)
        if answer is None:
            self._vain.add(place)
            return None
        is_for_match = bare.keys != request.keys
        request = replace(self.without(request), keys=bare.keys)
        if answer.num_rows and set(request.return_keys) - set(bare.return_keys):
            self._search(request, bare, answer, failure, is_for_match=is_for_match)
        return answer

    def _needed(self, request: Request) -> frozenset[str]:
        return _REQUIRED | {unique_key(request.level), *unique_keys_above(request.level, self.model)}

    def _least(self, request: Request, failure: Failure) -> tuple[Request, pa.Table | None]:
        """Return the largest of a few requests that the node answers, with the answer; None if it refuses all."""
        needed = tuple(key for key in request.return_keys if key in self._needed(request))
        for keys in dict.fromkeys((needed, ())):
            bare = replace(request, return_keys=keys)
            if keys != request.return_keys and (answer := self._answer_of(bare)) is not None:
                return bare, answer
        return self._unmatched(replace(request, return_keys=()), failure)

    def _answer_of(self, request: Request) -> pa.Table | None:
        (answer,) = self.try_ask([request])
        return None if isinstance(answer, Failure) else answer

    def _unmatched(self, bare: Request, failure: Failure) -> tuple[Request, pa.Table | None]:
        """Send a request without optional matching keys; learn which of them the node refuses."""
        above = unique_keys_above(bare.level, self.model)
        optional = [key for key, _ in bare.keys if key not in self._needed(bare)]
        if not optional or not all(map(bare.value, above)) or not _is_narrow(bare, without=optional):
            return bare, None  # it might ask for a whole archive
        least = bare
        for key in optional:
            least = replace(least.with_key(key, ""), return_keys=bare.return_keys)
        answer = self._answer_of(least)
        if answer is None:
            return bare, None
        for key in optional:
            alone = replace(least, keys=tuple(pair for pair in bare.keys if pair in least.keys or pair[0] == key))
            if len(optional) == 1 or self._answer_of(alone) is None:
                self.unmatched.setdefault(bare.level, {})[key] = _evidence(failure)
        return least, answer

    def _search(
        self, request: Request, bare: Request, answer: pa.Table, failure: Failure, *, is_for_match: bool
    ) -> None:
        """Find out by halves which return keys the node refuses, in requests for one row of an answer.

        `is_for_match`: the request failed for a matching key, so that all its return keys may be taken.
        """
        one = self._for_one_row(bare, answer)
        keys_alone = [key for key in request.return_keys if key not in bare.return_keys]
        steps = taken_keys(keys_alone, are_refused=not is_for_match)
        try:
            keys = next(steps)
            while True:
                keys = steps.send(self._takes(replace(one, return_keys=(*bare.return_keys, *keys))))
        except StopIteration as end:
            taken: tuple[str, ...] = end.value
        except _NotDecided:
            return
        self._refuse(request.level, [key for key in keys_alone if key not in taken], failure)

    def _takes(self, request: Request) -> bool:
        (answer,) = self.try_ask([request])
        if isinstance(answer, Failure) and not may_be_for_a_key(answer):
            raise _NotDecided
        return not isinstance(answer, Failure)

    def _for_one_row(self, request: Request, answer: pa.Table) -> Request:
        """Return a request for one row of an answer by its Unique Keys; for all rows where one of them is missing."""
        unique = (*unique_keys_above(request.level, self.model), unique_key(request.level))
        for row in answer.slice(0, 1).to_pylist():
            keys = tuple((key, str(row.get(key) or request.value(key) or "")) for key in unique)
            if all(value and "\\" not in value for _, value in keys):
                return replace(request, keys=keys)
        return request

    def _refuse(self, level: Level, keys: Iterable[str], failure: Failure) -> None:
        for key in keys:
            self.refused.setdefault(level, {})[key] = _evidence(failure)
            self.learnt[level, key] = _evidence(failure)

    def _with_columns(self, request: Request, answer: pa.Table | Failure) -> pa.Table | Failure:
        """Return an answer with empty columns for the keys that were not requested."""
        if isinstance(answer, Failure):
            return answer
        for column in schema(request.level, answer_keywords(request, self.model)):
            if column.name not in answer.column_names:
                answer = answer.append_column(column, pa.nulls(answer.num_rows, column.type))
        return answer


def _place(request: Request) -> tuple[Level, frozenset[str]]:
    """Return what requests have in common whose refused keys are the same."""
    return request.level, frozenset(keyword for keyword, _ in request.keys)


def _with_single_uids(request: Request) -> Request:
    """Return a request with the first UID of each list."""
    for key, value in request.keys:
        if key in _UIDS and "\\" in value:
            request = request.with_key(key, value.partition("\\")[0])
    return request


def _is_narrow(request: Request, *, without: Sequence[str]) -> bool:
    """Whether a request asks for a part of an archive, also without some of its keys."""
    return any(keyword in _NARROW and keyword not in without for keyword, value in request.keys if value)


def _evidence(failure: Failure) -> str:
    status = failure.error.status if isinstance(failure.error, StatusError) else 0
    return f"with it the node ended C-FIND with status 0x{status:04X}, without it there were responses"
