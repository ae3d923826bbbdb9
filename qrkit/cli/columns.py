"""Which columns of a table fit the terminal, so that no word and no UID is broken into pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

GAP = 3
"""Blanks between two columns."""

_LONG = 30
"""Columns with longer words, such as UIDs and paths, come after the others, unless one is the first column."""

_USEFUL = (
    "StudyDate",
    "StudyTime",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "ModalitiesInStudy",
    "SeriesDescription",
    "StudyDescription",
    "PatientID",
    "PatientName",
    "AccessionNumber",
    "StationName",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "state",
    "row_count",
    "expected",
    "stored",
    "node",
    "level",
    "error",
)
"""What people look at first, in an answer and in a list of queries or jobs."""


def columns_that_fit(cells: Mapping[str, Sequence[str]], width: int) -> tuple[str, ...]:
    """Return the columns to be shown, in their order: the useful ones first, as many as fit.

    A text may be broken between its words, so a column is as wide as its longest word. The first column is always
    shown if it is an id of ours, which other commands ask for.

    Parameters
    ----------
    cells
        The values of each column, as they are printed.
    width
        Of the terminal, in characters.

    >>> answers = {"StudyInstanceUID": ["1.2.840." + 40 * "9"], "StudyDate": ["2026-01-31"], "PatientID": ["Q1"]}
    >>> columns_that_fit(answers, 40)
    ('StudyDate', 'PatientID')
    >>> columns_that_fit(answers, 200)
    ('StudyInstanceUID', 'StudyDate', 'PatientID')
    """
    needs = {name: least_width(name, values) for name, values in cells.items()}
    names = list(needs)
    chosen: set[str] = set()
    left = width
    for name in sorted(names, key=lambda name: _rank(name, names.index(name), needs[name])):
        if needs[name] + GAP <= left or not chosen:
            chosen.add(name)
            left -= needs[name] + GAP
    return tuple(name for name in names if name in chosen)


def least_width(name: str, values: Sequence[str]) -> int:
    """Return the length of the longest word of a column, its name included.

    >>> least_width("Modality", ["CT", "Mammography Screening"])
    11
    """
    return max(len(name), *(len(word) for value in values for word in value.split()), 0)


def _rank(name: str, place: int, need: int) -> tuple[int, int]:
    if place == 0 and name.endswith("_id"):
        return 0, 0
    if need > _LONG:
        return 3, place
    if name in _USEFUL:
        return 1, _USEFUL.index(name)
    return 2, place
