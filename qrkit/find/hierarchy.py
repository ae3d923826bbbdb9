"""How a query is asked under an information model: level by level from the top, as PS3.4 C.4.1.2.1 requires.

`ask_by_level` does no I/O. It yields the requests of a step, which do not depend on one another and so may be sent in
any order or at once, and is sent their answers.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import pyarrow as pa

from qrkit.find.modalities import KEYWORD, MOST_STUDIES, ask_by_modality, series_requests, with_modalities
from qrkit.find.parents import (
    ROW,
    Parent,
    are_counted,
    conform,
    distinct_rows,
    inherited,
    joined_tables,
    own_rows,
    parents_of,
    repeats,
    short_of,
)
from qrkit.find.uid_lists import ask_in_lists
from qrkit.find.united import Judges, notes_on, union, united_rows
from qrkit.find.value_lists import ask_values, value_list
from qrkit.node import InformationModel
from qrkit.query.coverage import FilterReport, Where
from qrkit.query.filters import Reliance, Select, filters_at
from qrkit.query.matching import is_enumerated
from qrkit.query.query import Query
from qrkit.query.request import Request, given_uniques, lowest_level, requests_at
from qrkit.tables import Level, inherited_columns, levels_of, schema, unique_key, unique_keys_above
from qrkit.words import counted

_MOST_AGAIN = 50
"""Parents that are queried again at most, where a node returned fewer rows than it counts."""


HierarchySteps = Generator[tuple[Request, ...], Sequence[pa.Table], "HierarchyResult"]
"""Yields the requests of a step, is sent one table for each in the same order, returns what was found."""

_UNCOUNTED = "the node ignores the UIDs of the level above and does not count the rows below: some may be missing"

_Rows = Generator[tuple[Request, ...], Sequence[pa.Table], pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyResult:
    """The answer of a whole query."""

    table: pa.Table  # with the query's columns and `warnings`; one row per Unique Key
    reports: tuple[FilterReport, ...] = ()  # what the local filters did, in order
    unasked: int = 0  # rows of the levels above that have no Unique Key, so that nothing could be asked below them
    requests: int = 0  # how many requests there were
    doubts: tuple[str, ...] = ()  # why the answer may not be what was asked for
    contradiction: str = ""  # what came for ModalitiesInStudy that was not asked for; empty: nothing
    # what shows that series of several studies do not come whole in one request; empty: nothing
    against_lists: str = ""
    notes: tuple[str, ...] = ()  # sentences on rows that were united
    ignored: tuple[str, ...] = ()  # keys that the node ignored for all values of a list, and how that is known


@dataclass(slots=True)
class FindAccount:
    """The account of a query, for its coverage."""

    requests: int = 0
    unasked: int = 0
    contradiction: str = ""
    against_lists: str = ""
    doubts: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    reports: list[FilterReport] = field(default_factory=list)
    # columns in which several rows of one study, series or patient differed, by Unique Key
    differences: dict[Level, dict[str, frozenset[str]]] = field(default_factory=dict)

    def unite(self, level: Level, tables: Sequence[pa.Table], names: Sequence[str], judges: Judges) -> pa.Table:
        """Return rows of which those of one study, series or patient are united; record where they differ."""
        joined = joined_tables(tables)
        if not repeats(joined, level):
            return joined
        united = united_rows([joined], names, judges)
        known = self.differences.setdefault(level, {})
        known.update({uid: known.get(uid, frozenset()) | columns for uid, columns in united.differences.items()})
        return united.table

    def note(self, reports: Sequence[FilterReport]) -> None:
        """Keep what filters did; a key that the answers contradict was matched here."""
        is_here = {KEYWORD} if self.contradiction else set()
        self.reports += [replace(one, where=Where.LOCAL) if one.name in is_here else one for one in reports]

    def note_foreign(
        self, level: Level, came: Sequence[Sequence[pa.Table]], own: Sequence[Sequence[pa.Table]], *, is_counted: bool
    ) -> None:
        """Record rows that belong to none of the rows above; doubt the rest unless they are counted."""
        before, after = (sum(table.num_rows for tables in some for table in tables) for some in (came, own))
        if before > after:
            name = "UIDs of the level above"
            self.reports.append(FilterReport(name=name, level=level, terms=(), before=before, after=after))
            if not is_counted:
                self.doubts.append(_UNCOUNTED)


def ask_by_level(
    query: Query, model: InformationModel, select: Select, reliance: Reliance | None = None
) -> HierarchySteps:
    """Yield the requests of a query, step by step, and return its answer.

    A level above the query's own is asked first, unless its Unique Key is given and nothing else narrows it down.

    `reliance`: what is known of the node's matching; without it nothing is. Raise `InputError` if the query cannot be
    asked under the information model; before anything is yielded.
    """
    lowest = lowest_level(query, model)
    reliance = reliance or Reliance()
    parents = [Parent()]
    account = FindAccount()
    table = pa.table({})
    for level in levels_of(model):
        if level is not lowest and (given := given_uniques(query, level, model)):
            parents = [Parent((*one.keys, key), one.row) for one, key in product(parents, given)]
            continue
        asked = [
            (parent, request)
            for parent in parents
            for request in requests_at(query, level, model, parent.keys, reliance)
        ]
        rows = yield from ask_level(query, (model, level), asked, reliance, account)
        if level is lowest and level is Level.STUDY and query.modalities and KEYWORD not in reliance.honoured:
            rows = yield from _told_by_series(rows, model, reliance, account)
        selected = select(query, level, rows)
        account.note(selected.reports)
        table = selected.table
        if level is lowest:
            break
        parents = parents_of(table, level, model)
        account.unasked += table.num_rows - len(parents)
    table = union([table], query.level) if repeats(table, query.level) else table
    return HierarchyResult(
        table=conform(table, schema(query.level, query.columns)),
        reports=tuple(account.reports),
        unasked=account.unasked,
        requests=account.requests,
        doubts=tuple(account.doubts),
        contradiction=account.contradiction,
        against_lists=account.against_lists,
        ignored=tuple(account.ignored),
        notes=tuple(notes_on(account.differences)) if account.differences else (),
    )


def ask_level(
    query: Query,
    where: tuple[InformationModel, Level],
    asked: Sequence[tuple[Parent, Request]],
    reliance: Reliance,
    account: FindAccount,
) -> _Rows:
    """Ask the requests of a level, and return its rows before they are filtered."""
    model, level = where
    has_list = any(is_enumerated(keyword, value) for keyword, value in query.keys)
    values = value_list(query, asked) if has_list else None
    if values is None:
        return (yield from _ask_all(query, where, asked, reliance, account))

    def ask(some: Sequence[tuple[Parent, Request]]) -> _Rows:
        return _ask_all(query, where, some, reliance, account)

    answers = yield from ask_values(values, level, ask)
    account.ignored += [answers.ignored] if answers.ignored else []
    account.doubts += [answers.doubt] if answers.doubt else []
    return account.unite(level, answers.tables, _identity(query, level, model), _judges(query, level))


def _ask_all(
    query: Query,
    where: tuple[InformationModel, Level],
    asked: Sequence[tuple[Parent, Request]],
    reliance: Reliance,
    account: FindAccount,
) -> _Rows:
    """Ask requests of a level, whatever they have in common, and return their rows."""
    model, level = where
    requests = [request for _, request in asked]
    if requests and level is Level.STUDY and query.modalities and KEYWORD not in reliance.unmatched:
        is_honoured = KEYWORD in reliance.honoured
        came = yield from ask_by_modality(
            requests, query.modalities, is_honoured=is_honoured, is_narrow=query.is_narrow
        )
        account.doubts += [came.doubt] if came.doubt else []
        account.contradiction = came.contradiction or account.contradiction
        account.requests += came.asked
        tables = came.tables
    elif level in reliance.lists and len(requests) > 1:
        listed = yield from ask_in_lists(asked, level)
        account.requests += listed.sent
        if listed.short and level is Level.SERIES:
            account.against_lists = f"{counted(listed.short, 'study')} had fewer series in a list of UIDs than alone"
        tables = listed.tables
    else:
        account.requests += len(requests)
        tables = [[answer] for answer in ((yield tuple(requests)) if requests else ())]
    own = own_rows(asked, tables)
    account.note_foreign(level, tables, own, is_counted=are_counted(asked, level))
    found = [_empty(query, level), *_inherited(query, level, asked, own)]
    rows = account.unite(level, found, _identity(query, level, model), _judges(query, level))
    rows = distinct_rows(rows, level)
    return distinct_rows((yield from _counted(query, where, asked, rows, account)), level)


def _counted(
    query: Query,
    where: tuple[InformationModel, Level],
    asked: Sequence[tuple[Parent, Request]],
    rows: pa.Table,
    account: FindAccount,
) -> _Rows:
    """Ask again where fewer rows were returned than the rows above count; doubt what is still missing."""
    model, level = where
    short = short_of(asked, rows, level)
    if not short.places:
        return rows
    again = [asked[place] for place in short.places[:_MOST_AGAIN]]
    account.requests += len(again)
    answers = yield tuple(request for _, request in again)
    own = own_rows(again, [[answer] for answer in answers])
    found = [rows, *_inherited(query, level, again, own)]
    rows = account.unite(level, found, _identity(query, level, model), _judges(query, level))
    short = short_of(asked, rows, level)
    if short.places:
        account.doubts.append(short.doubt(level))
    return rows


def _inherited(
    query: Query, level: Level, asked: Sequence[tuple[Parent, Request]], own: Sequence[Sequence[pa.Table]]
) -> list[pa.Table]:
    """Return the answers to requests, each with what it lacks of the row above that it was asked for."""
    return [
        inherited(query, level, one, answer)
        for (one, _), answers in zip(asked, own, strict=True)
        for answer in answers
    ]


def _told_by_series(studies: pa.Table, model: InformationModel, reliance: Reliance, account: FindAccount) -> _Rows:
    """Return studies with the modalities of their series, where it does not return any that can be read."""
    asked = series_requests(studies, model)
    if not asked:
        return studies
    if len(asked) > MOST_STUDIES:
        account.doubts.append(
            f"{len(asked)} studies have no ModalitiesInStudy that can be read, too many to ask for the series of"
            " each: some may not have the modality"
        )
        return studies
    if Level.SERIES in reliance.lists:
        told = studies.to_pylist()
        listed = yield from ask_in_lists([(Parent(one.keys, told[row]), one) for row, one in asked], Level.SERIES)
        account.requests += listed.sent
        series: Sequence[pa.Table] = [table for (table,) in listed.tables]
    else:
        account.requests += len(asked)
        series = yield tuple(request for _, request in asked)
    return with_modalities(studies, [row for row, _ in asked], series)


def _identity(query: Query, level: Level, model: InformationModel) -> tuple[str, ...]:
    """Return the keys that identify a row of a level before it is filtered.

    On the way down these are all Unique Keys: there are archives in which two patients share a study.
    """
    if level is query.level:
        return ROW[level]
    above = ROW[Level.PATIENT] if query.level is Level.PATIENT else unique_keys_above(level, model)
    return (unique_key(level), *above)


def _judges(query: Query, level: Level) -> Judges:
    """Return which of the values of several rows answers the query, by column."""
    return {one.column: one.judge for one in filters_at(query, level)}


def _empty(query: Query, level: Level) -> pa.Table:
    """Return a table without rows, so that a level always has its columns and their types."""
    names = query.columns if level is query.level else inherited_columns(level)
    return schema(level, names).empty_table()
