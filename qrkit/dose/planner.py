"""The planner: it finds the studies, judges them by the answers of the node, and returns the plan."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from uuid import uuid4

import pyarrow as pa

from qrkit.advice import Action, Advice
from qrkit.dose.answers import PATIENCE, AnswerCache, AnswerSession, from_table, newest, to_table
from qrkit.dose.content import may_contain_dose
from qrkit.dose.facts import StudyRow, lists_values, study_rows
from qrkit.dose.groups import ESR, SR, dose_class_uids
from qrkit.dose.judge import JudgeSteps, StudyJudge, together
from qrkit.dose.outcome import PlanItem, StoredUids
from qrkit.dose.own_studies import has_report, is_only_sr, links_of, report_studies, with_reports, without_report
from qrkit.dose.plan import Plan, cost_of, with_bytes
from qrkit.dose.policy import UNANSWERED, Policy, Tally, site_policy, tally
from qrkit.dose.query import ANY_CODE, DoseQuery, ask_codes
from qrkit.dose.requests import NeedRequests, refused_keys
from qrkit.dose.tables import PlanTables, count_steps, joined, plan_tables
from qrkit.errors import InputError
from qrkit.find.asked_values import MissingValues, missing_from_all
from qrkit.find.finder import Finder, FindResult
from qrkit.find.session import FindSession
from qrkit.find.united import union
from qrkit.find.windowed import WindowedFind
from qrkit.node import InformationModel, Node
from qrkit.profile import Profile, Subject, Verdict
from qrkit.query import Coverage, Query
from qrkit.query.coverage import KeysByLevel, all_keys, empty_columns
from qrkit.settings import Settings
from qrkit.stop import NEVER, Stop
from qrkit.store.instances import InstanceTable, node_history
from qrkit.store.nodes import ProfileTable
from qrkit.store.plans import PlanAnswers
from qrkit.store.state import State
from qrkit.tables import Level
from qrkit.words import counted

_ALL_ASKED = "The node returns no study by ModalitiesInStudy, so all studies were queried."

AT_ONCE = 25_000
"""Studies that are judged in parallel; more of them need more memory and are not faster."""


@dataclass(frozen=True, slots=True)
class _FoundStudies:
    """The studies of a plan as the node returned them, and the reasons why some may be missing."""

    table: pa.Table
    why: tuple[str, ...]
    windows: int
    requests: int
    missing: MissingValues
    note: str
    refused_keys: KeysByLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlanRequest:
    """The request for one plan."""

    asked: DoseQuery
    refresh: bool
    stop: Stop


@dataclass(frozen=True, slots=True)
class _Part:
    """Some studies that were judged in parallel."""

    tables: PlanTables
    counted: Tally
    requests: int
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _OwnReports:
    """The items of a part, with those of reports in studies of their own, and what finding these has cost."""

    items: Sequence[PlanItem]
    found: pa.Table | None = None
    requests: int = 0
    why: tuple[str, ...] = ()


class Planner:
    """Makes plans; the table ``plan`` of the settings contains the site's rules."""

    def __init__(self, state: State, finder: Finder, settings: Settings, *, user: str) -> None:
        self._state = state
        self._finder = finder
        self._settings = settings
        self._profiles = ProfileTable(state)
        self._user = user
        self._known = PlanAnswers(state, settings.workspace / "known")

    def _profile(self, node: str) -> Profile:
        return self._profiles.get(node) or Profile.unknown(node)

    def plan(
        self,
        node: Node,
        asked: DoseQuery,
        *,
        refresh: bool = False,
        stop: Stop = NEVER,
    ) -> Plan:
        """Find the studies, judge them, and return the plan; nothing is retrieved.

        With `refresh`, earlier answers of the node are ignored. Raise `InputError` if the node has no SERIES level,
        or the site's rules are not valid, and `NodeError` if the query for studies fails.
        """
        request = _PlanRequest(asked=asked, refresh=refresh, stop=stop)
        if node.information_model is InformationModel.PATIENT_STUDY_ONLY:
            raise InputError(
                f"A plan needs the SERIES level, which the information model of node {node.name} does not have.",
                advice=Advice(
                    "If the node has another information model, set it",
                    Action.EDIT_NODE,
                    node.name,
                    (("information_model", "study-root"),),
                ),
            )
        policy = replace(
            site_policy(self._settings.tables.get("plan", {})),
            groups=asked.groups,
            sr_only=asked.sr_only,
            options=asked.options,
            filters=asked.query.filters,
            sr_first=self._profile(node.name).lists_sr_series,
            names_all_classes=self._profile(node.name).honours(Subject.SOP_CLASSES_IN_STUDY),
        )
        found = self._find(node, request)
        rows = study_rows(found.table)
        policy = replace(policy, lists_values=lists_values(rows.values()))
        parts: list[_Part] = []
        for studies in _in_parts(rows):
            judge = StudyJudge(policy, self._stored(request, policy, studies))
            parts.append(self._part(node, judge, studies, found.table, request))
        counted = sum((part.counted for part in parts), Tally())
        tables = joined([part.tables for part in parts])
        history = node_history(self._state, node.name)
        tables = replace(tables, series=with_bytes(tables.series, history))
        why = tuple(dict.fromkeys((*found.why, *(text for part in parts for text in part.why), *counted.doubts())))
        refused = all_keys([found.refused_keys, refused_keys(self._profile(node.name))])
        return Plan(
            plan_id=uuid4().hex,
            node=node.name,
            user=self._user,
            created=self._state.now(),
            asked=asked,
            coverage=Coverage(
                why=why,
                windows=found.windows,
                requests=found.requests + sum(part.requests for part in parts),
                not_found=found.missing.not_found,
                excluded=found.missing.excluded,
                not_returned=found.missing.not_returned,
                unanswered=found.missing.unanswered,
                refused_keys=refused,
            ),
            funnel=count_steps(tables.studies, policy.steps(), quiet=UNANSWERED),
            notes=(*_dates_note(asked), *filter(None, [found.note]), *counted.notes(policy), *empty_columns(refused)),
            cost=cost_of(tables.series, history),
            tables=tables,
        )

    def _find(self, node: Node, request: _PlanRequest) -> _FoundStudies:
        """Ask for the studies of each Modality code without filters, so that the plan has each dropped study."""
        asked = request.asked
        tables: list[pa.Table] = []
        coverages: list[Coverage] = []
        verdict = self._profile(node.name).verdict(Subject.MODALITIES_IN_STUDY)
        codes = ask_codes(asked.codes, verdict, may_ask_all=asked.query.is_narrow)
        code = next(codes)
        while True:
            query = _query(asked, code)
            answer = self._ask_code(node, request, code)
            tables.append(answer.table)
            coverages.append(answer.coverage)
            try:
                code = codes.send({uid: row.ModalitiesInStudy for uid, row in study_rows(answer.table).items()})
            except StopIteration as end:
                verdict = end.value
                break
        checked = 0
        if code == ANY_CODE and verdict is Verdict.HONOURED:  # other studies, so there are none of these codes
            tables.pop()
            checked = coverages.pop().requests or 0
        ignored = {text.partition(":")[0] for coverage in coverages for text in coverage.ignored}
        missing, load = self._finder.explain(
            node, query, missing_from_all(coverages), ignored=ignored, stop=request.stop
        )
        table = union(tables, Level.STUDY)
        why = [reason for coverage in coverages for reason in coverage.why]
        without_uid = sum(1 for uid in table["StudyInstanceUID"].to_pylist() if not uid)
        if without_uid:
            number = counted(without_uid, "study")
            why.append(f"{number} without StudyInstanceUID cannot be retrieved")
        return _FoundStudies(
            table,
            tuple(dict.fromkeys(why)),
            sum(coverage.windows for coverage in coverages),
            sum(coverage.requests or 0 for coverage in coverages) + load.requests + checked,
            missing,
            _ALL_ASKED if code == ANY_CODE and verdict is Verdict.IGNORED else "",
            all_keys(coverage.refused_keys for coverage in coverages),
        )

    def _ask_code(self, node: Node, request: _PlanRequest, code: str) -> FindResult:
        """Ask for the studies of one Modality code."""
        query = _query(request.asked, code)
        return self._finder.find(node, query, unjudged=("ModalitiesInStudy",), stop=request.stop)

    def _part(
        self, node: Node, judge: StudyJudge, studies: Mapping[str, StudyRow], found: pa.Table, request: _PlanRequest
    ) -> _Part:
        """Judge some studies, usually all studies of the plan."""
        with _without_collector():
            tasks = (judge.study(study) for study in studies.values())
            items, requests = self._judged(node, judge, studies, request, tasks)
            own = self._own_reports(node, judge, items, request)
            table = found if own.found is None else union([found, own.found], Level.STUDY)
            tables = plan_tables(own.items, table)
            return _Part(tables, tally(own.items, judge.policy), requests + own.requests, own.why)

    def _own_reports(
        self, node: Node, judge: StudyJudge, items: Sequence[PlanItem], request: _PlanRequest
    ) -> _OwnReports:
        """Keep the reports that lie in studies of their own for studies without a report.

        If the result has no such study, and no study has a report, the node is asked for them by one query.
        """
        if judge.policy.sr_only or not without_report(items):
            return _OwnReports(items)
        reports, extra = report_studies(items), None
        if not reports and not any(map(has_report, items)):
            extra = self._ask_code(node, request, SR)
            known = {item.study.StudyInstanceUID for item in items}
            rows = study_rows(extra.table)
            reports = {
                uid: row for uid, row in rows.items() if uid not in known and is_only_sr(row.ModalitiesInStudy)
            }
        links = links_of(items, reports)
        studies = {link.study.StudyInstanceUID: link.study for link in links}
        filters = replace(judge.policy.filters, description_include=(), station_include=())
        policy = replace(judge.policy, filters=filters)
        judge = StudyJudge(policy, self._stored(request, policy, studies))
        tasks = (judge.report(link.study, link.group) for link in links)
        judged, requests = self._judged(node, judge, studies, request, tasks) if links else ([], 0)
        return _OwnReports(
            with_reports(items, reports, list(zip(links, judged, strict=True))),
            None if extra is None else extra.table,
            requests + (0 if extra is None else extra.coverage.requests or 0),
            () if extra is None else extra.coverage.why,
        )

    def _judged(
        self,
        node: Node,
        judge: StudyJudge,
        studies: Mapping[str, StudyRow],
        request: _PlanRequest,
        tasks: Iterable[JudgeSteps[tuple[PlanItem, ...]]],
    ) -> tuple[list[PlanItem], int]:
        """Judge studies in parallel; return their items and the number of requests."""
        need_requests = NeedRequests(
            studies, self._profile(node.name), model=node.information_model, classes=judge.policy.classes
        )
        with self._session(node, need_requests, studies, judge, request) as session:
            items = _answered(tasks, session)
        if session.requests:
            session.find.teach(self._profiles, user=self._user)
        return items, session.requests

    def _stored(self, request: _PlanRequest, policy: Policy, studies: Mapping[str, StudyRow]) -> StoredUids:
        """Return what is stored of some studies, and which Enhanced SR of it contain no dose."""
        if request.asked.refetch:
            return StoredUids()
        table, files = InstanceTable(self._state), self._settings.files
        without_dose: dict[str, frozenset[str]] = {}
        for series, documents in table.of_classes(list(studies), policy.classes[ESR], files).items():
            request.stop.check()
            read = frozenset(uid for uid, paths in documents.items() if not any(map(may_contain_dose, paths)))
            if read:
                without_dose[series] = read
        return StoredUids(table.by_series(list(studies), files), without_dose)

    def _session(
        self,
        node: Node,
        need_requests: NeedRequests,
        studies: Mapping[str, StudyRow],
        judge: StudyJudge,
        request: _PlanRequest,
    ) -> AnswerSession:
        classes, held = dose_class_uids(judge.policy.classes), judge.stored.by_series
        now = datetime.fromisoformat(self._state.now()).replace(tzinfo=None)
        known = None if request.refresh else self._known.read(node.name, studies)
        session = FindSession(
            node,
            calling_ae_title=self._settings.ae_title,
            stop=request.stop,
            habits=replace(self._profile(node.name).habits, relational=need_requests.offers_relational),
            most_lost=2 * PATIENCE,  # each request is asked twice
        )
        session.has_answered = True  # the query for the studies
        return AnswerSession(
            session,
            WindowedFind(session, node, self._profile(node.name), today=date.today()),
            need_requests,
            AnswerCache({} if known is None else from_table(known), studies, now=now, classes=classes, held=held),
            keep=lambda asked: self._known.add(node.name, to_table(asked, studies, now, classes), newest),
            stop=request.stop,
        )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Suspend the garbage collector: with a million rows it needed 40 % of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _answered(tasks: Iterable[JudgeSteps[tuple[PlanItem, ...]]], session: AnswerSession) -> list[PlanItem]:
    """Judge studies in parallel; each step answers the needs of all of them."""
    steps = together(tasks)
    try:
        needs = next(steps)
        while True:
            needs = steps.send(session.answer(needs))
    except StopIteration as end:
        judged: list[tuple[PlanItem, ...]] = end.value
    return [item for items in judged for item in items]


def _query(asked: DoseQuery, code: str) -> Query:
    """Return the query for the studies of a plan with one Modality code, or with any."""
    by_code = () if code == ANY_CODE else (("ModalitiesInStudy", code),)
    return Query(
        level=Level.STUDY,
        keys=(*asked.query.keys, *by_code),
        dates=asked.query.dates,
        times=asked.query.times,
    )


def _dates_note(asked: DoseQuery) -> tuple[str, ...]:
    """Return a sentence if the dates are used otherwise than they were given."""
    days = asked.query.dates
    return (days.note,) if days and days.note else ()


def _in_parts(studies: Mapping[str, StudyRow]) -> Iterator[dict[str, StudyRow]]:
    """Yield the studies in parts; one empty part if there are none."""
    waiting = iter(studies.items())
    yield dict(islice(waiting, AT_ONCE))
    while some := dict(islice(waiting, AT_ONCE)):
        yield some
