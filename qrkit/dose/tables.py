"""The tables of a plan: one row per plan item, per series and per known object; and its funnel.

The funnel counts the remaining studies after each step from the rows, so that the numbers always add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from qrkit.dose.outcome import Decision, PlanItem, SeriesOutcome
from qrkit.tables import arrow_type

_DECISION = (("keep", pa.bool_()), ("rule", pa.string()), ("reason", pa.string()), ("trail", pa.list_(pa.string())))

OF_STUDY = (
    "StudyInstanceUID",
    "PatientID",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "StationName",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
)
OF_SERIES = (
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "SeriesDescription",
    "StationName",
    "NumberOfSeriesRelatedInstances",
)
OF_OBJECT = ("SOPInstanceUID", "SOPClassUID", "InstanceNumber")

FOUND = "found"
TO_FETCH = "to fetch"

_CRITERIA = {
    FOUND: "found by the query",
    "description include": "description contains a given term",
    "description exclude": "description contains no excluded term",
    "station include": "from a selected station",
    "station exclude": "not from an excluded station",
    "modality": "has a modality of a selected dose group",
    "SR only": "contains only structured reports",
    "unanswered": "the node listed its series",
    "held": "has objects that are not stored",
    TO_FETCH: "to retrieve now",
}


def _schema(*names: str, more: Sequence[tuple[str, pa.DataType]] = ()) -> pa.Schema:
    columns = [(name, pa.string() if name == "group" else arrow_type(name)) for name in names]
    return pa.schema([*columns, *_DECISION, *more])


STUDIES = _schema(*OF_STUDY, "group", more=[("series", pa.int64()), ("objects", pa.int64())])
SERIES = _schema(
    "StudyInstanceUID",
    "group",
    *OF_SERIES,
    more=[
        ("level", pa.string()),
        ("expected", pa.list_(pa.string())),
        ("objects", pa.int64()),
        ("bytes", pa.int64()),
    ],
)
INSTANCES = _schema("StudyInstanceUID", "group", "SeriesInstanceUID", *OF_OBJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTables:
    """The rows of a plan."""

    # One row per plan item: per study and dose group. `series` and `objects` are the numbers to retrieve.
    studies: pa.Table
    # `level` is SERIES or IMAGE if the series is to be retrieved. `expected` contains its SOP Instance UIDs if they
    # are known, `objects` their number, `bytes` an estimate.
    series: pa.Table
    instances: pa.Table  # the known objects; most objects of an archive never appear here


def plan_tables(items: Sequence[PlanItem], found: pa.Table) -> PlanTables:
    """Return the tables of plan items; `found`: the studies of the items, as the node returned them."""
    return PlanTables(
        studies=_studies(items, found),
        series=_filled(SERIES, (_series_row(item, outcome) for item in items for outcome in item.series)),
        instances=_filled(
            INSTANCES,
            (
                (
                    item.study.StudyInstanceUID,
                    item.group,
                    outcome.row.SeriesInstanceUID,
                    known.row.SOPInstanceUID,
                    known.row.SOPClassUID or None,
                    known.row.InstanceNumber,
                    *_decision_values(known.decision),
                )
                for item in items
                for outcome in item.series
                for known in outcome.objects
            ),
        ),
    )


def joined(parts: Sequence[PlanTables]) -> PlanTables:
    """Return the tables of several parts of a plan as one."""
    return PlanTables(
        studies=pa.concat_tables(part.studies for part in parts),
        series=pa.concat_tables(part.series for part in parts),
        instances=pa.concat_tables(part.instances for part in parts),
    )


def _studies(items: Sequence[PlanItem], found: pa.Table) -> pa.Table:
    place = {uid: row for row, uid in reversed(list(enumerate(found["StudyInstanceUID"].to_pylist())))}
    rows = found.take(pa.array([place[item.study.StudyInstanceUID] for item in items], pa.int64()))
    columns = {
        name: rows[name].cast(arrow_type(name))
        if name in rows.column_names
        else pa.nulls(len(items), arrow_type(name))
        for name in OF_STUDY
    }
    judged = _filled(
        pa.schema([field for field in STUDIES if field.name not in OF_STUDY]), (_study_row(item) for item in items)
    )
    return pa.table(columns | {name: judged[name] for name in judged.column_names}, schema=STUDIES)


def _study_row(item: PlanItem) -> tuple[Any, ...]:
    kept = [outcome for outcome in item.series if outcome.decision.keep]
    counts = [outcome.count for outcome in kept]
    objects = None if None in counts else sum(count for count in counts if count)
    return (item.group or None, *_decision_values(item.decision), len(kept), objects)


def _series_row(item: PlanItem, outcome: SeriesOutcome) -> tuple[Any, ...]:
    row = outcome.row
    return (
        item.study.StudyInstanceUID,
        item.group or None,
        row.SeriesInstanceUID,
        row.SeriesNumber,
        row.Modality or None,
        row.SeriesDescription or None,
        row.StationName or None,
        row.instance_count,
        *_decision_values(outcome.decision),
        outcome.level or None,
        outcome.expected,
        outcome.count,
        None,
    )


def _decision_values(decision: Decision) -> tuple[Any, ...]:
    return decision.keep, decision.rule, decision.reason, decision.history


def _filled(schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Return rows as a table, built by columns, which is fast for a million rows."""
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def criterion(step: str) -> str:
    """Return the criterion of the studies that remain after a step.

    >>> criterion("held"), criterion("CT rules")
    ('has objects that are not stored', 'contains a CT dose object')
    """
    group, _, is_rules = step.rpartition(" ")
    article = "an" if group[:1] in "AEFILMNORSX" else "a"  # as the letters are spoken
    return _CRITERIA.get(step, f"contains {article} {group} dose object" if is_rules == "rules" else step)


@dataclass(frozen=True, slots=True)
class Step:
    """The number of remaining studies after one step."""

    step: str
    studies: int
    dropped: int = 0  # number of studies that the step removed


def count_steps(studies: pa.Table, steps: Sequence[str], *, quiet: str = "") -> tuple[Step, ...]:
    """Return the remaining studies after each step, from ``found`` to ``to fetch``.

    A study with two plan items remains while one of them does.

    The table has one row per plan item, with StudyInstanceUID, keep and rule; the rule of a dropped item is a step.
    The step `quiet` appears only if it drops something. Raise `ValueError` if an item was dropped by an unknown step.

    >>> rows = {"StudyInstanceUID": ["1", "1", "2"], "keep": [False, True, False], "rule": ["a", "RDSR", "b"]}
    >>> [(step.step, step.studies) for step in count_steps(pa.table(rows), ("a", "b"))]
    [('found', 2), ('a', 2), ('b', 1), ('to fetch', 1)]
    """
    place = {step: number for number, step in enumerate(steps)}
    last: dict[str, int] = {}
    columns = (studies[name].to_pylist() for name in ("StudyInstanceUID", "keep", "rule"))
    for uid, keep, rule in zip(*columns, strict=True):
        if not keep and rule not in place:
            raise ValueError(f"A study was dropped by {rule!r}, which is not a step: {', '.join(steps)}.")
        last[uid] = max(last.get(uid, -1), len(steps) if keep else place[rule])
    dropped = [0] * (len(steps) + 1)
    for number in last.values():
        dropped[number] += 1
    left = len(last)
    counted = [Step(FOUND, left)]
    for number, step in enumerate(steps):
        left -= dropped[number]
        if dropped[number] or step != quiet:
            counted.append(Step(step, left, dropped[number]))
    return (*counted, Step(TO_FETCH, left))
