"""Plans: the studies are found, judged by what the node tells of them, and what comes of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pyarrow as pa

from qrkit.errors import InputError
from qrkit.estimate import NodeHistory
from qrkit.node import InformationModel, Node
from qrkit.plan import (
    Abilities,
    DoseQuery,
    Held,
    Item,
    Judge,
    Matching,
    Plan,
    PlanTables,
    Policy,
    StudyRow,
    Ways,
    ask_codes,
    cost_of,
    count_steps,
    plan_tables,
    study_rows,
    together,
    with_bytes,
)
from qrkit.query import Query, union
from qrkit.tables import Level
from qrkit.workspace.answering import Answering

Find = Callable[[Node, Query], Any]
"""Asks a node a query, and gives its kept answer: `table` and `coverage`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a planner gets what it needs to know.

    Attributes
    ----------
    find
        Asks for studies.
    answering
        Answers what the judge needs to know of a node's studies.
    held
        Gives the SOP Instance UIDs that are here, by SeriesInstanceUID, of some studies.
    history
        Gives what came from a node before.
    abilities, matching
        Give what a node was seen to do.
    """

    find: Find
    answering: Callable[[Node, Ways], Answering]
    held: Callable[[Sequence[str]], Mapping[str, frozenset[str]]]
    history: Callable[[str], NodeHistory]
    abilities: Callable[[str], Abilities]
    matching: Callable[[str], Matching]


@dataclass(frozen=True, slots=True)
class _Found:
    """The studies of a plan, as the node answered, and how far they can be trusted to be all."""

    table: pa.Table
    why: tuple[str, ...]
    windows: int
    requests: int


class Planner:
    """Makes plans.

    Parameters
    ----------
    policy
        The site's rules and classes, without what is asked for.
    """

    def __init__(self, sources: Sources, *, policy: Policy, user: str) -> None:
        self._sources = sources
        self._policy = policy
        self._user = user

    def plan(self, node: Node, asked: DoseQuery, *, created: str) -> Plan:
        """Find the studies, judge them, and return the plan; nothing is fetched.

        Raises
        ------
        InputError
            If the node cannot be asked for series.
        NodeError
            If the node fails to answer for studies.
        """
        if node.information_model is InformationModel.PATIENT_STUDY_ONLY:
            raise InputError(
                f"Node {node.name} has no SERIES level under its information model, and a plan needs it.",
                advice=f"If it has another: qrkit nodes edit {node.name} --information-model study-root.",
            )
        found = self._find(node, asked)
        abilities = self._sources.abilities(node.name)
        policy = replace(
            self._policy,
            groups=asked.groups,
            sr_only=asked.sr_only,
            options=asked.options,
            filters=asked.query.filters,
            sr_first=abilities.sr_first,
        )
        studies = study_rows(found.table)
        items, requests = self._judge(node, studies, policy, abilities, refetch=asked.refetch)
        tables = self._tables(items, found.table, node)
        why = (*found.why, *_unanswered(items))
        return Plan(
            plan_id=uuid4().hex,
            node=node.name,
            user=self._user,
            created=created,
            asked=asked,
            coverage={
                "complete": not why,
                "why": list(why),
                "windows": found.windows,
                "requests": found.requests + requests,
            },
            funnel=count_steps(tables.studies, policy.steps()),
            notes=tuple(_notes(items, policy)),
            cost=cost_of(tables.series, self._sources.history(node.name)),
            tables=tables,
        )

    def _find(self, node: Node, asked: DoseQuery) -> _Found:
        """Ask for the studies of each code, with no filter but the node's own: what is dropped is dropped here."""
        tables: list[pa.Table] = []
        why: list[str] = []
        windows = requests = 0
        codes = ask_codes(asked.codes, self._sources.matching(node.name))
        code = next(codes)
        while True:
            query = Query(
                level=Level.STUDY,
                keys=(*asked.query.keys, ("ModalitiesInStudy", code)),
                dates=asked.query.dates,
                times=asked.query.times,
            )
            answer = self._sources.find(node, query)
            tables.append(answer.table)
            why += answer.coverage["why"]
            windows += answer.coverage["windows"]
            requests += answer.coverage["requests"]
            try:
                code = codes.send({uid: row.ModalitiesInStudy for uid, row in study_rows(answer.table).items()})
            except StopIteration:
                break
        return _Found(union(tables, Level.STUDY), tuple(dict.fromkeys(why)), windows, requests)

    def _judge(
        self, node: Node, studies: Mapping[str, StudyRow], policy: Policy, abilities: Abilities, *, refetch: bool
    ) -> tuple[list[Item], int]:
        held = Held() if refetch else Held(self._sources.held(list(studies)))
        judge = Judge(policy, held)
        ways = Ways(studies, abilities, model=node.information_model, classes=policy.classes)
        steps = together(judge.study(study) for study in studies.values())
        with self._sources.answering(node, ways) as answering:
            try:
                needs = next(steps)
                while True:
                    needs = steps.send(answering.answer(needs))
            except StopIteration as end:
                judged: list[tuple[Item, ...]] = end.value
        return [item for items in judged for item in items], answering.requests

    def _tables(self, items: Sequence[Item], found: pa.Table, node: Node) -> PlanTables:
        tables = plan_tables(items, found)
        return replace(tables, series=with_bytes(tables.series, self._sources.history(node.name)))


def _unanswered(items: Sequence[Item]) -> Iterator[str]:
    reasons = dict.fromkeys(item.fate.reason for item in items if item.fate.rule == "unanswered")
    count = sum(1 for item in items if item.fate.rule == "unanswered")
    if count:
        yield f"{count} studies could not be judged: {next(iter(reasons))}"


def _notes(items: Sequence[Item], policy: Policy) -> Iterator[str]:
    empty = sum(item.empty_sr for item in items)
    if empty and "empty_sr" not in policy.options:
        yield f"The node lists no objects in {empty} SR series, which may be dose reports; empty_sr may help."
    for one in policy.study_filters():
        if one.keeps_blank:
            blank = len({item.study.StudyInstanceUID for item in items if not getattr(item.study, one.column)})
            if blank and one.name.endswith("include"):
                yield f"Filter {one.name}: {blank} studies are kept because their {one.column} is blank."
    for one in policy.series_filters():
        if one.name.endswith("include") and one.keeps_blank:
            series = {
                outcome.row.SeriesInstanceUID
                for item in items
                for outcome in item.series
                if not outcome.row.StationName
            }
            if series:
                yield f"Filter {one.name}: {len(series)} series are kept because their StationName is blank."
