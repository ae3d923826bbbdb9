"""Objects received by C-STORE, read back as the facts a query is answered from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydicom.filereader import dcmread

from qrkit.simulator.hospital.facts import Instance, Kind, Patient, Series, Station, Study

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydicom.dataset import Dataset


def read_received(path: Path) -> Study:
    """Return a study with one series and one instance: what a single file tells."""
    data_set = dcmread(path, stop_before_pixels=True)
    instance = Instance(
        SOPInstanceUID=str(data_set.file_meta.MediaStorageSOPInstanceUID),
        SOPClassUID=str(data_set.file_meta.MediaStorageSOPClassUID),
        InstanceNumber=int(_text(data_set, "InstanceNumber") or 0),
        kind=Kind.RECEIVED,
        TransferSyntaxUID=str(data_set.file_meta.TransferSyntaxUID),
        path=path,
    )
    return Study(
        patient=_patient(data_set),
        StudyInstanceUID=_text(data_set, "StudyInstanceUID"),
        StudyDate=_text(data_set, "StudyDate"),
        StudyTime=_text(data_set, "StudyTime"),
        AccessionNumber=_text(data_set, "AccessionNumber"),
        StudyID=_text(data_set, "StudyID"),
        StudyDescription=_text(data_set, "StudyDescription"),
        ReferringPhysicianName=_text(data_set, "ReferringPhysicianName"),
        PatientAge=_text(data_set, "PatientAge"),
        series=(_series(data_set, instance),),
        procedure=None,
    )


def studies_of(objects: Iterable[Study], known: dict[str, Study]) -> dict[str, Study]:
    """Return the known studies with new objects added, by StudyInstanceUID; the same object replaces itself."""
    grouped: dict[str, tuple[Study, dict[str, tuple[Series, dict[str, Instance]]]]] = {}
    for study in (*known.values(), *objects):
        _, series_by_uid = grouped.setdefault(study.StudyInstanceUID, (study, {}))
        for series in study.series:
            _, instances = series_by_uid.setdefault(series.SeriesInstanceUID, (series, {}))
            instances.update({instance.SOPInstanceUID: instance for instance in series.instances})
    return {
        uid: replace(study, series=tuple(_with_instances(*pair) for pair in series_by_uid.values()))
        for uid, (study, series_by_uid) in grouped.items()
    }


def _with_instances(series: Series, instances: dict[str, Instance]) -> Series:
    classes = dict.fromkeys(instance.SOPClassUID for instance in instances.values())
    return replace(series, instances=tuple(instances.values()), sop_classes=tuple(classes))


def _series(data_set: Dataset, instance: Instance) -> Series:
    station = Station(
        StationName=_text(data_set, "StationName"),
        Manufacturer=_text(data_set, "Manufacturer"),
        ManufacturerModelName=_text(data_set, "ManufacturerModelName"),
        InstitutionName=_text(data_set, "InstitutionName"),
        DeviceSerialNumber=_text(data_set, "DeviceSerialNumber"),
        SoftwareVersions=_text(data_set, "SoftwareVersions"),
    )
    return Series(
        SeriesInstanceUID=_text(data_set, "SeriesInstanceUID"),
        Modality=_text(data_set, "Modality"),
        SeriesNumber=int(_text(data_set, "SeriesNumber") or 0),
        SeriesDescription=_text(data_set, "SeriesDescription"),
        SeriesDate=_text(data_set, "SeriesDate"),
        SeriesTime=_text(data_set, "SeriesTime"),
        BodyPartExamined=_text(data_set, "BodyPartExamined"),
        ProtocolName=_text(data_set, "ProtocolName"),
        station=station,
        sop_classes=(instance.SOPClassUID,),
        instances=(instance,),
    )


def _patient(data_set: Dataset) -> Patient:
    character_set = data_set.get("SpecificCharacterSet") or ()
    names = (character_set,) if isinstance(character_set, str) else tuple(character_set)
    return Patient(
        PatientID=_text(data_set, "PatientID"),
        PatientName=_text(data_set, "PatientName"),
        PatientBirthDate=_text(data_set, "PatientBirthDate"),
        PatientSex=_text(data_set, "PatientSex"),
        PatientSize=float(_text(data_set, "PatientSize") or 0),
        PatientWeight=float(_text(data_set, "PatientWeight") or 0),
        SpecificCharacterSet=tuple(str(name) for name in names),
    )


def _text(data_set: Dataset, keyword: str) -> str:
    """Return an element as text, several values joined as in the data set; empty where it is missing."""
    value = data_set.get(keyword)
    if value is None:
        return ""
    if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
        return "\\".join(str(one) for one in value)
    return str(value).strip()
