"""Who is let in, and with which presentation contexts."""

from contextlib import ExitStack

import pytest
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.hospital.hospital import GeneratedHospital
from tests.peers.pynetdicom_scu import keep_responses
from tests.simulator.conftest import StartSimulator
from tests.simulator.scu import FIND, GET, MOVE, PATIENT_FIND, association, echo, find, identifier

VERIFICATION = "1.2.840.10008.1.1"


def rejection(pacs: Simulator, *, calling: str = "TESTSCU", called: str = "") -> tuple[int, int, int] | None:
    """Result, source and reason with which an association is rejected; None if it is accepted."""
    seen: list[tuple[int, int, int]] = []

    # read here and not from the association: pynetdicom 3.0.4 takes a rejection that comes before it has looked
    # at its own socket for a failed connection, and forgets the reason
    def keep(event: evt.Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            seen.append((event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic))

    ae = AE(ae_title=calling)
    ae.add_requested_context(VERIFICATION)
    opened = ae.associate(
        pacs.host, pacs.port, ae_title=called or pacs.ae_title, evt_handlers=[(evt.EVT_PDU_RECV, keep)]
    )
    if opened.is_established:
        opened.release()
    return seen[0] if seen else None


def test_c_echo_is_answered(pacs: Simulator) -> None:
    assert echo(pacs) == 0x0000


@pytest.mark.parametrize(
    ("quirk", "expected"), [("calling-aet", (1, 1, 3)), ("called-aet", (1, 1, 7)), ("congestion", (2, 3, 1))]
)
def test_associations_are_rejected_as_told(
    start_simulator: StartSimulator, quirk: str, expected: tuple[int, int, int]
) -> None:
    assert rejection(start_simulator(quirks=Quirks(reject=quirk))) == expected


def test_only_known_ae_titles_are_let_in(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(quirks=Quirks(known_ae_titles=("QRKIT",)))
    assert rejection(pacs, calling="QRKIT") is None
    assert rejection(pacs, calling="STRANGER") == (1, 1, 3)


def test_the_called_ae_title_may_have_to_be_right(pacs: Simulator) -> None:
    assert rejection(pacs, called="OTHER") is None
    pacs.quirks = Quirks(check_called_ae_title=True)
    assert rejection(pacs, called="OTHER") == (1, 1, 7)
    assert rejection(pacs) is None


def test_too_many_associations_are_rejected_as_congestion(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(quirks=Quirks(max_associations=2))
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(association(pacs, [VERIFICATION])).is_established
        assert pacs.open_associations == 2
        assert rejection(pacs) == (2, 3, 1)


def test_a_seat_is_free_again_after_a_release(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(quirks=Quirks(max_associations=1))
    assert [echo(pacs) for _ in range(5)] == [0x0000] * 5


def test_congestion_can_pass(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(quirks=Quirks(congested_at_first=2))
    assert [rejection(pacs) for _ in range(4)] == [(2, 3, 1), (2, 3, 1), None, None]


def test_all_contexts_can_be_refused(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(quirks=Quirks(refuse_contexts=True))
    with association(pacs, [VERIFICATION, FIND]) as opened:
        assert not opened.accepted_contexts


def test_services_and_models_can_be_missing(hospital: GeneratedHospital, start_simulator: StartSimulator) -> None:
    pacs = start_simulator(hospital, quirks=Quirks(services=("find", "move"), models=("patient",)))
    with association(pacs, [VERIFICATION, FIND, GET, MOVE, PATIENT_FIND]) as opened:
        assert {str(one.abstract_syntax) for one in opened.accepted_contexts} == {str(PATIENT_FIND)}


def test_the_preferred_transfer_syntax_is_chosen(start_simulator: StartSimulator) -> None:
    pacs = start_simulator(quirks=Quirks(transfer_syntaxes=("1.2.840.10008.1.2.4.70",)))
    ct = "1.2.840.10008.5.1.4.1.1.2"
    offered = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70"]
    with association(pacs, [ct], transfer_syntaxes=offered) as opened:
        assert opened.accepted_contexts[0].transfer_syntax == ["1.2.840.10008.1.2.4.70"]


def test_combined_date_and_time_matching_is_negotiated(pacs: Simulator) -> None:
    asked = SOPClassExtendedNegotiation()
    asked.sop_class_uid = FIND
    asked.service_class_application_information = b"\x01\x01\x00"
    ae = AE()
    ae.add_requested_context(FIND)
    opened = ae.associate(pacs.host, pacs.port, ext_neg=[asked])
    keep_responses(opened)
    assert opened.acceptor.sop_class_extended == {FIND: b"\x01\x01"}
    keys = identifier("STUDY", StudyDate="20260601-20260605", StudyTime="120000-080000", StudyInstanceUID="")
    answers = [answer for _, answer in opened.send_c_find(keys, FIND) if answer]
    opened.release()
    moments = {answer.StudyDate + answer.StudyTime for answer in answers}
    assert moments
    assert all("20260601120000" <= moment <= "20260605080000" for moment in moments)
    assert len(answers) > len(find(pacs, "STUDY", StudyDate="20260601-20260605", StudyTime="1200-").answers) / 2
