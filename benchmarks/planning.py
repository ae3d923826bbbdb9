"""Dose plans: requests and seconds compared with one association that asks study by study, series by series."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from benchmarks.memory import forget_highest, highest
from benchmarks.pacs import DAYS, UNTIL, hospital
from benchmarks.servers import process, workspace
from benchmarks.timing import Measured
from qrkit.dimse.association import Association, associate
from qrkit.dimse.find import find, find_proposals
from qrkit.dose import (
    Answer,
    Need,
    NeedKind,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    build_dose_query,
    newest,
    study_rows,
    to_table,
)
from qrkit.dose.planner import Planner
from qrkit.find.finder import Finder, FindResult
from qrkit.node import Node
from qrkit.probe.session import check_wildcards
from qrkit.query import Coverage, Query, Request, answer_keywords, identifier
from qrkit.stop import NEVER, Stop
from qrkit.store.nodes import ProfileTable
from qrkit.store.plans import PlanAnswers
from qrkit.store.queries import QueryTable
from qrkit.store.results import Results
from qrkit.store.state import State
from qrkit.tables import Level, schema, table_columns
from qrkit.workspace import Workspace
from tests.peers.waiting import free_port

STUDIES = 2_000
MANY = 100_000
ASSOCIATIONS = 4
_SAMPLE = 50
"""Studies that the peer is asked for: it takes four minutes for all, and each takes as long as the other."""

GOALS = {"nothing helpful": 8.0, "SOPClassesInStudy": 50.0, "relational queries": 50.0}
_RDSR = "1.2.840.10008.5.1.4.1.1.88.67"


def measure(folder: Path, *, rounds: int) -> Iterator[Measured]:
    """Measure a month's plan of three kinds of PACS, once each: what counts is the round trips."""
    del rounds
    for case, goal in GOALS.items():
        with _pacs(folder / case.replace(" ", "-"), case) as (opened, node):
            if goal > 8:
                opened.probe(node.name)
            started = time.perf_counter()
            plan = opened.plan(node.name, "CT", date=(date(2026, 6, 1), UNTIL), refresh=True)
            seconds = time.perf_counter() - started
            _check(len(plan.requests()), STUDIES)
            peer, requests = _one_by_one(node)
        scale = STUDIES / _SAMPLE
        work = f"plan {STUDIES:,} CT, {case}: {plan.coverage['requests']:,} requests, not {round(requests * scale):,}"
        yield Measured(
            work=work,
            seconds={"qrkit": seconds, "study by study": peer * scale},
            goals={"study by study": goal},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Cost of a plan of very many studies: seconds, and bytes by which the process grew at most."""

    studies: int
    seconds: float
    bytes: int


def measure_many(folder: Path, studies: int = MANY) -> Planned:
    """Plan very many studies whose answers are known already; the studies are found at once."""
    with workspace(folder) as opened:
        state = opened._state  # noqa: SLF001 - a workspace does not show its state
        node = opened.nodes.add("pacs", host="127.0.0.1", ae_title="PACS")
        table = _study_table(studies)
        _remember(opened, node, table)
        planner = Planner(state, _Finds(state, table), opened.settings, user="bench")
        asked = build_dose_query(today=UNTIL, dose="CT", whole_archive=True)
        forget_highest()
        before = psutil.Process().memory_info().rss
        started = time.perf_counter()
        plan = planner.plan(node, asked)
        seconds = time.perf_counter() - started
        _check(plan.funnel[-1].studies, studies)
        _check(plan.coverage["requests"], 0)
        grown = max(psutil.Process().memory_info().rss, highest(psutil.Process())) - before
    return Planned(studies=studies, seconds=seconds, bytes=grown)


class _Finds(Finder):
    """Finds what it was given."""

    def __init__(self, state: State, table: pa.Table) -> None:
        super().__init__(
            QueryTable(state),
            Results(state, Path()),
            ProfileTable(state),
            user="bench",
            calling_ae_title="QRKIT",
            check_wildcards=partial(check_wildcards, calling_ae_title="QRKIT"),
        )
        self._table = table

    def find(
        self,
        node: Node,
        query: Query,
        *,
        unjudged: Collection[str] = (),
        stop: Stop = NEVER,
    ) -> FindResult:
        del node, query, unjudged, stop
        return FindResult(query_id="", table=self._table, coverage=Coverage(windows=0, requests=0))


@contextmanager
def _pacs(folder: Path, case: str) -> Iterator[tuple[Workspace, Node]]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.pacs", str(port), str(STUDIES), case]
    with process(command, port), workspace(folder) as opened:
        node = opened.nodes.add("pacs", host="127.0.0.1", port=port, ae_title="SIMPACS", associations=ASSOCIATIONS)
        yield opened, node


def _one_by_one(node: Node) -> tuple[float, int]:
    """Return seconds and requests of one association that asks for the series of some studies, and their images."""
    sent = 0
    with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
        uids = [hospital(_SAMPLE).uids.uid(number) for number in range(_SAMPLE)]
        started = time.perf_counter()
        for study in uids:
            sent += 1
            for series in _rows(association, node, Level.SERIES, {"StudyInstanceUID": study}):
                sent += 1
                keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series["SeriesInstanceUID"]}
                _rows(association, node, Level.IMAGE, keys)
        return time.perf_counter() - started, sent


def _rows(association: Association, node: Node, level: Level, keys: dict[str, str]) -> list[dict[str, Any]]:
    names = ("SeriesInstanceUID", "Modality") if level is Level.SERIES else ("SOPInstanceUID", "SOPClassUID")
    request = Request(level=level, keys=tuple(keys.items()), return_keys=names)
    keywords = answer_keywords(request, node.information_model)
    answers = find(association, identifier(request, node.information_model), keywords, node=node)
    return [row for batch in answers for row in batch.to_pylist()]


def _study_table(studies: int) -> pa.Table:
    wanted = schema(Level.STUDY, table_columns(Level.STUDY))
    columns: dict[str, list[Any]] = {
        "StudyInstanceUID": [f"2.25.1234567890123456789.{number}" for number in range(studies)],
        "PatientID": [f"Q{number // 3}" for number in range(studies)],
        "StudyDate": [date(2026, 1, 1 + number % DAYS) for number in range(studies)],
        "ModalitiesInStudy": ["CT\\SR"] * studies,
        "NumberOfStudyRelatedSeries": [5] * studies,
        "NumberOfStudyRelatedInstances": [483] * studies,
    }
    nothing = [None] * studies
    return pa.table([pa.array(columns.get(field.name, nothing), field.type) for field in wanted], schema=wanted)


def _remember(opened: Workspace, node: Node, table: pa.Table) -> None:
    """Keep what the node would have answered: five series of each study, and the object of the SR series."""
    found = study_rows(table)
    answers: dict[Need, Answer] = {}
    for uid in found:
        images = [SeriesRow(f"{uid}.{place}", "CT", f"Thorax {place}.0", "CT1", place, 120) for place in range(1, 5)]
        report = SeriesRow(f"{uid}.5", "SR", "Dose Report", "CT1", 5, 1)
        answers[Need(NeedKind.SERIES, uid)] = SeriesAnswer((*images, report))
        answers[Need(NeedKind.DOSE_OBJECTS, uid, f"{uid}.5")] = ObjectsAnswer((ObjectRow(f"{uid}.5.1", _RDSR, 1),))
    known = PlanAnswers(opened._state, opened.settings.workspace / "known")  # noqa: SLF001 - as above
    known.add(node.name, to_table(answers, found, datetime(2026, 7, 1)), newest)  # noqa: DTZ001 - UTC, as it is kept


def _check(count: int, expected: int) -> None:
    if count != expected:
        raise RuntimeError(f"{count} instead of {expected}.")
