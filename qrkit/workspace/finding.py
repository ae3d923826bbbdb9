"""A query from the call to the kept answer: asked, gathered, written, listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from qrkit.coverage import Coverage
from qrkit.errors import QrkitError, StatusError
from qrkit.node import Node
from qrkit.profile import Profile, Subject, Verdict
from qrkit.query import Drill, Drilled, FilterReport, Query, Request, drill
from qrkit.query.matching import is_single_value
from qrkit.selection import select
from qrkit.store.profiles import ProfileTable
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.tables import keyword_vr, to_frame
from qrkit.workspace.asking import Asker
from qrkit.workspace.covering import Covering
from qrkit.workspace.nodes import check_can_find


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A kept answer: the query's id, its table, and its coverage."""

    query_id: str
    table: pa.Table
    coverage: dict[str, Any]

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame; ``attrs["qrkit"]`` has query_id, coverage and warnings."""
        frame = to_frame(self.table)
        frame.attrs["qrkit"] |= {"query_id": self.query_id, "coverage": Coverage(self.coverage)}
        return frame


class Finder:
    """Runs queries and keeps their answers."""

    def __init__(
        self,
        queries: QueryTable,
        results: Results,
        profiles: ProfileTable,
        *,
        user: str,
        calling_ae_title: str,
    ) -> None:
        self._queries = queries
        self._results = results
        self._profiles = profiles
        self._user = user
        self._calling_ae_title = calling_ae_title

    def find(self, node: Node, query: Query, *, should_stop: Callable[[], bool] | None = None) -> Answer:
        """Ask a node, and keep what it answers.

        Raises
        ------
        InputError
            If the node cannot be asked this.
        NodeError
            If the node fails; the history tells the same.
        """
        check_can_find(node)
        profile = self._profiles.get(node.name) or Profile.unknown(node.name)
        reliance = profile.reliance.without(_unmatched_wildcards(query, profile))
        steps = drill(query, node.information_model, partial(select, local=reliance.unmatched), reliance)
        first = next(steps)
        query_id = self._queries.begin(node.name, query.level.value, query.to_json(), self._user)
        try:
            drilled, coverage = self._ask(node, profile, (steps, first), should_stop)
            coverage = _doubted(coverage, query, profile)
            with self._results.writer(query_id, schema=drilled.table.schema) as writer:
                writer.write(drilled.table)
                self._queries.finish(query_id, writer.row_count, coverage, writer.commit())
        except BaseException as error:
            status = error.status if isinstance(error, StatusError) else None
            said = str(error) if isinstance(error, QrkitError) else f"interrupted ({type(error).__name__})"
            self._queries.fail(query_id, said, status)
            raise
        return Answer(query_id=query_id, table=drilled.table, coverage=coverage)

    def _ask(
        self,
        node: Node,
        profile: Profile,
        begun: tuple[Drill, tuple[Request, ...]],
        should_stop: Callable[[], bool] | None,
    ) -> tuple[Drilled, dict[str, Any]]:
        steps, requests = begun
        with Asker(node, calling_ae_title=self._calling_ae_title, should_stop=should_stop) as asker:
            covering = Covering(asker, node, profile, today=date.today())
            while True:
                answers = covering.ask(requests)
                try:
                    requests = steps.send(answers)
                except StopIteration as end:
                    drilled: Drilled = end.value
                    break
        against = covering.contradiction or (drilled.contradiction if profile.honours("ModalitiesInStudy") else "")
        if against and profile.is_known:
            self._profiles.mark_stale(node.name, against)
        return drilled, _coverage(covering, asker, drilled)


def _coverage(covering: Covering, asker: Asker, drilled: Drilled) -> dict[str, Any]:
    told = covering.coverage()
    told["why"] += drilled.doubts
    if drilled.unasked:
        told["why"].append(f"{drilled.unasked} rows above have no unique key, so nothing could be asked below them")
    return {
        "complete": not told["why"],
        **told,
        "requests": asker.requests,
        "load": asker.pacing.load.to_json(),
        "keys_unsupported": asker.keys_unsupported,
        "filters": [_report(report) for report in drilled.reports],
    }


def _unmatched_wildcards(query: Query, profile: Profile) -> tuple[str, ...]:
    """Return the keys with wildcards that the node is known not to match."""
    if profile.verdict(Subject.WILDCARDS) not in (Verdict.IGNORED, Verdict.REFUSED):
        return ()
    return tuple(key for key, value in query.keys if keyword_vr(key) != "UI" and not is_single_value(key, value))


def _doubted(coverage: dict[str, Any], query: Query, profile: Profile) -> dict[str, Any]:
    """Return a coverage with what the node's profile says against wildcards that it had to be asked for."""
    asked = _unmatched_wildcards(query, profile)
    if not asked or query.dates is not None:  # within dates it was asked for everything, and matched here
        return coverage
    why = (
        f"by its profile the node does not match the wildcards in {', '.join(asked)}; give dates, to match them here"
    )
    return coverage | {"complete": False, "why": [*coverage["why"], why]}


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
