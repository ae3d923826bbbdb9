"""A query as a value, independent of node and information model.

The history stores it as plain JSON values. It is shown in words, and as the call and the command that run it again.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, time
from typing import Any

from qrkit.errors import InputError
from qrkit.query.dates import Dates, Times
from qrkit.query.matching import has_wildcard, is_single_value, takes_list
from qrkit.tables import Level, keyword_vr, table_columns
from qrkit.words import listed

_NARROW = (
    "PatientID",
    "AccessionNumber",
    "StudyDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
)


FEW_DAYS = 31
"""Days of which all rows may be queried to match a key locally that the node may have compared as bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Filters that we apply to the answers ourselves, since no PACS offers them."""

    # terms, sought in StudyDescription and StationName as substrings, in any case
    description_include: tuple[str, ...] = ()
    description_exclude: tuple[str, ...] = ()
    station_include: tuple[str, ...] = ()
    station_exclude: tuple[str, ...] = ()
    station_level: Level = Level.SERIES  # which StationName is meant: STUDY or SERIES
    keep_blank: bool = True  # whether include filters keep rows without a value

    @property
    def on_description(self) -> bool:
        """Whether descriptions are filtered."""
        return bool(self.description_include or self.description_exclude)

    @property
    def on_station(self) -> bool:
        """Whether stations are filtered."""
        return bool(self.station_include or self.station_exclude)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query, independent of node and information model."""

    level: Level = Level.STUDY
    # matching keys: keyword and matching value, as DICOM writes it; several values with backslashes between
    keys: tuple[tuple[str, str], ...] = ()
    modalities: tuple[str, ...] = ()  # modality codes, of which a study or series has at least one
    dates: Dates | None = None  # StudyDate
    times: Times | None = None  # StudyTime
    extra_keys: tuple[str, ...] = ()  # keys to be returned besides the usual ones
    filters: Filters = field(default_factory=Filters)  # what is filtered locally

    def __post_init__(self) -> None:
        if self.times is not None and (self.dates is None or not self.dates.is_one_day):
            raise InputError("A time window needs a single day; give one date, or leave the times out.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer: the usual ones of its level, the matching keys, the extra keys."""
        return tuple(dict.fromkeys((*table_columns(self.level), *dict(self.keys), *self.extra_keys)))

    @property
    def is_open(self) -> bool:
        """Whether nothing narrows it down: it asks for the whole archive."""
        return not (self.keys or self.dates)

    @property
    def is_narrow(self) -> bool:
        """Whether a date, or single values of a key that names patients, studies or less, narrow it down."""
        return self.dates is not None or any(
            keyword in _NARROW and all(is_single_value(keyword, single) for single in value.split("\\"))
            for keyword, value in self.keys
        )

    @property
    def wildcard_keys(self) -> tuple[str, ...]:
        """The keys whose value has wildcards."""
        return tuple(key for key, value in self.keys if has_wildcard(key, value))

    @property
    def spelt_keys(self) -> tuple[str, ...]:
        """The keys that a node may compare as bytes by mistake: names, and values with letters beyond ASCII."""
        return tuple(key for key, value in self.keys if keyword_vr(key) == "PN" or not value.isascii())

    def is_small_without(self, keywords: Collection[str]) -> bool:
        """Whether few days, or a patient or study, narrow it down without some of its keys."""
        is_short = self.dates is not None and (self.dates.last - self.dates.first).days < FEW_DAYS
        return is_short or replace(self.without(keywords), dates=None, times=None).is_narrow

    def without(self, keywords: Collection[str]) -> Query:
        """Return the query without some of its keys."""
        return replace(self, keys=tuple(pair for pair in self.keys if pair[0] not in keywords))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, without what is not given."""
        values: dict[str, Any] = {"level": self.level.value}
        if self.keys:
            values["keys"] = dict(self.keys)
        if self.modalities:
            values["modalities"] = list(self.modalities)
        if self.dates:
            values["dates"] = [self.dates.first.isoformat(), self.dates.last.isoformat()]
        if self.times:
            values["times"] = [self.times.first.isoformat(), self.times.last.isoformat()]
        if self.extra_keys:
            values["extra_keys"] = list(self.extra_keys)
        if self.filters != Filters():
            values["filters"] = _filters_to_json(self.filters)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Query:
        """Return the query that `to_json` wrote; raise `InputError` if the values are not those of a query."""
        unknown = sorted(set(values) - {item.name for item in fields(cls)})
        if unknown:
            raise InputError(f"A query has no {', '.join(unknown)}; it was written by another version of qrkit.")
        try:
            return cls(
                level=Level.parse(values.get("level", Level.STUDY)),
                keys=tuple((str(keyword), str(value)) for keyword, value in values.get("keys", {}).items()),
                modalities=tuple(values.get("modalities", ())),
                dates=_dates_from_json(values.get("dates")),
                times=_times_from_json(values.get("times")),
                extra_keys=tuple(values.get("extra_keys", ())),
                filters=_filters_from_json(values.get("filters", {})),
            )
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(f"The kept query cannot be read: {error}.") from error


def _filters_to_json(filters: Filters) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for item in fields(Filters):
        value = getattr(filters, item.name)
        if value != item.default:
            given[item.name] = _plain(value)
    return given


def _plain(value: tuple[str, ...] | Level | bool) -> list[str] | str | bool:  # noqa: FBT001 - a value, no switch
    if isinstance(value, Level):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def _filters_from_json(values: Mapping[str, Any]) -> Filters:
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if "station_level" in given:
        given["station_level"] = Level.parse(given["station_level"])
    return Filters(**given)


def _dates_from_json(pair: list[str] | None) -> Dates | None:
    if pair is None:
        return None
    return Dates(first=date.fromisoformat(pair[0]), last=date.fromisoformat(pair[1]))


def _times_from_json(pair: list[str] | None) -> Times | None:
    if pair is None:
        return None
    return Times(first=time.fromisoformat(pair[0]), last=time.fromisoformat(pair[1]))


_NOUNS = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "images"}
_TERMS = ("description_include", "description_exclude", "station_include", "station_exclude")
_MOST_SHOWN = 3


def in_words(query: Query) -> str:
    """Return the query in words.

    >>> from datetime import date
    >>> from qrkit.query import build_query
    >>> today = date(2026, 2, 1)
    >>> in_words(build_query(today=today, modalities="CT,PT", date="today", PatientID="Q*", description_exclude="x"))
    'CT or PT studies of 2026-02-01, PatientID Q*, description without x'
    """
    keys = dict(query.keys)
    codes = query.modalities or tuple(filter(None, str(keys.pop("ModalitiesInStudy", "")).split("\\")))
    first = f"{listed(codes, last='or')} {_NOUNS[query.level]}".strip()
    return ", ".join(
        (first + _when(query), *(f"{key} {_shown(value)}" for key, value in keys.items()), *_filtered(query))
    )


def _shown(value: str) -> str:
    r"""Return a matching value in words, only the first of many.

    >>> _shown("A1\\A2"), _shown("1\\2\\3\\4\\5")
    ('A1 or A2', '1, 2, 3 or 2 more')
    """
    values = value.split("\\")
    most = _MOST_SHOWN if len(values) > _MOST_SHOWN + 1 else len(values)
    more = [f"{len(values) - most:,} more"] if len(values) > most else []
    return listed([*values[:most], *more], last="or")


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
    given |= {keyword: _argument(keyword, value) for keyword, value in query.keys} | _filter_arguments(query.filters)
    if query.extra_keys:
        given["return_keys"] = list(query.extra_keys)
    return given


def _argument(keyword: str, value: str) -> str | list[str]:
    """Return a matching value as `build_query` takes it: a list where a text would be read as other values."""
    values = value.split("\\")
    return values if takes_list(keyword) and (len(values) > 1 or "," in value) else value


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
            # the command line has no list of one: ? stands for a comma within a value
            text = ",".join(item.replace(",", "?") for item in value) if isinstance(value, list) else value
            yield from ("--key", f"{name}={text}")
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
