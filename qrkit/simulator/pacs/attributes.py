"""The attributes that the simulated PACS returns at each level, and how to read their values (PS3.4 C.6)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from qrkit.simulator.facts import Instance, Series, Study

if TYPE_CHECKING:
    from collections.abc import Callable

    from qrkit.simulator.objects.encoding import Value


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
