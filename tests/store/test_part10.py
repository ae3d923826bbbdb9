import errno
import hashlib
import os
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import read_file_meta_info, read_partial

from qrkit.errors import ObjectUnreadable
from qrkit.receipt import Arrival
from qrkit.store.part10 import file_head, place, read_file_head, sha256_of
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


def _part(folder: Path, data_set: bytes, *, sender: str = "PACS", name: str = "x.part") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(file_head(an_arrival(sender=sender)) + data_set)
    return path


ODD = ["EPERM", "ENOTSUP", "EACCES", "EXDEV", "EINVAL", "EIO", "ENOSYS"]


@pytest.fixture(params=["links", *ODD, "no locks", "other disk"])
def incoming(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for parts, on file systems with hard links, and on those that refuse links, locks or renames."""
    if request.param != "links":

        def refuse(*_: object) -> None:
            raise OSError(getattr(errno, request.param, errno.EXDEV), "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    if request.param == "no locks":
        monkeypatch.setattr("qrkit.store.part10.FileLock", _no_lock)
    if request.param == "other disk":
        replace = Path.replace

        def within_a_folder(self: Path, target: Path) -> Path:
            if self.parent != target.parent:
                raise OSError(errno.EXDEV, "another disk")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", within_a_folder)
    return tmp_path / ".incoming"


def _no_lock(path: Path, **_: object) -> None:
    raise NotImplementedError(path)


def test_the_first_file_gets_the_name_of_its_object(incoming: Path, tmp_path: Path) -> None:
    path = place(_part(incoming, b"one"), tmp_path / "1" / "1.2", "1.2.3.1")
    assert path == tmp_path / "1" / "1.2" / "1.2.3.1.dcm"
    assert path.read_bytes().endswith(b"one")
    assert list(incoming.glob("*.part")) == []


def test_the_same_object_is_kept_once_whoever_sends_it(incoming: Path, tmp_path: Path) -> None:
    first = place(_part(incoming, b"one"), tmp_path / "1", "1.2.3.1")
    again = place(_part(incoming, b"one", sender="OTHER"), tmp_path / "1", "1.2.3.1")
    assert again == first
    assert len(list((tmp_path / "1").iterdir())) == 1
    assert list(incoming.glob("*.part")) == []


def test_other_bytes_of_the_same_object_are_kept_beside_the_first(incoming: Path, tmp_path: Path) -> None:
    first = place(_part(incoming, b"one"), tmp_path / "1", "1.2.3.1")
    second = place(_part(incoming, b"two"), tmp_path / "1", "1.2.3.1")
    digest = hashlib.sha256(an_arrival().transfer_syntax_uid.encode() + b"two").hexdigest()
    assert second.name == f"1.2.3.1.{digest[:8]}.dcm"
    assert (first.read_bytes()[-3:], second.read_bytes()[-3:]) == (b"one", b"two")
    assert place(_part(incoming, b"two", sender="OTHER"), tmp_path / "1", "1.2.3.1") == second
    assert place(_part(incoming, b"one", sender="OTHER"), tmp_path / "1", "1.2.3.1") == first
    assert len(list((tmp_path / "1").iterdir())) == 2


def test_a_name_that_another_object_has_is_not_taken(incoming: Path, tmp_path: Path) -> None:
    place(_part(incoming, b"one"), tmp_path / "1", "1.2.3.1")
    digest = hashlib.sha256(an_arrival().transfer_syntax_uid.encode() + b"two").hexdigest()
    for taken in (digest[:8], digest):
        _part(tmp_path / "1", b"three", name=f"1.2.3.1.{taken}.dcm")
        if taken == digest:
            with pytest.raises(FileExistsError):
                place(_part(incoming, b"two"), tmp_path / "1", "1.2.3.1")
        else:
            assert place(_part(incoming, b"two"), tmp_path / "1", "1.2.3.1").name == f"1.2.3.1.{digest}.dcm"


def test_a_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    part = _part(tmp_path, b"one")
    assert sha256_of(part) == hashlib.sha256(part.read_bytes()).hexdigest()


def test_an_error_of_the_disk_is_passed_on_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    part = _part(tmp_path / ".incoming", b"one")
    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="broken disk"):
        place(part, tmp_path / "1", "1.2.3.1")
    assert list((tmp_path / "1").iterdir()) == []


def test_a_full_disk_is_not_taken_for_one_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    part = _part(tmp_path / ".incoming", b"one")
    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match="full"):
        place(part, tmp_path / "1", "1.2.3.1")
    assert part.exists()


def test_a_file_system_without_links_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOTTY, "odd")

    monkeypatch.setattr(os, "link", fail)
    for number in range(3):
        place(_part(tmp_path / ".incoming", b"one"), tmp_path / "1", f"1.2.3.{number}")
    (record,) = (one for one in caplog.records if one.name == "qrkit.store.part10")
    assert "makes no hard links" in record.getMessage()


@pytest.mark.filterwarnings("ignore:flock not supported:UserWarning")
@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN, errno.ENOLCK, errno.EINVAL, errno.EIO, errno.ENOSYS])
def test_a_lock_that_is_never_had_is_not_waited_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tries = []

    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    def no_lock(*_: object) -> None:
        tries.append(number)
        raise OSError(number, "no locks here")

    monkeypatch.setattr("qrkit.store.part10._LOCK_PATIENCE", 0.05)
    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr("fcntl.flock", no_lock)
    folder = tmp_path / "1"
    first = place(_part(tmp_path / ".incoming", b"one"), folder, "1.2.3.1")
    assert 0 < len(tries) < 10
    tries.clear()
    second = place(_part(tmp_path / ".incoming", b"two"), folder, "1.2.3.1")
    assert (first.read_bytes()[-3:], second.read_bytes()[-3:]) == (b"one", b"two")
    assert number == errno.ENOSYS or not tries  # a file holds the lock then


def test_a_part_that_cannot_be_removed_is_no_reason_to_refuse_an_object(
    incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def busy(self: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as Path.unlink
        if self.parent == incoming:
            raise OSError(errno.EBUSY, "busy")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", busy)
    first = place(_part(incoming, b"one"), tmp_path / "1", "1.2.3.1")
    assert place(_part(incoming, b"one", name="y.part"), tmp_path / "1", "1.2.3.1") == first
    assert [one.name for one in (tmp_path / "1").iterdir()] == ["1.2.3.1.dcm"]


def test_a_part_that_was_taken_away_is_not_placed(incoming: Path, tmp_path: Path) -> None:
    part = _part(incoming, b"one")
    part.unlink()
    with pytest.raises(FileNotFoundError):
        place(part, tmp_path / "1", "1.2.3.1")
