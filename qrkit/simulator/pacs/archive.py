"""The archive of a running simulator: the studies of its hospital and every object received by C-STORE."""

from __future__ import annotations

import itertools
import tempfile
import threading
from dataclasses import fields, replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import dcmread, read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from qrkit.simulator.facts import Equipment, Instance, Kind, Patient, Series, Study, day_of
from qrkit.simulator.objects.encoding import converted
from qrkit.simulator.pacs.association import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom.dataset import Dataset

    from qrkit.simulator.facts import Hospital

_PREAMBLE = b"\0" * 128 + b"DICM"


class Archive:
    """A hospital to which objects can be added; every method returns both.

    Received objects are stored in a temporary folder, which is created with the first object and removed by `close`.
    They are read at the next query, so that receiving stays fast.
    """

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = itertools.count()
        self._paths: dict[str, Path] = {}
        self._unread: list[Path] = []
        self._received: dict[str, Study] = {}
        self._owner: dict[str, str] = {}

    @property
    def received(self) -> list[str]:
        """SOP Instance UIDs of the objects received, in the order of their arrival."""
        with self._lock:
            return list(self._paths)

    def path_of(self, SOPInstanceUID: str) -> Path | None:
        """Return the Part 10 file of a received object."""
        with self._lock:
            return self._paths.get(SOPInstanceUID)

    def add(self, sop_class: str, sop_instance: str, transfer_syntax: str, data: bytes) -> None:
        """Keep one object as a Part 10 file, its data set byte for byte; the same UID replaces it."""
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\x00\x01"
        meta.MediaStorageSOPClassUID = UID(sop_class)
        meta.MediaStorageSOPInstanceUID = UID(sop_instance)
        meta.TransferSyntaxUID = UID(transfer_syntax)
        meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
        path = self._new_path()
        header = DicomBytesIO()
        write_file_meta_info(header, meta)
        with path.open("wb") as file:
            file.write(_PREAMBLE + header.getvalue())
            file.write(data)
        with self._lock:
            self._paths[sop_instance] = path
            self._unread.append(path)

    def close(self) -> None:
        """Remove the received files; their UIDs stay known."""
        with self._lock:
            self._unread, self._received, self._owner = [], {}, {}
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _new_path(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="qrkit-simulator-", ignore_cleanup_errors=True)
            return Path(self._folder.name) / f"{next(self._numbers):08}.dcm"

    def _known(self) -> dict[str, Study]:
        """Return the received studies, after reading the objects that arrived since the last query."""
        with self._lock:
            if self._unread:
                objects = [read_received(path) for path in dict.fromkeys(self._unread)]
                self._unread = []
                self._received = studies_of(objects, self._received)
                for study in self._received.values():
                    for series in study.series:
                        self._owner[series.SeriesInstanceUID] = study.StudyInstanceUID
                        for instance in series.instances:
                            self._owner[instance.SOPInstanceUID] = study.StudyInstanceUID
            return self._received

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day with studies, as `Hospital.days`."""
        first, last = self._hospital.days
        days = [day for study in self._known().values() if (day := day_of(study.StudyDate))]
        if first > last:
            return (min(days), max(days)) if days else (first, last)
        return min([first, *days]), max([last, *days])

    def on_day(self, day: date) -> Sequence[Study]:
        """All studies of one day, as `Hospital.on_day`."""
        received = self._known()
        if not received:
            return self._hospital.on_day(day)
        same_day = [study for study in received.values() if day_of(study.StudyDate) == day]
        return self._merged(self._hospital.on_day(day), same_day)

    def undated(self) -> Sequence[Study]:
        """Received studies without a StudyDate that could be read."""
        return [study for study in self._known().values() if day_of(study.StudyDate) is None]

    def study_holding(self, uid: str) -> Study | None:
        """Return the study that has or holds this UID, as `Hospital.study_holding`."""
        received = self._known()
        own = self._hospital.study_holding(uid)
        added = received.get(own.StudyInstanceUID if own else self._owner.get(uid, uid))
        if own is None or added is None:
            return own or added
        return _merge(own, added)

    def of_patient(self, patient_id: str) -> Iterable[Study]:
        """All studies of a patient, as `Hospital.of_patient`."""
        received = [one for one in self._known().values() if one.patient.PatientID == patient_id]
        return self._merged(self._hospital.of_patient(patient_id), received)

    def with_accession(self, accession_number: str) -> Iterable[Study]:
        """All studies with an accession number, as `Hospital.with_accession`."""
        received = [one for one in self._known().values() if one.AccessionNumber == accession_number]
        return self._merged(self._hospital.with_accession(accession_number), received)

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object's data set in this transfer syntax, as `Hospital.encoded`."""
        if instance.kind is not Kind.RECEIVED or instance.path is None:
            return self._hospital.encoded(study, series, instance, transfer_syntax)
        return converted(data_set_of(instance.path), instance.TransferSyntaxUID, transfer_syntax)

    def _merged(self, own: Iterable[Study], added: Iterable[Study]) -> Sequence[Study]:
        """Each study once: the hospital's with the received series of the same study."""
        by_uid = {study.StudyInstanceUID: study for study in own}
        for study in added:
            known = by_uid.get(study.StudyInstanceUID)
            full = known or self._hospital.study_holding(study.StudyInstanceUID)
            by_uid[study.StudyInstanceUID] = _merge(full, study) if full else study
        known_received = self._received
        return [
            _merge(study, known_received[uid])
            if uid in known_received and study is not known_received[uid]
            else study
            for uid, study in by_uid.items()
        ]


def data_set_of(path: Path) -> bytes:
    """Return the data set of a Part 10 file, byte for byte, without its file meta information."""
    meta = read_file_meta_info(path)
    # preamble, prefix, and the group length element itself (12 bytes) come before what it counts
    return path.read_bytes()[132 + 12 + int(meta.FileMetaInformationGroupLength) :]


def _merge(own: Study, added: Study) -> Study:
    """Return the hospital's study, with the received series and instances it does not have itself."""
    by_uid = {series.SeriesInstanceUID: series for series in own.series}
    for series in added.series:
        known = by_uid.get(series.SeriesInstanceUID)
        by_uid[series.SeriesInstanceUID] = _merge_series(known, series) if known else series
    return replace(own, series=tuple(by_uid.values()))


def _merge_series(own: Series, added: Series) -> Series:
    held = {instance.SOPInstanceUID for instance in own.instances}
    new = [instance for instance in added.instances if instance.SOPInstanceUID not in held]
    if not new:
        return own
    classes = dict.fromkeys(chain(own.sop_classes, added.sop_classes))
    return replace(own, instances=(*own.instances, *new), sop_classes=tuple(classes))


def read_received(path: Path) -> Study:
    """Return a study with one series and one instance, as read from a single file."""
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
        series=(
            Series(
                SeriesNumber=int(_text(data_set, "SeriesNumber") or 0),
                station=Equipment(**_texts(data_set, Equipment)),
                sop_classes=(instance.SOPClassUID,),
                instances=(instance,),
                **_texts(data_set, Series),
            ),
        ),
        procedure=None,
        **_texts(data_set, Study),
    )


def studies_of(objects: Iterable[Study], known: dict[str, Study]) -> dict[str, Study]:
    """Return the known studies with new objects added, by StudyInstanceUID; the same object replaces itself."""
    grouped: dict[str, tuple[Study, dict[str, tuple[Series, dict[str, Instance]]]]] = {}
    for study in (*known.values(), *objects):
        _, series_by_uid = grouped.setdefault(study.StudyInstanceUID, (study, {}))
        for series in study.series:
            _, instances = series_by_uid.setdefault(series.SeriesInstanceUID, (series, {}))
            instances.update({instance.SOPInstanceUID: instance for instance in series.instances})

    def whole(series: Series, instances: dict[str, Instance]) -> Series:
        classes = dict.fromkeys(instance.SOPClassUID for instance in instances.values())
        return replace(series, instances=tuple(instances.values()), sop_classes=tuple(classes))

    return {
        uid: replace(study, series=tuple(whole(*pair) for pair in series_by_uid.values()))
        for uid, (study, series_by_uid) in grouped.items()
    }


def _patient(data_set: Dataset) -> Patient:
    character_set = data_set.get("SpecificCharacterSet") or ()
    names = (character_set,) if isinstance(character_set, str) else tuple(character_set)
    return Patient(
        PatientSize=float(_text(data_set, "PatientSize") or 0),
        PatientWeight=float(_text(data_set, "PatientWeight") or 0),
        SpecificCharacterSet=tuple(str(name) for name in names),
        **_texts(data_set, Patient),
    )


def _texts(data_set: Dataset, kind: Any) -> dict[str, str]:  # noqa: ANN401 - any of the classes in facts
    """Return the elements that a class holds as text; its fields are named by their keywords."""
    return {field.name: _text(data_set, field.name) for field in fields(kind) if field.type == "str"}


def _text(data_set: Dataset, keyword: str) -> str:
    """Return an element as text, several values joined as in the data set; empty where it is missing."""
    value = data_set.get(keyword)
    if value is None:
        return ""
    if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
        return "\\".join(str(one) for one in value)
    return str(value).strip()
