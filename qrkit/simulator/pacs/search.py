"""What in a hospital matches a query (PS3.4 C.4.1.2, C.4.1.3)."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from qrkit.simulator.pacs.attributes import AT_STUDY_LEVEL_TOO, ATTRIBUTES, Level, Match
from qrkit.simulator.pacs.matching import datetime_range_matcher, is_wildcard, key_matcher, matches_any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qrkit.simulator.hospital.facts import Hospital, Series, Study
    from qrkit.simulator.pacs.identifier import Key, Query
    from qrkit.simulator.pacs.quirks import Quirks


def find_matches(
    hospital: Hospital, query: Query, quirks: Quirks, heed: Callable[[], None] = lambda: None
) -> Iterator[Match]:
    """Everything in the hospital that matches, each once, by day and then in the archive's order.

    Parameters
    ----------
    heed
        Called between days, so that a search through a large archive can be ended by an error raised in it.
    """
    if quirks.no_modalities_in_study:
        query = query.without(["ModalitiesInStudy"])
    matches = _Matchers(query.without(quirks.ignore_keys), quirks)
    seen: set[str] = set()
    for held in _candidates(hospital, query.without(quirks.ignore_keys), heed):
        study = _with_its_gaps(held, quirks)
        if not matches.accepts_study(study):
            continue
        if query.level == Level.PATIENT:
            if study.patient.PatientID not in seen:
                seen.add(study.patient.PatientID)
                yield Match(study=study)
        elif query.level == Level.STUDY:
            yield Match(study=study)
        else:
            yield from _below_study(study, query.level, matches, quirks)


def _with_its_gaps(study: Study, quirks: Quirks) -> Study:
    """Return the study as the archive knows it: a share of them, always the same, has no StudyTime."""
    if not quirks.no_study_time_share:
        return study
    place = zlib.crc32(study.StudyInstanceUID.encode()) / (1 << 32)
    return replace(study, StudyTime="") if place < quirks.no_study_time_share else study


def _below_study(study: Study, level: Level, matches: _Matchers, quirks: Quirks) -> Iterator[Match]:
    for series in study.series:
        if not matches.accepts(Level.SERIES, Match(study=study, series=series)):
            continue
        if level == Level.SERIES:
            yield Match(study=study, series=series)
        elif series.Modality not in quirks.no_instances_of:
            yield from _instances(study, series, matches)


def _instances(study: Study, series: Series, matches: _Matchers) -> Iterator[Match]:
    for instance in series.instances:
        match = Match(study=study, series=series, instance=instance)
        if matches.accepts(Level.IMAGE, match):
            yield match


class _Matchers:
    """The matching keys of a query, made into functions once and sorted by level."""

    def __init__(self, query: Query, quirks: Quirks) -> None:
        self._by_level: dict[Level, list[Callable[[Match], bool]]] = {level: [] for level in Level}
        combined = query.combine_date_and_time and bool(query.values("StudyDate") and query.values("StudyTime"))
        if combined:
            in_range = datetime_range_matcher(query.values("StudyDate")[0], query.values("StudyTime")[0])
            self._by_level[Level.STUDY].append(lambda match: in_range(match.study.StudyDate, match.study.StudyTime))
        for key in query.keys:
            known = key.values and (key.keyword in ATTRIBUTES)
            if known and not (combined and key.keyword in {"StudyDate", "StudyTime"}):
                self._add(key, query.level, quirks)

    def _add(self, key: Key, query_level: Level, quirks: Quirks) -> None:
        attribute = ATTRIBUTES[key.keyword]
        matcher = key_matcher(
            key.vr, key.values, wildcards=not quirks.ignore_wildcards, any_case=not quirks.case_sensitive
        )
        if attribute.level > query_level:
            from_study = AT_STUDY_LEVEL_TOO.get(key.keyword)
            if from_study and query_level == Level.STUDY:
                self._by_level[Level.STUDY].append(lambda match: matcher(from_study(match.study)))
            return

        def accepts(match: Match) -> bool:
            value = attribute.read(match)
            return matches_any(matcher, value) if isinstance(value, tuple) else matcher(str(value))

        self._by_level[attribute.level].append(accepts)

    def accepts(self, level: Level, match: Match) -> bool:
        return all(accepts(match) for accepts in self._by_level[level])

    def accepts_study(self, study: Study) -> bool:
        match = Match(study=study)
        return self.accepts(Level.PATIENT, match) and self.accepts(Level.STUDY, match)


def _candidates(hospital: Hospital, query: Query, heed: Callable[[], None]) -> Iterable[Study]:
    """Return the studies worth looking at, by the best index the keys allow."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if uids := query.values(keyword):
            found = (hospital.study_holding(uid) for uid in uids)
            return {study.StudyInstanceUID: study for study in found if study}.values()
    accession, patient_id = query.values("AccessionNumber"), query.values("PatientID")
    if accession and not any(is_wildcard("SH", value) for value in accession):
        return [study for value in accession for study in hospital.with_accession(value)]
    if patient_id and not any(is_wildcard("LO", value) for value in patient_id):
        return [study for value in patient_id for study in hospital.of_patient(value)]
    return _by_day(hospital, query.values("StudyDate"), heed)


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
