"""The contents of the reports on a query, a plan, a job or two queries, gathered from the workspace."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from typing import Any

import pandas as pd

from qrkit.dose.tables import criterion
from qrkit.errors import InputError
from qrkit.markup import Markup
from qrkit.query import Query, as_command, in_words
from qrkit.query.coverage import CoverageJson
from qrkit.report.charts import (
    descriptions_treemap,
    filter_steps,
    funnel,
    hours_of_day,
    retrieve_rate,
    studies_per_day,
)
from qrkit.report.page import Part, Report, ReportSection, is_about_people, question_without_people, without_people
from qrkit.store.queries import QueryRow
from qrkit.tables import Level
from qrkit.words import counted, did_you_mean, listed, local_time, out_of, shown, step_label, volume
from qrkit.workspace.files import Files
from qrkit.workspace.jobs import Jobs
from qrkit.workspace.plans import Plans
from qrkit.workspace.queries import Queries
from qrkit.workspace.services import Services

KINDS = ("query", "plan", "job", "compare")
_CHARTS = (
    (studies_per_day, ("StudyDate", "ModalitiesInStudy")),
    (hours_of_day, ("StudyTime", "StationName")),
    (descriptions_treemap, ("ModalitiesInStudy", "StudyDescription")),
)


def gather(services: Services, kind: str, ids: tuple[str, ...], *, with_patients: bool, made: str) -> Report:
    """Return the report of something.

    Raise `InputError` if there is no such report, or it needs other ids, `NotFound` if there is nothing of that id.
    """
    needed = {"query": 1, "plan": 1, "job": 1, "compare": 2}.get(kind)
    if needed is None:
        raise InputError(
            f"There is no report {shown(kind)}.",
            advice=did_you_mean(kind, KINDS, otherwise=f"Use {listed(KINDS, last='or')}."),
        )
    if len(ids) != needed:
        raise InputError(f"The report {kind} needs {counted(needed, 'id')}, not {len(ids)}.")
    about = _About(services, with_patients=with_patients)
    title, facts, sections, again = getattr(about, kind)(*ids)
    same = ["qrkit", "report", kind, *ids, *(["--with-patients"] if with_patients else [])]
    return Report(
        title=title,
        facts=facts,
        sections=sections,
        again=(*again, shlex.join(same)),
        made=f"{local_time(made)} for {services.user}",
        versions={name: version(name) for name in ("qrkit", "pydicom", "pandas", "duckdb", "plotly")},
        with_patients=with_patients,
    )


_Gathered = tuple[str, dict[str, object], tuple[ReportSection, ...], tuple[str, ...]]


class _About:
    """Gathers; each method is of one kind of report, and is named as it is."""

    def __init__(self, services: Services, *, with_patients: bool) -> None:
        self._queries = Queries(services)
        self._plans = Plans(services)
        self._jobs = Jobs(services)
        self._files = Files(services)
        self._with_patients = with_patients

    def query(self, query_id: str) -> _Gathered:
        row = self._queries.show(query_id)
        facts, again = self._asked(row)
        answer = self._queries.read(query_id)
        coverage = row.coverage
        steps: tuple[Part, ...] = ()
        if coverage is not None and coverage.filters:
            steps = (funnel(filter_steps(coverage.to_json()), what="rows"),)
        sections = [
            ReportSection(title="Completeness", parts=(Markup((coverage or CoverageJson())._repr_html_()), *steps))
        ]
        sections += self._pictures(answer)
        sections += [ReportSection(title="Results", parts=(self._shown(answer),))]
        what = row.level.lower() if row.level in list(Level) else "row"
        return f"{counted(len(answer), what)} from {row.node}", facts, tuple(sections), again

    def plan(self, plan_id: str) -> _Gathered:
        plan = self._plans[plan_id]
        facts: dict[str, object] = {
            "Plan": plan.plan_id,
            "For": ", ".join(plan.asked.groups) or "studies of SR only",
            "Query": self._words(plan.asked.query),
            "Node": plan.node,
            "User": plan.user,
            "Time": local_time(plan.created),
            "Retrieve": f"{plan.cost_in_words}, of {counted(plan.funnel[-1].studies, 'study')}",
        }
        labels = [step_label(step.step) for step in plan.funnel]
        steps = plan.steps.assign(step=labels, criterion=[criterion(step.step) for step in plan.funnel])
        sections = (
            ReportSection(title="Completeness", parts=(Markup(plan.coverage._repr_html_()), steps)),
            ReportSection(title="Selection steps", parts=(funnel(plan.steps),)),
            ReportSection(title="Studies", parts=(self._shown(plan.studies),)),
            ReportSection(title="Series", parts=(self._shown(plan.series.drop(columns=["expected"])),)),
        )
        again = (shlex.join(["qrkit", "retrieve", plan.node, "--plan", plan.plan_id]),)
        return f"Dose plan for {plan.node}", facts, sections, again

    def job(self, job_id: str) -> _Gathered:
        job = self._jobs[job_id]
        row = job.status
        facts: dict[str, object] = {
            "Job": row.job_id,
            "Node": row.node,
            "Delivered to": row.destination or "this workspace",
            "User": row.user,
            "Queued": local_time(row.created),
            "Ended": local_time(row.finished) or None,
            "State": row.state.value,
            "Objects": f"{out_of(row.stored, row.expected, 'object')}, {volume(row.bytes)}",
            "From": row.source or None,
            "Error": row.error or None,
        }
        files = self._files.list({"job_id": row.job_id})
        sections = [ReportSection(title="Items and missing objects", parts=(self._shown(job.items),))]
        if len(files):
            kinds = files.groupby("Modality", dropna=False).agg(files=("path", "size"), bytes=("size", "sum"))
            sections += [ReportSection(title="Received objects", parts=(retrieve_rate(files), kinds.reset_index()))]
        again = (shlex.join(["qrkit", "jobs", "retry", row.job_id]),)
        return f"Retrieve from {row.node}: {row.state.value}", facts, tuple(sections), again

    def compare(self, before: str, after: str) -> _Gathered:
        rows = [self._queries.show(query_id) for query_id in (before, after)]
        changes = self._queries.diff(before, after)
        runs = pd.DataFrame(
            {
                "run": ["before", "after"],
                "query_id": [before, after],
                "asked at": [local_time(row.started) for row in rows],
                "by": [row.user for row in rows],
                "node": [row.node for row in rows],
                "what": [self._question(row) for row in rows],
                "outcome": [row.outcome for row in rows],
            }
        )
        sections = (
            ReportSection(title="The two runs", parts=(runs,)),
            ReportSection(title="Number of differences", parts=(_count_changes(changes),)),
            ReportSection(title="Differences", parts=(changes,)),
        )
        title = f"{counted(len(changes), 'difference')} between two results"
        return title, {"Node": rows[1].node}, sections, (shlex.join(["qrkit", "queries", "diff", before, after]),)

    def _asked(self, row: QueryRow) -> tuple[dict[str, object], tuple[str, ...]]:
        facts: dict[str, object] = {
            "Query": self._question(row),
            "Node": row.node,
            "User": row.user,
            "Time": local_time(row.started),
            "Duration": None if row.seconds is None else f"{row.seconds:.1f} s",
            "Outcome": row.outcome,
            "Query ID": row.query_id,
        }
        again = [f"qrkit queries rerun {row.query_id}"]
        if self._with_patients or not any(is_about_people(key) for key, _ in row.query.keys):
            again.append(as_command(row.node, row.query))
        return facts, tuple(again)

    def _question(self, row: QueryRow) -> str:
        return row.question if self._with_patients else self._words(row.query)

    def _words(self, query: Query) -> str:
        return in_words(query if self._with_patients else question_without_people(query))

    def _shown(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame if self._with_patients else without_people(frame)

    def _pictures(self, answer: pd.DataFrame) -> list[ReportSection]:
        if "SOPInstanceUID" in answer.columns or not len(answer):
            return []
        studies = answer.drop_duplicates("StudyInstanceUID") if "StudyInstanceUID" in answer.columns else answer
        drawn = [
            chart(answer if chart is hours_of_day else studies)
            for chart, needed in _CHARTS
            if all(name in answer.columns and answer[name].notna().any() for name in needed)
        ]
        return [ReportSection(title="Charts", parts=tuple(drawn))] if drawn else []


def _count_changes(changes: pd.DataFrame) -> pd.DataFrame:
    counts: Any = changes["change"].value_counts()
    names = ("added", "removed", "changed")
    return pd.DataFrame({"change": names, "rows": [int(counts.get(name, 0)) for name in names]})
