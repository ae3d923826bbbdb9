"""Probes of the simulator, with each quirk that a probe can see."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from qrkit.errors import CallingTitleRejected, Cancelled, ConnectionRefused, InputError, NotFound
from qrkit.node import InformationModel, Node, Timeouts
from qrkit.probe.session import Prober
from qrkit.profile import Extension, Fill, Profile, Subject, Verdict
from qrkit.simulator import Quirks, Simulator, large_hospital
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.stop import Stop
from qrkit.workspace import Workspace
from tests.peers.waiting import LOOPBACK, free_port
from tests.workspace.opened import QUICK, Linked, StartSimulator, link

TODAY = date(2026, 6, 30)
NOW = "2026-06-30T08:15:00+00:00"


def run(pacs: Simulator, quirks: Quirks | None = None, **settings: Any) -> Profile:  # noqa: ANN401 - of a node
    """The profile of a simulator with some quirks."""
    pacs.quirks = quirks or Quirks()
    patience = Timeouts(connect=5, association=5, response=2, inactivity=2)
    node = Node(name="pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title, timeouts=patience)
    with Prober(replace(node, **settings), calling_ae_title="QRKIT") as prober:
        return prober.run(today=TODAY, now=NOW)


@pytest.fixture
def pacs(hospital: GeneratedHospital, start_simulator: StartSimulator) -> Simulator:
    return start_simulator(hospital)


@pytest.mark.parametrize(
    ("quirks", "subject", "verdict"),
    [
        ({}, Subject.STUDY_DATE, Verdict.HONOURED),
        ({}, Subject.IMAGES_BY_DATE_AND_CLASS, Verdict.HONOURED),
        ({}, Subject.CHARACTER_SET, Verdict.HONOURED),
        ({"ignore_keys": ("StudyDate",)}, Subject.STUDY_DATE, Verdict.IGNORED),
        ({"ignore_keys": ("StudyTime",)}, Subject.STUDY_TIME, Verdict.IGNORED),
        ({"ignore_keys": ("StudyTime",)}, Subject.UID_LISTS, Verdict.HONOURED),
        ({"ignore_keys": ("ModalitiesInStudy",)}, Subject.MODALITIES_IN_STUDY, Verdict.IGNORED),
        ({"ignore_keys": ("StudyDescription",)}, Subject.STUDY_DESCRIPTION, Verdict.IGNORED),
        ({"ignore_keys": ("Modality",)}, Subject.MODALITY, Verdict.IGNORED),
        ({"ignore_keys": ("Modality",)}, Subject.SERIES_BY_DATE_AND_MODALITY, Verdict.IGNORED),
        ({"ignore_keys": ("SOPClassUID",)}, Subject.IMAGES_BY_DATE_AND_CLASS, Verdict.IGNORED),
        ({"ignore_keys": ("InstanceNumber",)}, Subject.INSTANCE_NUMBER, Verdict.IGNORED),
        ({"no_modalities_in_study": True}, Subject.MODALITIES_IN_STUDY, Verdict.IGNORED),
        ({"ignore_wildcards": True}, Subject.WILDCARDS, Verdict.IGNORED),
        ({"ignore_wildcards": True}, Subject.STUDY_DESCRIPTION, Verdict.HONOURED),
        ({"case_sensitive": True}, Subject.CASE, Verdict.HONOURED),
        ({"case_sensitive": False}, Subject.CASE, Verdict.IGNORED),
        ({"refuse_uid_lists": True}, Subject.UID_LISTS, Verdict.REFUSED),
        ({"refuse_uid_lists": True}, Subject.SERIES_OF_STUDIES, Verdict.REFUSED),
        ({"relational": False}, Subject.SERIES_WITHOUT_STUDY, Verdict.REFUSED),
        ({"relational": False}, Subject.IMAGES_BY_DATE_AND_CLASS, Verdict.REFUSED),
        ({"relational": False}, Subject.MODALITY, Verdict.HONOURED),
        ({"missing_modality": True}, Subject.MODALITY, Verdict.UNKNOWN),
        ({"no_sop_class": True}, Subject.IMAGES_BY_DATE_AND_CLASS, Verdict.UNKNOWN),
        ({"wrong_charset": True}, Subject.CHARACTER_SET, Verdict.IGNORED),
        ({"duplicate_answers": True}, Subject.MODALITIES_IN_STUDY, Verdict.HONOURED),
        ({"decimal_integers": True}, Subject.MODALITIES_IN_STUDY, Verdict.HONOURED),
    ],
)
def test_each_quirk_gets_its_verdict(
    pacs: Simulator, quirks: dict[str, Any], subject: Subject, verdict: Verdict
) -> None:
    profile = run(pacs, Quirks(**quirks))
    assert profile.verdict(subject) is verdict, profile.statement(subject).evidence


@pytest.mark.parametrize(
    ("quirks", "keyword", "fill"),
    [
        ({}, "SOPClassesInStudy", Fill.FILLED),
        ({"omit_keys": ("ModalitiesInStudy",)}, "ModalitiesInStudy", Fill.NOT_RETURNED),
        ({"no_modalities_in_study": True}, "ModalitiesInStudy", Fill.NOT_RETURNED),
        ({"blank_keys": ("ModalitiesInStudy",)}, "ModalitiesInStudy", Fill.EMPTY),
        ({"omit_keys": ("NumberOfStudyRelatedInstances",)}, "NumberOfStudyRelatedInstances", Fill.NOT_RETURNED),
        ({"blank_keys": ("NumberOfSeriesRelatedInstances",)}, "NumberOfSeriesRelatedInstances", Fill.EMPTY),
        ({"no_sop_class": True}, "SOPClassesInStudy", Fill.NOT_RETURNED),
        ({"no_sop_class": True}, "SOPClassUID", Fill.NOT_RETURNED),
        ({"missing_modality": True}, "Modality", Fill.EMPTY),
        ({"no_study_time_share": 0.3}, "StudyTime", Fill.PARTLY),
    ],
)
def test_what_comes_back_is_told_from_what_is_empty_and_what_is_left_out(
    pacs: Simulator, quirks: dict[str, Any], keyword: str, fill: Fill
) -> None:
    profile = run(pacs, Quirks(**quirks))
    assert profile.returns(keyword).fill is fill, profile.returns(keyword).evidence


@pytest.mark.parametrize("mode", ["silent", "status"])
@pytest.mark.parametrize("cap", [7, 100])
def test_a_cap_is_found_by_its_number(pacs: Simulator, mode: str, cap: int) -> None:
    assert run(pacs, Quirks(cap=cap, cap_mode=mode)).cap == cap


@pytest.mark.slow
def test_a_large_hospital_is_asked_little_and_its_cap_is_seen(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(large_hospital(studies=40_000, until=TODAY))
    assert run(pacs, Quirks(cap=500)).cap == 500
    profile = run(pacs)
    assert (profile.cap, profile.requests <= 12) == (None, True)
    assert profile.most_answers > 500


def test_services_and_models_are_those_that_are_accepted(pacs: Simulator) -> None:
    profile = run(pacs, Quirks(services=("find", "move"), models=("patient", "study")))
    assert profile.services == ("C-MOVE",)
    assert set(profile.models) == {InformationModel.PATIENT_ROOT, InformationModel.STUDY_ROOT}
    assert Extension.RELATIONAL in profile.extensions
    assert not run(pacs, Quirks(relational=False)).accepts(Extension.RELATIONAL)


def test_a_strict_patient_root_is_asked_patient_by_patient(pacs: Simulator) -> None:
    quirks = Quirks(models=("patient",), relational=False)
    profile = run(pacs, quirks, information_model=InformationModel.PATIENT_ROOT)
    assert profile.requests > 4
    assert profile.fills("SOPClassesInStudy")
    assert profile.fills("Modality", None)


def test_a_node_that_refuses_every_query_has_a_profile_that_says_so(pacs: Simulator) -> None:
    profile = run(pacs, Quirks(find_status=0xC001, find_comment="index is rebuilt"))
    assert profile.requests == 1
    assert all(profile.verdict(subject) is Verdict.UNKNOWN for subject in Subject)
    assert "0xC001" in profile.notes[0]
    assert "index is rebuilt" in profile.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [Quirks(find_hang=True), Quirks(find_abort_after=0)])
def test_a_node_that_hangs_or_aborts_is_left_alone(pacs: Simulator, quirks: Quirks) -> None:
    profile = run(pacs, quirks)
    assert profile.requests <= 2
    assert profile.notes
    assert not profile.honours("StudyDate")


@pytest.mark.slow
def test_a_probe_is_kept_and_renews_what_was_doubted(linked: Linked) -> None:
    workspace = linked.workspace
    assert workspace.profile("pacs") is None
    watched: list[int] = []
    first = workspace.probe("pacs", watch=lambda number, _: watched.append(number))
    assert watched == list(range(1, first.requests + 1))
    kept = workspace.profile("pacs")
    assert kept is not None
    assert kept.to_json() == first.to_json()
    assert workspace.doubt_profile("pacs", "MR was answered with CT")
    doubted = workspace.profile("pacs")
    assert doubted is not None
    assert doubted.stale == "MR was answered with CT"
    workspace.probe("pacs")
    renewed = workspace.profile("pacs")
    assert renewed is not None
    assert renewed.is_known
    assert len(workspace.sql("SELECT * FROM profiles")) == 2


def test_a_plan_offers_relational_queries_where_the_probe_saw_them_accepted(linked: Linked) -> None:
    assert not Profile.unknown("pacs").accepts(Extension.RELATIONAL)
    assert linked.workspace.probe("pacs").accepts(Extension.RELATIONAL)
    linked.pacs.quirks = Quirks(relational=False)
    assert not linked.workspace.probe("pacs").accepts(Extension.RELATIONAL)


def test_another_address_makes_the_profile_stale(linked: Linked) -> None:
    linked.workspace.probe("pacs")
    linked.workspace.nodes.edit("pacs", host="localhost")
    kept = linked.workspace.profile("pacs")
    assert kept is not None
    assert kept.stale == "the node's host changed"


def test_a_probe_that_is_cancelled_keeps_nothing(linked: Linked) -> None:
    with pytest.raises(Cancelled):
        linked.workspace.probe("pacs", stop=Stop(lambda: True))
    assert linked.workspace.profile("pacs") is None


def test_who_cannot_be_probed_is_an_error_of_the_tree(
    workspace: Workspace, hospital: GeneratedHospital, start_simulator: StartSimulator
) -> None:
    with pytest.raises(NotFound):
        workspace.probe("lost")
    with pytest.raises(NotFound):
        workspace.profile("lost")
    workspace.nodes.add("gone", host=LOOPBACK, port=free_port(), ae_title="GONE", timeouts=QUICK)
    with pytest.raises(ConnectionRefused):
        workspace.probe("gone")
    link(workspace, start_simulator(hospital, quirks=Quirks(reject="calling-aet")), "strict")
    with pytest.raises(CallingTitleRejected):
        workspace.probe("strict")
    workspace.nodes.edit("strict", enabled=False)
    with pytest.raises(InputError, match="disabled"):
        workspace.probe("strict")


def test_a_notebook_shows_the_card_with_everything_escaped(linked: Linked) -> None:
    profile = replace(linked.workspace.probe("pacs"), node="<b>pacs</b>", notes=("<script>alert()</script>",))
    html = profile._repr_html_()
    assert "&lt;b&gt;pacs&lt;/b&gt;" in html
    assert "<script>" not in html
    assert "series by StudyDate and Modality" in html
