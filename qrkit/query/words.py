"""A query in words, and as the call and the command that ask it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from qrkit.query.value import Filters, Query
from qrkit.tables import Level
from qrkit.words import listed

_NOUNS = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "images"}
_TERMS = ("description_include", "description_exclude", "station_include", "station_exclude")


def in_words(query: Query) -> str:
    """Return what is asked, as people say it.

    >>> from datetime import date
    >>> from qrkit.query import build_query
    >>> today = date(2026, 2, 1)
    >>> in_words(build_query(today=today, modalities="CT,PT", date="today", PatientID="Q*", description_exclude="x"))
    'CT or PT studies of 2026-02-01, PatientID Q*, description without x'
    """
    keys = dict(query.keys)
    codes = query.modalities or tuple(filter(None, str(keys.pop("ModalitiesInStudy", "")).split("\\")))
    first = f"{listed(codes, last='or')} {_NOUNS[query.level]}".strip()
    return ", ".join((first + _when(query), *(f"{key} {value}" for key, value in keys.items()), *_filtered(query)))


def _when(query: Query) -> str:
    if query.dates is None:
        return ""
    days = dict.fromkeys((query.dates.first.isoformat(), query.dates.last.isoformat()))
    hours = "" if query.times is None else f" from {query.times.first:%H:%M} to {query.times.last:%H:%M}"
    return f" of {' to '.join(days)}{hours}"


def _filtered(query: Query) -> Iterator[str]:
    for name in _TERMS:
        terms = getattr(query.filters, name)
        if terms:
            what, _, how = name.partition("_")
            yield f"{what} {'with' if how == 'include' else 'without'} {listed(terms, last='or')}"


def arguments(query: Query) -> dict[str, Any]:
    """Return what `qrkit.query.build_query` makes the same query of: plain values, without what is not given."""
    given: dict[str, Any] = {}
    if query.level is not Level.STUDY:
        given["level"] = query.level.value
    if query.modalities:
        given["modalities"] = list(query.modalities)
    if query.dates:
        first, last = query.dates.first.isoformat(), query.dates.last.isoformat()
        given["date"] = first if first == last else (first, last)
    if query.times:
        given["time"] = (query.times.first.isoformat(), query.times.last.isoformat())
    given |= dict(query.keys) | _filter_arguments(query.filters)
    if query.extra_keys:
        given["return_keys"] = list(query.extra_keys)
    return given


def as_call(node: str, query: Query) -> str:
    """Return the Python call that asks the same again.

    >>> from datetime import date
    >>> from qrkit.query import build_query
    >>> as_call("pacs", build_query(today=date(2026, 2, 1), level="series", date="today", StationName="CT*"))
    "ws.find('pacs', level='SERIES', date='2026-02-01', StationName='CT*')"
    """
    given = arguments(query)
    named = [f"{name}={value!r}" for name, value in given.items() if name.isidentifier()]
    tags = {name: value for name, value in given.items() if not name.isidentifier()}
    return f"ws.find({', '.join([repr(node), *named, *([f'**{tags!r}'] if tags else [])])})"


def as_command(node: str, query: Query) -> str:
    """Return the command that asks the same again, quoted for a shell.

    >>> from datetime import date
    >>> from qrkit.query import build_query
    >>> as_command("pacs", build_query(today=date(2026, 2, 1), modalities="ct", date="today", PatientID="Q*"))
    "qrkit find pacs --modality CT --date 2026-02-01 --key 'PatientID=Q*'"
    """
    return shlex.join(["qrkit", "find", node, *_options(query)])


def _options(query: Query) -> Iterator[str]:
    given = arguments(query)
    keys = dict(query.keys)
    for name, value in given.items():
        if name in keys:
            yield from ("--key", f"{name}={value}")
        elif name == "modalities":
            yield from ("--modality", ",".join(value))
        elif name == "return_keys":
            for keyword in value:
                yield from ("--return-key", keyword)
        elif isinstance(value, tuple):
            ends = ("--from", "--until") if name == "date" else ("--time-from", "--time-until")
            for option, end in zip(ends, value, strict=True):
                yield from (option, end)
        else:
            yield f"--{name.replace('_', '-')}"
            yield ",".join(value) if isinstance(value, list) else str(value).lower() if name == "level" else value


def _filter_arguments(filters: Filters) -> dict[str, Any]:
    given: dict[str, Any] = {name: list(getattr(filters, name)) for name in _TERMS if getattr(filters, name)}
    if filters.on_station:
        given["station_level"] = filters.station_level.value.lower()
    if not filters.keep_blank:
        given["blank"] = "drop"
    return given
