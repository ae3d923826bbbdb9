"""The objects a retrieve is about, and those it is not about but that a PACS may send all the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qrkit.simulator.hospital.facts import Hospital, Instance, Series, Study
    from qrkit.simulator.pacs.attributes import Match


@dataclass(frozen=True, slots=True)
class Item:
    """One object to be sent."""

    study: Study
    series: Series
    instance: Instance


def as_items(match: Match) -> Iterator[Item]:
    """Every object of a matched study, series or instance."""
    all_series = [match.series] if match.series else match.study.series
    for series in all_series:
        instances = [match.instance] if match.instance else series.instances
        for instance in instances:
            yield Item(match.study, series, instance)


def unasked_items(hospital: Hospital, items: Sequence[Item]) -> Iterator[Item]:
    """Objects that were not asked for: the rest of the studies asked for, then other studies."""
    asked = {item.instance.SOPInstanceUID for item in items}
    studies = {item.study.StudyInstanceUID: item.study for item in items}
    for study in (*studies.values(), *_one_day(hospital, items)):
        for series in study.series:
            for instance in series.instances:
                if instance.SOPInstanceUID not in asked:
                    yield Item(study, series, instance)


def never_ending_items(hospital: Hospital, items: Sequence[Item]) -> Iterator[Item]:
    """Objects of day after day, from the first day again after the last."""
    yield from unasked_items(hospital, items)
    first, last = hospital.days
    day = first
    while first <= last:
        for study in hospital.on_day(day):
            for series in study.series:
                for instance in series.instances:
                    yield Item(study, series, instance)
        day = first if day >= last else day + timedelta(days=1)


def _one_day(hospital: Hospital, items: Sequence[Item]) -> list[Study]:
    """Return the studies of the first day on which there are others than those asked for."""
    asked = {item.study.StudyInstanceUID for item in items}
    day, last = hospital.days
    while day <= last:
        others = [study for study in hospital.on_day(day) if study.StudyInstanceUID not in asked]
        if others:
            return others
        day += timedelta(days=1)
    return []
