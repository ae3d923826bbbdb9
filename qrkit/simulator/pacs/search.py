"""The studies, series and instances of a hospital that match an Identifier (PS3.4 C.4.1.2, C.4.1.3).

A C-FIND answers with the matches. A retrieve sends the instances below them; a misbehaving PACS also sends
instances that were not requested.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from qrkit.simulator.pacs.attributes import AT_STUDY_LEVEL_TOO, ATTRIBUTES, Match, QueryRetrieveLevel
from qrkit.simulator.pacs.matching import datetime_range_matcher, is_wildcard, key_matcher, matches_any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qrkit.simulator.facts import Hospital, Instance, Series, Study
    from qrkit.simulator.pacs.attributes import Match
    from qrkit.simulator.pacs.identifier import Identifier, Key
    from qrkit.simulator.pacs.quirks import Quirks


def find_matches(
    hospital: Hospital, identifier: Identifier, quirks: Quirks, heed: Callable[[], None] = lambda: None
) -> Iterator[Match]:
    """Everything in the hospital that matches, each once, by day and then in the archive's order.

    Parameters
    ----------
    heed
        Called between days, so that a search through a large archive can be ended by an error raised in it.
    """
    if quirks.no_modalities_in_study:
        identifier = identifier.without(["ModalitiesInStudy"])
    matches = _Matchers(identifier.without(quirks.ignore_keys), quirks)
    seen: set[str] = set()
    for held in _candidates(hospital, identifier.without(quirks.ignore_keys), heed):
        study = _with_its_gaps(held, quirks)
        if not matches.accepts_study(study):
            continue
        if identifier.level == QueryRetrieveLevel.PATIENT:
            if study.patient.PatientID not in seen:
                seen.add(study.patient.PatientID)
                yield Match(study=study)
        elif identifier.level == QueryRetrieveLevel.STUDY:
            yield Match(study=study)
        else:
            yield from _below_study(study, identifier.level, matches, quirks)


def _with_its_gaps(study: Study, quirks: Quirks) -> Study:
    """Return the study as the archive knows it: a share of them, always the same, has no StudyTime."""
    if not quirks.no_study_time_share:
        return study
    place = zlib.crc32(study.StudyInstanceUID.encode()) / (1 << 32)
    return replace(study, StudyTime="") if place < quirks.no_study_time_share else study


def _below_study(study: Study, level: QueryRetrieveLevel, matches: _Matchers, quirks: Quirks) -> Iterator[Match]:
    for series in study.series:
        if not matches.accepts(QueryRetrieveLevel.SERIES, Match(study=study, series=series)):
            continue
        if level == QueryRetrieveLevel.SERIES:
            yield Match(study=study, series=series)
        elif series.Modality not in quirks.no_instances_of:
            yield from _instances(study, series, matches)


def _instances(study: Study, series: Series, matches: _Matchers) -> Iterator[Match]:
    for instance in series.instances:
        match = Match(study=study, series=series, instance=instance)
        if matches.accepts(QueryRetrieveLevel.IMAGE, match):
            yield match


class _Matchers:
    """The matching keys of an Identifier, made into functions once and sorted by level."""

    def __init__(self, identifier: Identifier, quirks: Quirks) -> None:
        self._by_level: dict[QueryRetrieveLevel, list[Callable[[Match], bool]]] = {
            level: [] for level in QueryRetrieveLevel
        }
        combined = identifier.combine_date_and_time and bool(
            identifier.values("StudyDate") and identifier.values("StudyTime")
        )
        if combined:
            in_range = datetime_range_matcher(identifier.values("StudyDate")[0], identifier.values("StudyTime")[0])
            self._by_level[QueryRetrieveLevel.STUDY].append(
                lambda match: in_range(match.study.StudyDate, match.study.StudyTime)
            )
        for key in identifier.keys:
            known = key.values and (key.keyword in ATTRIBUTES)
            if known and not (combined and key.keyword in {"StudyDate", "StudyTime"}):
                self._add(key, identifier.level, quirks)

    def _add(self, key: Key, query_level: QueryRetrieveLevel, quirks: Quirks) -> None:
        attribute = ATTRIBUTES[key.keyword]
        matcher = key_matcher(
            key.vr, key.values, wildcards=not quirks.ignore_wildcards, any_case=not quirks.case_sensitive
        )
        if attribute.level > query_level:
            from_study = AT_STUDY_LEVEL_TOO.get(key.keyword)
            if from_study and query_level == QueryRetrieveLevel.STUDY:
                self._by_level[QueryRetrieveLevel.STUDY].append(lambda match: matcher(from_study(match.study)))
            return

        def accepts(match: Match) -> bool:
            value = attribute.read(match)
            return matches_any(matcher, value) if isinstance(value, tuple) else matcher(str(value))

        self._by_level[attribute.level].append(accepts)

    def accepts(self, level: QueryRetrieveLevel, match: Match) -> bool:
        return all(accepts(match) for accepts in self._by_level[level])

    def accepts_study(self, study: Study) -> bool:
        match = Match(study=study)
        return self.accepts(QueryRetrieveLevel.PATIENT, match) and self.accepts(QueryRetrieveLevel.STUDY, match)


def _candidates(hospital: Hospital, identifier: Identifier, heed: Callable[[], None]) -> Iterable[Study]:
    """Return the studies worth looking at, by the best index the keys allow."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if uids := identifier.values(keyword):
            found = (hospital.study_holding(uid) for uid in uids)
            return {study.StudyInstanceUID: study for study in found if study}.values()
    accession, patient_id = identifier.values("AccessionNumber"), identifier.values("PatientID")
    if accession and not any(is_wildcard("SH", value) for value in accession):
        return [study for value in accession for study in hospital.with_accession(value)]
    if patient_id and not any(is_wildcard("LO", value) for value in patient_id):
        return [study for value in patient_id for study in hospital.of_patient(value)]
    return _by_day(hospital, identifier.values("StudyDate"), heed)


def _by_day(hospital: Hospital, date_keys: tuple[str, ...], heed: Callable[[], None]) -> Iterator[Study]:
    first, last = hospital.days
    for key in date_keys[:1]:
        low, dash, high = key.partition("-")
        first = max(first, _day(low, first))
        last = min(last, _day(high if dash else low, last))
    if not date_keys:
        yield from hospital.undated()
    while first <= last:
        heed()
        yield from hospital.on_day(first)
        first += timedelta(days=1)


def _day(text: str, otherwise: date) -> date:
    digits = text.strip().replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return otherwise


@dataclass(frozen=True, slots=True)
class SelectedInstance:
    """One object to be sent."""

    study: Study
    series: Series
    instance: Instance


def selected_instances(match: Match) -> Iterator[SelectedInstance]:
    """Every object of a matched study, series or instance."""
    all_series = [match.series] if match.series else match.study.series
    for series in all_series:
        instances = [match.instance] if match.instance else series.instances
        for instance in instances:
            yield SelectedInstance(match.study, series, instance)


def unrequested_instances(hospital: Hospital, items: Sequence[SelectedInstance]) -> Iterator[SelectedInstance]:
    """Objects that were not asked for: the rest of the studies asked for, then other studies."""
    asked = {item.instance.SOPInstanceUID for item in items}
    studies = {item.study.StudyInstanceUID: item.study for item in items}
    for study in (*studies.values(), *_one_day(hospital, items)):
        for series in study.series:
            for instance in series.instances:
                if instance.SOPInstanceUID not in asked:
                    yield SelectedInstance(study, series, instance)


def endless_instances(hospital: Hospital, items: Sequence[SelectedInstance]) -> Iterator[SelectedInstance]:
    """Objects of day after day, from the first day again after the last."""
    yield from unrequested_instances(hospital, items)
    first, last = hospital.days
    day = first
    while first <= last:
        for study in hospital.on_day(day):
            for series in study.series:
                for instance in series.instances:
                    yield SelectedInstance(study, series, instance)
        day = first if day >= last else day + timedelta(days=1)


def _one_day(hospital: Hospital, items: Sequence[SelectedInstance]) -> list[Study]:
    """Return the studies of the first day on which there are others than those asked for."""
    asked = {item.study.StudyInstanceUID for item in items}
    day, last = hospital.days
    while day <= last:
        others = [study for study in hospital.on_day(day) if study.StudyInstanceUID not in asked]
        if others:
            return others
        day += timedelta(days=1)
    return []
