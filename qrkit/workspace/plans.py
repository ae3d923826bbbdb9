"""The plans of a workspace: listed, read again, compared, and searched for why something was not retrieved."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from qrkit.advice import Action, Advice
from qrkit.dose import Plan
from qrkit.dose.plan import load_plan
from qrkit.errors import NotFound
from qrkit.store.plans import PlanRow
from qrkit.tables import Level
from qrkit.uids import is_usable_uid, is_valid_uid
from qrkit.words import shown
from qrkit.workspace.arguments import checks_arguments
from qrkit.workspace.services import Services

logger = logging.getLogger(__name__)

COLUMNS = [
    "level",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "group",
    "keep",
    "rule",
    "reason",
    "trail",
    "here",
    "plan_id",
    "created",
]
_LEVELS = (
    ("instances", "SOPInstanceUID", Level.IMAGE.value),
    ("series", "SeriesInstanceUID", Level.SERIES.value),
    ("studies", "StudyInstanceUID", Level.STUDY.value),
    ("studies", "AccessionNumber", Level.STUDY.value),
)
_MOST_PLANS = 500

_ABOVE = (
    "SELECT SeriesInstanceUID, StudyInstanceUID FROM images WHERE SOPInstanceUID = $uid UNION ALL "
    "SELECT SeriesInstanceUID, StudyInstanceUID FROM instances WHERE SOPInstanceUID = $uid UNION ALL "
    "SELECT SeriesInstanceUID, StudyInstanceUID FROM series WHERE SeriesInstanceUID = $uid LIMIT 1"
)


class Reasons:
    """Finds reasons in the plans of a workspace, the newest first."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._plans = services.plans
        self._instances = services.instances

    def why(self, what: str) -> pd.DataFrame:
        """Return the decision of the newest plan on something, else on its series or study; see `Workspace.why`."""
        above = self._services.sql(_ABOVE, {"uid": what})
        known = [(name, str(uid)) for name in above.columns for uid in above[name].dropna()]
        found = self.of(what, known)
        if not len(found):
            sentence = f"No plan includes {shown(what)}."
            advice = Advice("Create a plan for its study date", Action.CREATE_PLAN)
            if not is_valid_uid(what):
                raise NotFound(sentence, advice=advice)
            logger.warning("%s %s", sentence, advice)
        return found

    def of(self, what: str, above: Sequence[tuple[str, str]] = ()) -> pd.DataFrame:
        """Return the decision of the newest plan that includes something.

        `above` are its series and study, where earlier results know them: keyword and UID, the lowest first. No plan
        looks at every image of an archive; its decision on the series or study holds for them.
        """
        rows = self._plans.list(_MOST_PLANS)
        asked = [(keyword, what) for keyword in _keywords(what)]
        for keyword, value in (*asked, *above):
            for row in rows:
                found = self._in_plan(row, keyword, value)
                if len(found):
                    return found
        return pd.DataFrame(columns=COLUMNS)

    def _in_plan(self, row: PlanRow, keyword: str, value: str) -> pd.DataFrame:
        table, level = next((table, level) for table, name, level in _LEVELS if name == keyword)
        decisions = self._plans.read(row, table, filters=pc.field(keyword) == value).to_pylist()
        studies = {decision["StudyInstanceUID"] for decision in decisions}
        stored = {uid for study in studies for uid in self._instances.stored_uids(study=study)}
        series = {series for study in studies for series in self._instances.by_series([study])}
        plain = [
            {
                **{name: decision.get(name) for name in COLUMNS},
                "level": level,
                "plan_id": row.plan_id,
                "created": row.created,
                "here": _is_here(decision, stored, series),
            }
            for decision in decisions
        ]
        return pd.DataFrame(plain, columns=COLUMNS)


def _keywords(what: str) -> Iterator[str]:
    """Give the keywords that a value may be of: a UID may be an accession number, but not the other way round."""
    if is_usable_uid(what):
        yield from ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    yield "AccessionNumber"


def _is_here(row: dict[str, Any], stored: set[str], series: set[str]) -> bool:
    """Whether the object, or any object of the series or study, is stored."""
    if row.get("SOPInstanceUID"):
        return row["SOPInstanceUID"] in stored
    if row.get("SeriesInstanceUID"):
        return row["SeriesInstanceUID"] in series
    return bool(stored)


_COLUMNS = ["plan_id", "created", "user", "node", "dose", "dates", "studies", "to_fetch", "objects", "complete"]


@checks_arguments
class Plans:
    """The plans of a workspace, newest first."""

    def __init__(self, services: Services) -> None:
        self._table = services.plans

    def __getitem__(self, plan_id: str) -> Plan:
        return load_plan(self._table, plan_id)

    def list(self, limit: int = 100) -> pd.DataFrame:
        """Return the newest plans: one row each, with how many `studies` were found and are `to_fetch`."""
        return pd.DataFrame([_row(row) for row in self._table.list(limit)], columns=_COLUMNS)

    def diff(self, before: str, after: str) -> pd.DataFrame:
        """Return how two plans differ: one row per series that one of them fetches and the other does not.

        Returns
        -------
        DataFrame
            StudyInstanceUID, SeriesInstanceUID, `change` (``added``, ``removed`` or ``changed``), and of both plans
            `before` and `after`: why it is fetched or not; blank where the plan does not know the series.
        """
        old, new = (_decisions(self[plan_id]) for plan_id in (before, after))
        rows = [_difference(key, old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new))]
        columns = ["StudyInstanceUID", "SeriesInstanceUID", "change", "before", "after"]
        return pd.DataFrame([row for row in rows if row[2]], columns=columns)

    def _repr_html_(self) -> str:
        return str(self.list(20).to_html(index=False, escape=True))


_Decision = tuple[bool, str, tuple[str, ...]]


def _decisions(plan: Plan) -> dict[tuple[str, str], _Decision]:
    """Return the decision on each series; of two work items the one that retrieves it."""
    decisions: dict[tuple[str, str], _Decision] = {}
    names = ("StudyInstanceUID", "SeriesInstanceUID", "keep", "rule", "reason", "expected")
    columns = (plan.tables.series[name].to_pylist() for name in names)
    for study, series, keep, rule, reason, expected in zip(*columns, strict=True):
        if keep or (study, series) not in decisions:
            decisions[study, series] = (keep, f"{rule}: {reason}", tuple(sorted(expected)))
    return decisions


def _difference(
    key: tuple[str, str], old: _Decision | None, new: _Decision | None
) -> tuple[str, str, str, str | None, str | None]:
    before, after = (decision is not None and decision[0] for decision in (old, new))
    change = ""
    if before != after:
        change = "added" if after else "removed"
    elif before and old is not None and new is not None and old[1:] != new[1:]:
        change = "changed"
    return (*key, change, old[1] if old else None, new[1] if new else None)


def _row(row: PlanRow) -> dict[str, Any]:
    asked = row.request
    dates = asked["query"].get("dates", [])
    return {
        "plan_id": row.plan_id,
        "created": row.created,
        "user": row.user,
        "node": row.node,
        "dose": ",".join(asked["groups"]) or "SR only",
        "dates": " to ".join(dict.fromkeys(dates)),
        "studies": row.funnel[0][1],
        "to_fetch": row.funnel[-1][1],
        "objects": row.cost["objects"],
        "complete": row.coverage["complete"],
    }
