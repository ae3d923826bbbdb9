"""The rows of a plan as tables: one row per work item, per series of it, per object that is known of it.

How many studies are left after each step, counted at the end from the rows, so that it always adds up.
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
    """The rows of a plan.

    Attributes
    ----------
    studies
        One row per work item: a PET/CT has two. `series` and `objects` are how many are to be fetched.
    series
        `level` is SERIES or IMAGE for what is to be fetched; `expected` has its SOP Instance UIDs where they are
        known, `objects` how many they are, `bytes` an estimate.
    instances
        The objects that were looked at; most of an archive never is.
    """

    studies: pa.Table
    series: pa.Table
    instances: pa.Table


def plan_tables(items: Sequence[PlanItem], found: pa.Table) -> PlanTables:
    """Return the rows of work items.

    Parameters
    ----------
    found
        The studies that the items are of, as the node answered.
    """
    return PlanTables(
        studies=_studies(items, found),
        series=_filled(SERIES, (_series_row(item, one) for item in items for one in item.series)),
        instances=_filled(
            INSTANCES,
            (
                (
                    item.study.StudyInstanceUID,
                    item.group,
                    one.row.SeriesInstanceUID,
                    known.row.SOPInstanceUID,
                    known.row.SOPClassUID or None,
                    known.row.InstanceNumber,
                    *_decision_values(known.decision),
                )
                for item in items
                for one in item.series
                for known in one.objects
            ),
        ),
    )


def joined(parts: Sequence[PlanTables]) -> PlanTables:
    """Return the rows of several parts of a plan as one."""
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
    kept = [one for one in item.series if one.decision.keep]
    counts = [one.count for one in kept]
    objects = None if None in counts else sum(count for count in counts if count)
    return (item.group or None, *_decision_values(item.decision), len(kept), objects)


def _series_row(item: PlanItem, one: SeriesOutcome) -> tuple[Any, ...]:
    row = one.row
    return (
        item.study.StudyInstanceUID,
        item.group or None,
        row.SeriesInstanceUID,
        row.SeriesNumber,
        row.Modality or None,
        row.SeriesDescription or None,
        row.StationName or None,
        row.instance_count,
        *_decision_values(one.decision),
        one.level or None,
        one.expected,
        one.count,
        None,
    )


def _decision_values(decision: Decision) -> tuple[Any, ...]:
    return decision.keep, decision.rule, decision.reason, decision.history


def _filled(schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Return rows as a table; built by columns, which is quick for a million rows."""
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


FOUND = "found"
TO_FETCH = "to fetch"

_WORDS = {
    FOUND: "found by the question",
    "description include": "whose description has what was asked for",
    "description exclude": "whose description has nothing of what was excluded",
    "station include": "from the stations asked for",
    "station exclude": "from no station that was excluded",
    "modality": "of a kind that can carry this dose",
    "SR only": "with nothing but structured reports",
    "unanswered": "of which the node has told the series",
    "held": "that are not here already",
    TO_FETCH: "to fetch now",
}


def step_in_words(step: str) -> str:
    """Return what is said of the studies that are left after a step.

    >>> step_in_words("held"), step_in_words("CT rules")
    ('that are not here already', 'with an object that tells the dose of CT')
    """
    group, _, is_rules = step.rpartition(" ")
    told = f"with an object that tells the dose of {group}" if is_rules == "rules" else step
    return _WORDS.get(step, told)


@dataclass(frozen=True, slots=True)
class Step:
    """How many studies are left after one step.

    Attributes
    ----------
    dropped
        How many were left before it and are not after it.
    """

    step: str
    studies: int
    dropped: int = 0


def count_steps(studies: pa.Table, steps: Sequence[str], *, quiet: str = "") -> tuple[Step, ...]:
    """Return what is left after each step: found first, to fetch last.

    A study with two work items is left as long as one of them is.

    Parameters
    ----------
    studies
        One row per work item, with StudyInstanceUID, keep and rule; the rule of what is dropped is a step.
    steps
        In their order.
    quiet
        A step that is told only if it drops something.

    Raises
    ------
    ValueError
        If something was dropped by no step.

    >>> rows = {"StudyInstanceUID": ["1", "1", "2"], "keep": [False, True, False], "rule": ["a", "RDSR", "b"]}
    >>> [(one.step, one.studies) for one in count_steps(pa.table(rows), ("a", "b"))]
    [('found', 2), ('a', 2), ('b', 1), ('to fetch', 1)]
    """
    place = {step: number for number, step in enumerate(steps)}
    last: dict[str, int] = {}
    columns = (studies[name].to_pylist() for name in ("StudyInstanceUID", "keep", "rule"))
    for uid, keep, rule in zip(*columns, strict=True):
        if not keep and rule not in place:
            raise ValueError(f"a study was dropped by {rule!r}, which is no step of {', '.join(steps)}")
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
