"""A query from the call to the kept answer: asked, gathered, written, listed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from qrkit.errors import QrkitError, StatusError
from qrkit.find.hierarchy import HierarchyResult, HierarchySteps, ask_by_level
from qrkit.find.pacing import Load, added
from qrkit.find.session import FindSession
from qrkit.find.windowed import WindowedFind
from qrkit.node import Node, check_can_find
from qrkit.profile import Evidence, Profile, Statement, Subject, Verdict
from qrkit.query import FilterReport, Query, Request
from qrkit.query.coverage import Coverage
from qrkit.query.filters import select, values_not_found
from qrkit.store.profiles import ProfileTable
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.tables import to_frame
from qrkit.words import counted

_Begun = tuple[HierarchySteps, tuple[Request, ...]]
_Found = tuple[HierarchyResult, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindResult:
    """A kept answer: the query's id, its table, and its coverage."""

    query_id: str
    table: pa.Table
    coverage: dict[str, Any]

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame; ``attrs["qrkit"]`` has query_id, coverage and warnings."""
        frame = to_frame(self.table)
        frame.attrs["qrkit"] |= {"query_id": self.query_id, "coverage": Coverage(self.coverage)}
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """One query to one node.

    Attributes
    ----------
    unjudged
        Keys by which the answer is not filtered here.
    """

    node: Node
    profile: Profile
    query: Query
    unjudged: Collection[str]
    should_stop: Callable[[], bool] | None

    def begin(self, here: Sequence[str]) -> _Begun:
        """Return its steps and the requests of the first; the keys `here` are matched here alone."""
        reliance = self.profile.reliance.without(here)
        chosen = partial(select, local=reliance.unmatched, unjudged=self.unjudged)
        steps = ask_by_level(self.query, self.node.information_model, chosen, reliance)
        return steps, next(steps)


class WildcardCheck(Protocol):
    """Asks a node whether it matches wildcards."""

    def __call__(self, node: Node, *, should_stop: Callable[[], bool] | None) -> tuple[Statement, Load]:
        """Return what the node showed, and what it was asked for that."""


class Finder:
    """Runs queries and keeps their answers.

    Parameters
    ----------
    check_wildcards
        Asked where nothing came for wildcards, of a node of which it is not known whether it matches them.
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
        should_stop: Callable[[], bool] | None = None,
    ) -> FindResult:
        """Ask a node, and keep what it answers.

        Parameters
        ----------
        unjudged
            Matching keys that the node is asked for, whereas rows that do not match stay.

        Raises
        ------
        InputError
            If the node cannot be asked this.
        NodeError
            If the node fails; the history tells the same.
        """
        check_can_find(node)
        profile = self._profiles.get(node.name) or Profile.unknown(node.name)
        keys = query.wildcard_keys
        is_matched = profile.verdict(Subject.WILDCARDS)
        here = keys if is_matched.is_against else ()
        question = _Question(node=node, profile=profile, query=query, unjudged=unjudged, should_stop=should_stop)
        begun = question.begin(here)
        query_id = self._queries.begin(node.name, query.level.value, query.to_json(), self._user)
        try:
            with self._queries.alive(query_id):
                result, coverage = self._ask(question, begun)
                if here and query.dates is None:
                    coverage = _doubted(coverage, _ask_with_dates(here))
                elif keys and is_matched is Verdict.UNKNOWN and not result.table.num_rows:
                    result, coverage = self._checked(question, (result, coverage))
            with self._results.writer(query_id, schema=result.table.schema) as writer:
                writer.write(result.table)
                self._queries.finish(query_id, writer.row_count, coverage, writer.commit())
        except BaseException as error:
            status = error.status if isinstance(error, StatusError) else None
            said = _said(error)
            self._queries.fail(query_id, said, status)
            raise
        return FindResult(query_id=query_id, table=result.table, coverage=coverage)

    def _checked(self, question: _Question, found: _Found) -> _Found:
        """Return what is behind an answer of no rows to wildcards: a node may have taken them for letters."""
        result, coverage = found
        node, query = question.node, question.query
        seen, load_of_check = self._check_wildcards(node, should_stop=question.should_stop)
        keys = query.wildcard_keys
        loads = [coverage["load"], load_of_check.to_json()]
        if seen.verdict is not Verdict.UNKNOWN:
            self._profiles.learn(node.name, Evidence(statements=(seen,)), self._user)
        if seen.verdict.is_against and query.dates is not None:
            result, coverage = self._ask(question, question.begin(keys))
            loads.append(coverage["load"])
        elif seen.verdict.is_against:
            coverage = _doubted(coverage, _ask_with_dates(keys))
        elif seen.verdict is Verdict.UNKNOWN:
            why = (
                f"nothing came for the wildcards in {', '.join(keys)}, and whether the node matches any is not known"
            )
            coverage = _doubted(coverage, f"{why}: {seen.evidence}")
        else:
            coverage = coverage | {"assumptions": [*coverage["assumptions"], f"wildcards: {seen.evidence}"]}
        load = added(*loads)
        return result, coverage | {"requests": load["requests"], "load": load}

    def _ask(self, question: _Question, begun: _Begun) -> _Found:
        steps, requests = begun
        node, profile = question.node, question.profile
        with FindSession(node, calling_ae_title=self._calling_ae_title, should_stop=question.should_stop) as asker:
            covering = WindowedFind(asker, node, profile, today=date.today())
            while True:
                answers = covering.ask(requests)
                try:
                    requests = steps.send(answers)
                except StopIteration as end:
                    result: HierarchyResult = end.value
                    break
        said = {Subject.MODALITIES_IN_STUDY: result.contradiction, Subject.SERIES_OF_STUDIES: result.against_lists}
        told = (why for subject, why in said.items() if why and profile.honours(subject))
        covering.teach(self._profiles, user=self._user, against=next(told, ""))
        return result, _coverage(question.query, covering, asker, result)


def _coverage(query: Query, covering: WindowedFind, asker: FindSession, result: HierarchyResult) -> dict[str, Any]:
    told = covering.coverage()
    told["why"] += result.doubts
    if result.unasked:
        rows = counted(result.unasked, "row")
        told["why"].append(f"{rows} above came without a unique key, so nothing could be asked below")
    missed = values_not_found(query, result.table)
    if missed:
        told["not_found"] = missed
    return {
        "complete": not told["why"],
        **told,
        "requests": asker.requests,
        "load": asker.pacing.load.to_json(),
        "keys_unsupported": asker.keys_unsupported,
        "filters": [_report(report) for report in result.reports],
    }


def _said(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "whoever asked has interrupted it"
    return str(error) if isinstance(error, QrkitError) else f"interrupted ({type(error).__name__})"


def _doubted(coverage: dict[str, Any], why: str) -> dict[str, Any]:
    return coverage | {"complete": False, "why": [*coverage["why"], why]}


def _ask_with_dates(keys: Sequence[str]) -> str:
    return f"the node does not match the wildcards in {', '.join(keys)}; give dates, to match them here"


def _report(report: FilterReport) -> dict[str, Any]:
    return {
        "filter": report.name,
        "where": report.where.value,
        "level": report.level.value,
        "terms": list(report.terms),
        "before": report.before,
        "after": report.after,
        "blank_kept": report.blank_kept,
    }
