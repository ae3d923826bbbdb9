"""The studies, series and instances of a hospital that match an Identifier (PS3.4 C.2.2.2, C.4.1.2, C.4.1.3).

A matching key becomes a function of the stored value, which is DICOM text, or a tuple of it where the element has
several values. A C-FIND answers with the matches. A retrieve sends the instances below them; a misbehaving PACS also
sends instances that were not requested.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from qrkit.simulator.facts import day_of
from qrkit.simulator.pacs.identifier import AT_STUDY_LEVEL_TOO, ATTRIBUTES, Match, QueryRetrieveLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qrkit.simulator.facts import Hospital, Instance, Series, Study
    from qrkit.simulator.pacs.identifier import Identifier, Key
    from qrkit.simulator.pacs.quirks import Quirks

    Matcher = Callable[[str], bool]


_WILDCARD_VR = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Value representations in which `*` and `?` are wildcards (PS3.4 C.2.2.2.4)."""
_WILDCARDS = {"*": ".*", "?": "."}
_RANGE_VR = frozenset({"DA", "TM", "DT"})


def key_matcher(vr: str, values: Sequence[str], *, wildcards: bool = True, any_case: bool = False) -> Matcher:
    """Return a function that decides whether one stored value matches the key.

    Several key values mean a list of UIDs (PS3.4 C.2.2.2.2), or any of the values: the multiple value
    matching that most archives offer. No value, or a single empty one, matches everything (C.2.2.2.3).
    Person names are compared without regard to case (C.2.2.2.1), others only with `any_case`.

    >>> key_matcher("DA", ["20260101-20260131"])("20260115")
    True
    >>> key_matcher("PN", ["muel*^a*"])("Mueller^Anna^^Dr.")
    True
    """
    wanted = [value for value in values if value != ""]
    if not wanted:
        return lambda _: True
    matchers = [_one_matcher(vr, value, wildcards=wildcards, any_case=any_case) for value in wanted]
    if len(matchers) == 1:
        return matchers[0]
    return lambda stored: any(matches(stored) for matches in matchers)


def matches_any(matcher: Matcher, stored: Sequence[str]) -> bool:
    """Whether a value of a multi-valued element matches (ModalitiesInStudy, PS3.4 C.2.2.2.1)."""
    return any(matcher(value) for value in stored) if stored else matcher("")


def datetime_range_matcher(date_key: str, time_key: str) -> Callable[[str, str], bool]:
    """Return combined date-time matching of two range keys, where it was negotiated (PS3.4 C.2.2.2.5.1).

    >>> in_range = datetime_range_matcher("20260105-20260107", "1000-1800")
    >>> in_range("20260106", "0300"), in_range("20260105", "0300")
    (True, False)
    """
    first_date, last_date = _ends(date_key)
    first_time, last_time = _ends(time_key)
    first = (first_date or "00000000", _time_floor(first_time) if first_time else "")
    last = (last_date or "99999999", _time_ceiling(last_time) if last_time else "~")
    return lambda day, time: first <= (day, _time_floor(time)) <= last


def is_wildcard(vr: str, value: str) -> bool:
    """Whether a key value holds a wildcard that counts in this value representation."""
    return vr in _WILDCARD_VR and ("*" in value or "?" in value)


def _one_matcher(vr: str, value: str, *, wildcards: bool, any_case: bool) -> Matcher:
    if vr in _RANGE_VR:
        return _range_matcher(vr, value)
    if vr == "PN":
        return _name_matcher(value, wildcards=wildcards)
    if vr in {"IS", "DS", "US", "UL", "SS", "SL", "FD", "FL"}:
        return _number_matcher(value)
    if vr == "UI":
        return lambda stored: stored == value
    return _text_matcher(value, wildcards=wildcards and vr in _WILDCARD_VR, any_case=any_case)


def _text_matcher(value: str, *, wildcards: bool, any_case: bool) -> Matcher:
    wanted = _folded(value) if any_case else value.strip(" ")
    if not wildcards or not ("*" in value or "?" in value):
        return lambda stored: (_folded(stored) if any_case else stored.strip(" ")) == wanted
    if set(wanted) == {"*"}:
        return lambda _: True
    pattern = re.compile("".join(_WILDCARDS.get(one, re.escape(one)) for one in wanted), re.DOTALL)
    return lambda stored: pattern.fullmatch(_folded(stored) if any_case else stored.strip(" ")) is not None


def _name_matcher(value: str, *, wildcards: bool) -> Matcher:
    """Person names: any case, any component group, missing trailing components ignored (PS3.5 6.2.1)."""
    matchers = [
        _text_matcher(group.rstrip("^ "), wildcards=wildcards, any_case=True)
        for group in value.split("=")
        if group.rstrip("^ ")
    ]

    def matches(stored: str) -> bool:
        groups = [group.rstrip("^ ") for group in stored.split("=")]
        return all(any(one(group) for group in groups) for one in matchers)

    return matches


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().strip(" ")


def _number_matcher(value: str) -> Matcher:
    """Numbers match by value, so that `1` finds `01`."""

    def matches(stored: str) -> bool:
        try:
            return float(stored) == float(value)
        except ValueError:
            return stored.strip() == value.strip()

    return matches


def _ends(key: str) -> tuple[str, str]:
    """Both ends of a range key; a single value is its own end, a missing end is empty."""
    first, dash, last = key.strip().partition("-")
    return (first.strip(), last.strip()) if dash else (first.strip(), first.strip())


def _range_matcher(vr: str, value: str) -> Matcher:
    """Range matching (PS3.4 C.2.2.2.5.1); a time stands for the whole of what it leaves out."""
    first, last = _ends(value)
    floor, ceiling = (_date_text, _date_text) if vr == "DA" else (_time_floor, _time_ceiling)
    low = floor(first) if first else ""
    high = ceiling(last) if last else "~"
    return lambda stored: bool(stored) and low <= floor(stored) <= high


def _date_text(value: str) -> str:
    return value.replace(".", "")


def _time_floor(value: str) -> str:
    """Return the first moment a partial time stands for: `10` is 10:00:00.000000."""
    digits = value.replace(":", "").replace(".", "")
    return digits.ljust(12, "0")


def _time_ceiling(value: str) -> str:
    """Return the last moment a partial time stands for: `10` ends at 10:59:59.999999."""
    digits = value.replace(":", "").replace(".", "")
    return digits + "235959999999"[len(digits) :]


def find_matches(
    hospital: Hospital, identifier: Identifier, quirks: Quirks, heed: Callable[[], None] = lambda: None
) -> Iterator[Match]:
    """Everything in the hospital that matches, each once, by day and then in the archive's order.

    `heed` is called between days, so that a search through a large archive can be ended by an error raised in it.
    """
    if quirks.no_match_by_modalities and identifier.values("ModalitiesInStudy"):
        return
    if quirks.no_modalities_in_study:
        identifier = identifier.without(["ModalitiesInStudy"])
    matches = _Matchers(identifier.without(quirks.ignore_keys), quirks)
    seen: set[str] = set()
    for held in _candidates(hospital, identifier.without(quirks.ignore_keys), heed):
        study = _with_its_gaps(held, quirks)
        match = Match(study=study)
        if not all(matches.accepts(level, match) for level in (QueryRetrieveLevel.PATIENT, QueryRetrieveLevel.STUDY)):
            continue
        if identifier.level == QueryRetrieveLevel.PATIENT:
            if study.patient.PatientID not in seen:
                seen.add(study.patient.PatientID)
                yield match
        elif identifier.level == QueryRetrieveLevel.STUDY:
            yield match
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
        match = Match(study=study, series=series)
        if not matches.accepts(QueryRetrieveLevel.SERIES, match):
            continue
        if level == QueryRetrieveLevel.SERIES:
            yield match
        elif series.Modality not in quirks.no_instances_of:
            images = (Match(study=study, series=series, instance=one) for one in _numbered(series, quirks))
            yield from (image for image in images if matches.accepts(QueryRetrieveLevel.IMAGE, image))


def _numbered(series: Series, quirks: Quirks) -> Iterable[Instance]:
    if not quirks.add_to_numbers:
        return series.instances
    return (replace(one, InstanceNumber=one.InstanceNumber + quirks.add_to_numbers) for one in series.instances)


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
        first = max(first, day_of(low) or first)
        last = min(last, day_of(high if dash else low) or last)
    if not date_keys:
        yield from hospital.undated()
    while first <= last:
        heed()
        yield from hospital.on_day(first)
        first += timedelta(days=1)


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
        yield from (one for one in selected_instances(Match(study=study)) if one.instance.SOPInstanceUID not in asked)


def endless_instances(hospital: Hospital, items: Sequence[SelectedInstance]) -> Iterator[SelectedInstance]:
    """Objects of day after day, from the first day again after the last."""
    yield from unrequested_instances(hospital, items)
    first, last = hospital.days
    day = first
    while first <= last:
        for study in hospital.on_day(day):
            yield from selected_instances(Match(study=study))
        day = first if day >= last else day + timedelta(days=1)


def _one_day(hospital: Hospital, items: Sequence[SelectedInstance]) -> list[Study]:
    """Return the studies of the first day on which there are others than those asked for."""
    asked = {item.study.StudyInstanceUID for item in items}
    day, last = hospital.days
    while day <= last:
        if others := [study for study in hospital.on_day(day) if study.StudyInstanceUID not in asked]:
            return others
        day += timedelta(days=1)
    return []
