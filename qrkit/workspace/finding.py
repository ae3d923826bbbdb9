"""A query from the call to the kept answer: asked, gathered, written, listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from qrkit.coverage import Coverage
from qrkit.errors import QrkitError, StatusError
from qrkit.node import Node
from qrkit.query import Drilled, Query, Request, drill
from qrkit.selection import select
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.tables import Level, to_frame
from qrkit.windows import cap_reason
from qrkit.workspace.asking import Asker
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

    def __init__(self, queries: QueryTable, results: Results, *, user: str, calling_ae_title: str) -> None:
        self._queries = queries
        self._results = results
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
        steps = drill(query, node.information_model, select)
        first = next(steps)
        query_id = self._queries.begin(node.name, query.level.value, query.to_json(), self._user)
        try:
            drilled, coverage = self._ask(node, steps, first, should_stop)
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
        steps: Any,  # noqa: ANN401 - qrkit.query.Drill, whose first step was taken already
        requests: tuple[Request, ...],
        should_stop: Callable[[], bool] | None,
    ) -> tuple[Drilled, dict[str, Any]]:
        why: list[str] = []
        windows = 0
        with Asker(node, calling_ae_title=self._calling_ae_title, should_stop=should_stop) as asker:
            while True:
                answers = asker.ask(requests)
                windows += len(requests)
                why += _doubts(requests, answers)
                try:
                    requests = steps.send(answers)
                except StopIteration as end:
                    drilled: Drilled = end.value
                    break
        if drilled.unasked:
            why.append(f"{drilled.unasked} rows above have no unique key, so nothing could be asked below them")
        return drilled, {
            "complete": not why,
            "why": why,
            "windows": windows,
            "requests": asker.requests,
            "keys_unsupported": asker.keys_unsupported,
            "filters": [_report(report) for report in drilled.reports],
        }


def _doubts(requests: tuple[Request, ...], answers: list[pa.Table]) -> list[str]:
    """Return why some answers may be cut off by the node, of patients and studies asked for in bulk.

    The images of one series, and the series of one study, come in any number.
    """
    doubts = []
    for request, answer in zip(requests, answers, strict=True):
        if request.level in (Level.PATIENT, Level.STUDY):
            reason = cap_reason(answer.num_rows)
            if reason:
                doubts.append(f"a {request.level.value} request got {answer.num_rows} answers: {reason}")
    return doubts


def _report(report: Any) -> dict[str, Any]:  # noqa: ANN401 - qrkit.query.FilterReport
    return {
        "filter": report.name,
        "level": report.level.value,
        "terms": list(report.terms),
        "before": report.before,
        "after": report.after,
        "blank_kept": report.blank_kept,
    }
