"""C-GET in the transfer syntaxes in which a node holds its objects, and what a conversion leaves in the outcome."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from qrkit.dimse.contexts import (
    COMMON_STORAGE,
    COMPRESSED,
    MOST_CONTEXTS,
    UNCOMPRESSED,
    contexts_needed,
    storage_proposals,
)
from qrkit.dimse.retrieve import Suboperations
from qrkit.find.object_list import ListedObject, ObjectList
from qrkit.jobs import ItemOutcome, ItemRow, JobState, RetrieveRequest
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.transfer_syntaxes import by_contexts, conversions, storage_contexts, wanted_classes
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from qrkit.tables import Level
from qrkit.words import counted
from qrkit.workspace import Workspace
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.retrieve.conftest import LIMIT, fetch
from tests.workspace.opened import Linked, all_studies, files_of, uids_of, worker_in_thread

EXPLICIT, IMPLICIT = UNCOMPRESSED
JPEG, RLE, LOSSY_JPEG = (f"1.2.840.10008.1.2.{suffix}" for suffix in ("4.70", "5", "4.50"))
CLASS = "1.2.840.10008.5.1.4.1.1."
CT, MR, REPORT = (CLASS + suffix for suffix in ("2", "4", "88.67"))
IMAGES = tuple(CLASS + suffix for suffix in ("2", "4", "7", "1", "1.1", "1.2", "128", "20", "481.1"))


def active(*objects: ListedObject, number: int = 1) -> ActiveItem:
    """An item of which these objects are listed, and none is here."""
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID=f"1.{number}")
    row = ItemRow(
        item_id=number, job_id="a", position=0, request=request, outcome=ItemOutcome(state=JobState.RUNNING)
    )
    item = ActiveItem(row, node="pacs")
    item.expect(ObjectList(objects=objects, counted=len(objects), is_counted=True))
    return item


def one(sop_class: str, syntax: str = "", *, number: int = 1) -> ListedObject:
    return ListedObject(
        SeriesInstanceUID="1.1",
        SOPInstanceUID=f"1.1.{number}",
        SOPClassUID=sop_class,
        AvailableTransferSyntaxUID=syntax,
    )


def classes(items: Sequence[ActiveItem]) -> list[list[str]]:
    return [[listed.SOPClassUID for item in group for listed in item.list.objects] for group in by_contexts(items)]


def test_other_classes_than_listed_are_offered_where_the_node_could_not_send_some_objects() -> None:
    item = active(one(CT), one(MR, JPEG, number=2))
    first = storage_contexts([item])
    assert {proposal.abstract_syntax for proposal in first} == {CT, MR}
    item.begin_try()
    item.count(Suboperations(status=0xB000, completed=1, failed=1))
    second = storage_contexts([item])
    assert second[: len(first)] == first
    assert {proposal.abstract_syntax for proposal in second} == {CT, MR, *COMMON_STORAGE}
    assert len(second) < MOST_CONTEXTS


def test_no_other_classes_are_offered_where_there_is_no_room() -> None:
    item = active(*(one(f"{CLASS}9.{number}", number=number) for number in range(150)))
    item.count(Suboperations(status=0xB000, completed=1, failed=149))
    assert len(storage_contexts([item])) == MOST_CONTEXTS - 1


def test_known_transfer_syntaxes_are_offered_alone_and_no_others() -> None:
    wanted = wanted_classes([active(one(CT, JPEG), one(CT, RLE, number=2)), active(one(MR, EXPLICIT))])
    assert {sop_class: set(syntaxes) for sop_class, syntaxes in wanted.items()} == {CT: {JPEG, RLE}, MR: {EXPLICIT}}
    offered = {(p.abstract_syntax, p.transfer_syntaxes) for p in storage_proposals(tuple(wanted), wanted)}
    assert offered == {(CT, (JPEG,)), (CT, (RLE,)), (MR, (EXPLICIT,))}


@pytest.mark.parametrize("other", ["", "1.2.840.10008.1.2.4.94", "garbage"])
def test_a_class_of_which_one_object_has_an_unknown_syntax_is_offered_in_all(other: str) -> None:
    wanted = wanted_classes([active(one(CT, JPEG), one(CT, other, number=2))])
    assert wanted == {CT: ()}
    offered = {syntax for p in storage_proposals([CT], wanted) for syntax in p.transfer_syntaxes}
    assert offered == {*UNCOMPRESSED, *COMPRESSED}


def test_what_may_lose_quality_is_offered_last() -> None:
    assert wanted_classes([active(one(CT, f"{LOSSY_JPEG}\\{EXPLICIT}"))]) == {CT: (EXPLICIT, LOSSY_JPEG)}


def test_items_of_many_classes_share_associations_with_room_for_each_syntax() -> None:
    items = [active(one(sop_class), number=place) for place, sop_class in enumerate((*IMAGES, *IMAGES, REPORT))]
    groups = by_contexts(items)
    assert sum(map(len, groups)) == len(items)
    assert len(groups) <= 3
    for group in groups:
        wanted = wanted_classes(group)
        offers = storage_proposals(tuple(wanted), wanted)
        assert len(offers) == contexts_needed(wanted) < MOST_CONTEXTS
        assert {
            (sop_class, (syntax,)) for sop_class in wanted for syntax in (*UNCOMPRESSED, JPEG, RLE, LOSSY_JPEG)
        } - {(offer.abstract_syntax, offer.transfer_syntaxes) for offer in offers} <= {
            (REPORT, (syntax,)) for syntax in (JPEG, RLE, LOSSY_JPEG)
        }


def test_items_whose_syntaxes_are_known_share_one_association() -> None:
    items = [active(one(sop_class, JPEG), number=place) for place, sop_class in enumerate(IMAGES)]
    assert len(by_contexts(items)) == 1


def test_items_without_listed_objects_share_one_association() -> None:
    items = [active(number=number) for number in range(3)]
    assert len(by_contexts(items)) == 1


@pytest.mark.parametrize(
    ("listed", "received", "sentence"),
    [
        (JPEG, JPEG, ()),
        (f"{EXPLICIT}\\{JPEG}", JPEG, ()),
        ("", EXPLICIT, ()),
        (IMPLICIT, EXPLICIT, ("Implicit VR Little Endian to Explicit VR Little Endian (1).",)),
        (EXPLICIT, LOSSY_JPEG, ("to JPEG Baseline (Process 1) (1).", "may have reduced image quality.")),
    ],
)
def test_an_object_in_another_syntax_than_listed_is_named(
    listed: str, received: str, sentence: tuple[str, ...]
) -> None:
    item = active(one(CT, listed))
    item.syntaxes["1.1.1"] = received
    named = list(conversions(item))
    assert len(named) == len(sentence)
    assert all(text.endswith(end) for text, end in zip(named, sentence, strict=True))


def syntaxes_of(study: Study) -> dict[str, set[str]]:
    """The transfer syntaxes in which a study is held, by SOP Class."""
    held: dict[str, set[str]] = {}
    for series in study.series:
        for instance in series.instances:
            held.setdefault(instance.SOPClassUID, set()).add(instance.TransferSyntaxUID)
    return held


def is_held_alike(study: Study) -> bool:
    """Whether each class of a study is held in one transfer syntax, and one of them in RLE Lossless."""
    syntaxes = list(syntaxes_of(study).values())
    return {RLE} in syntaxes and all(len(some) == 1 for some in syntaxes)


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_node_that_takes_the_first_context_sends_what_it_holds(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(first_context=True)
    study = next(filter(is_held_alike, all_studies(linked.hospital)))
    job = fetch(linked, study, method="get")
    files = linked.workspace.files.list()
    assert (job.state, set(files["SOPInstanceUID"])) == (JobState.COMPLETE, uids_of(study))
    received = files.groupby("SOPClassUID")["TransferSyntaxUID"].agg(set).to_dict()
    assert received == syntaxes_of(study)
    assert job.items[0].outcome.note == ""


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_objects_of_a_node_that_lists_a_syntax_it_cannot_send_arrive_and_the_change_is_named(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(listed_syntax=JPEG)
    study = min(all_studies(linked.hospital), key=lambda study: len(uids_of(study)))
    job = fetch(linked, study, method="get")
    assert (job.state, files_of(linked.workspace)) == (JobState.COMPLETE, uids_of(study))
    note = job.items[0].outcome.note
    assert note.startswith(f"The node converted {counted(len(uids_of(study)), 'object')}: JPEG Lossless")


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_stored_object_that_comes_again_in_another_syntax_is_named(linked: Linked) -> None:
    study = next(filter(is_held_alike, all_studies(linked.hospital)))
    fetch(linked, study, method="get")
    linked.pacs.quirks = Quirks(first_context=True, omit_keys=("AvailableTransferSyntaxUID",))
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID=study.StudyInstanceUID, refetch=True)
    job = linked.workspace.retrieve([request], node="pacs", method="get").wait(timeout=LIMIT)
    (item,) = job.items
    assert (job.state, item.outcome.missing) == (JobState.COMPLETE, ())
    assert "In another transfer syntax than the stored SOP Instance: " in item.outcome.note
    assert "RLE Lossless to Explicit VR Little Endian (" in item.outcome.note


_NAMES = (
    "MR_small.dcm MR_small_implicit.dcm MR_small_bigendian.dcm MR_small_RLE.dcm MR_small_jp2klossless.dcm "
    "MR_small_jpeg_ls_lossless.dcm image_dfl.dcm SC_rgb_jls_lossy_line.dcm SC_rgb_jpeg_gdcm.dcm JPEG-lossy.dcm "
    "SC_rgb_jpeg_dcmtk.dcm JPEG2000.dcm rtplan.dcm rtdose_expb.dcm ExplVR_BigEnd.dcm examples_ybr_color.dcm"
)
REAL = tuple(_NAMES.split())
"""Objects of eight classes in ten transfer syntaxes, which pydicom brings along."""


def held(folder: Path) -> dict[str, str]:
    """Write real objects, as four studies, and return the transfer syntax of each by its SOP Instance UID."""
    folder.mkdir()
    syntaxes: dict[str, str] = {}
    for number, name in enumerate(REAL):
        found = get_testdata_file(name, download=False)
        assert found is not None
        data_set = dcmread(str(found))
        uid = f"2.25.771{number}"
        data_set.SOPInstanceUID = uid
        data_set.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        data_set.StudyInstanceUID = f"2.25.88{number % 4}"
        data_set.SeriesInstanceUID = f"2.25.88{number % 4}.{number}"
        data_set.PatientID, data_set.StudyDate, data_set.StudyTime = f"P{number % 4}", "20100101", "120000"
        data_set.PatientName, data_set.StudyID, data_set.AccessionNumber = "Doe", "1", ""
        data_set.Modality = data_set.get("Modality") or "OT"
        data_set.save_as(folder / f"{uid}.dcm")
        syntaxes[uid] = str(data_set.file_meta.TransferSyntaxUID)
    return syntaxes


@pytest.mark.parametrize("method", ["get", "move"])
def test_every_object_of_orthanc_arrives_in_its_own_syntax(
    workspace: Workspace, start_peer: StartPeer, tmp_path: Path, method: str
) -> None:
    syntaxes = held(tmp_path / "held")
    station = PeerAddress(workspace.settings.ae_title, "127.0.0.1", workspace.settings.port)
    archive = start_peer(Orthanc(tmp_path / "orthanc", PeerAddress.free("ORTHANC"), known=[station]))
    archive.load(sorted((tmp_path / "held").iterdir()))
    workspace.nodes.add("orthanc", host=archive.host, port=archive.port, ae_title=archive.ae_title)
    with worker_in_thread(workspace):
        studies = [f"2.25.88{number}" for number in range(4)]
        job = workspace.retrieve_uids("orthanc", study_uids=studies, method=method).wait(timeout=LIMIT)
    assert job.state is JobState.COMPLETE
    files = workspace.files.list()
    assert dict(zip(files["SOPInstanceUID"], files["TransferSyntaxUID"], strict=True)) == syntaxes
