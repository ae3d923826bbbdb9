"""Objects of a hospital, encoded as they would be sent and read back with pydicom."""

import io

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from qrkit.simulator.facts import Instance, Series, Study
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.simulator.objects.encoding import EXPLICIT_VR, IMPLICIT_VR

Place = tuple[Study, Series, Instance]


def made(hospital: GeneratedHospital, place: Place, transfer_syntax: str = EXPLICIT_VR) -> Dataset:
    """The object with its file meta information, ready to be saved."""
    raw = hospital.encoded(*place, transfer_syntax)
    data_set = read_dataset(io.BytesIO(raw), transfer_syntax == IMPLICIT_VR, True)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    return data_set
