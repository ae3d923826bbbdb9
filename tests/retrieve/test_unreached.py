"""A PACS that cannot reach us: the advice is what it has to send to, with our values, and not to try again."""

import pytest

from qrkit import errors
from qrkit.jobs import ItemOutcome, ItemRow, JobState, RetrieveRequest
from qrkit.retrieve.destinations import _Reach
from qrkit.retrieve.item import ActiveItem
from qrkit.retrieve.outcomes import outcome_of
from qrkit.retrieve.reachability import MoveTarget
from qrkit.simulator import Quirks
from qrkit.tables import Level
from tests.peers.waiting import LOOPBACK, free_port
from tests.retrieve.conftest import fetch
from tests.workspace.opened import Linked, of_size

OURS = MoveTarget(ae_title="QRKIT", address="", port=11112)


@pytest.fixture
def quick(linked: Linked) -> Linked:
    linked.workspace.nodes.edit("pacs", timeouts={"connect": 5, "association": 5, "response": 1, "inactivity": 0.3})
    return linked


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "quirks",
    [
        pytest.param(Quirks(unreachable=True), id="0xA702"),
        pytest.param(Quirks(unreachable=True, retrieve_status=0xB000, retrieve_status_after=-1), id="0xB000"),
        pytest.param(Quirks(unreachable=True, retrieve_status=0xC000, retrieve_status_after=-1), id="0xC000"),
        pytest.param(Quirks(unreachable=True, retrieve_status=0x0110, retrieve_status_after=-1), id="0x0110"),
        pytest.param(Quirks(unreachable=True, no_counters=True, retrieve_status=0xA701), id="0xA701"),
        pytest.param(Quirks(unreachable=True, send_less=100), id="0x0000 with all completed"),
        pytest.param(Quirks(retrieve_hang=True), id="no response"),
        pytest.param(Quirks(unreachable=True, drop_after=0), id="A-ABORT"),
    ],
)
def test_where_nothing_arrives_by_c_move_the_advice_is_our_ae_title_address_port_and_firewall(
    quick: Linked, quirks: Quirks
) -> None:
    quick.pacs.quirks = quirks
    study = of_size(quick.hospital, 2, most=4)[0]
    outcome = fetch(quick, study, method="move").items[0].outcome
    settings = quick.workspace.settings
    assert outcome.state is JobState.FAILED
    assert "No object arrived by C-MOVE: our Storage SCP saw no connection." in outcome.error
    for value in (settings.ae_title, LOOPBACK, str(settings.port), "firewall", "pacs"):
        assert value in outcome.advice


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_pacs_that_has_another_port_of_ours_gets_the_same_advice(quick: Linked) -> None:
    settings = quick.workspace.settings
    quick.pacs.add_destination(settings.ae_title, LOOPBACK, free_port())
    study = of_size(quick.hospital, 2, most=4)[0]
    outcome = fetch(quick, study, method="move").items[0].outcome
    assert "saw no connection" in outcome.error
    assert f"port {settings.port}" in outcome.advice


@pytest.mark.slow
@pytest.mark.usefixtures("worker")
def test_a_pacs_that_sends_some_objects_reaches_us(quick: Linked) -> None:
    quick.pacs.quirks = Quirks(fail_objects=2)
    study = of_size(quick.hospital, 3, most=8)[0]
    outcome = fetch(quick, study, method="move").items[0].outcome
    assert outcome.state is JobState.PARTIAL
    assert "connection" not in outcome.error
    assert "firewall" not in outcome.advice


def item(number: int) -> ActiveItem:
    request = RetrieveRequest(level=Level.STUDY, StudyInstanceUID="1.2")
    outcome = ItemOutcome(state=JobState.RUNNING)
    row = ItemRow(item_id=number, job_id="a", position=number, request=request, outcome=outcome)
    active = ActiveItem(row, node="pacs", expected=frozenset(["1.2.3"]))
    active.begin_try()
    return active


class Seen:
    """What our Storage SCP and the job have seen."""

    def __init__(self) -> None:
        self.connections = 0
        self.last_sign = float("-inf")
        self.reach = _Reach("pacs", OURS, connections=lambda: self.connections, last_sign=lambda _: self.last_sign)


def test_connections_without_an_object_are_counted() -> None:
    seen, active = Seen(), item(1)
    seen.reach.begin(active, "10.1.2.9")
    seen.connections += 3
    seen.reach.end(active)
    outcome = outcome_of(active, cancelled=False)
    assert "although our Storage SCP saw 3 connections in that time." in outcome.error
    assert "our AE title QRKIT with the address 10.1.2.9 and port 11112" in outcome.advice


def test_an_object_for_another_item_shows_that_the_node_reaches_us() -> None:
    seen, first, second = Seen(), item(1), item(2)
    for active in (first, second):
        seen.reach.begin(active, "10.1.2.9")
    seen.reach.end(first)
    assert first.unreached is not None
    seen.last_sign = 1.0
    seen.reach.end(second)
    assert first.unreached is second.unreached is None


@pytest.mark.parametrize("status", [0xA900, 0xA801, 0x0122, 0x0124, 0xFE00])
def test_a_request_that_the_node_refuses_keeps_its_own_advice(status: int) -> None:
    seen, active = Seen(), item(1)
    seen.reach.begin(active, "10.1.2.9")
    seen.reach.end(active)
    active.error = errors.StatusError("refused", advice="Do something else.", status=status)
    assert outcome_of(active, cancelled=False).advice == "Do something else."


@pytest.mark.parametrize(
    ("statuses", "advised"),
    [
        ((0xA702, 0xA801), (0xA702, 0xA801)),
        ((0x0122, 0xA801), (0xA801,)),
        ((0xA801, 0x0122), (0xA801,)),
        ((0x0122, 0x0124), (0x0124,)),
        ((0xC000, 0x0122), (0xC000,)),
        ((0xA900, 0x0124), (0xA900,)),
        ((0x0122, 0x0211), (0x0122,)),
    ],
)
def test_of_two_methods_the_first_that_the_node_has_gives_the_advice_and_an_unknown_destination_is_to_be_entered(
    statuses: tuple[int, int], advised: tuple[int, ...]
) -> None:
    active = item(1)
    for status in statuses:
        active.error = errors.StatusError(f"0x{status:04X}.", advice=f"Mend 0x{status:04X}.", status=status)
    outcome = outcome_of(active, cancelled=False)
    assert outcome.error == " ".join(f"0x{status:04X}." for status in statuses)
    assert outcome.advice == " ".join(f"Mend 0x{status:04X}." for status in advised)
