"""What a node says of studies, series and objects, as far as a plan needs it; and what is still to be asked.

Attributes that hold a DICOM element go by its keyword. What a node leaves out is an empty text, or None for a count.
Series, objects and needs are named tuples: there are a million of them in a plan of 100,000 studies, and a frozen
dataclass takes four times as long to make and to look up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """One study, as a STUDY query found it.

    Attributes
    ----------
    ModalitiesInStudy, SOPClassesInStudy
        Empty where the node does not return them.
    """

    StudyInstanceUID: str
    PatientID: str = ""
    StudyDate: str = ""
    StudyDescription: str = ""
    StationName: str = ""
    ModalitiesInStudy: frozenset[str] = frozenset()
    SOPClassesInStudy: frozenset[str] = frozenset()
    series_count: int | None = None
    instance_count: int | None = None


class SeriesRow(NamedTuple):
    """One series.

    Attributes
    ----------
    instance_count
        NumberOfSeriesRelatedInstances.
    """

    SeriesInstanceUID: str
    Modality: str = ""
    SeriesDescription: str = ""
    StationName: str = ""
    SeriesNumber: int | None = None
    instance_count: int | None = None


class ObjectRow(NamedTuple):
    """One SOP Instance."""

    SOPInstanceUID: str
    SOPClassUID: str = ""
    InstanceNumber: int | None = None


class Ask(StrEnum):
    """What can be asked of a node.

    SERIES, SR_SERIES
        The series of a study, all of them or those of Modality SR.
    OBJECTS
        All objects of a series.
    DOSE_OBJECTS
        Those of an SR series that are of a dose class; all will do as well.
    FIRST_IMAGE
        The image of a series with InstanceNumber 1, or if there is none, with 0.
    """

    SERIES = "series"
    SR_SERIES = "SR series"
    OBJECTS = "objects"
    DOSE_OBJECTS = "dose objects"
    FIRST_IMAGE = "first image"


class Need(NamedTuple):
    """One thing that must be known before a study can be judged."""

    ask: Ask
    StudyInstanceUID: str
    SeriesInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """The series of a study; with `only_sr` there may be others."""

    rows: tuple[SeriesRow, ...] = ()
    only_sr: bool = False


@dataclass(frozen=True, slots=True)
class ObjectsAnswer:
    """Objects of a series; without `is_whole` there may be others."""

    rows: tuple[ObjectRow, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The node failed to answer; `why` says how."""

    why: str


Answer = SeriesAnswer | ObjectsAnswer | Unanswered
