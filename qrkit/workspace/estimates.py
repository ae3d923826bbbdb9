"""The size of a retrieve: how many objects and bytes the rows of a result select, and how many are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from qrkit.dose import Plan
from qrkit.errors import InputError
from qrkit.jobs import RetrieveRequest
from qrkit.jobs.estimate import Selection, estimate
from qrkit.query.dates import is_missing
from qrkit.store.instances import held_bytes, node_history
from qrkit.store.state import State
from qrkit.tables import read_modalities

_KINDS = (
    ("SOPInstanceUID", "", "Modality", "SOPClassUID"),
    ("SeriesInstanceUID", "NumberOfSeriesRelatedInstances", "Modality", ""),
    ("StudyInstanceUID", "NumberOfStudyRelatedInstances", "ModalitiesInStudy", "SOPClassesInStudy"),
)
"""Unique Key, count, modality and SOP class of the rows of each level, from the lowest."""


def selections(frame: pd.DataFrame) -> Iterator[Selection]:
    """Yield what each row of a table of studies, series or images selects; each Unique Key counts once.

    A row without one selects nothing: it cannot be retrieved.

    Raise `InputError` if the table has none of their UIDs.
    """
    kind = next((kind for kind in _KINDS if kind[0] in frame.columns), None)
    if kind is None:
        raise InputError("The table has no StudyInstanceUID; give the rows of a find.")
    unique, count, modality, sop_class = kind
    present = [name for name in (count, modality, sop_class) if name in frame.columns]
    once = frame.drop_duplicates(unique)
    keys = once.loc[:, once.columns == unique].iloc[:, 0]  # the first of twins
    is_image = not count
    for row, key in zip(once[present].to_dict("records"), keys, strict=True):
        number = 1 if is_image else row.get(count)
        has_key = not is_missing(key) and bool(str(key).strip())
        yield Selection(
            objects=_count(number) if has_key else 0,
            modalities=tuple(sorted(_modalities(row.get(modality)))),
            sop_classes=_values(row.get(sop_class)),
        )


def has_counts(frame: pd.DataFrame) -> bool:
    """Whether the rows of a table count their objects; one without counts is a mere list of UIDs."""
    kind = next((kind for kind in _KINDS if kind[0] in frame.columns), None)
    return kind is not None and kind[1] in ("", *frame.columns)


def bytes_to_come(
    state: State, node: str, known: pd.DataFrame | Plan, requests: Sequence[RetrieveRequest]
) -> int | None:
    """Return how many bytes that are not stored requests of a plan or of results will retrieve; None: unknown."""
    if isinstance(known, Plan):
        size = known.cost.bytes
    elif known.empty:
        return None
    else:
        size = estimate(selections(known), node_history(state, node)).bytes
    held = held_bytes(state, [request for request in requests if not request.refetch])
    return None if size is None else max(size - held, 0)


def _count(cell: Any) -> int | None:  # noqa: ANN401 - a cell of a table that may be the user's own
    """Return a count; None if the cell has none."""
    try:
        return int(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def _modalities(cell: object) -> frozenset[str]:
    return read_modalities(cell).known if isinstance(cell, str) else frozenset()


def _values(cell: object) -> tuple[str, ...]:
    return tuple(filter(None, cell.split("\\"))) if isinstance(cell, str) else ()
