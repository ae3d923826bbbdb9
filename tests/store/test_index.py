import hashlib
from pathlib import Path
from typing import Any

import pytest

from qrkit.errors import ObjectUnreadable
from qrkit.store.files import FileStore, StoredObject, stored_file
from qrkit.store.instances import InstanceTable, index_row
from qrkit.store.state import State
from tests.store.objects import a_dataset, an_arrival, encoded


def _stored(folder: Path, **elements: Any) -> StoredObject:  # noqa: ANN401 - as pydicom takes them
    told: list[StoredObject] = []
    incoming = FileStore(folder, free_space_floor=0, indexed=told.append).begin(an_arrival())
    incoming.write(memoryview(encoded(a_dataset(**elements))))
    incoming.commit()
    return told[0]


def test_a_row_says_what_the_file_is(tmp_path: Path) -> None:
    stored = _stored(tmp_path, PatientID="P1", StudyDate="20260131", InstanceNumber=7)
    row = index_row(stored, source="pacs", job_id="j", item_id=3, received="now")
    assert (row.SOPInstanceUID, row.PatientID, row.StudyDate, row.InstanceNumber) == ("1.2.3.1", "P1", "20260131", 7)
    assert row.AccessionNumber is None
    assert row.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert row.path == "1.2/1.2.3/1.2.3.1.dcm"
    assert row.size == stored.path.stat().st_size
    assert row.sha256 == hashlib.sha256(stored.path.read_bytes()).hexdigest()
    assert (row.source, row.job_id, row.item_id, row.received) == ("pacs", "j", 3, "now")


def test_without_a_sop_class_in_the_data_set_the_announced_one_counts(tmp_path: Path) -> None:
    assert index_row(_stored(tmp_path, SOPClassUID=None)).SOPClassUID == an_arrival().sop_class_uid


def test_an_object_received_twice_is_one_row(tmp_path: Path, state: State) -> None:
    table = InstanceTable(state)
    for _ in range(2):
        table.add_many([index_row(_stored(tmp_path), source="pacs")])
    assert table.count() == 1


def test_a_file_that_was_never_listed_gives_the_same_row(tmp_path: Path) -> None:
    stored = _stored(tmp_path, PatientID="P1", InstanceNumber=7)
    assert index_row(stored_file(tmp_path, stored.relative)) == index_row(stored)


def test_a_file_that_is_no_dicom_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(b"no DICOM")
    with pytest.raises(ObjectUnreadable, match="not a DICOM file"):
        stored_file(tmp_path, "x.dcm")
