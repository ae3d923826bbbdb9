"""A node, or our own side, that cannot do one of the two retrieve methods: the other one brings the objects."""

import pytest

from qrkit.jobs import JobState
from qrkit.simulator import Quirks
from tests.retrieve.conftest import fetch, services
from tests.workspace.opened import Linked, of_size

pytestmark = [pytest.mark.usefixtures("worker"), pytest.mark.slow]


@pytest.mark.parametrize("missing", ["get", "move"])
def test_a_service_that_the_node_does_not_offer_is_replaced_by_the_other(linked: Linked, missing: str) -> None:
    offered = tuple(name for name in ("echo", "find", "get", "move", "store") if name != missing)
    linked.pacs.quirks = Quirks(services=offered)
    linked.workspace.nodes.edit("pacs", method=missing)
    status = fetch(linked, of_size(linked.hospital, 3)[0], method="auto")
    assert status.state is JobState.COMPLETE
    assert {service for service, _ in services(linked)} == {"C-MOVE" if missing == "get" else "C-GET"}


def test_objects_for_a_destination_that_the_node_does_not_know_come_by_c_get(linked: Linked) -> None:
    linked.workspace.nodes.edit("pacs", move_destination="SOMEWHERE", method="move")
    status = fetch(linked, of_size(linked.hospital, 3)[0], method="auto")
    assert status.state is JobState.COMPLETE
    assert services(linked) == [("C-MOVE", "STUDY"), ("C-GET", "STUDY")]


def test_where_both_fail_the_first_cause_comes_first_and_gives_the_advice(linked: Linked) -> None:
    linked.pacs.quirks = Quirks(services=("echo", "find", "move", "store"))
    linked.workspace.nodes.edit("pacs", move_destination="SOMEWHERE", method="move")
    status = fetch(linked, of_size(linked.hospital, 3)[0], method="auto")
    (item,) = status.items
    assert status.state is JobState.FAILED
    assert 0 < item.outcome.error.index("0xA801") < item.outcome.error.index("but not Study Root")
    assert "enter our AE title SOMEWHERE" in item.outcome.advice
