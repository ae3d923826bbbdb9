"""The facts that an object is generated from, and the modules that every object has (PS3.3 C.7, C.12)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qrkit.simulator.hospital.procedures import CT_CHEST
from qrkit.simulator.hospital.uids import FRAME_OF_REFERENCE, IRRADIATION_EVENT

if TYPE_CHECKING:
    from qrkit.simulator.hospital.facts import Equipment, Instance, Series, Study
    from qrkit.simulator.hospital.procedures import Code, Procedure
    from qrkit.simulator.hospital.uids import UIDPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """The facts that one object is generated from."""

    study: Study
    series: Series
    instance: Instance
    uids: UIDPlan
    matrix: int
    """Rows and columns of images."""

    @property
    def number(self) -> int:
        """The study's number."""
        return self.uids.study_number(self.study.StudyInstanceUID) or 0

    @property
    def procedure(self) -> Procedure:
        """The examination."""
        return self.study.procedure or CT_CHEST

    def study_rng(self, purpose: str) -> random.Random:
        """Random numbers that are the same for every object of the study."""
        return random.Random(f"{purpose} {self.study.StudyInstanceUID}")

    def rng(self) -> random.Random:
        """Random numbers of this object."""
        return random.Random(self.instance.SOPInstanceUID)

    def event_uid(self, number: int) -> str:
        """Return the UID of an irradiation or administration event of the study, numbered from 1."""
        return self.uids.uid(self.number, IRRADIATION_EVENT, number)

    @property
    def frame_of_reference(self) -> str:
        """The study's frame of reference UID."""
        return self.uids.uid(self.number, FRAME_OF_REFERENCE, 1)


def coded(code: Code) -> dict[str, str]:
    """Return a code sequence item (PS3.3 8.8)."""
    return {"CodeValue": code.value, "CodingSchemeDesignator": code.scheme, "CodeMeaning": code.meaning}


def composite(facts: ObjectFacts) -> dict[str, Any]:
    """Return the Patient, General Study, General Series, General Equipment and SOP Common modules."""
    study, series, patient = facts.study, facts.series, facts.study.patient
    elements: dict[str, Any] = {
        "SOPClassUID": facts.instance.SOPClassUID,
        "SOPInstanceUID": facts.instance.SOPInstanceUID,
        "InstanceCreationDate": series.SeriesDate,
        "InstanceCreationTime": series.SeriesTime,
        "PatientName": patient.PatientName,
        "PatientID": patient.PatientID,
        "PatientBirthDate": patient.PatientBirthDate,
        "PatientSex": patient.PatientSex,
        "PatientAge": study.PatientAge,
        "PatientSize": patient.PatientSize,
        "PatientWeight": patient.PatientWeight,
        "StudyInstanceUID": study.StudyInstanceUID,
        "StudyDate": study.StudyDate,
        "StudyTime": study.StudyTime,
        "AccessionNumber": study.AccessionNumber,
        "StudyID": study.StudyID,
        "StudyDescription": study.StudyDescription,
        "ReferringPhysicianName": study.ReferringPhysicianName,
        "SeriesInstanceUID": series.SeriesInstanceUID,
        "Modality": series.Modality,
        "SeriesNumber": series.SeriesNumber,
        "SeriesDescription": series.SeriesDescription,
        "SeriesDate": series.SeriesDate,
        "SeriesTime": series.SeriesTime,
        "InstanceNumber": facts.instance.InstanceNumber,
        "ContentDate": series.SeriesDate,
        "ContentTime": series.SeriesTime,
        **_equipment(series.station),
    }
    if patient.SpecificCharacterSet:
        elements["SpecificCharacterSet"] = patient.SpecificCharacterSet
    return elements


def _equipment(station: Equipment) -> dict[str, str]:
    """Return the General Equipment module (PS3.3 C.7.5.1)."""
    elements = {
        "Manufacturer": station.Manufacturer,
        "ManufacturerModelName": station.ManufacturerModelName,
        "InstitutionName": station.InstitutionName,
        "DeviceSerialNumber": station.DeviceSerialNumber,
        "SoftwareVersions": station.SoftwareVersions,
    }
    return elements | ({"StationName": station.StationName} if station.StationName else {})
