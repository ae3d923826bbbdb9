import errno
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydicom import dcmread
from pydicom.sequence import Sequence

from qrkit import uids
from qrkit.receipt import Arrival, Refused
from qrkit.store.files import FileStore, StoredObject, filed_object
from tests.peers.waiting import wait_until
from tests.store.objects import a_dataset, an_arrival, data_set_of, encoded


class Files:
    """A file store and what it told of."""

    def __init__(self, folder: Path, *, free_space_floor: int = 0) -> None:
        self.told: list[StoredObject] = []
        self.store = FileStore(folder, free_space_floor=free_space_floor, indexed=self.told.append)

    def receive(self, arrival: Arrival, data_set: bytes, *, fragment: int = 16_000) -> None:
        """Take an object as it comes from the wire, in a buffer that is used again and again."""
        incoming = self.store.begin(arrival)
        buffer = bytearray(fragment)
        for start in range(0, len(data_set), fragment):
            content = data_set[start : start + fragment]
            buffer[: len(content)] = content
            incoming.write(memoryview(buffer)[: len(content)])
        buffer[:] = bytes(fragment)
        incoming.commit()

    def found(self) -> list[str]:
        """Give all files, relative to the folder."""
        return sorted(
            str(path.relative_to(self.store.folder)) for path in self.store.folder.rglob("*") if path.is_file()
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "files")


def test_the_samples_are_kept_byte_for_byte_as_part_10_files(files: Files, samples: list[Path]) -> None:
    for path in samples:
        arrival, data_set = data_set_of(path)
        files.receive(arrival, data_set)
        stored = files.told[-1]
        assert stored.path.read_bytes().endswith(data_set)
        assert stored.path.stat().st_size == stored.size
        assert stored.path == files.store.folder / stored.relative
        read, original = dcmread(stored.path), dcmread(path)
        assert read == original
        assert read.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        names = (original.StudyInstanceUID, original.SeriesInstanceUID, f"{original.SOPInstanceUID}.dcm")
        assert stored.relative == "/".join(names)
    assert len(files.found()) == len(samples)


def test_nothing_is_in_place_before_the_commit(files: Files) -> None:
    data_set = encoded(a_dataset(pixels=bytes(200_000)))
    incoming = files.store.begin(an_arrival())
    incoming.write(memoryview(data_set))
    assert [Path(name).parent.name for name in files.found()] == [".incoming"]
    assert "1.2.3.1" not in files.found()[0]
    assert files.told == []
    incoming.commit()
    assert files.found() == ["1.2/1.2.3/1.2.3.1.dcm"]
    assert [stored.relative for stored in files.told] == files.found()


@pytest.mark.parametrize("pixels", [0, 200_000])
def test_an_object_says_what_it_is_before_it_is_put_in_place(files: Files, pixels: int) -> None:
    incoming = files.store.begin(an_arrival())
    incoming.write(memoryview(encoded(a_dataset(PatientID="P1", pixels=bytes(pixels)))))
    assert incoming.header.PatientID == "P1"
    assert files.told == []
    stored = incoming.commit()
    assert (stored.header.PatientID, files.told) == ("P1", [stored])


def test_an_object_that_cannot_be_kept_is_refused_when_asked_what_it_is(files: Files) -> None:
    incoming = files.store.begin(an_arrival("9.9"))
    incoming.write(memoryview(encoded(a_dataset(pixels=bytes(200_000)))))
    with pytest.raises(Refused, match="0xA900"):
        _ = incoming.header
    incoming.discard()
    assert files.found() == []


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_discarded_object_leaves_nothing(files: Files, size: int) -> None:
    incoming = files.store.begin(an_arrival())
    incoming.write(memoryview(bytes(size)))
    incoming.discard()
    incoming.discard()
    assert files.found() == []
    assert files.told == []


@pytest.mark.parametrize(
    ("arrival", "elements", "status"),
    [
        (an_arrival(), {"SOPInstanceUID": "9.9"}, 0xA900),
        (an_arrival(), {"StudyInstanceUID": "../../etc"}, 0xC000),
        (an_arrival(), {"StudyInstanceUID": ".."}, 0xC000),
        (an_arrival(), {"StudyInstanceUID": ""}, 0xC000),
        (an_arrival(), {"SeriesInstanceUID": "1/2"}, 0xC000),
        (an_arrival(), {"SeriesInstanceUID": None}, 0xC000),
    ],
)
@pytest.mark.parametrize("pixels", [0, 200_000])
@pytest.mark.filterwarnings("ignore:.*UI:UserWarning")  # pydicom's, about the invalid UIDs written here
def test_wrong_uids_are_refused_and_leave_nothing(
    files: Files, arrival: Arrival, elements: dict[str, Any], status: int, pixels: int
) -> None:
    data_set = encoded(a_dataset(pixels=bytes(pixels), **elements))
    with pytest.raises(Refused) as refused:
        files.receive(arrival, data_set)
    assert refused.value.status == status
    assert len(refused.value.comment) <= 64
    assert files.found() == []


@pytest.mark.parametrize("uid", ["../x", "", "..", "1" * 129, "1.2\n"])
def test_an_announced_uid_that_is_no_uid_is_refused_at_once(files: Files, uid: str) -> None:
    with pytest.raises(Refused, match="0xC000"):
        files.store.begin(an_arrival(uid))


def test_a_data_set_that_cannot_be_read_is_refused(files: Files) -> None:
    with pytest.raises(Refused, match="0xC000"):
        files.receive(an_arrival(), b"\xff" * 1000)
    assert files.found() == []


def test_an_empty_data_set_is_refused(files: Files) -> None:
    with pytest.raises(Refused, match="0xC000"):
        files.receive(an_arrival(), b"")


@pytest.mark.slow
def test_uids_behind_long_sequences_are_found_in_the_file(files: Files) -> None:
    items = [a_dataset(f"1.9.{n}") for n in range(3000)]
    data_set = encoded(a_dataset(SourceImageSequence=Sequence(items), pixels=bytes(100)))
    assert data_set.index(b"\x20\x00\x0d\x00UI", len(data_set) - 1000) > 1 << 16
    files.receive(an_arrival(), data_set)
    assert files.found() == ["1.2/1.2.3/1.2.3.1.dcm"]


def test_big_endian_objects_are_kept_as_they_are(files: Files) -> None:
    syntax = uids.EXPLICIT_VR_BIG_ENDIAN
    data_set = encoded(a_dataset(Rows=7, pixels=bytes(100_000)), syntax)
    files.receive(an_arrival(transfer_syntax_uid=syntax), data_set)
    assert dcmread(files.told[0].path).Rows == 7


def test_the_same_object_twice_is_one_file_and_told_twice(files: Files) -> None:
    data_set = encoded(a_dataset())
    for sender in ("PACS", "OTHER"):
        files.receive(an_arrival(sender=sender), data_set)
    assert files.found() == ["1.2/1.2.3/1.2.3.1.dcm"]
    assert [stored.relative for stored in files.told] == files.found() * 2


def test_other_bytes_of_the_same_object_are_kept_beside_it(files: Files) -> None:
    for comment in ("first", "second"):
        files.receive(an_arrival(), encoded(a_dataset(SeriesDescription=comment)))
    first, second = (stored.path for stored in files.told)
    assert first.name == "1.2.3.1.dcm"
    assert re.fullmatch(r"1\.2\.3\.1\.[0-9a-f]{8}\.dcm", second.name)
    assert [dcmread(path).SeriesDescription for path in (first, second)] == ["first", "second"]


def test_below_the_floor_of_free_space_objects_are_refused(tmp_path: Path) -> None:
    files = Files(tmp_path, free_space_floor=1 << 60)
    with pytest.raises(Refused, match="0xA700"):
        files.store.begin(an_arrival())


def test_a_folder_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(Refused, match="0x0110"):
        Files(tmp_path / "taken" / "files").store.begin(an_arrival())


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 0xA700), (errno.EIO, 0x0110)])
@pytest.mark.parametrize("pixels", [0, 200_000])
def test_a_disk_that_takes_no_more_is_a_refusal(
    files: Files, monkeypatch: pytest.MonkeyPatch, number: int, status: int, pixels: int
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(Refused) as refused:
        files.receive(an_arrival(), encoded(a_dataset(pixels=bytes(pixels))))
    assert refused.value.status == status
    assert files.found() == []


def test_a_write_that_takes_only_a_part_goes_on(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write

    def write_some(file: int, content: memoryview) -> int:
        return whole(file, memoryview(content)[:1000])

    monkeypatch.setattr(os, "write", write_some)
    data_set = encoded(a_dataset(pixels=bytes(range(250)) * 400))
    files.receive(an_arrival(), data_set)
    assert files.told[0].path.read_bytes().endswith(data_set)


def test_folders_that_were_removed_meanwhile_are_made_again(files: Files) -> None:
    files.receive(an_arrival("1.2.3.1"), encoded(a_dataset("1.2.3.1")))
    files.told[0].path.unlink()
    files.told[0].path.parent.rmdir()
    files.store.incoming.rmdir()
    files.receive(an_arrival("1.2.3.2"), encoded(a_dataset("1.2.3.2")))
    assert files.found() == ["1.2/1.2.3/1.2.3.2.dcm"]


def test_only_old_parts_are_swept(files: Files) -> None:
    incoming = files.store.begin(an_arrival())
    incoming.write(memoryview(bytes(100_000)))
    stale = files.store.incoming / "stale.part"
    stale.write_bytes(b"x")
    os.utime(stale, (time.time() - 90_000,) * 2)
    assert files.store.sweep() == 1
    assert not stale.exists()
    assert len(files.found()) == 1
    incoming.discard()


def test_parts_of_a_killed_process_are_swept_before_its_parent_notices_the_end(files: Files) -> None:
    incoming = files.store.begin(an_arrival())
    incoming.write(memoryview(bytes(100_000)))
    (ours,) = files.store.incoming.glob("*.part")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        part = ours.with_name(ours.name.replace(f"-{os.getpid()}-", f"-{process.pid}-"))
        part.write_bytes(b"x")
        assert files.store.sweep() == 0
        process.kill()
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, what="it is killed")
        assert files.store.sweep() == 1
    assert not part.exists()
    incoming.discard()


def test_threads_that_receive_the_same_object_at_once_keep_one(files: Files) -> None:
    data_set = encoded(a_dataset())
    barrier = threading.Barrier(4)

    def receive() -> None:
        for number in range(25):
            barrier.wait(30)
            sop = f"1.2.3.{number}"
            files.receive(an_arrival(sop), data_set.replace(b"1.2.3.1\0", sop.encode().ljust(8, b"\0")))

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(files.told) == 100
    assert len(files.found()) == 25


def test_a_file_that_was_made_ready_is_used_and_one_that_was_not_needed_goes(tmp_path: Path) -> None:
    store = FileStore(tmp_path, free_space_floor=0)
    store.ready()
    store.ready()
    ready = set(store.incoming.iterdir())
    used, file = store.parts.take()
    os.close(file)
    assert used in ready
    store.close()
    assert set(store.incoming.iterdir()) == {used}


def test_a_file_that_was_made_ready_and_deleted_since_is_not_used(tmp_path: Path) -> None:
    store = FileStore(tmp_path, free_space_floor=0)
    store.ready()
    shutil.rmtree(store.incoming)
    path, file = store.parts.take()
    os.close(file)
    assert path.is_file()


def test_receipts_that_could_not_be_removed_once_are_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, free_space_floor=0, keep_receipts=True)
    incoming = store.begin(an_arrival())
    incoming.write(memoryview(encoded(a_dataset())))
    stored = incoming.commit()
    assert stored.receipt is not None
    assert stored.receipt.samefile(stored.path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _read_only)
        store.listed(stored)
    assert stored.receipt.exists()
    store.ready()
    assert not stored.receipt.exists()
    store.close()
    assert list(store.incoming.iterdir()) == []


def test_a_receipt_is_given_until_somebody_takes_it_up(tmp_path: Path) -> None:
    killed = FileStore(tmp_path, free_space_floor=0, keep_receipts=True)
    incoming = killed.begin(an_arrival())
    incoming.write(memoryview(encoded(a_dataset())))
    receipt = incoming.commit().receipt
    assert receipt is not None
    following = FileStore(tmp_path, free_space_floor=0, keep_receipts=True)
    assert following.unlisted(older_than=-1.0) == [receipt]
    stored = filed_object(tmp_path, receipt)
    assert stored is not None
    following.take_up(stored)
    assert following.unlisted(older_than=-1.0) == []
    following.listed(stored)
    assert not receipt.exists()
    assert stored.path.exists()


def _read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_folder_that_is_gone_since_is_not_made_anew(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "share" / "files", free_space_floor=0)
    assert store.is_writable()
    (tmp_path / "share").rename(tmp_path / "elsewhere")
    store._free_until = 0.0  # a second later
    assert not store.is_writable()
    assert not (tmp_path / "share").exists()
