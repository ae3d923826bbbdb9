"""The dose plan: of each study the least that carries dose, and a reason for everything else. Pure, no I/O.

`DoseQuery` says what is asked for, `Policy` by which rules, `Judge` judges studies and says what it needs to know,
`Ways` says how that is asked of a node, `Plan` is what comes of it.
"""

from __future__ import annotations

from qrkit.dose.cache import Memory, from_table, newest, to_table
from qrkit.dose.facts import (
    Answer,
    Ask,
    Need,
    ObjectRow,
    ObjectsAnswer,
    SeriesAnswer,
    SeriesRow,
    StudyRow,
    Unanswered,
    study_rows,
)
from qrkit.dose.groups import dose_class_uids
from qrkit.dose.judge import Judge, together
from qrkit.dose.outcome import Held, Item
from qrkit.dose.plan import Budget, Plan, cost_of, with_bytes
from qrkit.dose.policy import UNANSWERED, Policy, Tally, tally
from qrkit.dose.query import DoseQuery, Matching, ask_codes, build_dose_query, matching_of
from qrkit.dose.requests import Abilities, Ways
from qrkit.dose.site_rules import site_budget, site_policy
from qrkit.dose.tables import PlanTables, Step, count_steps, joined, plan_tables

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
