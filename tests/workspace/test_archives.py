"""Orthanc and DCMTK's dcmqrscp: the same answers as findscu, and the same bytes as were loaded."""

from datetime import time
from pathlib import Path

import pandas as pd
import pytest
from pydicom import Dataset, dcmread
from pydicom.filereader import read_file_meta_info

from qrkit.jobs import JobState
from qrkit.workspace import Workspace
from tests.peers.dcmtk import findscu
from tests.peers.peer import Archive, PeerAddress
from tests.workspace.opened import OpenWorkspace

LIMIT = 100.0
ANY_DAY = ("1990-01-01", "2030-12-31")
RRDSR = "1.2.840.10008.5.1.4.1.1.88.68"

KEYS = {
    "STUDY": ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    "SERIES": ("SeriesInstanceUID", "Modality", "SeriesNumber"),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID", "InstanceNumber"),
}
UNIQUE = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def archive(request: pytest.FixtureRequest) -> Archive:
    """Each of the archives, with the samples in it."""
    loaded: Archive = request.getfixturevalue(request.param)
    return loaded


@pytest.fixture
def asking(open_workspace: OpenWorkspace, archive: Archive, station: PeerAddress) -> Workspace:
    """A workspace at the address to which the archives send, with the archive as its node `pacs`."""
    workspace = open_workspace(ae_title=station.ae_title, port=station.port)
    workspace.nodes.add("pacs", host=archive.host, port=archive.port, ae_title=archive.ae_title)
    return workspace


def text(value: object) -> str:
    """A cell as DICOM writes it, so that a date is a date whoever gives it."""
    if value is None or value is pd.NaT or value is pd.NA or value != value:  # noqa: PLR0124 - not a number
        return ""
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y%m%d")
    return value.strftime("%H%M%S") if isinstance(value, time) else str(value)


def element(answer: Dataset, keyword: str) -> str:
    """The value of an Identifier, in the same way."""
    value = answer.get(keyword)
    if value is None or value == "":
        return ""
    return str(value).split(".")[0] if keyword.endswith("Time") else str(value)


def walked(archive: Archive, level: str) -> list[Dataset]:
    """What findscu is told at a level, asked below each row of the level above."""
    above: list[tuple[str, ...]] = [()]
    for one, keys in KEYS.items():
        found = []
        for given in above:
            wanted = [key for key in keys if key not in {part.split("=")[0] for part in given}]
            found += [(given, answer) for answer in findscu(archive.address, one, [*given, *wanted])]
        if one == level:
            return [answer for _, answer in found]
        above = [(*given, f"{UNIQUE[one]}={answer[UNIQUE[one]].value}") for given, answer in found]
    raise ValueError(level)


@pytest.mark.parametrize("level", list(KEYS))
def test_find_gives_the_rows_and_values_of_findscu(asking: Workspace, archive: Archive, level: str) -> None:
    frame = asking.find("pacs", level=level, date=ANY_DAY)
    theirs = [[element(answer, key) for key in KEYS[level]] for answer in walked(archive, level)]
    assert len(theirs) > 15
    if level != "STUDY":  # two patients share a study in the samples, and below each findscu is told all of it
        theirs = [list(row) for row in dict.fromkeys(map(tuple, theirs))]
    assert sorted([text(row[key]) for key in KEYS[level]] for row in frame.to_dict("records")) == sorted(theirs)
    assert frame.attrs["qrkit"]["coverage"]["complete"]


def test_patients_are_those_of_findscu(asking: Workspace, archive: Archive) -> None:
    answers = findscu(archive.address, "PATIENT", ["PatientID", "PatientName"], options=("-P",))
    asking.nodes.edit("pacs", information_model="patient-root")
    frame = asking.find("pacs", level="PATIENT")
    assert sorted(frame["PatientID"].fillna("")) == sorted(element(answer, "PatientID") for answer in answers)


def data_set(path: Path) -> bytes:
    """The bytes after the file meta information."""
    meta = read_file_meta_info(path)
    return path.read_bytes()[132 + 12 + int(meta.FileMetaInformationGroupLength) :]


@pytest.mark.parametrize("method", ["get", "move"])
def test_every_object_arrives_byte_for_byte_through_the_background_worker(
    asking: Workspace, archive: Archive, samples: list[Path], method: str
) -> None:
    frame = asking.find("pacs", date=ANY_DAY)
    job = asking.retrieve(frame, method=method)
    status = job.wait(timeout=LIMIT)
    loaded = {str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID): path for path in samples}
    unsent = {uid for uid, path in loaded.items() if _cannot_send(archive, method, path)}
    assert status.state is (JobState.PARTIAL if unsent else JobState.COMPLETE), status.error
    assert {uid for uids in job.items["missing"] for uid in uids} == unsent
    assert (status.expected, status.stored) == (len(loaded), len(loaded) - len(unsent))
    listed = asking.files.list().set_index("SOPInstanceUID")
    assert set(listed.index) == set(loaded) - unsent
    for uid, row in listed.iterrows():
        path, sample = asking.files.folder / str(row["path"]), loaded[str(uid)]
        known = dcmread(sample)
        assert row["SOPClassUID"] == known.SOPClassUID
        assert row["TransferSyntaxUID"] == known.file_meta.TransferSyntaxUID
        assert row["Modality"] == known.Modality
        assert (row["source"], row["job_id"]) == ("pacs", job.job_id)
        assert dcmread(path) == known
        assert data_set(path) == data_set(sample) or _is_encoded_anew(sample), sample.name


def _cannot_send(archive: Archive, method: str, path: Path) -> bool:
    """DCMTK 3.6.7 proposes a list of its own by C-MOVE, which Radiopharmaceutical Radiation Dose SR is not on."""
    return archive.name == "dcmqrscp" and method == "move" and dcmread(path).SOPClassUID == RRDSR


def _is_encoded_anew(sample: Path) -> bool:
    """DCMTK, which Orthanc sends with, gives sequences of undefined length a length, and groups none."""
    data = data_set(sample)
    return b"\xff\xff\xff\xff" in data or data[4:8] == b"UL\x04\x00"
