"""C-GET where the PACS refuses presentation contexts: it is asked otherwise, then by the other method."""

from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from qrkit.simulator.facts import Study
from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.fixtures import StartPeer
from tests.peers.peer import PeerAddress
from tests.peers.waiting import LOOPBACK
from tests.retrieve.conftest import fetch, services
from tests.workspace.opened import Linked, all_studies, files_of, uids_of

pytestmark = pytest.mark.usefixtures("worker")
COMING = ("Enhanced SR Storage", "X-Ray Radiation Dose SR Storage", "Nuclear Medicine Image Storage")


def classes_of(study: Study) -> Counter[str]:
    return Counter(instance.SOPClassUID for series in study.series for instance in series.instances)


@pytest.fixture
def study(linked: Linked) -> Study:
    """A study with objects of several SOP Classes."""
    return max(all_studies(linked.hospital), key=lambda study: (len(classes_of(study)), -len(uids_of(study))))


def test_syntaxes_that_were_refused_together_are_offered_one_by_one(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(single_syntax=True)
    assert fetch(linked, study, method="get").state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)
    assert {level for _, level in services(linked)} <= {"STUDY", "IMAGE"}


def test_classes_beyond_what_the_pacs_takes_follow_in_another_association(linked: Linked, study: Study) -> None:
    linked.pacs.quirks = Quirks(most_contexts=6)  # one for C-GET itself, five for the first class
    assert len(classes_of(study)) > 1
    assert fetch(linked, study, method="get").state is JobState.COMPLETE
    assert files_of(linked.workspace) == uids_of(study)


def test_a_class_that_is_refused_every_time_comes_by_the_other_method(linked: Linked, study: Study) -> None:
    refused, _ = classes_of(study).most_common()[-1]
    linked.pacs.quirks = Quirks(refuse_classes=(refused,))
    assert fetch(linked, study, method="auto").state is JobState.COMPLETE
    # asked once more by C-GET only if something else were accepted there
    assert services(linked) == [("C-GET", "STUDY"), ("C-MOVE", "IMAGE")]


def test_a_class_that_does_not_come_at_all_is_named(linked: Linked, study: Study) -> None:
    refused, objects = classes_of(study).most_common()[-1]
    linked.pacs.quirks = Quirks(refuse_classes=(refused,))
    status = fetch(linked, study, method="get")
    (item,) = status.items
    assert (status.state, len(item.outcome.missing)) == (JobState.PARTIAL, objects)
    assert "pacs accepted no presentation context for" in item.outcome.error
    assert "Storage by C-GET" in item.outcome.error


PROFILES = """
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[Few]
PresentationContext1 = FINDStudyRootQueryRetrieveInformationModel\\Plain
PresentationContext2 = GETStudyRootQueryRetrieveInformationModel\\Plain
PresentationContext3 = MOVEStudyRootQueryRetrieveInformationModel\\Plain
PresentationContext4 = EnhancedSRStorage\\Plain
PresentationContext5 = XRayRadiationDoseSRStorage\\Plain
[Sent]
PresentationContext1 = XRayRadiationDoseSRStorage\\Plain
PresentationContext2 = NuclearMedicineImageStorage\\Plain
[[SCPSCURoleSelection]]
[Roles]
Role1 = EnhancedSRStorage\\Both
[[Profiles]]
[In]
PresentationContexts = Few
SCPSCURoleSelection = Roles
[Out]
PresentationContexts = Sent
"""
"""DCMTK's association negotiation profiles: what dcmqrscp accepts, and what it proposes when it sends."""


def test_an_archive_that_gives_some_classes_by_get_and_others_by_move(
    linked: Linked, start_peer: StartPeer, samples: list[Path], tmp_path: Path
) -> None:
    """X-Ray Radiation Dose SR is accepted for C-GET, but not the role in which it would come."""
    profiles = tmp_path / "profiles.cfg"
    profiles.write_text(PROFILES)
    settings = linked.workspace.settings
    station = PeerAddress(settings.ae_title, LOOPBACK, settings.port)
    options = ("--assoc-config-file", profiles, "In", "Out")
    archive = Dcmqrscp(tmp_path / "archive", PeerAddress.free("FEW"), known=[station], options=options)
    start_peer(archive).load(samples)
    linked.workspace.nodes.add("few", host=archive.host, port=archive.port, ae_title=archive.ae_title)
    loaded = [dcmread(path, stop_before_pixels=True) for path in samples]
    come = {one.SOPInstanceUID for one in loaded if one.SOPClassUID.name in COMING}
    assert 0 < len(come) < len(loaded)
    frame = linked.workspace.find("few", date=("1990-01-01", "2030-12-31"))
    status = linked.workspace.retrieve(frame, method="auto").wait(timeout=90)
    assert files_of(linked.workspace) == come
    missing = {uid for item in status.items for uid in item.outcome.missing}
    assert (status.state, missing) == (JobState.PARTIAL, {one.SOPInstanceUID for one in loaded} - come)
