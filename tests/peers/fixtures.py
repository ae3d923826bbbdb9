"""The fixtures that start peers, and what a failed test shows of them.

`orthanc`, `dcmqrscp` and `qrscp` hold the samples and live as long as the session: read from them, do not write.
A test that writes, or needs another configuration, starts a peer of its own with `start_peer`.
"""

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

import pytest

from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.orthanc import Orthanc
from tests.peers.peer import Archive, PeerAddress
from tests.peers.postgres import Postgres
from tests.peers.processes import ServerProcess, running
from tests.peers.programs import PeerMissingError, in_ci
from tests.peers.qrscp import Qrscp
from tests.peers.storescp import Storescp

Server = TypeVar("Server", bound=ServerProcess)
Loaded = TypeVar("Loaded", bound=Archive)


class StartPeer(Protocol):
    """Start a server that ends with the test."""

    def __call__(self, server: Server) -> Server:
        """Give the server, started."""


def without_peer(missing: PeerMissingError) -> NoReturn:
    """Skip the test; in continuous integration fail it."""
    if in_ci():
        pytest.fail(str(missing))
    pytest.skip(str(missing))


@contextmanager
def _loaded(archive: Loaded, samples: list[Path]) -> Iterator[Loaded]:
    """Run an archive with the samples in it."""
    with archive:
        archive.load(samples)
        yield archive


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """The sample DICOM files of $QRKIT_SAMPLES, sorted; without them the test is skipped."""
    folder = os.environ.get("QRKIT_SAMPLES")
    if not folder:
        pytest.skip("QRKIT_SAMPLES does not name the folder of the sample objects")
    paths = sorted(Path(folder).glob("*.dcm"))
    if not paths:
        pytest.skip(f"no *.dcm in QRKIT_SAMPLES={folder}")
    return paths


@pytest.fixture(scope="session")
def station() -> PeerAddress:
    """Where our own Storage SCP may listen: the archives of the session know it as QRKIT."""
    return PeerAddress.free("QRKIT")


@pytest.fixture(scope="session")
def store_node() -> PeerAddress:
    """The address of the fixture `storescp`: the archives of the session know it as STORESCP."""
    return PeerAddress.free("STORESCP")


@pytest.fixture(scope="session")
def known_nodes(station: PeerAddress, store_node: PeerAddress) -> tuple[PeerAddress, ...]:
    """The nodes to which the archives of the session send by C-MOVE."""
    return (station, store_node)


@pytest.fixture(scope="session")
def orthanc(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Path], known_nodes: tuple[PeerAddress, ...]
) -> Iterator[Orthanc]:
    """Orthanc with the samples, AE title ORTHANC; read only."""
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"), PeerAddress.free("ORTHANC"), known=known_nodes)
    with _loaded(archive, samples) as started:
        yield started


@pytest.fixture(scope="session")
def dcmqrscp(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Path], known_nodes: tuple[PeerAddress, ...]
) -> Iterator[Dcmqrscp]:
    """DCMTK's dcmqrscp with the samples, AE title DCMQRSCP; read only."""
    archive = Dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"), PeerAddress.free("DCMQRSCP"), known=known_nodes)
    with _loaded(archive, samples) as started:
        yield started


@pytest.fixture(scope="session")
def qrscp(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Path], known_nodes: tuple[PeerAddress, ...]
) -> Iterator[Qrscp]:
    """pynetdicom's qrscp with the samples, AE title QRSCP; read only."""
    archive = Qrscp(tmp_path_factory.mktemp("qrscp"), PeerAddress.free("QRSCP"), known=known_nodes)
    with _loaded(archive, samples) as started:
        yield started


@pytest.fixture
def start_peer() -> Iterator[StartPeer]:
    """Start any peer for one test: `start_peer(Orthanc(tmp_path / "pacs", PeerAddress.free("PACS")))`."""
    with ExitStack() as stack:

        def start(server: Server) -> Server:
            stack.enter_context(server)
            return server

        yield start


@pytest.fixture
def storescp(tmp_path: Path, store_node: PeerAddress, start_peer: StartPeer) -> Storescp:
    """DCMTK's storescp, empty, AE title STORESCP, known to the archives of the session."""
    return start_peer(Storescp(tmp_path / "storescp", store_node))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; most tests want the fixture `database_url`."""
    with tempfile.TemporaryDirectory(prefix="qrkit-postgres-") as folder, Postgres(Path(folder)) as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of a PostgreSQL database that is empty, and dropped with the test."""
    with postgres.new_database() as url:
        yield url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    """Skip, or fail in CI, a test whose fixtures need a peer that is not installed."""
    try:
        yield
    except PeerMissingError as missing:
        without_peer(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Skip, or fail in CI, a test that itself calls for a peer that is not installed."""
    try:
        yield
    except PeerMissingError as missing:
        without_peer(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Show what the peers logged last when a test fails."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {peer.name} ({peer.log})", peer.last_logged()) for peer in running()]
    return report
