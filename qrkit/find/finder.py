"""Asks a node a query from beginning to end, and keeps the table and its coverage in the history."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Protocol

import pandas as pd
import pyarrow as pa

from qrkit.errors import NodeError, QrkitError, StatusError
from qrkit.find.asked_values import AskedValues, MissingValues, queries_for_values_alone, without_wildcards
from qrkit.find.hierarchy import HierarchyResult, HierarchySteps, ask_by_level
from qrkit.find.parents import conform, has_all_values
from qrkit.find.session import FindSession
from qrkit.find.united import union
from qrkit.find.windowed import WindowedFind
from qrkit.node import Node, check_can_find
from qrkit.profile import Evidence, Profile, Statement, Subject, Verdict
from qrkit.query import Coverage, Load, Query, Request, unknown_codes
from qrkit.query.coverage import empty_columns
from qrkit.query.filters import Select, select, select_sure
from qrkit.query.matching import takes_list
from qrkit.query.query import FEW_DAYS
from qrkit.query.request import not_requested
from qrkit.stop import NEVER, Stop
from qrkit.store.nodes import ProfileTable
from qrkit.store.queries import INTERRUPTED, RUNNING, QueryTable, left_behind
from qrkit.store.results import Results, Spool, read_left_behind
from qrkit.tables import Level, schema, to_frame, unique_key
from qrkit.words import counted, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class FindResult:
    """The result of a query, as the history keeps it."""

    query_id: str
    table: pa.Table
    coverage: Coverage

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame; ``attrs["qrkit"]`` has query_id, coverage and warnings."""
        frame = to_frame(self.table)
        frame.attrs["qrkit"] |= {"query_id": self.query_id, "coverage": self.coverage.to_json()}
        return frame


class WildcardCheck(Protocol):
    """Asks a node whether it matches wildcards."""

    def __call__(self, node: Node, *, stop: Stop) -> tuple[Statement, Load]:
        """Return what the node showed, and what it was asked for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One query to one node.

    Attributes
    ----------
    unjudged
        Keys by which the rows are not filtered here.
    """

    node: Node
    profile: Profile
    query: Query
    unjudged: Collection[str]
    stop: Stop
    spool: Spool | None = None

    def begin(self, here: Sequence[str], *, is_sure: bool = False) -> tuple[HierarchySteps, tuple[Request, ...]]:
        """Return its steps and the requests of the first; the keys `here` are matched here alone, or for sure."""
        reliance = self.profile.reliance.without(here)
        local = reliance.unmatched | not_requested(self.query, self.node.information_model)
        unjudged = {*self.unjudged, *(here if is_sure else ())}
        chosen: Select = partial(select, local=local, honoured=reliance.honoured, unjudged=unjudged)
        chosen = partial(select_sure, sure=here, others=chosen) if is_sure else chosen
        steps = ask_by_level(self.query, self.node.information_model, chosen, reliance)
        return steps, next(steps)


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows of a query, and whether they are all."""

    table: pa.Table
    coverage: Coverage

    def doubted(self, why: str, keys: Sequence[str]) -> _Found:
        """Return the same rows with one more reason for which some may be missing: wildcards in some keys."""
        coverage = replace(self.coverage, why=(*self.coverage.why, why))
        return replace(self, coverage=_with_missing(coverage, without_wildcards(coverage, keys)))

    def assuming(self, assumption: str) -> _Found:
        """Return the same rows with one more assumption that they rest on."""
        assumptions = (*self.coverage.assumptions, assumption)
        return replace(self, coverage=replace(self.coverage, assumptions=assumptions))

    def with_load(self, load: Load) -> _Found:
        """Return the same rows with what the node was asked in all."""
        return replace(self, coverage=replace(self.coverage, requests=load.requests, load=load))


class Finder:
    """Runs queries and keeps their results.

    Parameters
    ----------
    check_wildcards
        Asks a node of which that is unknown, after a query with wildcards found nothing.
    """

    def __init__(
        self,
        queries: QueryTable,
        results: Results,
        profiles: ProfileTable,
        *,
        user: str,
        calling_ae_title: str,
        check_wildcards: WildcardCheck,
    ) -> None:
        self._queries = queries
        self._results = results
        self._profiles = profiles
        self._user = user
        self._calling_ae_title = calling_ae_title
        self._check_wildcards = check_wildcards

    def find(
        self,
        node: Node,
        query: Query,
        *,
        unjudged: Collection[str] = (),
        stop: Stop = NEVER,
    ) -> FindResult:
        """Run a query at a node, and keep its result.

        Parameters
        ----------
        unjudged
            Matching keys that are sent to the node, although rows that do not match stay. Then the caller uses
            `explain`, once for several queries.

        Raises
        ------
        InputError
            If the node cannot be asked this.
        NodeError
            If the node fails; the history has the same message.
        """
        check_can_find(node)
        profile = self._profiles.get(node.name) or Profile.unknown(node.name)
        matched_here = query.wildcard_keys if profile.verdict(Subject.WILDCARDS).is_against else ()
        question = _Question(node=node, profile=profile, query=query, unjudged=unjudged, stop=stop)
        steps, requests = question.begin(matched_here)
        query_id = self._queries.begin(node.name, query.level.value, query.to_json(), self._user)
        with Spool(self._results.folder, query_id) as spool:
            question = replace(question, spool=spool)
            try:
                with self._queries.alive(query_id):
                    found = self._with_wildcards_checked(question, self._ask(question, steps, requests))
                    found = self._with_letters_checked(question, found)
                    if found.coverage.not_found and not unjudged:
                        found = self._with_excluded(question, found)
                self._store(query_id, found)
            except BaseException as error:
                self._fail(query_id, question, error)
                raise
            return FindResult(query_id=query_id, table=found.table, coverage=found.coverage)

    def _store(self, query_id: str, found: _Found) -> None:
        with self._results.writer(query_id, schema=found.table.schema) as writer:
            writer.write(found.table)
            self._queries.finish(query_id, writer.row_count, found.coverage, writer.commit())

    def _fail(self, query_id: str, question: _Question, error: BaseException) -> None:
        """Keep the rows until a query failed or was stopped, marked as incomplete; without any, keep its error."""
        message = _message(error)
        tables = question.spool.everything() if question.spool is not None else []
        partial = partial_result(question.query, tables, message)
        if partial is None:
            self._queries.fail(query_id, message, error.status if isinstance(error, StatusError) else None)
            return
        self._store(query_id, _Found(*partial))
        kept = f"{counted(partial[0].num_rows, 'row')} until then are stored as query {query_id}"
        if isinstance(error, QrkitError):
            error.message = f"{error.message} The {kept}."
        elif isinstance(error, KeyboardInterrupt):
            error.args = (f"The query was stopped. The {kept}.",)

    def recover(self) -> None:
        """Store the rows of queries whose process has ended, marked as incomplete."""
        for query_id, paths in left_behind(self._results.folder).items():
            row = self._queries.find(query_id)
            if row is not None and row.state == RUNNING:
                continue
            if row is not None and row.state == INTERRUPTED:
                partial = partial_result(
                    row.query,
                    [read_left_behind(path) for path in paths],
                    "its process ended before the result was complete",
                )
                if partial is not None:
                    self._store(query_id, _Found(*partial))
            for path in paths:
                with suppress(OSError):
                    path.unlink()

    def explain(
        self, node: Node, query: Query, missing: MissingValues, *, ignored: Collection[str] = (), stop: Stop = NEVER
    ) -> tuple[MissingValues, Load]:
        """Return the missing values of a query, once those that other keys exclude are known, and what it cost."""
        load = Load()
        profile = self._profiles.get(node.name) or Profile.unknown(node.name)
        for alone in queries_for_values_alone(query, missing.not_found, ignored):
            question = _Question(node=node, profile=profile, query=alone, unjudged=(), stop=stop)
            try:
                coverage = self._ask(question, *question.begin(())).coverage
            except NodeError:
                ((keyword, values),) = alone.keys
                coverage = Coverage(unanswered=((keyword, tuple(values.split("\\"))),))
            missing = missing.with_answers_alone(alone, _missing(coverage))
            load += coverage.load or Load()
        return missing, load

    def _with_excluded(self, question: _Question, found: _Found) -> _Found:
        """Return what was found, once it is known which values of lists other keys exclude."""
        coverage = found.coverage
        ignored = [text.partition(":")[0] for text in coverage.ignored]
        before = _missing(coverage)
        missing, load = self.explain(question.node, question.query, before, ignored=ignored, stop=question.stop)
        if missing == before and not load.requests:
            return found
        found = replace(found, coverage=_with_missing(coverage, missing))
        return found.with_load((coverage.load or Load()) + load)

    def _with_wildcards_checked(self, question: _Question, found: _Found) -> _Found:
        """Return what was found, once it is known whether the node took its wildcards for letters."""
        keys = question.query.wildcard_keys
        verdict = question.profile.verdict(Subject.WILDCARDS)
        if keys and verdict.is_against and question.query.dates is None:
            return found.doubted(_give_dates(keys), keys)
        if not keys or verdict is not Verdict.UNKNOWN or found.table.num_rows:
            return found
        statement, load = self._check_wildcards(question.node, stop=question.stop)
        load += found.coverage.load or Load()
        if statement.verdict is not Verdict.UNKNOWN:
            self._profiles.learn(question.node.name, Evidence(statements=(statement,)), self._user)
        if statement.verdict.is_against and question.query.dates is not None:
            found = self._ask(question, *question.begin(keys))
            load += found.coverage.load or Load()
        elif statement.verdict.is_against:
            found = found.doubted(_give_dates(keys), keys)
        elif statement.verdict is Verdict.UNKNOWN:
            why = f"the wildcards in {', '.join(keys)} found nothing, and whether the node matches any is not known"
            found = found.doubted(f"{why}: {statement.evidence}", keys)
        else:
            found = found.assuming(f"the node matches wildcards, as in this test: {statement.evidence}")
        return found.with_load(load)

    def _with_letters_checked(self, question: _Question, found: _Found) -> _Found:
        """Return what was found, with keys matched here by which the node found nothing as it compares bytes."""
        query = question.query
        keys = [key for key in query.spelt_keys if key not in question.unjudged]
        if found.table.num_rows or not keys:
            return found
        if not query.is_small_without(keys):
            beyond = [key for key, value in query.keys if key in keys and not value.isascii()]
            ignored = f"the node ignores case in {listed(keys)}"
            return found.doubted(_give_few_days(beyond), beyond) if beyond else found.assuming(ignored)
        try:
            again = self._ask(question, *question.begin(keys, is_sure=True))
        except NodeError:
            return found.doubted(_give_few_days(keys), keys)
        again = again.assuming(f"values of {listed(keys)} that are unreadable or in another script do not match")
        note = f"The node found nothing by {listed(keys)}; qrkit matched that here."
        again = replace(again, coverage=replace(again.coverage, notes=(*again.coverage.notes, note)))
        return again.with_load((found.coverage.load or Load()) + (again.coverage.load or Load()))

    def _ask(self, question: _Question, steps: HierarchySteps, requests: tuple[Request, ...]) -> _Found:
        node, profile = question.node, question.profile
        title = self._calling_ae_title
        with FindSession(node, calling_ae_title=title, stop=question.stop, habits=profile.habits) as session:
            session.spool = question.spool
            windowed = WindowedFind(session, node, profile, today=date.today())
            values = _asked_values(question)
            while True:
                answers = windowed.ask(requests)
                if values is not None:
                    values.take(requests, answers)
                try:
                    requests = steps.send([answer.table for answer in answers])
                except StopIteration as end:
                    result: HierarchyResult = end.value
                    break
        seen = {Subject.MODALITIES_IN_STUDY: result.contradiction, Subject.SERIES_OF_STUDIES: result.against_lists}
        against = (why for subject, why in seen.items() if why and profile.honours(subject))
        windowed.teach(self._profiles, user=self._user, against=next(against, ""))
        coverage = _coverage(question.query, windowed, session, result)
        if values is not None:
            ignored = [text.partition(":")[0] for text in result.ignored]
            missing = values.missing(has_rows=result.table.num_rows > 0, ignored=ignored)
            coverage = _with_missing(coverage, missing)
        return _Found(result.table, coverage)


def partial_result(query: Query, tables: Sequence[pa.Table], why: str) -> tuple[pa.Table, Coverage] | None:
    """Return the rows of a query that did not end, where they match it; None if there are none."""
    unique = unique_key(query.level)
    own = [table for table in tables if unique in table.column_names and table.num_rows]
    if query.level is not Level.IMAGE:  # a request below also returns the keys above
        below = unique_key(list(Level)[list(Level).index(query.level) + 1])
        own = [table for table in own if below not in table.column_names]
    if not own:
        return None
    selected = select(query, query.level, union(own, query.level))
    table = conform(selected.table, schema(query.level, query.columns))
    reasons = [why.rstrip(".")]
    if query.level is not Level.STUDY:
        reasons.append("values of the levels above were not added")
    return table, Coverage(why=tuple(reasons), filters=selected.reports)


def _asked_values(question: _Question) -> AskedValues | None:
    has_list = any(takes_list(keyword) for keyword, _ in question.query.keys)
    return AskedValues(question.query, question.node.information_model) if has_list else None


def _missing(coverage: Coverage) -> MissingValues:
    return MissingValues(
        not_found=coverage.not_found,
        excluded=coverage.excluded,
        not_returned=coverage.not_returned,
        unanswered=coverage.unanswered,
    )


def _with_missing(coverage: Coverage, missing: MissingValues) -> Coverage:
    return replace(
        coverage,
        not_found=missing.not_found,
        excluded=missing.excluded,
        not_returned=missing.not_returned,
        unanswered=missing.unanswered,
    )


def _notes(query: Query, result: HierarchyResult) -> Iterator[str]:
    """Yield sentences on dates in reverse order, unknown modality codes, and rows that are united or lack a UID."""
    if query.dates and query.dates.note:
        yield query.dates.note
    yield from unknown_codes(query.modalities)
    yield from result.notes
    unique = unique_key(query.level)
    is_known = query.level is Level.PATIENT or has_all_values(result.table, unique)
    without = 0 if is_known else sum(not uid for uid in result.table[unique].to_pylist())
    if without:
        has, they = ("has", "it") if without == 1 else ("have", "they")
        yield f"{counted(without, 'row')} {has} no {unique}, so {they} cannot be retrieved."


def _coverage(query: Query, windowed: WindowedFind, session: FindSession, result: HierarchyResult) -> Coverage:
    coverage = windowed.coverage(result.reports)
    why = [*coverage.why, *result.doubts]
    if result.unasked:
        why.append(f"{counted(result.unasked, 'row')} without a unique key could not be asked for their contents")
    return replace(
        coverage,
        why=tuple(why),
        ignored=(*coverage.ignored, *result.ignored),
        requests=session.requests,
        load=session.pacing.load,
        keys_unsupported=session.keys_unsupported,
        notes=(*_notes(query, result), *empty_columns(coverage.refused_keys)),
    )


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the user"
    return str(error) if isinstance(error, QrkitError) else f"interrupted ({type(error).__name__})"


def _give_few_days(keys: Sequence[str]) -> str:
    why = f"nothing was found by the letters beyond ASCII in {', '.join(keys)}, which the node may compare as bytes"
    return f"{why}; give at most {FEW_DAYS} days, to match them here"


def _give_dates(keys: Sequence[str]) -> str:
    return f"the node does not match the wildcards in {', '.join(keys)}; give dates, to match them here"
