"""Plans in the store: the conversion between a `Plan` and its row and tables.

The store knows only rows and Parquet files, so that it needs nothing of the dose plan.
"""

from __future__ import annotations

from dataclasses import asdict

from qrkit.dose.plan import Plan
from qrkit.dose.query import DoseQuery
from qrkit.dose.tables import PlanTables, Step
from qrkit.jobs.estimate import Estimate
from qrkit.query import Coverage
from qrkit.store.plans import TABLES, PlanRow, PlanTable


def save_plan(store: PlanTable, plan: Plan) -> None:
    """Store a plan.

    Raises
    ------
    DiskFull
        If the disk is full.
    StoreError
        If the plan cannot be written.
    """
    row = PlanRow(
        plan_id=plan.plan_id,
        node=plan.node,
        user=plan.user,
        created=plan.created,
        request=plan.asked.to_json(),
        coverage=plan.coverage.to_json(),
        funnel=[[step.step, step.studies, step.dropped] for step in plan.funnel],
        notes=list(plan.notes),
        cost=asdict(plan.cost),
        folder=f"{plan.created[:4]}/{plan.plan_id}",
    )
    store.add(row, {name: getattr(plan.tables, name) for name in TABLES})


def load_plan(store: PlanTable, plan_id: str) -> Plan:
    """Return a stored plan.

    Raises
    ------
    NotFound
        If no plan has that id.
    StoreError
        If its files cannot be read.
    """
    row = store.get(plan_id)
    return Plan(
        plan_id=row.plan_id,
        node=row.node,
        user=row.user,
        created=row.created,
        asked=DoseQuery.from_json(row.request),
        coverage=Coverage.from_json(row.coverage),
        funnel=tuple(Step(*values) for values in row.funnel),
        notes=tuple(row.notes),
        cost=Estimate(**row.cost),
        tables=PlanTables(**{name: store.read(row, name) for name in TABLES}),
    )
