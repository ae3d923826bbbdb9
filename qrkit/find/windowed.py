"""Asks the requests of a query in windows, and keeps account of what is proven: the coverage of its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from qrkit.advice import Advice
from qrkit.errors import NodeError
from qrkit.find.parents import distinct_rows
from qrkit.find.refused_keys import RefusedKeys
from qrkit.find.session import FindSession, VainResponses
from qrkit.find.uid_lists import UidLists
from qrkit.find.windows import (
    Caps,
    Failure,
    FailureKind,
    WindowAnswer,
    WindowContext,
    WindowRecord,
    WindowsResult,
    WindowSteps,
    ask_in_windows,
    failure_of,
    window_answer,
)
from qrkit.node import Node
from qrkit.profile import MATCHING_KEYS, Evidence, Profile, Statement, Subject, Verdict
from qrkit.query import Coverage, Request, answer_keywords
from qrkit.query.coverage import AskedWindow, FilterReport, Where
from qrkit.query.filters import with_places
from qrkit.store.nodes import ProfileTable
from qrkit.tables import Level, schema, unique_key
from qrkit.words import counted

_SCOUTS = 8
"""Requests of a step that are asked until the first answer comes; if none does, the others are not asked."""

_LISTED = 500
"""Windows that a coverage lists; their number is always given."""

_NOT_APPLIED = "the node does not match it, and returned no value to match here"

_LIST_SUBJECTS = {
    Level.PATIENT: Subject.UID_LISTS,
    Level.STUDY: Subject.UID_LISTS,
    Level.SERIES: Subject.SERIES_OF_STUDIES,
    Level.IMAGE: Subject.SERIES_OF_STUDIES,
}
"""By level: what a profile calls lists of UIDs there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowedAnswer:
    """The answer to one request from all of its windows."""

    table: pa.Table
    error: NodeError | None = None  # the error by which some of the windows failed for good
    doubts: tuple[str, ...] = ()  # why the answer may be incomplete


HasAll = Callable[[pa.Table], bool]
"""Whether a table has rows of everything that a request asks for."""


class _Step:
    """Requests that do not depend on one another, each driven in its windows."""

    def __init__(
        self, requests: Sequence[Request], drivers: Sequence[WindowSteps], checks: Sequence[HasAll | None]
    ) -> None:
        self._levels = [request.level for request in requests]
        self._checks = checks
        self._drivers = drivers
        self._wanted = {place: next(driver) for place, driver in enumerate(drivers)}
        self._is_answered = False
        self.tables: list[list[pa.Table]] = [[] for _ in requests]  # what has come of each
        self.partial: list[list[pa.Table]] = [[] for _ in requests]  # what came before a request of it failed
        self.done: dict[int, WindowsResult] = {}  # how those went that are through, by their place
        self.vain: list[dict[Request, VainResponses]] = [{} for _ in requests]  # responses that brought no row
        self.error: NodeError | None = None  # the first one; None: none yet

    def batches(self) -> dict[int, tuple[Request, ...]]:
        """Return what is to be asked next, by place: of a node that has answered nothing yet, only a few."""
        if self._is_answered:
            return dict(self._wanted)
        return dict(islice(self._wanted.items(), max(_SCOUTS - len(self.done), 0)))

    def take(self, place: int, answers: Sequence[pa.Table | Failure]) -> None:
        """Take the answers to the requests of a place."""
        for answer in answers:
            if isinstance(answer, Failure):
                self.error = self.error or answer.error
                self.partial[place] += [] if answer.rows is None else [answer.rows]
            else:
                self._is_answered = True
                self.tables[place].append(answer)
        del self._wanted[place]
        facts = [_facts(answer, self._levels[place], self._checks[place]) for answer in answers]
        after = _advanced(self._drivers[place], facts)
        if isinstance(after, WindowsResult):
            self.done[place] = after
        else:
            self._wanted = {place: after, **self._wanted}

    def error_of(self, place: int) -> NodeError | None:
        """Return the error by which the request of a place failed for good, in whole or in part."""
        result = self.done.get(place)
        if result is not None and result.has_answer and not result.errors:
            return None
        errors = result.errors if result is not None else ()
        return errors[0] if errors else self.error

    def found(self, place: int, *, is_partial: bool) -> list[pa.Table]:
        """Return the rows for the request of a place; those before failures too, if they may be partial."""
        is_all = not is_partial or (self.error_of(place) is None and not self.doubts_of(place))
        found = list(self.tables[place])
        for table in [] if is_all else self.partial[place]:
            found.append(_new_rows(table, found, unique_key(self._levels[place])))
        return found

    def doubts_of(self, place: int) -> tuple[str, ...]:
        """Return why the answer to the request of a place may be incomplete."""
        result = self.done.get(place)
        return (*(result.doubts if result is not None else ()), *vain_doubts(self.vain[place]))


class WindowedFind:
    """The requests of one query, each asked in as many windows as it takes.

    `today`: with which an open range of dates ends.
    """

    def __init__(self, session: FindSession, node: Node, profile: Profile, *, today: date) -> None:
        self._keys = RefusedKeys(try_ask=session.try_ask, model=node.information_model, refused=profile.refused_keys)
        self._lists = UidLists(self._try_ask, lambda level: profile.verdict(_LIST_SUBJECTS[level]))
        self._session = session
        self._node = node
        self._profile = profile
        self._today = today.toordinal()
        self._caps: dict[Level, Caps] = {}
        self._driven: list[WindowsResult] = []
        self._repeated: dict[str, None] = {}  # the Unique Keys that repeated rows lacked

    def _try_ask(self, requests: Sequence[Request]) -> list[pa.Table | Failure]:
        """Return the answers to requests as they are sent; keys that the node refuses are left out."""
        if self._keys.refused or self._keys.unmatched or self._keys.sampled:
            return self._keys.ask(requests)
        answers = self._session.try_ask(requests)
        if not any(isinstance(answer, Failure) for answer in answers):
            return answers
        return self._keys.settle(requests, requests, answers)

    @property
    def contradiction(self) -> str:
        """The contradiction of the answers to the node's profile; empty: none."""
        said = [caps.contradiction for caps in self._caps.values()]
        said += [one.evidence for one in self.evidence.statements if self._profile.honours(one.subject)]
        return next(filter(None, said), "")

    @property
    def evidence(self) -> Evidence:
        """The abilities of the node that the answers have shown."""
        against = [
            (_LIST_SUBJECTS[level], why) for level, why in self._lists.against.items() if level is not Level.IMAGE
        ]
        refused = [(subject, f"{why}; each UID alone was answered") for subject, why in against]
        refused += [
            (subject, why)
            for keys in self._keys.unmatched.values()
            for subject, why in ((one, keys.get(one.value, "")) for one in MATCHING_KEYS)
            if why
        ]
        return Evidence(
            statements=tuple(
                Statement(subject=subject, verdict=Verdict.REFUSED, evidence=why) for subject, why in refused
            ),
            returned=self._keys.returned if self._keys.learnt else (),
            one_request=self._session.one_request,
            most_answers=max((caps.proven for caps in self._caps.values()), default=0),
        )

    def teach(self, profiles: ProfileTable, *, user: str, against: str = "") -> None:
        """Add what the answers have shown to the node's profile, or mark it as stale where they contradict it.

        `against`: what else contradicts it.
        """
        contradiction = self.contradiction or against
        if contradiction and self._profile.is_known:
            profiles.mark_stale(self._node.name, contradiction)
        elif not self._profile.is_told_by(self.evidence):
            profiles.learn(self._node.name, self.evidence, user)

    def ask(self, requests: Sequence[Request]) -> list[WindowedAnswer]:
        """Return the answers to requests that do not depend on one another, in their order.

        Raise the first `NodeError`, if windows failed and no other brought anything.
        """
        answers = self.try_ask(requests)
        error = next((answer.error for answer in answers if answer.error is not None), None)
        if error is not None and not any(answer.table.num_rows for answer in answers):
            raise _advised(error, requests[0])
        return answers

    def try_ask(
        self, requests: Sequence[Request], checks: Sequence[HasAll | None] | None = None
    ) -> list[WindowedAnswer]:
        """Return the answers to requests, each with the error by which some or all of it failed for good.

        `checks`: for each request that asks below many rows: whether an answer has rows of all of them.
        """
        drivers = [ask_in_windows(request, self._context(request.level)) for request in requests]
        step = _Step(requests, drivers, checks or [None] * len(requests))
        while batches := step.batches():
            came = self._lists.try_ask([request for batch in batches.values() for request in batch])
            for place, batch in batches.items():
                step.take(place, came[: len(batch)])
                step.vain[place] |= {one: vain for one in batch if (vain := self._session.vain.get(one))}
                came = came[len(batch) :]
        self._driven += [step.done[place] for place in sorted(step.done)]
        return [
            WindowedAnswer(
                table=self._joined(request, step.found(place, is_partial=self._session.spool is not None)),
                error=step.error_of(place),
                doubts=step.doubts_of(place),
            )
            for place, request in enumerate(requests)
        ]

    def coverage(self, filters: Sequence[FilterReport] = ()) -> Coverage:
        """Return what the windows so far have proven, and the local filters of their rows."""
        unmatched = dict.fromkeys(key for keys in self._keys.unmatched.values() for key in keys)
        against = self._profile.reliance.unmatched | unmatched.keys()
        applied = with_places(filters, against, self._keys.left_out if self._keys.refused else ())
        vain = dict.fromkeys(report.name for report in applied if report.where is Where.NONE)
        windows = [window for driven in self._driven for window in driven.windows]
        repeated = [f"rows without {key} are the same where all their values are" for key in self._repeated]
        small = filter(None, (caps.assumption for caps in self._caps.values()))
        ignored = [f"{key}: {why}" for driven in self._driven for key, why in driven.unusable]
        if self._lists.told:
            ignored.append(self._lists.told)
        ignored += [
            f"{key}: the node refuses it{'' if key in vain else ', so it was matched here'}" for key in unmatched
        ]
        doubts = [
            *(f"the filter {name} could not be applied: {_NOT_APPLIED}" for name in vain),
            *(text for driven in self._driven for text in driven.doubts),
            *vain_doubts(self._session.vain),
        ]
        return Coverage(
            why=_once(doubts),
            assumptions=_once((*(text for driven in self._driven for text in driven.assumptions), *repeated, *small)),
            windows=len(windows),
            splits=sum(driven.splits for driven in self._driven),
            failures=sum(bool(window.failure) for window in windows),
            asked=tuple(map(_asked, windows[:_LISTED])) if len(windows) > len(self._driven) else (),
            ignored=_once(ignored),
            refused_keys=self._keys.left_out if self._keys.refused else (),
            filters=applied,
        )

    def _context(self, level: Level) -> WindowContext:
        profile = self._profile
        known = profile.is_known
        if level not in self._caps:
            self._caps[level] = Caps(likely=profile.cap if known else None, most=profile.most_answers if known else 0)
        bad = [key for key in ("StudyDate", "StudyTime") if profile.verdict(key).is_against]
        return WindowContext(
            caps=self._caps[level],
            today=self._today,
            width=self._node.associations,
            wildcards=profile.honours(Subject.WILDCARDS),
            unusable=tuple((key, "by its profile the node cannot be asked by it") for key in bad),
        )

    def _joined(self, request: Request, found: Sequence[pa.Table]) -> pa.Table:
        """Return the answers of all windows; repeated rows without a Unique Key are taken once."""
        if not found:
            names = answer_keywords(request, self._node.information_model)
            return schema(request.level, names).empty_table()
        joined = found[0] if len(found) == 1 else pa.concat_tables(found, promote_options="permissive")
        rows = distinct_rows(joined, request.level)
        if rows.num_rows < joined.num_rows:
            self._repeated[unique_key(request.level)] = None
        return rows


def vain_doubts(vain: Mapping[Request, VainResponses]) -> tuple[str, ...]:
    """Return why rows may be missing: pending responses lack an Identifier, or name another request."""
    not_sent: Counter[Level] = Counter()
    for request, responses in vain.items():
        not_sent[request.level] += responses.without_identifier
    of_another = sum(one.of_another for one in vain.values())
    named = "names" if of_another == 1 else "name"
    doubts = {
        f"{counted(number, f'{level.value} row')} {'was' if number == 1 else 'were'} announced and not sent": number
        for level, number in not_sent.items()
    }
    doubts[f"{counted(of_another, 'response')} {named} another request, so rows may be missing or wrong"] = of_another
    return tuple(text for text, number in doubts.items() if number)


def _new_rows(table: pa.Table, found: Sequence[pa.Table], key: str) -> pa.Table:
    """Return the rows whose Unique Key is not among those that were found, and those without one."""
    if key not in table.column_names:
        return table
    known = [chunk for other in found if key in other.column_names for chunk in other[key].chunks]
    if not known:
        return table
    is_known = pc.is_in(table[key], value_set=pa.chunked_array(known))
    has_key = pc.not_equal(pc.fill_null(table[key], ""), "")
    return table.filter(pc.invert(pc.and_(is_known, has_key)))


def _advised(error: NodeError, request: Request) -> NodeError:
    """Return an error with what to give, where patients are asked for that are too many for the node."""
    if request.level is not Level.PATIENT or failure_of(error).kind is not FailureKind.TOO_MUCH:
        return error
    advice = "Give a PatientID, a PatientName such as DOE*, or a range of PatientBirthDate: it gives no more at once."
    error.remedy = Advice(advice)
    return error


def _advanced(driver: WindowSteps, answers: Sequence[WindowAnswer]) -> tuple[Request, ...] | WindowsResult:
    try:
        return driver.send(answers)
    except StopIteration as end:
        driven: WindowsResult = end.value
        return driven


def _facts(answer: pa.Table | Failure, level: Level, has_all: HasAll | None) -> WindowAnswer:
    if isinstance(answer, Failure):
        return WindowAnswer(failure=answer)
    facts = window_answer(answer, level)
    return replace(facts, has_all=True) if has_all is not None and has_all(answer) else facts


def _asked(record: WindowRecord) -> AskedWindow:
    label = record.window.label()
    return AskedWindow(window=label, count=record.count, failure=record.failure, split=record.is_split)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
