"""A plan as a value: what to retrieve of each study and why, its cost, the budget, and its form in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from qrkit.advice import Action, Advice
from qrkit.dose.query import DoseQuery
from qrkit.dose.tables import PlanTables, Step, criterion
from qrkit.errors import InputError
from qrkit.jobs import RetrieveRequest
from qrkit.jobs.estimate import Estimate, NodeHistory, Selection, estimate, mean_size
from qrkit.markup import bullets, code, grid, paragraph, strong
from qrkit.query import Coverage
from qrkit.store.plans import TABLES, PlanRow, PlanTable
from qrkit.tables import Level, to_plain_frame
from qrkit.words import counted, out_of, step_label

_PATIENTS = ("StudyInstanceUID", "PatientID")
_JSON_STUDY = ("StudyInstanceUID", "group", "keep", "rule", "reason")
_JSON_SERIES = ("StudyInstanceUID", "group", "SeriesInstanceUID", "keep", "rule", "reason", "level", "expected")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The parts of each study to retrieve, and a reason for each decision.

    Attributes
    ----------
    coverage
        Whether the plan may lack studies, and the reasons.
    funnel
        Number of remaining studies after each step.
    notes
        Remarks for the user, such as an option that may help.
    cost
        Estimated cost of the retrieve, by earlier retrieves.
    tables
        All studies, series and objects with `keep`, `rule`, `reason` and `trail`.
    is_confirmed
        True if the plan may exceed the site's budget; see `confirmed`.
    """

    plan_id: str
    node: str
    user: str = ""
    created: str = ""
    asked: DoseQuery
    coverage: Coverage
    funnel: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    cost: Estimate
    tables: PlanTables
    is_confirmed: bool = False

    @property
    def studies(self) -> pd.DataFrame:
        """One row per plan item, which is a study and dose group: `group`, `keep`, `rule`, `reason`, `trail`."""
        return to_plain_frame(self.tables.studies)

    @property
    def series(self) -> pd.DataFrame:
        """One row per known series; `level` is SERIES or IMAGE if it is to be retrieved."""
        return to_plain_frame(self.tables.series)

    @property
    def instances(self) -> pd.DataFrame:
        """One row per known object."""
        return to_plain_frame(self.tables.instances)

    @property
    def steps(self) -> pd.DataFrame:
        """The funnel: `studies` remaining after each `step`, and `dropped` by it."""
        return pd.DataFrame([asdict(step) for step in self.funnel], columns=["step", "studies", "dropped"])

    def confirmed(self) -> Plan:
        """Return the plan with the permission to exceed the site's budget."""
        return replace(self, is_confirmed=True)

    def requests(self) -> tuple[RetrieveRequest, ...]:
        """Return the retrieve requests at SERIES or IMAGE level, each series once."""
        patients = {row["StudyInstanceUID"]: row["PatientID"] for row in _rows(self.tables.studies, _PATIENTS)}
        requests: dict[str, RetrieveRequest] = {}
        for row in _rows(self.tables.series, _JSON_SERIES):
            if row["keep"]:
                patient_id = patients[row["StudyInstanceUID"]] or ""
                request = _request(row, patient_id, refetch=self.asked.refetch)
                known = requests.get(request.SeriesInstanceUID)
                requests[request.SeriesInstanceUID] = request if known is None else _both(known, request)
        return tuple(requests.values())

    @property
    def cost_in_words(self) -> str:
        """The cost as one line."""
        return self.cost.in_words(of="series", several="series")

    def to_json(self) -> dict[str, Any]:
        """Return the plan as ``--format json`` prints it."""
        series: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        for row in _rows(self.tables.series, _JSON_SERIES):
            place = (row.pop("StudyInstanceUID"), row.pop("group"))
            expected = row.pop("expected")
            row["instances"] = expected if row["level"] == Level.IMAGE else []
            series.setdefault(place, []).append(row)
        coverage = {name: self.coverage[name] for name in ("complete", "why", "windows", "requests")}
        coverage |= self.coverage.missing_json()
        return {
            "plan_id": self.plan_id,
            "node": self.node,
            "coverage": coverage,
            "funnel": [{"step": step.step, "studies": step.studies} for step in self.funnel],
            "studies": [
                {**row, "series": series.get((row["StudyInstanceUID"], row["group"]), [])}
                for row in _rows(self.tables.studies, _JSON_STUDY)
            ],
        }

    def __repr__(self) -> str:
        found, to_fetch = self.funnel[0].studies, self.funnel[-1].studies
        return f"<Plan {self.plan_id}: {out_of(to_fetch, found, 'study')} from {self.node}, {self.cost_in_words}>"

    def _repr_html_(self) -> str:
        what = ", ".join(self.asked.groups) or "SR only"
        complete = "complete" if self.coverage.is_complete else "may be incomplete"
        head = paragraph(
            "Plan ",
            code(self.plan_id),
            f" for {what} from {self.node}: ",
            strong(self.cost_in_words),
            f"; {complete}.",
        )
        steps = [
            [step_label(step.step), step.studies, step.dropped or None, criterion(step.step)] for step in self.funnel
        ]
        notes = bullets((*self.coverage.why, *self.notes))
        return head + grid(["Step", "Remaining", "Removed", "Criterion"], steps) + notes


def _rows(table: pa.Table, names: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.select(names).to_pylist()
    return rows


def _request(row: Mapping[str, Any], patient_id: str, *, refetch: bool) -> RetrieveRequest:
    expected = tuple(row["expected"])
    return RetrieveRequest(
        level=Level.parse(row["level"]),
        StudyInstanceUID=row["StudyInstanceUID"],
        SeriesInstanceUID=row["SeriesInstanceUID"],
        sop_instance_uids=expected if row["level"] == Level.IMAGE else (),
        patient_id=patient_id,
        expected=expected,
        refetch=refetch,
    )


def _both(first: RetrieveRequest, other: RetrieveRequest) -> RetrieveRequest:
    """Return the request for the objects that two plan items need of one series."""
    whole = next((request for request in (first, other) if request.level is Level.SERIES), None)
    if whole is not None:
        return whole
    wanted = tuple(dict.fromkeys((*first.expected, *other.expected)))
    return replace(first, sop_instance_uids=wanted, expected=wanted)


def with_bytes(series: pa.Table, history: NodeHistory) -> pa.Table:
    """Return the series of a plan with the estimated `bytes` of the retrieve; null if unknown."""
    means: dict[str | None, float | None] = {}
    sizes: list[int | None] = []
    for keep, modality, objects in _columns(series, "keep", "Modality", "objects"):
        if modality not in means:
            means[modality] = mean_size(Selection(objects=1, modalities=(modality or "",)), history)[0]
        mean = means[modality]
        sizes.append(None if not keep or mean is None or objects is None else round(mean * objects))
    return series.set_column(series.column_names.index("bytes"), "bytes", pa.array(sizes, pa.int64()))


def cost_of(series: pa.Table, history: NodeHistory) -> Estimate:
    """Return the estimated cost of retrieving the series of a plan; one that several items want counts once."""
    wanted: dict[str, tuple[str, str | None, int | None, list[str]]] = {}
    rows = series.filter(series["keep"])
    columns = ("SeriesInstanceUID", "level", "Modality", "objects", "expected")
    for uid, *values in zip(*(rows[name].to_pylist() for name in columns), strict=True):
        level, modality, objects, expected = values
        known = wanted.get(uid)
        if known is None or level == Level.SERIES:
            wanted[uid] = (level, modality, objects, expected)
        elif known[0] != Level.SERIES:
            both = list(dict.fromkeys((*known[3], *expected)))
            wanted[uid] = (level, modality, len(both), both)
    kept = [Selection(objects=objects, modalities=(modality or "",)) for _, modality, objects, _ in wanted.values()]
    if not kept:
        return Estimate(objects=0, bytes=0, seconds=None)
    return estimate(kept, history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The largest retrieve that needs no confirmation; 0: no limit."""

    objects: int = 0
    bytes: int = 0

    def check(self, cost: Estimate) -> None:
        """Refuse a retrieve that exceeds the budget by an `InputError`.

        >>> Budget(objects=100).check(Estimate(objects=250, bytes=None, seconds=None))
        Traceback (most recent call last):
        qrkit.errors.InputError: The plan has 250 objects; the budget is 100 objects. Confirm it: --yes.
        """
        exceeded = []
        if self.objects and (cost.objects or 0) > self.objects:
            exceeded.append(counted(self.objects, "object"))
        if self.bytes and (cost.bytes or 0) > self.bytes:
            exceeded.append(f"{self.bytes / 1e6:.1f} MB")
        if exceeded:
            raise InputError(
                f"The plan has {cost.in_words(of='series', several='series')}; "
                f"the budget is {' and '.join(exceeded)}.",
                advice=Advice(action=Action.CONFIRM_PLAN),
            )


def _columns(table: pa.Table, *names: str) -> Iterator[tuple[bool, str | None, int | None]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def save_plan(store: PlanTable, plan: Plan) -> None:
    """Store a plan; raise `DiskFull` if the disk is full, `StoreError` if the plan cannot be written."""
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
    """Return a stored plan; raise `NotFound` if no plan has that id, `StoreError` if its files cannot be read."""
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
