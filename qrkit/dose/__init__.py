"""The dose plan: the smallest part of each study that contains dose, and a reason for every decision.

`DoseQuery` selects the studies and `Policy` the rules. `StudyJudge` judges the studies and yields what it needs to
know, `NeedRequests` turns these needs into C-FIND requests, and `Planner` returns the `Plan`.
"""

from __future__ import annotations

from qrkit.dose.answers import AnswerCache, from_table, newest, to_table
from qrkit.dose.facts import (
    Answer,
    Need,
    NeedKind,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    StudyRow,
    Unanswered,
    study_rows,
)
from qrkit.dose.groups import dose_class_uids
from qrkit.dose.judge import StudyJudge, together
from qrkit.dose.outcome import PlanItem, StoredUids
from qrkit.dose.plan import Budget, Plan, cost_of, with_bytes
from qrkit.dose.policy import UNANSWERED, Policy, Tally, site_budget, site_policy, tally
from qrkit.dose.query import DoseQuery, ask_codes, build_dose_query
from qrkit.dose.requests import NeedRequests
from qrkit.dose.tables import PlanTables, Step, count_steps, joined, plan_tables

__all__ = [
    "UNANSWERED",
    "Answer",
    "AnswerCache",
    "Budget",
    "DoseQuery",
    "Need",
    "NeedKind",
    "NeedRequests",
    "ObjectRow",
    "ObjectsAnswer",
    "Plan",
    "PlanItem",
    "PlanTables",
    "Policy",
    "SeriesAnswer",
    "SeriesRow",
    "Step",
    "StoredUids",
    "StudyJudge",
    "StudyRow",
    "Tally",
    "Unanswered",
    "ask_codes",
    "build_dose_query",
    "cost_of",
    "count_steps",
    "dose_class_uids",
    "from_table",
    "joined",
    "newest",
    "plan_tables",
    "site_budget",
    "site_policy",
    "study_rows",
    "tally",
    "to_table",
    "together",
    "with_bytes",
]
