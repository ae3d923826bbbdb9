"""A plan as a value: what is to be fetched of each study and why, saved, shown, compared, retrieved.

What a plan costs: objects, bytes and minutes, and the budget that it may not pass unasked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from qrkit.advice import Action, Advice
from qrkit.dose.query import DoseQuery
from qrkit.dose.tables import PlanTables, Step, step_in_words
from qrkit.errors import InputError
from qrkit.jobs import RetrieveRequest
from qrkit.jobs.estimate import Estimate, NodeHistory, Selection, estimate, mean_size
from qrkit.markup import bullets, code, grid, paragraph, strong
from qrkit.query import Coverage
from qrkit.tables import to_plain_frame
from qrkit.words import counted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What is to be fetched of each study, and why; and why the rest is not.

    Attributes
    ----------
    coverage
        Whether all studies were found, and why not.
    funnel
        How many studies were left after each step.
    notes
        What people should know besides, such as an option that may help.
    cost
        What a retrieve of it costs, by what came from the node before.
    tables
        Every study, series and object with `keep`, `rule`, `reason` and `trail`.
    is_meant
        That it may be fetched even if it passes the site's budget; see `meant`.
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
    is_meant: bool = False

    @property
    def studies(self) -> pd.DataFrame:
        """One row per work item, a PET/CT has two: `group`, `keep`, `rule`, `reason`, `trail`."""
        return to_plain_frame(self.tables.studies)

    @property
    def series(self) -> pd.DataFrame:
        """One row per series that was looked at; `level` is SERIES or IMAGE for what is to be fetched."""
        return to_plain_frame(self.tables.series)

    @property
    def instances(self) -> pd.DataFrame:
        """One row per object that was looked at."""
        return to_plain_frame(self.tables.instances)

    @property
    def steps(self) -> pd.DataFrame:
        """The funnel: `studies` left after each `step`, and `dropped` by it."""
        return pd.DataFrame(
            {
                "step": [one.step for one in self.funnel],
                "studies": [one.studies for one in self.funnel],
                "dropped": [one.dropped for one in self.funnel],
            }
        )

    def meant(self) -> Plan:
        """Return the plan as one that may cost more than the site's budget."""
        return replace(self, is_meant=True)

    def requests(self) -> tuple[RetrieveRequest, ...]:
        """Return what is to be fetched: requests at SERIES or IMAGE level, each series once."""
        patients = {row["StudyInstanceUID"]: row["PatientID"] for row in _rows(self.tables.studies, _PATIENTS)}
        chosen: dict[str, RetrieveRequest] = {}
        for row in _rows(self.tables.series, _JSON_SERIES):
            if row["keep"]:
                request = _request(row, patients[row["StudyInstanceUID"]] or "")
                known = chosen.get(request.SeriesInstanceUID)
                chosen[request.SeriesInstanceUID] = request if known is None else _both(known, request)
        return tuple(chosen.values())

    @property
    def cost_in_words(self) -> str:
        """What it will cost, as a line has it."""
        return self.cost.in_words(of="series", several="series")

    def to_json(self) -> dict[str, Any]:
        """Return it as the command line prints it with ``--format json``."""
        series: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        for row in _rows(self.tables.series, _JSON_SERIES):
            place = (row.pop("StudyInstanceUID"), row.pop("group"))
            expected = row.pop("expected")
            row["instances"] = expected if row["level"] == "IMAGE" else []
            series.setdefault(place, []).append(row)
        coverage = {name: self.coverage[name] for name in ("complete", "why", "windows", "requests")}
        return {
            "plan_id": self.plan_id,
            "node": self.node,
            "coverage": coverage,
            "funnel": [{"step": one.step, "studies": one.studies} for one in self.funnel],
            "studies": [
                {**row, "series": series.get((row["StudyInstanceUID"], row["group"]), [])}
                for row in _rows(self.tables.studies, _JSON_STUDY)
            ],
        }

    def __repr__(self) -> str:
        found, to_fetch = self.funnel[0].studies, self.funnel[-1].studies
        return (
            f"<Plan {self.plan_id}: {to_fetch:,} of {counted(found, 'study')} from {self.node}, {self.cost_in_words}>"
        )

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
        steps = [[one.step, one.studies, one.dropped or None, step_in_words(one.step)] for one in self.funnel]
        notes = bullets((*self.coverage.why, *self.notes))
        return head + grid(["step", "studies left", "fewer", "which are those"], steps) + notes


_PATIENTS = ("StudyInstanceUID", "PatientID")
_JSON_STUDY = ("StudyInstanceUID", "group", "keep", "rule", "reason")
_JSON_SERIES = ("StudyInstanceUID", "group", "SeriesInstanceUID", "keep", "rule", "reason", "level", "expected")


def _list(table: pa.Table, name: str) -> list[Any]:
    values: list[Any] = table[name].to_pylist()
    return values


def _rows(table: pa.Table, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for values in zip(*(_list(table, name) for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _request(row: Mapping[str, Any], patient_id: str) -> RetrieveRequest:
    expected = tuple(row["expected"])
    return RetrieveRequest(
        level=row["level"],
        StudyInstanceUID=row["StudyInstanceUID"],
        SeriesInstanceUID=row["SeriesInstanceUID"],
        sop_instance_uids=expected if row["level"] == "IMAGE" else (),
        patient_id=patient_id,
        expected=expected,
    )


def _both(one: RetrieveRequest, other: RetrieveRequest) -> RetrieveRequest:
    """Return what two work items want of one series, such as its dose reports of two kinds."""
    whole = next((request for request in (one, other) if request.level == "SERIES"), None)
    if whole is not None:
        return whole
    wanted = tuple(dict.fromkeys((*one.expected, *other.expected)))
    return replace(one, sop_instance_uids=wanted, expected=wanted)


def with_bytes(series: pa.Table, history: NodeHistory) -> pa.Table:
    """Return the series of a plan with the estimated `bytes` of what is to be fetched; null where nobody knows."""
    means: dict[str | None, float | None] = {}
    sizes: list[int | None] = []
    for keep, modality, objects in _columns(series, "keep", "Modality", "objects"):
        if modality not in means:
            means[modality] = mean_size(Selection(objects=1, modalities=(modality or "",)), history)[0]
        mean = means[modality]
        sizes.append(None if not keep or mean is None or objects is None else round(mean * objects))
    return series.set_column(series.column_names.index("bytes"), "bytes", pa.array(sizes, pa.int64()))


def cost_of(series: pa.Table, history: NodeHistory) -> Estimate:
    """Return what the series of a plan that are to be fetched will cost together."""
    rows = _columns(series, "keep", "Modality", "objects")
    kept = [Selection(objects=objects, modalities=(modality or "",)) for keep, modality, objects in rows if keep]
    if not kept:
        return Estimate(objects=0, bytes=0, seconds=None)
    return estimate(kept, history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a retrieve may cost without being asked about; 0: any amount."""

    objects: int = 0
    bytes: int = 0

    def check(self, cost: Estimate) -> None:
        """Refuse what costs more.

        Raises
        ------
        InputError
            With the numbers.

        >>> Budget(objects=100).check(Estimate(objects=250, bytes=None, seconds=None))
        Traceback (most recent call last):
        qrkit.errors.InputError: The plan is for 250 objects, which passes the budget of 100 objects. \
Confirm it: --yes.
        """
        passed = []
        if self.objects and (cost.objects or 0) > self.objects:
            passed.append(counted(self.objects, "object"))
        if self.bytes and (cost.bytes or 0) > self.bytes:
            passed.append(f"{self.bytes / 1e6:.1f} MB")
        if passed:
            raise InputError(
                f"The plan is for {cost.in_words(of='series', several='series')}, which passes the budget of "
                f"{' and '.join(passed)}.",
                advice=Advice(action=Action.CONFIRM_PLAN),
            )


def _columns(table: pa.Table, *names: str) -> Iterator[tuple[bool, str | None, int | None]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)
