"""The Query/Retrieve levels: the keys of each, and the columns that every query returns.

Levels and their keys follow PS3.4 C.6.1.1 (Patient Root), C.6.2.1 (Study Root) and C.6.3.1 (Patient/Study Only),
with the optional keys that most PACS answer.
"""

from __future__ import annotations

from enum import StrEnum

from qrkit.errors import InputError
from qrkit.node import InformationModel
from qrkit.words import listed, shown


class Level(StrEnum):
    """Query/Retrieve level (PS3.4 C.3)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    @classmethod
    def parse(cls, level: object) -> Level:
        """Return the level of that name, in any case.

        Raises InputError if there is no such level.

        >>> Level.parse("series")
        <Level.SERIES: 'SERIES'>
        >>> Level.parse("instance")
        Traceback (most recent call last):
        qrkit.errors.InputError: 'instance' is not a valid level: use patient, study, series or image.
        """
        if isinstance(level, Level):
            return level
        try:
            return cls(level.strip().upper() if isinstance(level, str) else "")
        except ValueError as error:
            choices = listed([member.value.lower() for member in cls], last="or")
            raise InputError(f"{shown(level)} is not a valid level: use {choices}.") from error


_ORDER = tuple(Level)

_LEVELS = {
    InformationModel.PATIENT_ROOT: _ORDER,
    InformationModel.STUDY_ROOT: _ORDER[1:],
    InformationModel.PATIENT_STUDY_ONLY: _ORDER[:2],
}

_UNIQUE = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}

_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_PATIENT_COUNTS = ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances")
_WHERE = ("RetrieveAETitle", "InstanceAvailability")

_ASKED = {
    Level.PATIENT: (*_PATIENT, *_PATIENT_COUNTS),
    Level.STUDY: (
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "StudyDescription",
        "ModalitiesInStudy",
        "SOPClassesInStudy",
        "ReferringPhysicianName",
        "StationName",
        "InstitutionName",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        *_WHERE,
    ),
    Level.SERIES: (
        "SeriesInstanceUID",
        "SeriesNumber",
        "Modality",
        "SeriesDescription",
        "SeriesDate",
        "SeriesTime",
        "StationName",
        "BodyPartExamined",
        "Laterality",
        "ProtocolName",
        "Manufacturer",
        "ManufacturerModelName",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "OperatorsName",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
        "NumberOfSeriesRelatedInstances",
        *_WHERE,
    ),
    Level.IMAGE: (
        "SOPInstanceUID",
        "SOPClassUID",
        "InstanceNumber",
        "ContentDate",
        "ContentTime",
        "AcquisitionDate",
        "AcquisitionTime",
        "AcquisitionNumber",
        "ImageType",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        *_WHERE,
    ),
}

# Keys that belong to a level besides those above, so that each is asked where a PACS looks for it.
_FURTHER = {
    Level.PATIENT: (
        "PatientBirthTime",
        "OtherPatientIDs",
        "OtherPatientNames",
        "OtherPatientIDsSequence",
        "EthnicGroup",
        "PatientComments",
        "PatientSpeciesDescription",
    ),
    Level.STUDY: (
        "AdmittingDiagnosesDescription",
        "AdditionalPatientHistory",
        "IssuerOfAccessionNumberSequence",
        "NameOfPhysiciansReadingStudy",
        "Occupation",
        "PatientAge",
        "PatientSize",
        "PatientWeight",
        "PhysiciansOfRecord",
        "ProcedureCodeSequence",
        "TimezoneOffsetFromUTC",
    ),
    Level.SERIES: (
        "DeviceSerialNumber",
        "PerformedProcedureStepDescription",
        "PerformedProcedureStepID",
        "PerformingPhysicianName",
        "RequestAttributesSequence",
        "SoftwareVersions",
        "FrameOfReferenceUID",
    ),
    Level.IMAGE: (
        "AvailableTransferSyntaxUID",
        "ConceptNameCodeSequence",
        "CompletionFlag",
        "VerificationFlag",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "ImageComments",
        "RelatedGeneralSOPClassUID",
    ),
}

_ABOVE_SERIES = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
)

_FROM_ABOVE = {
    Level.PATIENT: (),
    Level.STUDY: _PATIENT,
    Level.SERIES: (*_ABOVE_SERIES, "ModalitiesInStudy"),
    Level.IMAGE: (
        *_ABOVE_SERIES,
        "SeriesInstanceUID",
        "SeriesNumber",
        "Modality",
        "SeriesDescription",
        "StationName",
        "Manufacturer",
        "ManufacturerModelName",
    ),
}


def levels_of(model: InformationModel) -> tuple[Level, ...]:
    """Return the levels of an information model, from the top.

    >>> [level.value for level in levels_of(InformationModel.STUDY_ROOT)]
    ['STUDY', 'SERIES', 'IMAGE']
    """
    return _LEVELS[model]


def unique_key(level: Level) -> str:
    """Return the Unique Key of a level (PS3.4 C.2.2.1.1).

    >>> unique_key(Level.IMAGE)
    'SOPInstanceUID'
    """
    return _UNIQUE[level]


def unique_keys_above(level: Level, model: InformationModel) -> tuple[str, ...]:
    """Return the Unique Keys that a query at a level must give (PS3.4 C.4.1.2.1).

    Raises InputError if the information model has no such level.

    >>> unique_keys_above(Level.SERIES, InformationModel.PATIENT_ROOT)
    ('PatientID', 'StudyInstanceUID')
    """
    levels = levels_of(model)
    if level not in levels:
        has = ", ".join(one.value for one in levels)
        raise InputError(
            f"The {model.value} information model has no {level.value} level, only {has}.",
            advice="Ask at one of these, or change the information model of the node.",
        )
    return tuple(_UNIQUE[one] for one in levels[: levels.index(level)])


def return_keys(level: Level, model: InformationModel) -> tuple[str, ...]:
    """Return what a query at a level asks for by default; under Study Root a study has its patient's keys too.

    >>> return_keys(Level.STUDY, InformationModel.STUDY_ROOT)[:2]
    ('PatientName', 'PatientID')
    >>> return_keys(Level.STUDY, InformationModel.PATIENT_ROOT)[0]
    'StudyInstanceUID'
    """
    own = _ASKED[level]
    if level is Level.STUDY and model is InformationModel.STUDY_ROOT:
        return (*_PATIENT, *own)
    return own


def inherited_columns(level: Level) -> tuple[str, ...]:
    """Return the columns that a table has from the levels above its own.

    >>> "StudyDescription" in inherited_columns(Level.SERIES)
    True
    """
    return _FROM_ABOVE[level]


def table_columns(level: Level) -> tuple[str, ...]:
    """Return the columns of a table at a level, without extra keys: those from above, then its own."""
    return tuple(dict.fromkeys((*_FROM_ABOVE[level], *_ASKED[level])))


def belongs_to(keyword: str) -> tuple[Level, ...]:
    """Return the levels at which a key can be asked, from the top; empty for a key that no level claims.

    >>> [level.value for level in belongs_to("StationName")], belongs_to("KVP")
    (['STUDY', 'SERIES'], ())
    """
    return tuple(level for level in _ORDER if keyword in _ASKED[level] or keyword in _FURTHER[level])
