"""What a probe hears of a node, with the simulator as the node."""

from collections.abc import Iterator

import pytest

from qrkit.dimse.association import associate
from qrkit.dimse.find import find_proposals
from qrkit.node import InformationModel, Node, Timeouts
from qrkit.probe.questions import Agreement, Offer, QueryAnswers, QueryEnd, Question
from qrkit.probe.session import make_offer, send_question
from qrkit.profile import Extension
from qrkit.query import Request
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.tables import Level

KEYS = (("StudyDate", "20260601-20260630"),)


@pytest.fixture(scope="module")
def pacs() -> Iterator[Simulator]:
    with Simulator(small_hospital(seed=1, studies=300, days=20)) as started:
        yield started


def node(pacs: Simulator) -> Node:
    patience = Timeouts(connect=5, association=5, response=1, inactivity=5)
    return Node(name="pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title, timeouts=patience)


def ask(
    pacs: Simulator, quirks: Quirks, *, limit: int = 20, returned: tuple[str, ...] = ("StudyDescription",)
) -> QueryAnswers:
    pacs.quirks = quirks
    question = Question(
        request=Request(level=Level.STUDY, keys=KEYS, return_keys=returned),
        model=InformationModel.STUDY_ROOT,
        limit=limit,
    )
    association = associate(node(pacs), find_proposals(node(pacs)), calling_ae_title="QRKIT")
    try:
        return send_question(association, question, node(pacs))
    finally:
        association.abort()


def test_an_answer_within_the_limit_is_whole(pacs: Simulator) -> None:
    answers = ask(pacs, Quirks(), limit=1_000)
    assert (answers.ended, answers.is_whole, len(answers.rows)) == (QueryEnd.SUCCESS, True, answers.count)
    assert answers.element_counts["StudyDescription"] == answers.count


def test_beyond_the_limit_c_cancel_is_sent_and_obeyed(pacs: Simulator) -> None:
    answers = ask(pacs, Quirks(delay_answer=0.01))
    assert (answers.ended, answers.status, answers.was_cancelled) == (QueryEnd.CANCELLED, 0xFE00, True)
    assert len(answers.rows) == 20
    assert answers.count < 100


def test_responses_without_end_and_without_identifier_are_cancelled_at_the_limit_too(pacs: Simulator) -> None:
    pacs.quirks = Quirks(find_endless="empty")
    nothing = Question(
        request=Request(level=Level.STUDY, keys=(("StudyInstanceUID", "1.2"),)),
        model=InformationModel.STUDY_ROOT,
        limit=20,
    )
    with associate(node(pacs), find_proposals(node(pacs)), calling_ae_title="QRKIT") as association:
        answers = send_question(association, nothing, node(pacs))
    assert (answers.ended, answers.was_cancelled, answers.count) == (QueryEnd.CANCELLED, True, 0)


@pytest.mark.slow
def test_a_node_that_goes_on_is_left_after_two_seconds(pacs: Simulator) -> None:
    answers = ask(pacs, Quirks(delay_answer=0.02, ignore_cancel=True))
    assert (answers.ended, answers.is_whole) == (QueryEnd.CANCEL_IGNORED, False)
    assert 1.5 < answers.after_cancel < 6


def test_a_failure_keeps_the_answers_before_it_and_says_what_it_was(pacs: Simulator) -> None:
    answers = ask(pacs, Quirks(cap=7, cap_mode="status"))
    assert (answers.ended, answers.status, len(answers.rows), answers.is_refusal) == (
        QueryEnd.FAILED,
        0xA700,
        7,
        False,
    )
    refused = ask(pacs, Quirks(find_status=0xC001, find_comment="no such index"))
    assert refused.is_refusal
    assert "no such index" in refused.failure


@pytest.mark.slow
def test_a_node_that_aborts_or_falls_silent_has_answered_too(pacs: Simulator) -> None:
    lost = ask(pacs, Quirks(find_abort_after=3))
    assert (lost.ended, len(lost.rows)) == (QueryEnd.LOST, 3)
    silent = ask(pacs, Quirks(find_hang=True))
    assert (silent.ended, silent.rows) == (QueryEnd.SILENT, ())


def test_what_is_empty_is_told_from_what_is_left_out(pacs: Simulator) -> None:
    returned = ("StudyDescription", "StudyID", "ModalitiesInStudy")
    quirks = Quirks(blank_keys=("StudyDescription",), omit_keys=("StudyID",))
    answers = ask(pacs, quirks, limit=1_000, returned=returned)
    assert answers.element_counts["StudyDescription"] == answers.count
    assert "StudyID" not in answers.element_counts
    assert all(row["StudyDescription"] is None for row in answers.rows)


def test_text_in_another_character_set_than_named_is_counted(pacs: Simulator) -> None:
    assert ask(pacs, Quirks(), limit=1_000, returned=("PatientName",)).undecodable_texts == 0
    assert ask(pacs, Quirks(wrong_charset=True), limit=1_000, returned=("PatientName",)).undecodable_texts > 0


def test_an_offer_tells_services_models_and_extensions(pacs: Simulator) -> None:
    pacs.quirks = Quirks(services=("echo", "find"), models=("study",))
    agreement = make_offer(node(pacs), Offer(extensions=tuple(Extension)), calling_ae_title="QRKIT")
    assert agreement == Agreement(
        echo=True,
        find=(InformationModel.STUDY_ROOT,),
        extensions={InformationModel.STUDY_ROOT: (Extension.RELATIONAL, Extension.COMBINED_DATETIME)},
    )
