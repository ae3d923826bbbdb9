"""Why was this not fetched? What the plans say of a study, series or object, and whether it is here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from qrkit.store.instances import InstanceTable
from qrkit.store.plans import PlanRow, PlanTable
from qrkit.uids import is_valid_uid

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
    ("instances", "SOPInstanceUID", "IMAGE"),
    ("series", "SeriesInstanceUID", "SERIES"),
    ("studies", "StudyInstanceUID", "STUDY"),
    ("studies", "AccessionNumber", "STUDY"),
)
_MOST_PLANS = 500


class Reasons:
    """Looks for reasons in the plans of a workspace, the newest first."""

    def __init__(self, plans: PlanTable, instances: InstanceTable) -> None:
        self._plans = plans
        self._instances = instances

    def of(self, what: str, above: Sequence[tuple[str, str]] = ()) -> pd.DataFrame:
        """Return what the newest plan that knows something says of it.

        Parameters
        ----------
        what
            An AccessionNumber, StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID.
        above
            What it belongs to, as far as earlier answers tell: keyword and UID, the lowest first. No plan looks at
            every image of an archive; what it says of the series or study holds for them.
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
        found = self._plans.read(row, table, filters=pc.field(keyword) == value).to_pylist()
        studies = {one["StudyInstanceUID"] for one in found}
        held = {uid for study in studies for uid in self._instances.held(study=study)}
        series = {series for study in studies for series in self._instances.by_series([study])}
        plain = [
            {
                **{name: one.get(name) for name in COLUMNS},
                "level": level,
                "plan_id": row.plan_id,
                "created": row.created,
                "here": _is_here(one, held, series),
            }
            for one in found
        ]
        return pd.DataFrame(plain, columns=COLUMNS)


def _keywords(what: str) -> Iterator[str]:
    """Give the keywords that a value may be of: a UID may be an accession number, but not the other way round."""
    if is_valid_uid(what):
        yield from ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    yield "AccessionNumber"


def _is_here(row: dict[str, Any], held: set[str], series: set[str]) -> bool:
    """Whether the object is here, or something of the series or study."""
    if row.get("SOPInstanceUID"):
        return row["SOPInstanceUID"] in held
    if row.get("SeriesInstanceUID"):
        return row["SeriesInstanceUID"] in series
    return bool(held)
