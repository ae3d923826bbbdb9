"""No retrieve is complete and proven while objects are missing, whatever a node hides and loses."""

from itertools import product

import pytest

from qrkit.workspace import Workspace
from tests.retrieve.matrix import HIDES, LOSES, METHODS, Cell, run, table

FEW_HIDES = ("silent cap", "last answers left out", "silent cap, no counts", "series without images")
FEW_LOSES = ("nothing lost", "sends 2 less", "sends 2 less, no counters", "aborts after 4")


def check(cells: list[Cell]) -> None:
    false = [cell for cell in cells if cell.is_false]
    assert not false, table(false)
    ended = [cell.outcome for cell in cells if cell.word in ("complete", "unproven", "partial")]
    assert all(outcome.proven is not None for outcome in ended)
    honest = [cell for cell in cells if cell.loses == "nothing lost"]
    assert all(cell.here == cell.truth for cell in honest if cell.outcome.state.value == "complete")


@pytest.mark.slow
def test_nothing_is_proven_complete_where_a_node_hides_and_loses_objects(workspace: Workspace) -> None:
    check(run(workspace, list(product(FEW_HIDES, FEW_LOSES, METHODS))))


@pytest.mark.slow
@pytest.mark.parametrize("hides", HIDES)
def test_nothing_is_proven_complete_whatever_a_node_hides_and_loses(workspace: Workspace, hides: str) -> None:
    check(run(workspace, list(product([hides], LOSES, METHODS))))


@pytest.mark.slow
@pytest.mark.parametrize("hides", [one for one in HIDES if "no counts" in one or one in FEW_HIDES])
def test_nothing_is_proven_by_what_an_earlier_query_returned(workspace: Workspace, hides: str) -> None:
    check(run(workspace, list(product([hides], LOSES, METHODS)), queried=True))


@pytest.mark.slow
def test_a_node_that_hides_and_loses_nothing_is_proven(workspace: Workspace) -> None:
    cells = run(workspace, [("nothing hidden", "nothing lost", method) for method in METHODS])
    assert {cell.word for cell in cells} == {"complete"}
