"""The values of the simulated hospital: its UIDs, examinations, patients, equipment, studies, series and instances.

Fields that hold a DICOM element carry its keyword and its value as DICOM text (`20260131`, `101500`), so that
a C-FIND answer is these values put in order.

A UID is made from a seed and a number, so that it leads back to its study. Under the root `2.25` it is a UUID of
version 8 written as a decimal number (PS3.5 B.2, RFC 9562): 60 bits are the seed, 62 bits the study, series and
instance. Under any other root it has dotted components.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import KW_ONLY, dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


_SERIES_BITS = 10
_INSTANCE_BITS = 20
_VERSION_AND_VARIANT = (8 << 76) | (2 << 62)
_PLACE_MASK = (1 << 62) - 1

FRAME_OF_REFERENCE = 1000
"""The series number under which frames of reference are numbered; no series gets so far."""
IRRADIATION_EVENT = 1001
"""The series number under which irradiation and administration events are numbered."""
DEVICE = 1002
"""The series number under which device observers are numbered."""


@dataclass(frozen=True, slots=True)
class UIDPlan:
    """Gives each study, series, instance and event of one seed its UID.

    >>> plan = UIDPlan(seed=1)
    >>> plan.study_number(plan.uid(1234, 2, 7))
    1234
    >>> plan.study_number("1.2.3") is None
    True
    """

    seed: int
    root: str = "2.25"

    @property
    def _mark(self) -> int:
        digest = hashlib.blake2b(f"qrkit simulator {self.seed}".encode(), digest_size=8).digest()
        high = int.from_bytes(digest, "big") >> 4
        return ((high >> 12) << 80) | ((high & 0xFFF) << 64) | _VERSION_AND_VARIANT

    def uid(self, study: int, series: int = 0, instance: int = 0) -> str:
        """Return the UID of a study, or of its series and instances, which are numbered from 1."""
        if self.root != "2.25":
            parts = (self.root, self.seed, study, series, instance)
            return ".".join(str(part) for part in parts)
        place = (study << (_SERIES_BITS + _INSTANCE_BITS)) | (series << _INSTANCE_BITS) | instance
        return f"2.25.{self._mark | place}"

    def study_number(self, uid: str) -> int | None:
        """Return the number of the study to which a UID of this plan belongs; None for any other UID."""
        if self.root != "2.25":
            prefix = f"{self.root}.{self.seed}."
            number = uid.removeprefix(prefix).split(".", 1)[0]
            return int(number) if uid.startswith(prefix) and number.isdecimal() else None
        digits = uid.removeprefix("2.25.")
        if not uid.startswith("2.25.") or not digits.isdecimal() or len(digits) > 39:
            return None
        value = int(digits)
        if value & ~_PLACE_MASK != self._mark:
            return None
        return (value & _PLACE_MASK) >> (_SERIES_BITS + _INSTANCE_BITS)


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme and meaning (PS3.16)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One CT scan of a procedure."""

    protocol: str
    ctdi: float
    """Mean CTDIvol in mGy."""
    length: float
    """Scanned length in mm."""
    acquisition: str = "spiral"
    """spiral, sequenced or stationary."""


@dataclass(frozen=True, slots=True)
class Procedure:
    """One kind of examination."""

    description: str
    body_part: str
    """BodyPartExamined (PS3.16 annex L)."""
    region: Code
    """Target region."""
    _: KW_ONLY
    scans: tuple[Scan, ...] = ()
    head_phantom: bool = False
    contrast: bool = False
    dose_area_product: float = 0.0
    """Gy.cm2, of the whole examination."""
    exposures: int = 1
    """Images (radiography, mammography) or acquisition runs (fluoroscopy)."""
    fluoro_seconds: float = 0.0
    tracer: str = ""
    """Key into `dose.TRACERS`."""
    activity: float = 0.0
    """Administered activity in MBq."""


class Kind(enum.Enum):
    """Sort of object of an instance, and its SOP class, which several kinds may share."""

    CT_IMAGE = "CT image", "1.2.840.10008.5.1.4.1.1.2"
    CT_LOCALIZER = "CT localizer", "1.2.840.10008.5.1.4.1.1.2"
    MR_IMAGE = "MR image", "1.2.840.10008.5.1.4.1.1.4"
    MG_PRESENTATION = "mammogram for presentation", "1.2.840.10008.5.1.4.1.1.1.2"
    MG_PROCESSING = "mammogram for processing", "1.2.840.10008.5.1.4.1.1.1.2.1"
    DX_IMAGE = "digital radiograph", "1.2.840.10008.5.1.4.1.1.1.1"
    CR_IMAGE = "computed radiograph", "1.2.840.10008.5.1.4.1.1.1"
    XA_IMAGE = "X-ray angiogram", "1.2.840.10008.5.1.4.1.1.12.1"
    RF_IMAGE = "radiofluoroscopic image", "1.2.840.10008.5.1.4.1.1.12.2"
    NM_IMAGE = "nuclear medicine image", "1.2.840.10008.5.1.4.1.1.20"
    PET_IMAGE = "PET image", "1.2.840.10008.5.1.4.1.1.128"
    US_IMAGE = "ultrasound image", "1.2.840.10008.5.1.4.1.1.6.1"
    DOSE_SHEET = "secondary capture dose sheet", "1.2.840.10008.5.1.4.1.1.7"
    CAPTURE = "secondary capture", "1.2.840.10008.5.1.4.1.1.7"
    RDSR = "X-Ray Radiation Dose SR", "1.2.840.10008.5.1.4.1.1.88.67"
    ENHANCED_SR = "dose in an Enhanced SR", "1.2.840.10008.5.1.4.1.1.88.22"
    RRDSR = "Radiopharmaceutical Radiation Dose SR", "1.2.840.10008.5.1.4.1.1.88.68"
    REPORT = "Basic Text SR", "1.2.840.10008.5.1.4.1.1.88.11"
    CAD = "Comprehensive SR", "1.2.840.10008.5.1.4.1.1.88.33"
    KEY_OBJECTS = "key object selection", "1.2.840.10008.5.1.4.1.1.88.59"
    PRESENTATION_STATE = "softcopy presentation state", "1.2.840.10008.5.1.4.1.1.11.1"
    RECEIVED = "received by C-STORE", ""

    @property
    def sop_class(self) -> str:
        """The SOP class; empty for received objects, which have their own."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One patient; `PatientName` may hold the alphabetic, ideographic and phonetic groups, joined by `=`."""

    PatientID: str
    PatientName: str
    PatientBirthDate: str
    PatientSex: str
    PatientSize: float
    """Metres."""
    PatientWeight: float
    """Kilograms."""
    SpecificCharacterSet: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """One piece of equipment and where it stands."""

    StationName: str
    Manufacturer: str
    ManufacturerModelName: str
    InstitutionName: str
    DeviceSerialNumber: str
    SoftwareVersions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One SOP Instance; the object itself is made, or read from `path`, when it is sent."""

    SOPInstanceUID: str
    SOPClassUID: str
    InstanceNumber: int
    kind: Kind
    TransferSyntaxUID: str
    """The transfer syntax in which the archive holds it."""
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series; `instances` may be made on demand, so use its length rather than list it."""

    SeriesInstanceUID: str
    Modality: str
    SeriesNumber: int
    SeriesDescription: str
    SeriesDate: str
    SeriesTime: str
    BodyPartExamined: str
    ProtocolName: str
    station: Equipment
    sop_classes: tuple[str, ...]
    instances: Sequence[Instance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study with all its series."""

    patient: Patient
    StudyInstanceUID: str
    StudyDate: str
    StudyTime: str
    AccessionNumber: str
    StudyID: str
    StudyDescription: str
    ReferringPhysicianName: str
    PatientAge: str
    series: tuple[Series, ...]
    procedure: Procedure | None
    """The examination; None for studies known only from received objects."""

    @property
    def ModalitiesInStudy(self) -> tuple[str, ...]:  # noqa: N802 - holds a DICOM element
        """Every Modality of its series, each once."""
        return tuple(dict.fromkeys(one.Modality for one in self.series if one.Modality))

    @property
    def SOPClassesInStudy(self) -> tuple[str, ...]:  # noqa: N802 - holds a DICOM element
        """Every SOP class of its instances, each once."""
        return tuple(dict.fromkeys(uid for one in self.series for uid in one.sop_classes))

    @property
    def NumberOfStudyRelatedSeries(self) -> int:  # noqa: N802 - holds a DICOM element
        """Number of its series."""
        return len(self.series)

    @property
    def NumberOfStudyRelatedInstances(self) -> int:  # noqa: N802 - holds a DICOM element
        """Number of instances in all its series."""
        return sum(len(one.instances) for one in self.series)


class Hospital(Protocol):
    """Interface of a hospital for the server; no method may take time that grows with the archive."""

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day with studies; the last is before the first if there are no studies."""

    def on_day(self, day: date) -> Sequence[Study]:
        """All studies of one StudyDate."""

    def undated(self) -> Iterable[Study]:
        """Studies without a StudyDate."""

    def study_holding(self, uid: str) -> Study | None:
        """Return the study that has this UID, or that holds the series or instance which has it."""

    def of_patient(self, patient_id: str) -> Iterable[Study]:
        """All studies of the patient with exactly this PatientID."""

    def with_accession(self, accession_number: str) -> Iterable[Study]:
        """All studies with exactly this AccessionNumber."""

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object's data set, without file meta information, in this transfer syntax."""


def day_of(text: str) -> date | None:
    """Return the day of a DICOM date, also in the form of ACR-NEMA, 2026.01.31; None where it cannot be read."""
    digits = text.strip().replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


_ELEMENTS = {
    kind: tuple(field.name for field in fields(kind) if field.type in ("str", "int", "float"))
    for kind in (Patient, Equipment, Series, Study)
}


def elements_of(value: Patient | Equipment | Series | Study) -> dict[str, str | int | float]:
    """Return the elements that a value holds as text or number, by keyword."""
    return {name: getattr(value, name) for name in _ELEMENTS[type(value)]}
