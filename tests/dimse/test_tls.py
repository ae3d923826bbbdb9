"""TLS with peers of all kinds in both roles, and each of the ways in which it fails."""

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from qrkit import errors
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal, get_model, move_model, storage_proposals
from qrkit.dimse.echo import echo
from qrkit.dimse.find import find, find_proposals
from qrkit.dimse.retrieve import Retrieval
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.node import Node, Timeouts, Tls
from tests.dimse.received import MemoryReceiver, assert_equal_elements, node_at
from tests.dimse.scripted import ScriptedPeer
from tests.peers.certificates import Authority, Certificate
from tests.peers.dcmtk import echoscu, storescu
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.peers.storescp import Storescp
from tests.peers.waiting import LOOPBACK


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pacs(authority: Authority) -> Certificate:
    """The certificate of the PACS."""
    return authority.sign("pacs")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Certificate:
    """The certificate of this machine."""
    return authority.sign("ours")


@pytest.fixture
def trusting(authority: Authority) -> Tls:
    return Tls(enabled=True, ca_file=str(authority.certificate))


@pytest.fixture
def known(trusting: Tls, ours: Certificate) -> Tls:
    """Trusting, and with a certificate to show."""
    return replace(trusting, certificate_file=str(ours.certificate), key_file=str(ours.key))


def over_tls(authority: Authority, shown: Certificate, *more: str) -> tuple[str, ...]:
    """The options of a program of DCMTK."""
    files = (str(shown.key), str(shown.certificate), "--add-cert-file", str(authority.certificate))
    return ("--enable-tls", *files, *more)


def secured(address: PeerAddress, tls: Tls, *, host: str = LOOPBACK) -> Node:
    timeouts = Timeouts(connect=5, association=5, response=20, inactivity=20)
    return replace(node_at(address), tls=tls, host=host, timeouts=timeouts)


def storescp(
    tmp_path: Path, start_peer: StartPeer, authority: Authority, shown: Certificate, more: str
) -> PeerAddress:
    """Give the address of DCMTK's storescp with this certificate."""
    options = over_tls(authority, shown, more)
    return start_peer(Storescp(tmp_path / "storescp", PeerAddress.free("STORESCP"), options=options)).address


def failed(node: Node) -> errors.TlsFailed:
    with pytest.raises(errors.TlsFailed) as caught:
        echo(node, calling_ae_title="QRKIT")
    assert caught.value.advice
    return caught.value


@pytest.fixture
def orthanc_tls(
    tmp_path: Path, start_peer: StartPeer, authority: Authority, pacs: Certificate, samples: list[Path]
) -> Orthanc:
    """Orthanc that speaks TLS only, wants the caller's certificate, and sends by TLS to QRKIT."""
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(pacs.certificate),
        "DicomTlsPrivateKey": str(pacs.key),
        "DicomTlsTrustedCertificates": str(authority.certificate),
    }
    orthanc = Orthanc(tmp_path / "orthanc", PeerAddress.free("ORTHANC"), settings=settings)
    start_peer(orthanc)
    orthanc.load(samples[:8])
    return orthanc


@pytest.fixture
def memory() -> MemoryReceiver:
    return MemoryReceiver()


@pytest.fixture
def scp(memory: MemoryReceiver, known: Tls) -> Iterator[StorageScp]:
    """Our Storage SCP, which lets in only callers with a certificate of the authority."""
    with StorageScp(Listener(ae_title="QRKIT", host=LOOPBACK, port=0, tls=known), lambda _: memory) as started:
        yield started


def test_orthanc_is_queried_and_sends_by_c_get_and_c_move(
    orthanc_tls: Orthanc, known: Tls, scp: StorageScp, memory: MemoryReceiver, samples: list[Path]
) -> None:
    modality = {"AET": "QRKIT", "Host": LOOPBACK, "Port": scp.port, "UseDicomTls": True}
    orthanc_tls.request("PUT", "/modalities/QRKIT", json.dumps(modality).encode())
    node = secured(orthanc_tls.address, known)
    studies: dict[str, None] = {}
    with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID, wanted.PatientID = "STUDY", "", ""
        for batch in find(association, wanted, ["StudyInstanceUID"], node=node):
            studies |= dict.fromkeys(batch["StudyInstanceUID"].to_pylist())
    fetched = MemoryReceiver()
    models = [get_model(node.information_model), move_model(node.information_model)]
    classes = [str(dcmread(path, specific_tags=["SOPClassUID"]).SOPClassUID) for path in samples[:8]]
    proposals = [*(Proposal(abstract_syntax=model) for model in models), *storage_proposals(classes, room=120)]
    with associate(node, proposals, calling_ae_title="QRKIT") as association:
        for study in studies:
            request = Dataset()
            request.QueryRetrieveLevel, request.StudyInstanceUID = "STUDY", study
            Retrieval(association, node=node).get(request, fetched)
            Retrieval(association, node=node).move(request, "QRKIT")
    assert_equal_elements(fetched, samples[:8])
    assert_equal_elements(memory, samples[:8])


def test_a_node_may_show_its_certificate_without_seeing_ours(
    tmp_path: Path, start_peer: StartPeer, authority: Authority, pacs: Certificate, trusting: Tls
) -> None:
    address = storescp(tmp_path, start_peer, authority, pacs, "--ignore-peer-cert")
    assert echo(secured(address, trusting), calling_ae_title="QRKIT").round_trip > 0


def test_storescu_sends_by_tls(
    scp: StorageScp, memory: MemoryReceiver, authority: Authority, pacs: Certificate, samples: list[Path]
) -> None:
    options = (*over_tls(authority, pacs), "--required", "--propose-lossless")
    storescu(PeerAddress("QRKIT", LOOPBACK, scp.port), samples, options=options, check=True)
    assert_equal_elements(memory, samples)


def test_pynetdicom_sends_by_tls(
    scp: StorageScp, memory: MemoryReceiver, authority: Authority, pacs: Certificate, samples: list[Path]
) -> None:
    files = ",".join(map(str, (authority.certificate, pacs.certificate, pacs.key)))
    command = [sys.executable, "-m", "tests.dimse.pynetdicom_sender", f"{scp.port},{files}", *map(str, samples[:5])]
    subprocess.run(command, check=True, timeout=60, cwd=Path(__file__).parents[2])
    assert_equal_elements(memory, samples[:5])


def test_a_caller_without_a_certificate_of_our_ca_is_not_let_in(
    scp: StorageScp, memory: MemoryReceiver, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "STRANGERS")
    address = PeerAddress("QRKIT", LOOPBACK, scp.port)
    assert echoscu(address, *over_tls(stranger, stranger.sign("stranger"), "--ignore-peer-cert")).returncode
    assert echoscu(address, "--anonymous-tls", "--ignore-peer-cert").returncode
    assert not memory.kept


def test_a_plain_caller_is_refused_by_a_tls_port(scp: StorageScp) -> None:
    assert echoscu(PeerAddress("QRKIT", LOOPBACK, scp.port)).returncode
    plain = secured(PeerAddress("QRKIT", LOOPBACK, scp.port), Tls())
    with pytest.raises(errors.NodeError, match="TLS"):
        echo(plain, calling_ae_title="QRKIT")


def test_our_own_echo_passes_our_own_tls(scp: StorageScp, known: Tls) -> None:
    node = secured(PeerAddress("QRKIT", LOOPBACK, scp.port), known)
    assert echo(node, calling_ae_title="QRKIT").round_trip > 0


def test_a_certificate_that_nobody_we_trust_has_signed(scp: StorageScp, known: Tls, tmp_path: Path) -> None:
    address = PeerAddress("QRKIT", LOOPBACK, scp.port)
    other = Authority(tmp_path, "OTHER")
    error = failed(secured(address, replace(known, ca_file=str(other.certificate))))
    assert "The TLS certificate of qrkit (QRKIT at 127.0.0.1:" in error.message
    assert "is not trusted" in error.message
    assert f"{other.certificate} does not have it" in error.advice
    assert "has signed it" not in failed(secured(address, replace(known, ca_file=""))).message
    unverified = replace(known, ca_file="", verify=False)
    assert echo(secured(address, unverified), calling_ae_title="QRKIT").round_trip > 0


def test_a_certificate_of_another_host(
    tmp_path: Path, start_peer: StartPeer, authority: Authority, trusting: Tls
) -> None:
    shown = authority.sign("elsewhere", host="DNS:pacs.example.org")
    address = storescp(tmp_path, start_peer, authority, shown, "--ignore-peer-cert")
    assert "is not for the host 127.0.0.1" in failed(secured(address, trusting)).message
    assert "is not for the host localhost" in failed(secured(address, trusting, host="localhost")).message
    unchecked = replace(trusting, check_host_name=False)
    assert echo(secured(address, unchecked), calling_ae_title="QRKIT").round_trip > 0


def test_a_certificate_that_has_expired(
    tmp_path: Path, start_peer: StartPeer, authority: Authority, trusting: Tls
) -> None:
    shown = authority.sign("expired", days=-1)
    address = storescp(tmp_path, start_peer, authority, shown, "--ignore-peer-cert")
    error = failed(secured(address, trusting))
    assert "has expired" in error.message
    assert "clock" in error.advice


def test_the_nodes_own_certificate_may_be_what_is_trusted(
    tmp_path: Path, start_peer: StartPeer, authority: Authority, pacs: Certificate
) -> None:
    address = storescp(tmp_path, start_peer, authority, pacs, "--ignore-peer-cert")
    pinned = Tls(enabled=True, ca_file=str(pacs.certificate))
    assert echo(secured(address, pinned), calling_ae_title="QRKIT").round_trip > 0


def test_a_node_that_wants_a_certificate_of_ours(scp: StorageScp, trusting: Tls) -> None:
    node = secured(PeerAddress("QRKIT", LOOPBACK, scp.port), trusting)
    with pytest.raises((errors.TlsFailed, errors.ConnectionLost), match="certificate"):
        echo(node, calling_ae_title="QRKIT")


def test_a_node_that_does_not_accept_our_certificate(scp: StorageScp, trusting: Tls, tmp_path: Path) -> None:
    shown = Authority(tmp_path, "STRANGERS").sign("stranger")
    stranger = replace(trusting, certificate_file=str(shown.certificate), key_file=str(shown.key))
    with pytest.raises((errors.TlsFailed, errors.ConnectionLost), match="certificate"):
        echo(secured(PeerAddress("QRKIT", LOOPBACK, scp.port), stranger), calling_ae_title="QRKIT")


def test_a_node_that_speaks_no_tls(tmp_path: Path, start_peer: StartPeer, trusting: Tls) -> None:
    plain = start_peer(Storescp(tmp_path / "storescp", PeerAddress.free("STORESCP")))
    assert "TLS" in failed(secured(plain.address, trusting)).message
    with ScriptedPeer(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as web:
        said = failed(replace(web.node(), tls=trusting))
    assert "not TLS" in said.message
    assert "its TLS port" in said.advice


def test_a_node_that_says_nothing_to_tls(trusting: Tls) -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        address = PeerAddress("SILENT", LOOPBACK, silent.getsockname()[1])
        quick = replace(secured(address, trusting), timeouts=Timeouts(association=0.4))
        assert "did not answer TLS within 0.4 seconds" in failed(quick).message


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_node_that_knows_only_old_tls(pacs: Certificate, trusting: Tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pacs.certificate, pacs.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1

    def old(connection: socket.socket) -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    with ScriptedPeer(lambda peer: old(peer.connection)) as peer:
        assert "older than 1.2" in failed(replace(peer.node(), tls=trusting)).message


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n"])
def test_files_that_cannot_be_used_are_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "certificate.pem"
    if content is not None:
        path.write_text(content)
    node = Node(name="pacs", host=LOOPBACK, port=1, ae_title="PACS")
    for tls in (Tls(enabled=True, ca_file=str(path)), Tls(enabled=True, certificate_file=str(path))):
        with socket.create_server((LOOPBACK, 0)) as server, pytest.raises(errors.InputError, match=str(path)):
            echo(replace(node, port=server.getsockname()[1], tls=tls), calling_ae_title="QRKIT")
        with pytest.raises(errors.InputError, match=str(path)):
            StorageScp(Listener(ae_title="QRKIT", port=0, tls=tls), lambda _: MemoryReceiver()).start()
