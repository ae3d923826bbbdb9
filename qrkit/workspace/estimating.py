"""From a table of answers to what its rows would cost to fetch."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from qrkit.errors import InputError
from qrkit.estimate import Selection

_KINDS = (
    ("SOPInstanceUID", "", "Modality", "SOPClassUID"),
    ("SeriesInstanceUID", "NumberOfSeriesRelatedInstances", "Modality", ""),
    ("StudyInstanceUID", "NumberOfStudyRelatedInstances", "ModalitiesInStudy", "SOPClassesInStudy"),
)
"""Unique Key, count, modality and SOP class of the rows of each level, from the lowest."""


def selections(frame: pd.DataFrame) -> Iterator[Selection]:
    """Yield what each row of a table of studies, series or images selects; each Unique Key counts once.

    Raises
    ------
    InputError
        If the table has none of their UIDs.
    """
    kind = next((one for one in _KINDS if one[0] in frame.columns), None)
    if kind is None:
        raise InputError("The table has no StudyInstanceUID; give the rows of a find.")
    unique, count, modality, sop_class = kind
    once = frame.drop_duplicates(unique)
    is_image = not count
    for row in once.to_dict("records"):
        number = 1 if is_image else row.get(count)
        yield Selection(
            objects=None if number is None or pd.isna(number) else int(number),
            modalities=_values(row.get(modality)),
            sop_classes=_values(row.get(sop_class)),
        )


def _values(cell: object) -> tuple[str, ...]:
    return tuple(filter(None, cell.split("\\"))) if isinstance(cell, str) else ()
