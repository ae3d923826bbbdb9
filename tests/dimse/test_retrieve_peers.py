"""C-GET and C-MOVE with real archives: every object arrives, byte for byte where the archive keeps it so."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal, get_model, move_model, storage_proposals
from qrkit.dimse.retrieve import Retrieval, Suboperations
from qrkit.dimse.scp import Listener, StorageScp
from qrkit.errors import StatusError
from qrkit.node import Node
from qrkit.receipt import Arrival
from tests.dimse.received import MemoryReceiver, assert_equal_elements, data_set_bytes, node_at
from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.dcmtk import getscu
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import Archive, PeerAddress

IMPLICIT = "1.2.840.10008.1.2"
RRDSR = "1.2.840.10008.5.1.4.1.1.88.68"


@pytest.fixture(params=["orthanc", "dcmqrscp", "qrscp"])
def archive(request: pytest.FixtureRequest) -> Archive:
    found: Archive = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def receiver(station: PeerAddress) -> Iterator[MemoryReceiver]:
    """What our Storage SCP receives, where the archives know it."""
    memory = MemoryReceiver()
    listener = Listener(ae_title=station.ae_title, host=station.host, port=station.port)
    with StorageScp(listener, lambda _: memory):
        yield memory


def identifier(study: str) -> Dataset:
    """A request for one study."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.StudyInstanceUID = study
    return dataset


def studies(paths: Sequence[Path]) -> list[str]:
    """The studies of some files, each once."""
    return list(
        dict.fromkeys(str(dcmread(path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID) for path in paths)
    )


def loaded(paths: Sequence[Path]) -> dict[str, bytes]:
    """The data sets of some files by SOP Instance UID."""
    return {str(dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in paths}


def for_get(node: Node, paths: Sequence[Path]) -> tuple[Proposal, ...]:
    """The contexts by which these files can come by C-GET."""
    classes = [str(dcmread(path, specific_tags=["SOPClassUID"]).SOPClassUID) for path in paths]
    return (Proposal(abstract_syntax=get_model(node.information_model)), *storage_proposals(classes))


def get_all(
    association: Association, node: Node, paths: Sequence[Path], memory: MemoryReceiver
) -> list[Suboperations]:
    """Fetch the studies of some files by C-GET over one association."""
    return [Retrieval(association, node=node).get(identifier(study), memory) for study in studies(paths)]


@pytest.fixture
def objects(archive: Archive, samples: list[Path]) -> list[Path]:
    """The files to fetch; of qrscp only some, since it needs 0.3 s for each."""
    return samples[:6] if archive.name == "qrscp" else samples


def test_every_object_comes_by_c_get(archive: Archive, objects: list[Path]) -> None:
    node, memory = node_at(archive.address), MemoryReceiver()
    with associate(node, for_get(node, objects), calling_ae_title="QRKIT") as association:
        results = get_all(association, node, objects, memory)
    assert_equal_elements(memory, objects)
    assert {result.status for result in results} == {0}
    assert sum(result.completed or 0 for result in results) == len(objects)
    assert sum(result.received for result in results) == len(objects)
    assert sum(result.bytes for result in results) == sum(len(data) for _, data in memory.kept)
    assert all(result.failed == 0 for result in results)
    assert all(arrival.sender == archive.ae_title for arrival, _ in memory.kept)


def test_every_object_comes_by_c_move(archive: Archive, objects: list[Path], receiver: MemoryReceiver) -> None:
    """All but what DCMTK 3.6.7 has no room for.

    As C-MOVE SCP it proposes a list of its own of at most 128 presentation contexts, which Radiopharmaceutical
    Radiation Dose SR is not on; it says so by 0xB000 and the Failed SOP Instance UID List, and by C-GET it sends it.
    """
    node = node_at(archive.address)
    unsent = {path for path in objects if archive.name == "dcmqrscp" and dcmread(path).SOPClassUID == RRDSR}
    model = Proposal(abstract_syntax=move_model(node.information_model))
    with associate(node, [model], calling_ae_title="QRKIT") as association:
        results = [Retrieval(association, node=node).move(identifier(study), "QRKIT") for study in studies(objects)]
    assert_equal_elements(receiver, [path for path in objects if path not in unsent])
    assert sum(result.completed or 0 for result in results) == len(objects) - len(unsent)
    assert sum(result.failed or 0 for result in results) == len(unsent)
    assert {result.status for result in results} == ({0, 0xB000} if unsent else {0})
    assert {uid for result in results for uid in result.failed_uids} == {
        str(dcmread(path).SOPInstanceUID) for path in unsent
    }
    # qrscp gives its own AE title as the originator's, against PS3.7 9.3.1.1
    originator = "QRSCP" if archive.name == "qrscp" else "QRKIT"
    assert {arrival.move_originator for arrival, _ in receiver.kept} == {originator}
    assert all(arrival.move_message_id for arrival, _ in receiver.kept)
    assert all(arrival.sender == archive.ae_title for arrival, _ in receiver.kept)


def test_an_archive_that_speaks_implicit_vr_only_gives_all_by_get_and_by_move(
    tmp_path: Path, start_peer: StartPeer, samples: list[Path], station: PeerAddress, receiver: MemoryReceiver
) -> None:
    speaks = ("--implicit", "--propose-implicit")
    archive = Dcmqrscp(tmp_path / "archive", PeerAddress.free("OLD"), known=[station], options=speaks)
    start_peer(archive).load(samples[:6])
    node, fetched = node_at(archive.address), MemoryReceiver()
    move = Proposal(abstract_syntax=move_model(node.information_model))
    with associate(node, (*for_get(node, samples[:6]), move), calling_ae_title="QRKIT") as association:
        assert {context.transfer_syntax for context in association.contexts.values()} == {IMPLICIT}
        assert association.refused
        get_all(association, node, samples[:6], fetched)
        for study in studies(samples[:6]):
            Retrieval(association, node=node).move(identifier(study), "QRKIT")
    assert_equal_elements(fetched, samples[:6])
    assert_equal_elements(receiver, samples[:6])


def test_a_move_destination_that_the_archive_does_not_know(archive: Archive, samples: list[Path]) -> None:
    node = node_at(archive.address)
    model = Proposal(abstract_syntax=move_model(node.information_model))
    status = 0xC000 if archive.name == "orthanc" else 0xA801  # Orthanc is "unable to process", whatever goes wrong
    with (
        pytest.raises(StatusError) as caught,
        associate(node, [model], calling_ae_title="QRKIT") as association,
    ):
        Retrieval(association, node=node).move(identifier(studies(samples)[0]), "NOBODY")
    assert caught.value.status == status
    if status == 0xA801:
        assert str(caught.value).endswith(
            "(refused: move destination unknown). Ask the PACS team to enter the AE title of the destination with "
            "its address and port."
        )


@pytest.mark.parametrize("step", ["begin", "write", "commit"])
def test_refusing_objects_keeps_the_association_and_tells_the_archive(
    orthanc: Orthanc, samples: list[Path], step: str
) -> None:
    refused = {str(dcmread(path).SOPInstanceUID) for path in samples[:3]}

    def refuse(at: str, arrival: Arrival) -> bool:
        return at == step and arrival.sop_instance_uid in refused

    node, memory = node_at(orthanc.address), MemoryReceiver(refuse)
    results = []
    with associate(node, for_get(node, samples), calling_ae_title="QRKIT") as association:
        for study in studies(samples):
            retrieval = Retrieval(association, node=node)
            try:
                results.append(retrieval.get(identifier(study), memory))
            except StatusError:
                results.append(retrieval.state)
    assert memory.objects().keys() == loaded(samples).keys() - refused
    assert sum(result.failed or 0 for result in results) == 3
    assert sum(result.received for result in results) == len(samples) - 3
    assert len(memory.discarded) == (0 if step == "begin" else 3)


def large_object(folder: Path) -> Path:
    """A Secondary Capture image of 20 MB."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3.4.5"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.4"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "LARGE", "Large^Test", "OT"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "20260101", "120000", "1", "1"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.ConversionType = 1, 1, "WSD"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 3200, 3125, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(range(250)) * 80_000
    dataset["PixelData"].VR = "OW"
    path = folder / "large.dcm"
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_objects_come_as_dcmtk_gets_them(orthanc: Orthanc, samples: list[Path], tmp_path: Path) -> None:
    """Byte for byte, so what differs from the files was encoded anew by the archive; getscu has no room for one."""
    node, memory = node_at(orthanc.address), MemoryReceiver()
    with associate(node, for_get(node, samples), calling_ae_title="QRKIT") as association:
        get_all(association, node, samples, memory)
    for study in studies(samples):
        getscu(orthanc.address, "STUDY", [f"StudyInstanceUID={study}"], tmp_path)
    got, ours = loaded(sorted(tmp_path.iterdir())), memory.objects()
    assert {uid: data for uid, data in ours.items() if uid in got} == got
    lacking = [path for path in samples if str(dcmread(path).SOPInstanceUID) not in got]
    assert [dcmread(path).SOPClassUID for path in lacking] == [RRDSR]


def test_an_object_larger_than_all_buffers_comes_by_c_get(tmp_path: Path, start_peer: StartPeer) -> None:
    path = large_object(tmp_path)
    archive = start_peer(Dcmqrscp(tmp_path / "archive", PeerAddress.free("LARGE")))
    archive.load([path])
    node, memory = node_at(archive.address), MemoryReceiver()
    with associate(node, for_get(node, [path]), calling_ae_title="QRKIT") as association:
        (result,) = get_all(association, node, [path], memory)
    assert memory.objects() == loaded([path])
    assert result.bytes > 20_000_000
