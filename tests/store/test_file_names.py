import errno
import hashlib
import os
from pathlib import Path

import pytest

from qrkit.store.file_names import place, sha256_of
from qrkit.store.part10 import file_head
from tests.store.objects import an_arrival


def _part(folder: Path, data_set: bytes, *, sender: str = "PACS", name: str = "x.part") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(file_head(an_arrival(sender=sender)) + data_set)
    return path


@pytest.fixture(params=["links", "no links"])
def incoming(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for parts, on a file system with hard links, and on one that refuses them."""
    if request.param == "no links":

        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    return tmp_path / ".incoming"


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


def test_an_error_of_the_disk_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken disk")

    part = _part(tmp_path / ".incoming", b"one")
    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OSError, match="broken disk"):
        place(part, tmp_path / "1", "1.2.3.1")


def test_a_part_that_was_taken_away_is_not_placed(incoming: Path, tmp_path: Path) -> None:
    part = _part(incoming, b"one")
    part.unlink()
    with pytest.raises(FileNotFoundError):
        place(part, tmp_path / "1", "1.2.3.1")
