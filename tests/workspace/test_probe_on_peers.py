"""Probes of Orthanc, dcmqrscp and pynetdicom's qrscp: each statement is checked by findscu and by the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from qrkit.dimse.contexts import find_model
from qrkit.node import InformationModel
from qrkit.profile import Fill, Profile, Subject, Verdict
from qrkit.tables import Level, unique_key
from qrkit.workspace import Workspace
from tests.peers.dcmqrscp import Dcmqrscp
from tests.peers.dcmtk import echoscu, findscu, run_dcmtk
from tests.peers.fixtures import StartPeer
from tests.peers.orthanc import Orthanc
from tests.peers.peer import Archive, PeerAddress
from tests.peers.qrscp import Qrscp
from tests.workspace.opened import QUICK

EVER = "StudyDate=19000101-20261231"
DOSE = "1.2.840.10008.5.1.4.1.1.88.67"
OFTEN_ENOUGH = 7
"""Verdicts that a probe of each of the three gives at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question for findscu, and the Unique Keys that answer it by the files."""

    level: str
    keys: Sequence[str]
    right: frozenset[str]


@pytest.fixture(params=["orthanc", "dcmqrscp", "qrscp"])
def archive(request: pytest.FixtureRequest) -> Archive:
    """Each archive in turn, with the samples in it."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Archive)
    return found


@pytest.fixture
def profile(archive: Archive, workspace: Workspace) -> Profile:
    return probed(archive, workspace)


def probed(archive: Archive, workspace: Workspace) -> Profile:
    """What our probe says of an archive."""
    address = archive.address
    workspace.nodes.add("peer", host=address.host, port=address.port, ae_title=address.ae_title, timeouts=QUICK)
    return workspace.probe("peer")


@pytest.fixture(scope="module")
def objects(samples: list[Path]) -> list[Dataset]:
    return [dcmread(path, stop_before_pixels=True) for path in samples]


def uids(objects: Sequence[Dataset], keyword: str, **values: str) -> frozenset[str]:
    """The UIDs of the objects with some values."""
    return frozenset(
        str(one[keyword].value)
        for one in objects
        if all(str(one.get(name) or "") == value for name, value in values.items())
    )


def checks(objects: list[Dataset]) -> dict[Subject, Check]:
    """What findscu is asked for each subject."""
    pet = next(one for one in objects if one.Modality == "PT")
    knee = next(one for one in objects if one.Modality == "CR")
    study, day = str(pet.StudyInstanceUID), str(pet.StudyDate)
    image = [f"StudyInstanceUID={study}", f"SeriesInstanceUID={pet.SeriesInstanceUID}"]
    afternoon = frozenset(str(one.StudyInstanceUID) for one in objects if str(one.get("StudyTime") or "") >= "120000")
    listed = f"StudyInstanceUID={study}\\{knee.StudyInstanceUID}"
    series_of_day = uids(objects, "SeriesInstanceUID", StudyDate=day, Modality="SR")
    images_of_day = uids(objects, "SOPInstanceUID", StudyDate=day, SOPClassUID=DOSE)
    text = str(knee.StudyDescription)
    named = uids(objects, "StudyInstanceUID", StudyDescription=text)
    by_date = ["StudyDate=" + day, "Modality=SR", "StudyInstanceUID"]
    by_class = ["StudyDate=" + day, f"SOPClassUID={DOSE}", "StudyInstanceUID", "SeriesInstanceUID"]
    return {
        Subject.STUDY_DATE: Check(
            level="STUDY", keys=[f"StudyDate={day}"], right=uids(objects, "StudyInstanceUID", StudyDate=day)
        ),
        Subject.STUDY_TIME: Check(level="STUDY", keys=[EVER, "StudyTime=120000-235959.999999"], right=afternoon),
        Subject.MODALITIES_IN_STUDY: Check(
            level="STUDY", keys=[EVER, "ModalitiesInStudy=CR"], right=uids(objects, "StudyInstanceUID", Modality="CR")
        ),
        Subject.STUDY_DESCRIPTION: Check(level="STUDY", keys=[EVER, f"StudyDescription={text}"], right=named),
        Subject.WILDCARDS: Check(level="STUDY", keys=[EVER, f"StudyDescription={text[:4]}*"], right=named),
        Subject.CASE: Check(level="STUDY", keys=[EVER, f"StudyDescription={text.swapcase()}"], right=frozenset()),
        Subject.UID_LISTS: Check(level="STUDY", keys=[listed], right=frozenset({study, str(knee.StudyInstanceUID)})),
        Subject.MODALITY: Check(
            level="SERIES",
            keys=[f"StudyInstanceUID={study}", "Modality=PT"],
            right=frozenset({pet.SeriesInstanceUID}),
        ),
        Subject.INSTANCE_NUMBER: Check(
            level="IMAGE",
            keys=[*image, f"InstanceNumber={pet.InstanceNumber}"],
            right=frozenset({pet.SOPInstanceUID}),
        ),
        Subject.SERIES_OF_STUDIES: Check(
            level="SERIES",
            keys=[listed],
            right=uids(objects, "SeriesInstanceUID", StudyInstanceUID=study) | {str(knee.SeriesInstanceUID)},
        ),
        Subject.SERIES_WITHOUT_STUDY: Check(level="SERIES", keys=by_date, right=series_of_day),
        Subject.SERIES_BY_DATE_AND_MODALITY: Check(level="SERIES", keys=by_date, right=series_of_day),
        Subject.IMAGES_WITHOUT_SERIES: Check(level="IMAGE", keys=by_class, right=images_of_day),
        Subject.IMAGES_BY_DATE_AND_CLASS: Check(level="IMAGE", keys=by_class, right=images_of_day),
    }


def by_findscu(address: PeerAddress, subject: Subject, check: Check) -> Verdict:
    """The verdict of somebody who asks by hand."""
    unique = unique_key(Level(check.level))
    found = {str(one[unique].value) for one in findscu(address, check.level, [unique, *check.keys]) if unique in one}
    if subject in (Subject.SERIES_WITHOUT_STUDY, Subject.IMAGES_WITHOUT_SERIES) and check.right <= found:
        return Verdict.HONOURED
    if found == check.right:
        return Verdict.HONOURED
    return Verdict.IGNORED if check.right < found else Verdict.REFUSED


def test_each_verdict_of_a_probe_is_that_of_findscu(
    archive: Archive, profile: Profile, objects: list[Dataset]
) -> None:
    known = {
        subject: check
        for subject, check in checks(objects).items()
        if profile.verdict(subject) is not Verdict.UNKNOWN
    }
    assert len(known) >= OFTEN_ENOUGH, profile.to_json()["statements"]
    assert {subject: profile.verdict(subject) for subject in known} == {
        subject: by_findscu(archive.address, subject, check) for subject, check in known.items()
    }


def test_what_comes_back_is_what_findscu_sees(archive: Archive, profile: Profile, objects: list[Dataset]) -> None:
    pet = next(one for one in objects if one.Modality == "PT")
    above = [f"StudyInstanceUID={pet.StudyInstanceUID}", f"SeriesInstanceUID={pet.SeriesInstanceUID}"]
    asked = {Level.STUDY: [EVER], Level.SERIES: above[:1], Level.IMAGE: above}
    for level, keys in asked.items():
        told = [one for one in profile.returned if one.level is level]
        answers = findscu(archive.address, level.value, [*keys, *(one.keyword for one in told)])
        assert answers
        for one in told:
            held = [answer for answer in answers if one.keyword in answer]
            filled = [answer for answer in held if answer[one.keyword].value not in (None, "")]
            if one.fill is Fill.NOT_RETURNED:
                assert not held, one
            elif one.fill is Fill.EMPTY:
                assert held, one
            elif one.fill is not Fill.UNKNOWN:
                assert filled, one


MODELS = {
    "-P": InformationModel.PATIENT_ROOT,
    "-S": InformationModel.STUDY_ROOT,
    "-O": InformationModel.PATIENT_STUDY_ONLY,
}


def asked_by_hand(address: PeerAddress, *options: str, level: str = "STUDY", keys: Sequence[str] = (EVER,)) -> str:
    """What findscu logs of a C-FIND."""
    given = [part for key in (f"QueryRetrieveLevel={level}", *keys) for part in ("--key", key)]
    called = ("--call", address.ae_title, *options, *given, address.host, str(address.port))
    return run_dcmtk("findscu", ["--verbose", *called]).stdout


def extensions_by_hand(address: PeerAddress) -> bytes:
    """What the archive answers to all four extensions of C-FIND, as pynetdicom offers them."""
    offer = SOPClassExtendedNegotiation()
    offer.sop_class_uid = find_model(InformationModel.STUDY_ROOT)
    offer.service_class_application_information = bytes([1, 1, 1, 1])
    client = AE(ae_title="BYHAND")
    client.add_requested_context(offer.sop_class_uid)
    association = client.associate(address.host, address.port, ae_title=address.ae_title, ext_neg=[offer])
    assert association.is_established
    answered = dict(association.acceptor.sop_class_extended)
    association.release()
    return bytes(answered.get(offer.sop_class_uid, b""))


def test_services_and_extensions_are_those_that_other_clients_get(archive: Archive, profile: Profile) -> None:
    refused = {
        model: "No Acceptable Presentation Contexts" in asked_by_hand(archive.address, option, level="PATIENT")
        for option, model in MODELS.items()
    }
    assert set(profile.models) == {model for model, is_refused in refused.items() if not is_refused}
    assert echoscu(archive.address).returncode == 0
    assert len(profile.extensions) == sum(extensions_by_hand(archive.address))
    assert profile.services == ("C-ECHO", "C-GET", "C-MOVE")


def test_a_probe_of_a_real_archive_is_small_and_sees_no_cap(archive: Archive, profile: Profile) -> None:
    assert profile.requests <= 12
    assert profile.cap is None
    most = len(findscu(archive.address, "STUDY", [EVER, "StudyInstanceUID"]))
    assert f"one question got {most} responses" in profile.cap_evidence
    assert profile.most_answers <= most


NAMES = (
    ("ISO_IR 100", "M\u00fcller^J\u00fcrgen"),
    ("ISO_IR 126", "\u0394\u03b9\u03bf\u03bd\u03cd\u03c3\u03b9\u03bf\u03c2"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
    ("ISO_IR 192", "Wang^XiaoDong=\u738b^\u5c0f\u6771"),
    (None, "Plain^Anna"),
)
"""SpecificCharacterSet and PatientName: Latin-1, Greek, Kanji by escape sequences, UTF-8, only ASCII."""

CROWD = 150
"""Studies of two days: more than are listened to, so that C-CANCEL is sent."""


def crowd(folder: Path) -> list[Path]:
    """Files of so many studies, with names in several character sets."""
    folder.mkdir()
    paths = []
    for number, (character_set, name) in enumerate(islice(cycle(NAMES), CROWD)):
        one = Dataset()
        if character_set:
            one.SpecificCharacterSet = character_set
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"1.2.3.{number + 1}.1.1"
        one.StudyInstanceUID, one.SeriesInstanceUID = f"1.2.3.{number + 1}", f"1.2.3.{number + 1}.1"
        one.PatientName, one.PatientID, one.Modality, one.InstanceNumber = name, str(number), "CT", 1
        one.StudyDate, one.StudyTime = f"{date.today() - timedelta(days=number % 2):%Y%m%d}", "080000"
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(folder / f"{number}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.mark.parametrize("kind", [Orthanc, Dcmqrscp, Qrscp])
def test_character_sets_and_c_cancel_are_as_findscu_sees_them(
    kind: type[Orthanc | Dcmqrscp | Qrscp], tmp_path: Path, start_peer: StartPeer, workspace: Workspace
) -> None:
    archive = start_peer(kind(tmp_path / "archive", PeerAddress.free("CROWDED")))
    archive.load(crowd(tmp_path / "objects"))
    profile = probed(archive, workspace)
    answers = findscu(archive.address, "STUDY", [EVER, "StudyInstanceUID", "PatientName", "SpecificCharacterSet"])
    assert len(answers) == CROWD
    assert f"one question got {CROWD} responses" in profile.cap_evidence

    named = {"\\".join(_several(one.get("SpecificCharacterSet"))) for one in answers}
    assert set(profile.character_sets) == named
    beyond = [one for one in answers if not bytes(one.get_item("PatientName").value or b"").isascii()]
    is_named = all(one.get("SpecificCharacterSet") for one in beyond)
    assert beyond
    assert profile.verdict(Subject.CHARACTER_SET) is (Verdict.HONOURED if is_named else Verdict.IGNORED)

    # all may be on their way before C-CANCEL arrives; then neither of the two can tell
    by_hand = asked_by_hand(archive.address, "-S", "--cancel", "5", keys=(EVER, "StudyInstanceUID"))
    assert "Sending Cancel Request" in by_hand
    assert "MatchingTerminatedDueToCancelRequest" in by_hand or by_hand.count("(Pending)") >= CROWD
    cancelled = profile.statement(Subject.CANCEL)
    assert cancelled.verdict is Verdict.HONOURED or "all may have been sent before" in cancelled.evidence


def _several(value: object) -> list[str]:
    return (
        [str(one or "") for one in value]
        if isinstance(value, Sequence) and not isinstance(value, str)
        else [str(value or "")]
    )
