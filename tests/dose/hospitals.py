"""A hospital of a few literal studies, which the simulator serves: for rules that the generated one does not show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from qrkit.simulator import facts
from qrkit.simulator.objects.encoding import EXPLICIT_VR
from tests.dose.world import Series

DAY = date(2026, 6, 30)
_KIND = facts.Kind.CAPTURE
_PATIENT = facts.Patient(
    PatientID="P1",
    PatientName="Doe^Jane",
    PatientBirthDate="19700101",
    PatientSex="F",
    PatientSize=1.7,
    PatientWeight=70.0,
    SpecificCharacterSet=("ISO_IR 100",),
)
_STATION = facts.Equipment(
    StationName="ROOM1",
    Manufacturer="Example",
    ManufacturerModelName="Model",
    InstitutionName="Hospital",
    DeviceSerialNumber="1",
    SoftwareVersions="1",
)


@dataclass
class LiteralHospital:
    """Studies by UID, each a few series as in `tests.dose.world`, all of one day and one patient.

    The UIDs of series and objects are those of a `World`: `1.2.3.1.4` is the fourth object of the first series. An
    object is what `documents` has for its UID, otherwise a data set with its UIDs alone.
    """

    series: Mapping[str, Sequence[Series]]
    documents: Mapping[str, Dataset] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other values of studies, by StudyInstanceUID and keyword."""

    @property
    def days(self) -> tuple[date, date]:
        """The only day."""
        return DAY, DAY

    @property
    def studies(self) -> list[facts.Study]:
        """All studies."""
        return [self._study(uid) for uid in self.series]

    def on_day(self, day: date) -> list[facts.Study]:
        """All studies, on their day."""
        return self.studies if day == DAY else []

    def undated(self) -> list[facts.Study]:
        """None."""
        return []

    def study_holding(self, uid: str) -> facts.Study | None:
        """Return the study that has this UID, or that holds the series or instance which has it."""
        return next((self._study(study) for study in self.series if f"{uid}.".startswith(f"{study}.")), None)

    def of_patient(self, patient_id: str) -> list[facts.Study]:
        """All studies of a patient."""
        return [study for study in self.studies if study.patient.PatientID == patient_id]

    def with_accession(self, accession_number: str) -> list[facts.Study]:
        """All studies with an accession number."""
        return [study for study in self.studies if study.AccessionNumber == accession_number]

    def encoded(
        self, study: facts.Study, series: facts.Series, instance: facts.Instance, transfer_syntax: str
    ) -> bytes:
        """Return the data set of an object."""
        made = Dataset()
        made.update(self.documents.get(instance.SOPInstanceUID, Dataset()))
        made.StudyInstanceUID = study.StudyInstanceUID
        made.SeriesInstanceUID = series.SeriesInstanceUID
        made.SOPInstanceUID = instance.SOPInstanceUID
        made.SOPClassUID = instance.SOPClassUID
        made.Modality = series.Modality
        made.StudyDate = study.StudyDate
        made.PatientID = study.patient.PatientID
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, transfer_syntax != EXPLICIT_VR
        write_dataset(buffer, made)
        return buffer.getvalue()

    def _study(self, uid: str) -> facts.Study:
        made = facts.Study(
            patient=_PATIENT,
            StudyInstanceUID=uid,
            StudyDate=f"{DAY:%Y%m%d}",
            StudyTime="101500",
            AccessionNumber=f"A{uid.rpartition('.')[2]}",
            StudyID="1",
            StudyDescription="Study",
            ReferringPhysicianName="",
            PatientAge="056Y",
            series=tuple(self._series(uid, place, one) for place, one in enumerate(self.series[uid], 1)),
            procedure=None,
        )
        given = dict(self.rows.get(uid, {}))
        who = replace(_PATIENT, **{name: given.pop(name) for name in list(given) if name.startswith("Patient")})
        return replace(made, patient=who, **given)

    def _series(self, study: str, place: int, one: Series) -> facts.Series:
        uid = f"{study}.{place}"
        return facts.Series(
            SeriesInstanceUID=uid,
            Modality=one.modality,
            SeriesNumber=one.number if one.number is not None else place,
            SeriesDescription=one.description,
            SeriesDate=f"{DAY:%Y%m%d}",
            SeriesTime="101500",
            BodyPartExamined="",
            ProtocolName="",
            station=replace(_STATION, StationName=one.station or _STATION.StationName),
            sop_classes=tuple(dict.fromkeys(one.classes)),
            instances=tuple(
                facts.Instance(
                    SOPInstanceUID=f"{uid}.{number}",
                    SOPClassUID=sop_class,
                    InstanceNumber=one.first + number - 1,
                    kind=_KIND,
                    TransferSyntaxUID=EXPLICIT_VR,
                )
                for number, sop_class in enumerate(one.classes, 1)
            ),
        )
