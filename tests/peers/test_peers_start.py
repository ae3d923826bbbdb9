"""Every peer starts, answers, holds what it was given, and is gone afterwards."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import sqlalchemy
from pydicom import dcmread

from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.dcmtk import dcmsend, echoscu, findscu, getscu, movescu, storescu
from tests.peers.fixtures import StartPeer, without_peer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import Archive, Peer, PeerAddress
from tests.peers.postgres import Postgres
from tests.peers.processes import running
from tests.peers.programs import PeerMissingError, dcmtk_program, program
from tests.peers.qrscp import Qrscp
from tests.peers.storescp import Storescp
from tests.peers.waiting import accepts_connections, free_port, wait_until

PEERS = [Orthanc, Dcmqrscp, Storescp, Qrscp]
ARCHIVES = ["orthanc", "dcmqrscp", "qrscp"]


@pytest.fixture(params=ARCHIVES)
def archive(request: pytest.FixtureRequest) -> Archive:
    found: Archive = request.getfixturevalue(request.param)
    return found


def _uids(paths: list[Path], keyword: str) -> list[str]:
    """The values of a UID in the files, each once."""
    return sorted({str(dcmread(path, specific_tags=[keyword])[keyword].value) for path in paths})


def _holds(archive: Archive, samples: list[Path]) -> list[str]:
    """The SOP Instances that an archive lists below the series of the samples."""
    series = {(str(data.StudyInstanceUID), str(data.SeriesInstanceUID)) for data in map(dcmread, samples)}
    found = set()
    for study_uid, series_uid in series:
        keys = [f"StudyInstanceUID={study_uid}", f"SeriesInstanceUID={series_uid}", "SOPInstanceUID"]
        found |= {str(answer.SOPInstanceUID) for answer in findscu(archive.address, "IMAGE", keys)}
    return sorted(found)


@pytest.mark.parametrize("kind", PEERS)
def test_a_peer_answers_c_echo_and_is_gone_after_its_block(
    kind: type[Peer], tmp_path: Path, start_peer: StartPeer
) -> None:
    peer = start_peer(kind(tmp_path / "peer", PeerAddress.free("SOMEONE")))
    pid = peer.pid
    assert echoscu(peer.address).returncode == 0
    assert peer in running()
    peer.close()
    assert not psutil.pid_exists(pid)
    assert not peer.answers()
    assert peer not in running()


def test_an_archive_holds_the_samples(archive: Archive, samples: list[Path]) -> None:
    studies = {str(a.StudyInstanceUID) for a in findscu(archive.address, "STUDY", ["StudyInstanceUID"])}
    assert sorted(studies) == _uids(samples, "StudyInstanceUID")
    assert _holds(archive, samples) == _uids(samples, "SOPInstanceUID")


def test_one_study_of_two_patient_ids_is_answered_twice(orthanc: Orthanc, samples: list[Path]) -> None:
    patients = {(str(data.StudyInstanceUID), str(data.PatientID)) for data in map(dcmread, samples)}
    answers = findscu(orthanc.address, "STUDY", ["StudyInstanceUID", "PatientID"])
    assert {(str(a.StudyInstanceUID), str(a.PatientID)) for a in answers} == patients
    assert len(answers) == len(patients) > len(_uids(samples, "StudyInstanceUID"))


def test_an_archive_gives_a_study_by_c_get(archive: Archive, samples: list[Path], tmp_path: Path) -> None:
    sample = samples[0]
    study = _uids([sample], "StudyInstanceUID")[0]
    completed = getscu(archive.address, "STUDY", [f"StudyInstanceUID={study}"], tmp_path)
    assert completed.returncode == 0, completed.stdout
    assert [dcmread(path) for path in tmp_path.iterdir()] == [dcmread(sample)]


def test_an_archive_sends_a_study_by_c_move_to_a_node_it_knows(
    archive: Archive, storescp: Storescp, samples: list[Path]
) -> None:
    study = _uids(samples[:1], "StudyInstanceUID")[0]
    completed = movescu(archive.address, "STUDY", [f"StudyInstanceUID={study}"], storescp.ae_title)
    assert completed.returncode == 0, completed.stdout
    assert _uids(storescp.received(), "StudyInstanceUID") == [study]


@pytest.mark.parametrize("send", [storescu, dcmsend])
def test_storescp_keeps_what_is_sent_to_it(
    send: Callable[..., object], storescp: Storescp, samples: list[Path]
) -> None:
    send(storescp.address, samples[:3], check=True)
    assert _uids(storescp.received(), "SOPInstanceUID") == _uids(samples[:3], "SOPInstanceUID")


def test_orthanc_keeps_the_samples_byte_for_byte(orthanc: Orthanc, samples: list[Path]) -> None:
    assert orthanc.count() == len(_uids(samples, "SOPInstanceUID"))
    kept = {path.read_bytes() for path in (orthanc.folder / "storage").rglob("*") if path.is_file()}
    assert {path.read_bytes() for path in samples} <= kept


def test_orthanc_can_refuse_to_be_called_by_another_name(tmp_path: Path, start_peer: StartPeer) -> None:
    strict = start_peer(Orthanc(tmp_path / "strict", PeerAddress.free("STRICT"), check_called_ae=True))
    assert echoscu(strict.address).returncode == 0
    assert echoscu(strict.address._replace(ae_title="OTHER")).returncode != 0


def test_orthanc_learns_a_move_destination_while_it_runs(
    tmp_path: Path, start_peer: StartPeer, samples: list[Path]
) -> None:
    pacs = start_peer(Orthanc(tmp_path / "pacs", PeerAddress.free("PACS")))
    pacs.load(samples[:1])
    store = start_peer(Storescp(tmp_path / "store", PeerAddress.free("LATER")))
    key = f"StudyInstanceUID={_uids(samples[:1], 'StudyInstanceUID')[0]}"
    movescu(pacs.address, "STUDY", [key], "LATER")
    assert store.received() == []
    pacs.add_known(store.address)
    movescu(pacs.address, "STUDY", [key], "LATER")
    assert len(store.received()) == 1


def test_a_peer_that_cannot_start_says_what_it_logged(tmp_path: Path) -> None:
    peer = Storescp(tmp_path / "peer", PeerAddress.free("X"), options=("--no-such-option",))
    with pytest.raises(RuntimeError, match="ended while starting") as caught, peer:
        pass
    assert "--no-such-option" in "".join(caught.value.__notes__)
    assert peer not in running()


def test_a_database_is_empty_and_writable(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    try:
        assert sqlalchemy.inspect(engine).get_table_names() == []
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("create table t (x int)"))
        assert sqlalchemy.inspect(engine).get_table_names() == ["t"]
    finally:
        engine.dispose()


def test_a_database_is_dropped_in_the_end_even_while_it_is_in_use(postgres: Postgres) -> None:
    with postgres.new_database() as url:
        in_use = sqlalchemy.create_engine(url)
        connection = in_use.connect()
    with pytest.raises(sqlalchemy.exc.OperationalError):
        connection.execute(sqlalchemy.text("select 1"))
    connection.invalidate()
    in_use.dispose()


def test_postgres_is_gone_after_its_block(start_peer: StartPeer) -> None:
    with tempfile.TemporaryDirectory(prefix="qrkit-postgres-") as folder:
        server = start_peer(Postgres(Path(folder)))
        assert accepts_connections(server.port)
        server.close()
        assert not accepts_connections(server.port)


def test_dcmtk_programs_are_not_the_scripts_of_pynetdicom() -> None:
    assert dcmtk_program("findscu").read_bytes()[:2] != b"#!"


def test_a_missing_program_names_the_package_that_brings_it() -> None:
    with pytest.raises(PeerMissingError, match="apt-get install dcmtk"):
        program("no-such-program", package="dcmtk")


def test_a_missing_peer_skips_the_test_but_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="no DCMTK"):
        without_peer(PeerMissingError("no DCMTK"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no DCMTK"):
        without_peer(PeerMissingError("no DCMTK"))


def test_free_ports_are_given_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_waiting_gives_the_value_or_says_what_did_not_come() -> None:
    answers = iter([None, None, "here"])
    assert wait_until(lambda: next(answers)) == "here"
    with pytest.raises(TimeoutError, match=r"not within 0.01 s: the moon"):
        wait_until(lambda: False, 0.01, what="the moon")
