"""At which level each key of a query is asked, and where it begins and ends (PS3.4 C.4.1.2.1)."""

from __future__ import annotations

from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.query.filtered import Reliance
from qrkit.query.matching import is_single_value
from qrkit.query.request import Request
from qrkit.query.value import Query
from qrkit.tables import Level, belongs_to, levels_of, return_keys, unique_key, unique_keys_above

_ORDER = list(Level)


def lowest_level(query: Query, model: InformationModel) -> Level:
    """Return the level at which the query ends, having checked that it can be asked."""
    levels = levels_of(model)
    if query.level is Level.PATIENT and levels[0] is Level.STUDY:
        return Level.STUDY  # Study Root knows patients by their studies
    if query.level is Level.PATIENT and (query.dates or query.modalities or query.filters.on_description):
        raise InputError(
            "Under Patient Root, patients are not asked by date, modality or description.",
            advice="Ask for studies, which have the patient's columns too.",
        )
    unique_keys_above(query.level, model)
    if Level.STUDY in levels and _is_lost(query, model):
        raise InputError(
            f"A {query.level.value} query by its UID needs to know where: nothing narrows down the studies.",
            advice="Give study_uid too, or a date, or a patient_id.",
        )
    return query.level


def _is_lost(query: Query, model: InformationModel) -> bool:
    """Whether only UIDs below the studies are given: the whole archive would be walked through for one UID."""
    given = dict(query.keys)
    by_uid = any(unique_key(level) in given for level in (Level.SERIES, Level.IMAGE))
    above = any(_home(keyword, query.level, model) in (Level.PATIENT, Level.STUDY) for keyword in given)
    return by_uid and not above and query.dates is None


def _home(keyword: str, lowest: Level, model: InformationModel) -> Level:
    """Return the level at which a key of a query is asked: the lowest that has it, down to the query's own."""
    top = levels_of(model)[0]
    limit = max(_ORDER.index(lowest), _ORDER.index(top))
    homes = [level for level in belongs_to(keyword) if _ORDER.index(level) <= limit]
    if not homes:
        return _ORDER[limit]
    return max(homes[-1], top, key=_ORDER.index)


def _keys_at(query: Query, level: Level, model: InformationModel) -> dict[str, str]:
    """Return the matching keys of a query that are asked at a level."""
    keys = {keyword: value for keyword, value in query.keys if _home(keyword, query.level, model) is level}
    if level is Level.STUDY:
        if query.dates is not None:
            keys["StudyDate"] = query.dates.matching
        if query.times is not None:
            keys["StudyTime"] = query.times.matching
    return keys


def given_uniques(query: Query, level: Level, model: InformationModel) -> list[tuple[str, str]]:
    """Return the Unique Keys given for a level that need not be asked; empty if it must be."""
    keys = _keys_at(query, level, model)
    unique = unique_key(level)
    values = keys.pop(unique, "").split("\\")
    if keys or not all(is_single_value(unique, value) for value in values):
        return []
    filters = query.filters
    is_filtered = {
        Level.STUDY: filters.on_description or (filters.on_station and filters.station_level is Level.STUDY),
        Level.SERIES: bool(query.modalities) or (filters.on_station and filters.station_level is Level.SERIES),
    }
    return [] if is_filtered.get(level, False) else [(unique, value) for value in values]


def request_at(
    query: Query, level: Level, model: InformationModel, above: tuple[tuple[str, str], ...], reliance: Reliance
) -> Request:
    """Return the request of a level below one row above; studies are asked for modalities by `by_code`."""
    keys = {**dict(above), **_keys_at(query, level, model)}
    if level is Level.SERIES and len(query.modalities) == 1:
        keys["Modality"] = query.modalities[0]  # several codes: one request, filtered here, is the fewest round trips
    for keyword in reliance.unmatched & set(keys) - {"StudyDate", "StudyTime", *dict(above)}:
        if above or query.dates is not None:  # without a key the whole archive would answer
            del keys[keyword]
    extra = [keyword for keyword in query.extra_keys if _home(keyword, query.level, model) is level]
    returned = dict.fromkeys((*return_keys(level, model), *_keys_at(query, level, model), *extra))
    return Request(
        level=level, keys=tuple(keys.items()), return_keys=tuple(key for key in returned if key not in keys)
    )
