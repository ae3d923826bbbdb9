"""A query as a value: what is asked, independent of node and information model.

It is kept as plain JSON values in the history, from which it can be asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, time
from typing import Any

from qrkit.errors import InputError
from qrkit.query.matching import has_wildcard
from qrkit.query.when import Dates, Times
from qrkit.tables import Level, table_columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Filters that we apply to the answers ourselves, since no PACS offers them.

    Attributes
    ----------
    description_include, description_exclude, station_include, station_exclude
        Terms, sought in StudyDescription and StationName as substrings, in any case.
    station_level
        Which StationName is meant: STUDY or SERIES.
    keep_blank
        Whether include filters keep rows without a value.
    """

    description_include: tuple[str, ...] = ()
    description_exclude: tuple[str, ...] = ()
    station_include: tuple[str, ...] = ()
    station_exclude: tuple[str, ...] = ()
    station_level: Level = Level.SERIES
    keep_blank: bool = True

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
    """What is asked.

    Attributes
    ----------
    keys
        Matching keys: keyword and matching value, as DICOM writes it.
    modalities
        Modality codes, of which a study or series has at least one.
    dates, times
        StudyDate and StudyTime.
    extra_keys
        Keys to be returned besides the usual ones.
    filters
        What is filtered locally.
    """

    level: Level = Level.STUDY
    keys: tuple[tuple[str, str], ...] = ()
    modalities: tuple[str, ...] = ()
    dates: Dates | None = None
    times: Times | None = None
    extra_keys: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)

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
    def wildcard_keys(self) -> tuple[str, ...]:
        """The keys whose value has wildcards."""
        return tuple(key for key, value in self.keys if has_wildcard(key, value))

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
        """Return the query that `to_json` wrote.

        Raises
        ------
        InputError
            If the values are not those of a query.
        """
        unknown = sorted(set(values) - {item.name for item in fields(cls)})
        if unknown:
            raise InputError(f"A query has no {', '.join(unknown)}; it was written by another version of qrkit.")
        try:
            return cls(
                level=Level.parse(values.get("level", "STUDY")),
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
