"""One C-FIND request as a value, and its Identifier (PS3.4 C.4.1.1.3).

A query begins and ends at a level, and asks each key at the level that it belongs to (PS3.4 C.4.1.2.1).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.query.filters import Reliance
from qrkit.query.matching import is_enumerated, is_single_value
from qrkit.query.query import Query
from qrkit.tables import (
    Level,
    belongs_to,
    keyword_tag,
    keyword_vr,
    levels_of,
    return_keys,
    unique_key,
    unique_keys_above,
)

if TYPE_CHECKING:
    from pydicom import Dataset

_UNICODE = "ISO_IR 192"
_NOT_COLUMNS = ("SpecificCharacterSet", "QueryRetrieveLevel")
_NUMBERS = ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT")
_EMPTY: dict[str, object] = {"SQ": [], "UN": b"", **dict.fromkeys(_NUMBERS)}
_CONVERT: dict[str, Callable[[str], object]] = {
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV"), int),
    "FL": float,
    "FD": float,
    "AT": lambda text: int(text, 16),
    "UI": lambda text: text.split("\\"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One C-FIND request."""

    level: Level
    # matching keys, those of the levels above included: keyword and matching value
    keys: tuple[tuple[str, str], ...] = ()
    return_keys: tuple[str, ...] = ()  # further keys to return

    def value(self, keyword: str) -> str:
        """Return the matching value of a key, or an empty text."""
        return dict(self.keys).get(keyword, "")

    def with_key(self, keyword: str, value: str) -> Request:
        """Return the request with one matching key set; an empty value takes it away.

        >>> Request(level=Level.STUDY).with_key("StudyDate", "20260101-20260131").keys
        (('StudyDate', '20260101-20260131'),)
        """
        keys = dict(self.keys)
        returned = self.return_keys
        if value:
            keys[keyword] = value
        elif keys.pop(keyword, ""):
            returned = tuple(dict.fromkeys((*returned, keyword)))
        return replace(self, keys=tuple(keys.items()), return_keys=returned)


def answer_keywords(request: Request, model: InformationModel) -> tuple[str, ...]:
    """Return the keywords that answers may have: Unique Keys down to the level, matching keys, return keys.

    Raise `InputError` if the information model has no such level.

    >>> answer_keywords(Request(level=Level.SERIES, return_keys=("Modality",)), InformationModel.STUDY_ROOT)
    ('StudyInstanceUID', 'SeriesInstanceUID', 'Modality')
    """
    unique = (*unique_keys_above(request.level, model), unique_key(request.level))
    names = dict.fromkeys((*unique, *(keyword for keyword, _ in request.keys), *request.return_keys))
    return tuple(name for name in names if name not in _NOT_COLUMNS)


def identifier(request: Request, model: InformationModel, *, character_set: str = "ISO_IR 100") -> Dataset:
    """Return the Identifier of a request.

    Always with QueryRetrieveLevel, SpecificCharacterSet and the Unique Keys above the level, which are empty where
    the request does not give them (a relational query, PS3.4 C.4.1.2.2).

    Where a key is not plain ASCII, the character set of the node is taken; if it cannot hold the key either,
    ISO_IR 192 is. Raise `InputError` if the information model has no such level.

    >>> request = Request(level=Level.STUDY, keys=(("StudyDate", "20260131"),))
    >>> [element.keyword for element in identifier(request, InformationModel.STUDY_ROOT)]
    ['SpecificCharacterSet', 'StudyDate', 'QueryRetrieveLevel', 'StudyInstanceUID']
    """
    from pydicom import Dataset

    keys = dict(request.keys)
    asked = Dataset()
    asked.SpecificCharacterSet = _term(keys.values(), character_set)
    asked.QueryRetrieveLevel = request.level.value
    for keyword in answer_keywords(request, model):
        add_key(asked, keyword, keys.get(keyword, ""))
    return asked


def add_key(asked: Dataset, keyword: str, text: str) -> None:
    """Add a key with a text, several values separated by backslashes, to an Identifier."""
    from pydicom import DataElement
    from pydicom.config import IGNORE

    vr = keyword_vr(keyword)
    if vr == "UN" and text:
        vr = "LO"  # the VR of a private key is unknown; a matching value is text
    # Not validated again: people's values were, and a PACS is asked below its own UIDs, valid or not. pydicom would
    # print a Python warning for each.
    asked.add(DataElement(keyword_tag(keyword), vr, _typed(vr, text), validation_mode=IGNORE))


def _typed(vr: str, text: str) -> object:
    if not text:
        return _EMPTY.get(vr, "")
    return _CONVERT.get(vr, str)(text)


def _term(values: Iterable[str], character_set: str) -> str | list[str]:
    """Choose the SpecificCharacterSet: none for ASCII, so that the node answers in its own."""
    text = "".join(values)
    if text.isascii():
        return ""
    defined = [term.strip() for term in character_set.split("\\")]
    if any(_can_encode(text, term) for term in defined):
        return defined if len(defined) > 1 else defined[0]
    return _UNICODE


def _can_encode(text: str, term: str) -> bool:
    from pydicom.charset import python_encoding

    if term in ("", "ISO_IR 6", "ISO 2022 IR 6") or term not in python_encoding:
        return False  # Python takes ISO_IR 6 for Latin 1, which it is not
    try:
        codecs.encode(text, python_encoding[term])
    except UnicodeEncodeError:
        return False
    return True


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
    """Return the request of a level below one row above; studies are asked for modalities by `ask_by_modality`."""
    keys = {**dict(above), **_keys_at(query, level, model)}
    if level is Level.SERIES and len(query.modalities) == 1:
        keys["Modality"] = query.modalities[0]
    for keyword in reliance.unmatched & set(keys) - {"StudyDate", "StudyTime", *dict(above)}:
        if above or query.without(reliance.unmatched).is_narrow:  # without a key the whole archive would answer
            del keys[keyword]
    extra = [keyword for keyword in query.extra_keys if _home(keyword, query.level, model) is level]
    returned = dict.fromkeys((*return_keys(level, model), *_keys_at(query, level, model), *extra))
    return Request(
        level=level, keys=tuple(keys.items()), return_keys=tuple(key for key in returned if key not in keys)
    )


def requests_at(
    query: Query, level: Level, model: InformationModel, above: tuple[tuple[str, str], ...], reliance: Reliance
) -> tuple[Request, ...]:
    """Return the requests of a level below one row above: one, or one for each value of a key without list matching.

    Where several such keys have several values, the first is asked value by value, and the others are matched here.
    """
    request = request_at(query, level, model, above, reliance)
    listed = _listed(request.keys)
    if not listed:
        return (request,)
    first, *others = listed
    values = request.value(first).split("\\")
    for other in others:
        request = request.with_key(other, "")
    return tuple(request.with_key(first, value) for value in values)


def _listed(keys: Iterable[tuple[str, str]]) -> list[str]:
    """Return the keys of which each value needs a request, the one that is asked value by value first."""
    return sorted(keyword for keyword, value in keys if is_enumerated(keyword, value))


def not_requested(query: Query, model: InformationModel) -> frozenset[str]:
    """Return the keys with values that no request has, so that they are matched here alone.

    For several modalities, one request for all series of a study takes the fewest round trips.
    """
    keys = {key for level in levels_of(model) for key in _listed(_keys_at(query, level, model).items())[1:]}
    return frozenset(keys | ({"Modality"} if len(query.modalities) > 1 else set()))
