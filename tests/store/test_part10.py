from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_file_meta_info, read_partial

from qrkit.errors import ObjectUnreadable
from qrkit.receipt import Arrival
from qrkit.store.part10 import file_head, read_file_head
from qrkit.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from tests.store.objects import a_dataset, an_arrival, encoded

_UID = st.from_regex(r"[1-9][0-9]{0,8}(\.[1-9][0-9]{0,8}){0,5}", fullmatch=True)


@pytest.mark.slow
@given(sop_class=_UID, sop_instance=_UID, syntax=_UID, sender=st.from_regex(r"[A-Z]{0,16}", fullmatch=True))
def test_the_head_is_what_pydicom_reads(sop_class: str, sop_instance: str, syntax: str, sender: str) -> None:
    arrival = Arrival(
        sop_class_uid=sop_class, sop_instance_uid=sop_instance, transfer_syntax_uid=syntax, sender=sender
    )
    head = file_head(arrival)
    meta = read_partial(BytesIO(head)).file_meta
    assert meta.FileMetaInformationGroupLength == len(head) - 144
    assert meta.FileMetaInformationVersion == b"\x00\x01"
    assert meta.MediaStorageSOPClassUID == sop_class
    assert meta.MediaStorageSOPInstanceUID == sop_instance
    assert meta.TransferSyntaxUID == syntax
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.get("SourceApplicationEntityTitle", "") == sender
    assert [element.tag.element for element in meta] == sorted(element.tag.element for element in meta)
    found = read_file_head(BytesIO(head))
    assert (found.transfer_syntax_uid, found.data_set_start) == (syntax, len(head))


def test_a_head_and_a_data_set_are_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("file") / "x.dcm"
    path.write_bytes(file_head(an_arrival()) + encoded(a_dataset()))
    assert read_file_meta_info(path).MediaStorageSOPInstanceUID == "1.2.3.1"


@pytest.mark.parametrize("content", [b"", bytes(200), bytes(128) + b"DICM" + bytes(50)])
def test_what_is_no_dicom_file_is_unreadable(content: bytes) -> None:
    with pytest.raises(ObjectUnreadable):
        read_file_head(BytesIO(content))


def test_a_head_without_transfer_syntax_is_unreadable() -> None:
    head = file_head(an_arrival()).replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI")
    with pytest.raises(ObjectUnreadable, match="transfer syntax"):
        read_file_head(BytesIO(head))
