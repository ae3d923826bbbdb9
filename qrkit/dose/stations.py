"""The station filters of series: a console often names a series of reports, so the images of its study count too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from qrkit.dose.facts import SeriesRow
from qrkit.dose.groups import NO_IMAGES, SR
from qrkit.dose.outcome import UNDECIDED, Decision, SeriesOutcome
from qrkit.dose.rule import SeriesChoice
from qrkit.query.filters import Filter
from qrkit.query.matches import Match

_OWN = "its own StationName passes the filter"
_BLANK = "it has no StationName, which the filter keeps"
_OF_IMAGES = "its own StationName does not pass the filter, but that of image series {uid} does"


@dataclass(frozen=True, slots=True)
class StationResult:
    """The series that pass the station filters, and the outcomes of the others."""

    passed: tuple[SeriesRow, ...]
    dropped: tuple[SeriesOutcome, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)  # why a series of reports passes, by SeriesInstanceUID

    def noted(self, choice: SeriesChoice) -> SeriesChoice:
        """Return the choice for a kept series of reports with the reason why it passes."""
        note = self.notes.get(choice.row.SeriesInstanceUID) if choice.keep else None
        return choice if note is None else replace(choice, reason=f"{choice.reason}; {note}")


def by_station(rows: Sequence[SeriesRow], of_study: Sequence[SeriesRow], filters: Sequence[Filter]) -> StationResult:
    """Return which of some rows pass all filters; a series of reports passes if an image series of its study does."""
    if not filters:
        return StationResult(tuple(rows))
    images = [row for row in of_study if row.Modality not in NO_IMAGES and _decision(row, filters).keep]
    image = next((row for row in images if row.StationName), next(iter(images), None))
    passed: list[SeriesRow] = []
    dropped: list[SeriesOutcome] = []
    notes: dict[str, str] = {}
    for row in rows:
        decision = _decision(row, filters)
        if decision.keep and row.Modality == SR:
            notes[row.SeriesInstanceUID] = _OWN if row.StationName else _BLANK
        elif row.Modality == SR and image is not None:
            notes[row.SeriesInstanceUID] = _OF_IMAGES.format(uid=image.SeriesInstanceUID)
        if decision.keep or row.SeriesInstanceUID in notes:
            passed.append(row)
        else:
            dropped.append(SeriesOutcome(row, decision))
    return StationResult(tuple(passed), tuple(dropped), notes)


def _decision(row: SeriesRow, filters: Sequence[Filter]) -> Decision:
    decision = UNDECIDED
    for station_filter in filters:
        if not passes(station_filter, row.StationName):
            decision = decision.dropped(station_filter.name, filter_reason(station_filter))
    return decision


def passes(value_filter: Filter, value: str) -> bool:
    """Return whether a value passes a filter."""
    if value_filter.is_blank(value):
        return value_filter.keeps_blank
    return value_filter.judge(value) is not Match.NO


def filter_reason(text_filter: Filter) -> str:
    """Return why a filter drops a study or series."""
    what = "none of" if text_filter.name.endswith("include") else "one of"
    return f"{text_filter.column} contains {what}: {', '.join(text_filter.terms)}"


def last_filter(dropped: Sequence[SeriesOutcome], filters: Sequence[Filter]) -> Decision:
    """Return the decision on the series that was dropped last, with which the study has no series left."""
    order = [series_filter.name for series_filter in filters]
    return max((outcome.decision for outcome in dropped), key=lambda decision: order.index(decision.rule))
