"""What a failed retrieve advises: what to enter at the PACS, and the first cause of several."""

import pytest

from qrkit import errors
from qrkit.dimse.status import Service, failure
from qrkit.jobs import ItemOutcome, ItemRow, JobState, RetrieveRequest
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.outcomes import outcome_of
from qrkit.retrieve.reachability import MoveTarget, naming, our_target
from qrkit.tables import Level

STORE = MoveTarget(ae_title="DOSE", address="10.1.2.5", port=104, store_node="dose")


@pytest.mark.parametrize(
    ("target", "entry"),
    [
        (our_target("QRKIT", "0.0.0.0", 11112), "our AE title QRKIT with the address 10.1.2.9 and port 11112"),
        (our_target("QRKIT", "::", 11112), "our AE title QRKIT with the address 10.1.2.9 and port 11112"),
        (our_target("QRKIT", "10.8.0.1", 104), "our AE title QRKIT with the address 10.8.0.1 and port 104"),
        (STORE, "the AE title DOSE of dose with the address 10.1.2.5 and port 104"),
    ],
)
def test_an_unknown_destination_names_what_the_pacs_team_has_to_enter(target: MoveTarget, entry: str) -> None:
    with pytest.raises(errors.StatusError) as caught, naming(target, "10.1.2.9"):
        raise failure(Service.MOVE, 0xA801, peer="PACS")
    assert caught.value.advice == f"Ask the PACS team to enter {entry} as a destination of C-MOVE."


def test_other_statuses_keep_their_advice() -> None:
    with pytest.raises(errors.StatusError) as caught, naming(STORE, "10.1.2.9"):
        raise failure(Service.MOVE, 0xA900, peer="PACS")
    assert "DOSE" not in caught.value.advice


def active_item() -> ActiveItem:
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2")
    row = ItemRow(item_id=1, job_id="a", position=0, request=request, outcome=ItemOutcome(state=JobState.RUNNING))
    return ActiveItem(row, node="pacs")


def test_the_first_cause_is_told_before_what_followed_it_and_gives_the_advice() -> None:
    active = active_item()
    active.error = failure(Service.GET, 0xA702, peer="PACS", comment="disk full")
    active.error = failure(Service.MOVE, 0xA801, peer="PACS")
    outcome = outcome_of(active, cancelled=False)
    assert 0 < outcome.error.index('"disk full"') < outcome.error.index("0xA801")
    assert outcome.advice.startswith("Ask for less at once")


def test_a_cause_is_told_although_the_next_try_ended_without_an_error() -> None:
    active = active_item()
    active.error = errors.AssociationAborted("PACS aborted the association.", advice="Try again.")
    active.error = None
    outcome = outcome_of(active, cancelled=False)
    assert outcome.error.startswith("PACS aborted the association. The node ended with")
    assert outcome.advice == "Try again."


def test_the_same_cause_twice_is_told_once() -> None:
    active = active_item()
    for _ in range(2):
        active.error = errors.AssociationAborted("PACS aborted the association.")
    assert outcome_of(active, cancelled=False).error == "PACS aborted the association."
