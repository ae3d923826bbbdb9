"""Probes of Orthanc, dcmqrscp and pynetdicom's qrscp: each statement is checked by findscu and by the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from qrkit.profile import Fill, Profile, Subject, Verdict
from qrkit.tables import Level, unique_key
from qrkit.workspace import Workspace
from tests.peers.dcmtk import findscu
from tests.peers.peer import Archive, PeerAddress
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


def test_a_probe_of_a_real_archive_is_small(profile: Profile) -> None:
    assert profile.requests <= 12
    assert profile.services == ("C-ECHO", "C-GET", "C-MOVE")
    assert profile.cap is None
