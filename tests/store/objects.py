"""Objects that arrive, for tests."""

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from qrkit import uids
from qrkit.receipt import Arrival
from qrkit.store.part10 import read_file_head

CT = "1.2.840.10008.5.1.4.1.1.2"


def a_dataset(
    sop: str = "1.2.3.1",
    series: str = "1.2.3",
    study: str = "1.2",
    *,
    pixels: bytes = b"",
    **elements: Any,  # noqa: ANN401 - as pydicom takes them
) -> Dataset:
    """Give a data set with these UIDs, pixel data and elements."""
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = sop
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.Modality = "CT"
    dataset.InstanceNumber = 1
    if pixels:
        dataset.add_new(0x7FE00010, "OB", pixels)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def encoded(dataset: Dataset, transfer_syntax_uid: str = uids.EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Give the bytes of a data set, as pydicom encodes it; deflated ones are not deflated here."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax_uid == uids.IMPLICIT_VR_LITTLE_ENDIAN
    buffer.is_little_endian = transfer_syntax_uid != uids.EXPLICIT_VR_BIG_ENDIAN
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def an_arrival(
    sop: str = "1.2.3.1", *, transfer_syntax_uid: str = uids.EXPLICIT_VR_LITTLE_ENDIAN, sender: str = "PACS"
) -> Arrival:
    """Give the announcement of an object."""
    return Arrival(sop_class_uid=CT, sop_instance_uid=sop, transfer_syntax_uid=transfer_syntax_uid, sender=sender)


def data_set_of(path: Path) -> tuple[Arrival, bytes]:
    """Give what a file would arrive as."""
    with path.open("rb") as file:
        head = read_file_head(file)
    content = path.read_bytes()
    meta = dcmread(BytesIO(content), stop_before_pixels=True).file_meta
    arrival = Arrival(
        sop_class_uid=meta.MediaStorageSOPClassUID,
        sop_instance_uid=meta.MediaStorageSOPInstanceUID,
        transfer_syntax_uid=head.transfer_syntax_uid,
        sender="PACS",
    )
    return arrival, content[head.data_set_start :]
