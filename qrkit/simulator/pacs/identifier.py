"""The Identifiers of requests as frozen values (PS3.4 C.2.2, C.4.1.1.3), and the attributes of each level (C.6).

Values are read as received: a PACS must find again every value that it has returned, valid or not.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from io import BytesIO
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.filereader import read_dataset
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from qrkit.simulator.facts import Instance, Series, Study
from qrkit.simulator.objects.encoding import CHARSET_VR, IMPLICIT_VR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qrkit.simulator.objects.encoding import Value

_CHARACTER_SET = 0x00080005
_LEVEL = 0x00080052


class QueryRetrieveLevel(enum.IntEnum):
    """Query/Retrieve level, from the top of the hierarchy (PS3.4 C.3)."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A matched study, series or instance; `series` and `instance` are set at their levels and below."""

    study: Study
    series: Series | None = None
    instance: Instance | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: its level and how to read it from a match."""

    level: QueryRetrieveLevel
    read: Callable[[Match], Value]


UNIQUE_KEY = {
    QueryRetrieveLevel.PATIENT: "PatientID",
    QueryRetrieveLevel.STUDY: "StudyInstanceUID",
    QueryRetrieveLevel.SERIES: "SeriesInstanceUID",
    QueryRetrieveLevel.IMAGE: "SOPInstanceUID",
}


def _attributes(level: QueryRetrieveLevel, paths: str) -> dict[str, Attribute]:
    """Attributes read from the given paths; the keyword is the last part of each."""
    return {path.rpartition(".")[2]: Attribute(level, attrgetter(path)) for path in paths.split()}


ATTRIBUTES: dict[str, Attribute] = {
    **_attributes(
        QueryRetrieveLevel.PATIENT,
        "study.patient.PatientID study.patient.PatientName study.patient.PatientBirthDate study.patient.PatientSex",
    ),
    **_attributes(
        QueryRetrieveLevel.STUDY,
        "study.StudyInstanceUID study.StudyDate study.StudyTime study.AccessionNumber study.StudyID "
        "study.StudyDescription study.ReferringPhysicianName study.PatientAge study.ModalitiesInStudy "
        "study.SOPClassesInStudy study.NumberOfStudyRelatedSeries study.NumberOfStudyRelatedInstances "
        "study.patient.PatientSize study.patient.PatientWeight",
    ),
    **_attributes(
        QueryRetrieveLevel.SERIES,
        "series.SeriesInstanceUID series.Modality series.SeriesNumber series.SeriesDescription "
        "series.SeriesDate series.SeriesTime series.BodyPartExamined series.ProtocolName "
        "series.station.StationName series.station.Manufacturer series.station.ManufacturerModelName "
        "series.station.InstitutionName series.station.DeviceSerialNumber series.station.SoftwareVersions",
    ),
    **_attributes(QueryRetrieveLevel.IMAGE, "instance.SOPInstanceUID instance.SOPClassUID instance.InstanceNumber"),
    "NumberOfSeriesRelatedInstances": Attribute(
        QueryRetrieveLevel.SERIES, lambda match: len(_series(match).instances)
    ),
    "PerformedProcedureStepStartDate": Attribute(QueryRetrieveLevel.SERIES, attrgetter("series.SeriesDate")),
    "PerformedProcedureStepStartTime": Attribute(QueryRetrieveLevel.SERIES, attrgetter("series.SeriesTime")),
    "AvailableTransferSyntaxUID": Attribute(QueryRetrieveLevel.IMAGE, attrgetter("instance.TransferSyntaxUID")),
    "ContentDate": Attribute(QueryRetrieveLevel.IMAGE, attrgetter("series.SeriesDate")),
    "ContentTime": Attribute(QueryRetrieveLevel.IMAGE, attrgetter("series.SeriesTime")),
}
"""Every attribute by keyword; a response may also contain the attributes of higher levels."""

AT_STUDY_LEVEL_TOO: dict[str, Callable[[Study], str]] = {
    "StationName": lambda study: _first(study, "station.StationName"),
    "InstitutionName": lambda study: _first(study, "station.InstitutionName"),
    "Manufacturer": lambda study: _first(study, "station.Manufacturer"),
    "BodyPartExamined": lambda study: _first(study, "BodyPartExamined"),
}
"""Series attributes that the archive also returns with a study when asked, from its first series."""


def _series(match: Match) -> Series:
    if match.series is None:
        raise LookupError("a series attribute was read from a match above the SERIES level")
    return match.series


def _first(study: Study, path: str) -> str:
    return str(attrgetter(path)(study.series[0])) if study.series else ""


class IdentifierError(ValueError):
    """The Identifier does not fit the SOP class: status 0xA900 (PS3.4 C.4.1.1.4)."""


@dataclass(frozen=True, slots=True)
class Key:
    """One element of an Identifier."""

    tag: int
    keyword: str
    vr: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """The level and keys of an Identifier, and how dates and times combine."""

    level: QueryRetrieveLevel
    keys: tuple[Key, ...]
    combine_date_and_time: bool = False

    def values(self, keyword: str) -> tuple[str, ...]:
        """Return the values asked for; empty where the key is missing or universal."""
        for key in self.keys:
            if key.keyword == keyword:
                return key.values
        return ()

    @property
    def matching_keywords(self) -> tuple[str, ...]:
        """Keywords of the keys that have a value."""
        return tuple(key.keyword for key in self.keys if key.values)

    def without(self, keywords: Iterable[str]) -> Identifier:
        """Return the same Identifier with these keys returned but not matched."""
        ignored = set(keywords)
        keys = tuple(replace(key, values=()) if key.keyword in ignored else key for key in self.keys)
        return replace(self, keys=keys)


def read_identifier(raw: bytes, transfer_syntax: str) -> Identifier:
    """Decode an Identifier; raise IdentifierError if its QueryRetrieveLevel is missing or unknown."""
    identifier = read_dataset(BytesIO(raw), transfer_syntax == IMPLICIT_VR, True)
    elements = {int(tag): identifier.get_item(tag) for tag in sorted(identifier.keys())}
    named = _texts(elements.get(_CHARACTER_SET), "CS", ())
    encodings = convert_encodings(list(named) or ["ISO_IR 6"])
    level = "".join(_texts(elements.get(_LEVEL), "CS", ()))
    if level not in QueryRetrieveLevel.__members__:
        raise IdentifierError(f"QueryRetrieveLevel {level!r} is none of PATIENT, STUDY, SERIES, IMAGE")
    keys = tuple(
        _key(tag, element, encodings) for tag, element in elements.items() if tag not in {_CHARACTER_SET, _LEVEL}
    )
    return Identifier(level=QueryRetrieveLevel[level], keys=keys)


def _key(tag: int, element: Any, encodings: Sequence[str]) -> Key:  # noqa: ANN401 - raw elements and sequences
    keyword = keyword_for_tag(tag)
    vr = element.VR or (dictionary_VR(tag) if keyword else "UN")
    return Key(tag, keyword, vr, _texts(element, vr, encodings))


def _texts(element: Any, vr: str, encodings: Sequence[str]) -> tuple[str, ...]:  # noqa: ANN401 - as above
    """Return the values of an element; none for sequences, which are never matched."""
    value = element.value if element is not None else None
    if not isinstance(value, bytes):
        return ()
    if vr in CHARSET_VR:
        text = decode_bytes(value, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    else:
        text = value.decode("ascii", "replace")
    return tuple(part for part in (one.strip(" \0") for one in text.split("\\")) if part)


def check_unique_keys(identifier: Identifier, root: QueryRetrieveLevel) -> None:
    """Refuse an Identifier that lacks a unique key above its level, from the model's root (PS3.4 C.4.1.2.1)."""
    for level in QueryRetrieveLevel:
        if root <= level < identifier.level and not identifier.values(UNIQUE_KEY[level]):
            raise IdentifierError(f"{UNIQUE_KEY[level]} is missing, and relational queries are not supported")
