"""From the arguments of a call, a command or a form to a checked `Query`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeAlias

from qrkit.errors import InputError
from qrkit.query.dates import dates, times
from qrkit.query.matching import as_list, matching_value
from qrkit.query.query import Filters, Query
from qrkit.tables import DEFINED_MODALITIES, Level, belongs_to, canonical_keyword, table_columns
from qrkit.words import nearest, shown

TextList: TypeAlias = "str | Iterable[str]"
"""A list: a list, tuple, set or pandas column of texts, or one text with commas."""

_NAMED_KEYS = {
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "accession": "AccessionNumber",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "sop_uid": "SOPInstanceUID",
}
_TERMS = ("description_include", "description_exclude", "station_include", "station_exclude")
_OTHERS = (
    "level",
    "modalities",
    "date",
    "date_from",
    "date_until",
    "time",
    "time_from",
    "time_until",
    "station_level",
    "blank",
    "return_keys",
)
ARGUMENTS = (*_OTHERS, *_NAMED_KEYS, *_TERMS)
"""The arguments of `build_query`, besides `today` and DICOM keywords."""

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}", re.ASCII)
_ORDER = list(Level)


def build_query(*, today: date, **given: object) -> Query:
    r"""Return a query, checked. None counts as not given; an empty text or list is refused, since it would match all.

    Parameters
    ----------
    today
        What ``today`` and an open end of a range mean.
    **given
        ``level`` (STUDY), ``modalities`` (codes), ``date`` (one, a range or a pair) or ``date_from`` and
        ``date_until``, ``time`` (a pair) or ``time_from`` and ``time_until``, ``patient_id``, ``patient_name``,
        ``accession``, ``study_uid``, ``series_uid``, ``sop_uid``; applied to the answer ``description_include``,
        ``description_exclude``, ``station_include``, ``station_exclude``, ``station_level`` (study or series; by
        default study for queries of studies, else series) and ``blank`` (keep or drop); ``return_keys``; any DICOM
        keyword or tag, as a matching key. Codes, UIDs, ``accession``, ``patient_id``, the terms of filters and
        ``return_keys`` are lists, or texts with commas. Terms and ``return_keys`` may be empty. ``*`` as a text
        returns a key without matching it.

    Raises
    ------
    InputError
        If something given is unknown or not valid.

    >>> build_query(today=date(2026, 2, 1), modalities="ct", date_from="2026-01-05", PatientID="Q*").to_json()
    {'level': 'STUDY', 'keys': {'PatientID': 'Q*'}, 'modalities': ['CT'], 'dates': ['2026-01-05', '2026-02-01']}
    >>> build_query(today=date(2026, 2, 1), patientid="Q1")
    Traceback (most recent call last):
    qrkit.errors.InputError: 'patientid' is not a query argument. Did you mean patient_id?
    """
    check_names(given)
    given = {name: list(value) if isinstance(value, Iterator) else value for name, value in given.items()}
    _check_values(given)
    present = {name: value for name, value in given.items() if value is not None}
    level = Level.parse(present.get("level", Level.STUDY))
    matching, universal = _matching_keys(present, level)
    days = dates(present.get("date"), present.get("date_from"), present.get("date_until"), today=today)
    hours = times(present.get("time"), present.get("time_from"), present.get("time_until"))
    codes = modality_codes(present.get("modalities", ()))
    _refuse_twice(matching, StudyDate=days is not None, StudyTime=hours is not None)
    _refuse_twice(matching, ModalitiesInStudy=bool(codes), Modality=bool(codes))
    return Query(
        level=level,
        keys=tuple(matching.items()),
        modalities=codes,
        dates=days,
        times=hours,
        extra_keys=_extra_keys(present.get("return_keys", ()), universal),
        filters=_filters(present, level),
    )


def check_names(given: Iterable[str], known: Collection[str] = ARGUMENTS) -> None:
    """Refuse names that are neither a known argument nor a DICOM keyword or tag.

    Raises
    ------
    InputError
        With the nearest name.

    >>> check_names(["date", "doses"], ("dose", "date"))
    Traceback (most recent call last):
    qrkit.errors.InputError: 'doses' is not a query argument. Did you mean dose?
    """
    for name in given:
        if name not in known and name not in ARGUMENTS:
            _keyword(name, known)


def _check_values(given: Mapping[str, object]) -> None:
    """Refuse tables, and empty values of what narrows a query: an empty variable would ask for the whole archive."""
    for name, value in given.items():
        if getattr(value, "ndim", 0) > 1:
            raise InputError(f"{name} cannot be a table.", advice="Give a column: table['AccessionNumber'].")
        may_be_empty = name in _TERMS or name == "return_keys"
        if not may_be_empty and isinstance(value, str) and not value.strip(" \0"):
            raise InputError(f"{name} is empty.", advice="Give a value, or leave it out.")
        if not may_be_empty and as_list(value) == []:
            raise InputError(f"{name} is an empty list.", advice="Give at least one value, or leave it out.")


def is_given(value: object) -> bool:
    """Whether an argument is given: None, an empty text and an empty list are not.

    >>> is_given("CT"), is_given(""), is_given(None), is_given([])
    (True, False, False, False)
    """
    return value is not None and not (isinstance(value, str) and not value) and as_list(value) != []


def modality_codes(given: object) -> tuple[str, ...]:
    r"""Return the modality codes of a list, or of a text with commas or backslashes.

    Raises
    ------
    InputError
        If one cannot be a code.

    >>> modality_codes("ct, mr"), modality_codes(["PT", "PT"])
    (('CT', 'MR'), ('PT',))
    """
    codes = tuple(dict.fromkeys(term.upper() for term in terms(given, "modalities", separators=r"[,\\]")))
    wrong = next((code for code in codes if not _CODE.fullmatch(code)), None)
    if wrong is not None:
        raise InputError(
            f"{shown(wrong)} is not a modality code.", advice="Enter codes such as CT or MR, without wildcards."
        )
    return codes


def unknown_codes(codes: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each modality code that DICOM does not define; nodes may have it all the same.

    >>> list(unknown_codes(("CT", "CTT")))
    ['CTT is not a DICOM modality code.']
    """
    for code in codes:
        if code not in DEFINED_MODALITIES:
            yield f"{code} is not a DICOM modality code."


def terms(given: object, name: str, *, separators: str = ",") -> tuple[str, ...]:
    """Return the terms of a text with commas or of a list of texts, trimmed, without empty ones.

    Raises
    ------
    InputError
        If it is neither.

    >>> terms(" chest, ,Abdomen", "description_include")
    ('chest', 'Abdomen')
    """
    listed = re.split(separators, given) if isinstance(given, str) else as_list(given)
    if listed is None or not all(isinstance(term, str) for term in listed):
        raise InputError(f"{name} is a list of texts, or one text with commas, not {shown(given)}.")
    return tuple(dict.fromkeys(term.strip() for term in map(str, listed) if term.strip()))


def _matching_keys(present: Mapping[str, object], level: Level) -> tuple[dict[str, str], list[str]]:
    """Return the matching keys, and the keys that match anything and so are only to be returned."""
    matching: dict[str, str] = {}
    universal: list[str] = []
    for name, value in present.items():
        if name in _OTHERS or name in _TERMS:
            continue
        keyword = _keyword(name)
        if keyword in matching:
            raise InputError(f"{keyword} is given twice; give it once.")
        text = matching_value(keyword, value)
        if text:
            _check_level(keyword, level)
            matching[keyword] = text
        else:
            universal.append(keyword)
    return matching, universal


def _keyword(name: str, known: Collection[str] = ARGUMENTS) -> str:
    if name in _NAMED_KEYS:
        return _NAMED_KEYS[name]
    if name[:1].islower():
        near = nearest(name, known, cutoff=0.75) or nearest(name, _usual_keywords(), cutoff=0.75)
        advice = f"Did you mean {near}?" if near else f"Use {', '.join(known)}, or DICOM keywords."
        raise InputError(f"{shown(name)} is not a query argument.", advice=advice)
    return canonical_keyword(name)


def _usual_keywords() -> Iterator[str]:
    for level in Level:
        yield from table_columns(level)


def _check_level(keyword: str, level: Level) -> None:
    homes = belongs_to(keyword)
    if homes and all(_ORDER.index(home) > _ORDER.index(level) for home in homes):
        where = homes[0].value
        advice = "Use modalities instead." if keyword == "Modality" else f"Ask with level={shown(where.lower())}."
        raise InputError(
            f"{keyword} is a key of the {where} level; a {level.value} query cannot match it.", advice=advice
        )


def _refuse_twice(matching: Mapping[str, str], **given: bool) -> None:
    twice = next((keyword for keyword, is_given in given.items() if is_given and keyword in matching), None)
    if twice is not None:
        raise InputError(f"{twice} is given twice, as a key and by date, time or modalities; give it once.")


def _extra_keys(given: object, universal: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(canonical_keyword(term) for term in (*terms(given, "return_keys"), *universal)))


def _filters(present: Mapping[str, object], level: Level) -> Filters:
    blank = present.get("blank", "keep")
    if not isinstance(blank, str) or blank not in ("keep", "drop"):
        raise InputError(f"blank is keep or drop, not {shown(blank)}.")
    found = {name: terms(present.get(name, ()), name) for name in _TERMS}
    filters = Filters(
        description_include=found["description_include"],
        description_exclude=found["description_exclude"],
        station_include=found["station_include"],
        station_exclude=found["station_exclude"],
        keep_blank=blank == "keep",
    )
    station_level = _station_level(present, level)
    return replace(filters, station_level=station_level) if filters.on_station else filters


def _station_level(present: Mapping[str, object], level: Level) -> Level:
    default = Level.STUDY if level in (Level.PATIENT, Level.STUDY) else Level.SERIES
    given = present.get("station_level", default)
    named = given.strip().upper() if isinstance(given, str) else ""
    found = next((level for level in (Level.STUDY, Level.SERIES) if level.value == named), None)
    if found is None:
        raise InputError(f"station_level is study or series, not {shown(given)}.")
    return found
