"""The dose plan: of each study the least that carries dose, and a reason for everything else. Pure, no I/O.

`DoseQuery` says what is asked for, `Policy` by which rules, `Judge` judges studies and says what it needs to know,
`Ways` says how that is asked of a node, `Plan` is what comes of it.
"""

from __future__ import annotations

from qrkit.plan.asked import DoseQuery, build_dose_query
from qrkit.plan.codes import Matching, ask_codes, matching_of
from qrkit.plan.columns import PlanTables, joined, plan_tables
from qrkit.plan.cost import Budget, cost_of, with_bytes
from qrkit.plan.facts import (
    Answer,
    Ask,
    Need,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    StudyRow,
    Unanswered,
)
from qrkit.plan.funnel import Step, count_steps
from qrkit.plan.groups import dose_class_uids
from qrkit.plan.judge import Judge, together
from qrkit.plan.memory import Memory, from_table, newest, to_table
from qrkit.plan.notes import Tally, tally
from qrkit.plan.outcome import Held, Item
from qrkit.plan.policy import UNANSWERED, Policy
from qrkit.plan.read import study_rows
from qrkit.plan.site import site_budget, site_policy
from qrkit.plan.value import Plan
from qrkit.plan.ways import Abilities, Ways

__all__ = [
    "UNANSWERED",
    "Abilities",
    "Answer",
    "Ask",
    "Budget",
    "DoseQuery",
    "Held",
    "Item",
    "Judge",
    "Matching",
    "Memory",
    "Need",
    "ObjectRow",
    "ObjectsAnswer",
    "Plan",
    "PlanTables",
    "Policy",
    "SeriesAnswer",
    "SeriesRow",
    "Step",
    "StudyRow",
    "Tally",
    "Unanswered",
    "Ways",
    "ask_codes",
    "build_dose_query",
    "cost_of",
    "count_steps",
    "dose_class_uids",
    "from_table",
    "joined",
    "matching_of",
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
