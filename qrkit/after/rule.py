"""Which series a handler is for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from qrkit.after.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a series must be like; empty: anything. Terms are compared in any case, with * and ? as wildcards.

    Attributes
    ----------
    modality, station, description
        Modality, StationName, SeriesDescription of one of its objects.
    node
        Name of the node that it came from.
    level
        Level of the retrieve that brought it: STUDY, SERIES or IMAGE.
    """

    modality: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    station: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    description: tuple[str, ...] = ()

    def fits(self, series: Series) -> bool:
        """Whether a series is one of these.

        >>> from qrkit.after.series import Series
        >>> dose = Series(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", modality=("SR",), station=("CT01",))
        >>> Rule(modality=("SR",), station=("ct*",)).fits(dose), Rule(station=("MR*",)).fits(dose)
        (True, False)
        """
        return all(_fits(getattr(self, item.name), getattr(series, item.name)) for item in fields(self))


def _fits(terms: Collection[str], values: Collection[str]) -> bool:
    return not terms or any(fnmatchcase(value.lower(), term.lower()) for value in values for term in terms)
