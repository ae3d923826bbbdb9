"""The objects that are sent: made once in a temporary folder, from nothing but these lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    XRayRadiationDoseSRStorage,
    generate_uid,
)


def write_ct(folder: Path, count: int) -> Path:
    """Write one CT series of 512 × 512 images, 0.52 MB each."""
    folder.mkdir(parents=True)
    study, series = generate_uid(), generate_uid()
    pixels = np.random.default_rng(1).integers(0, 4096, (512, 512), dtype=np.uint16)
    for number in range(1, count + 1):
        image = _identified(CTImageStorage, "CT", study, series, number)
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows = image.Columns = 512
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
        image.add_new("PixelData", "OW", np.roll(pixels, number).tobytes())
        _save(image, folder / f"{number:05}.dcm")
    return folder


def write_sr(folder: Path, count: int, *, studies: int = 1, events: int = 45) -> Path:
    """Write small dose reports, spread over some studies; with 45 values each has about 10 kB."""
    folder.mkdir(parents=True)
    uids = [(generate_uid(), generate_uid()) for _ in range(studies)]
    for number in range(1, count + 1):
        study, series = uids[number % studies]
        report = _identified(XRayRadiationDoseSRStorage, "SR", study, series, number)
        report.CompletionFlag, report.VerificationFlag, report.ValueType = "COMPLETE", "UNVERIFIED", "CONTAINER"
        report.ContinuityOfContent = "SEPARATE"
        report.ConceptNameCodeSequence = Sequence([_code("113701", "DCM", "X-Ray Radiation Dose Report")])
        report.ContentSequence = Sequence(list(_events(events)))
        _save(report, folder / f"{number:05}.dcm")
    return folder


def _identified(sop_class: str, modality: str, study: str, series: str, number: int) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.StudyDate, made.StudyTime, made.Modality = (
        f"2026{number % 12 + 1:02}{number % 28 + 1:02}",
        "101500",
        modality,
    )
    made.Manufacturer, made.StationName, made.StudyDescription = "qrkit", "BENCH1", "CT CHEST"
    made.AccessionNumber, made.PatientName, made.PatientID = f"A{number % 7919}", "Bench^Mark", "BENCH"
    made.StudyInstanceUID, made.SeriesInstanceUID = study, series
    made.StudyID, made.SeriesNumber, made.InstanceNumber = "1", 1, number
    return made


def _events(count: int) -> Iterator[Dataset]:
    for number in range(count):
        item = Dataset()
        item.RelationshipType, item.ValueType = "CONTAINS", "NUM"
        item.ConceptNameCodeSequence = Sequence([_code("113830", "DCM", "Mean CTDIvol")])
        value = Dataset()
        value.NumericValue = f"{number / 7:.4f}"
        value.MeasurementUnitsCodeSequence = Sequence([_code("mGy", "UCUM", "mGy")])
        item.MeasuredValueSequence = Sequence([value])
        yield item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _save(made: Dataset, path: Path) -> None:
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True)
