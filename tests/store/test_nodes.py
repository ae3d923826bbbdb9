from dataclasses import replace

import pytest

from qrkit.errors import InputError, NotFound
from qrkit.node import InformationModel, Method, Node, Timeouts
from qrkit.store.audit import AuditTable
from qrkit.store.nodes import NodeTable
from qrkit.store.state import State

_PACS = Node(name="pacs", host="10.1.2.3", port=104, ae_title="MAINPACS")
_MODALITY = Node(
    name="CT 1",
    host="ct1",
    port=11112,
    ae_title="CT1",
    information_model=InformationModel.PATIENT_ROOT,
    method=Method.MOVE,
    timeouts=Timeouts(connect=3),
    pause=0.5,
    can_store=True,
)


@pytest.fixture
def table(state: State) -> NodeTable:
    nodes = NodeTable(state)
    nodes.add(_PACS, "ann")
    nodes.add(_MODALITY, "ann")
    return nodes


def test_a_node_comes_back_as_it_was(table: NodeTable) -> None:
    assert table.get("CT 1") == _MODALITY
    assert table.list() == (_MODALITY, _PACS)


def test_a_name_is_given_once(table: NodeTable) -> None:
    with pytest.raises(
        InputError,
        match=r"There is a node 'pacs' already\. Give another name, or change that node: qrkit nodes edit pacs",
    ):
        table.add(_PACS, "bob")


def test_a_changed_node_is_the_new_one(table: NodeTable) -> None:
    table.change(replace(_PACS, host="10.9.9.9"), "bob")
    assert table.get("pacs").host == "10.9.9.9"


def test_a_missing_node_is_not_found_and_the_close_name_is_told(table: NodeTable) -> None:
    with pytest.raises(NotFound, match="Did you mean pacs"):
        table.get("PASC")
    with pytest.raises(NotFound, match=r"Nodes: CT 1, pacs\."):
        table.get("xyzzy")
    with pytest.raises(NotFound, match="no node"):
        table.change(replace(_PACS, name="other"), "bob")
    with pytest.raises(NotFound, match="no node"):
        table.remove("other", "bob")


def test_without_any_node_the_advice_is_to_add_one(state: State) -> None:
    with pytest.raises(NotFound, match="qrkit nodes add"):
        NodeTable(state).get("pacs")


def test_a_removed_node_is_gone_but_its_row_stays_and_the_name_is_free(table: NodeTable) -> None:
    table.remove("pacs", "bob")
    assert table.list() == (_MODALITY,)
    assert table.list(include_removed=True) == (_MODALITY, _PACS)
    with pytest.raises(NotFound, match="no node 'pacs'"):
        table.get("pacs")
    again = replace(_PACS, host="10.0.0.1")
    table.add(again, "bob")
    assert table.get("pacs") == again


def test_who_did_what_to_a_node_is_kept(table: NodeTable, state: State) -> None:
    table.change(replace(_PACS, port=4242), "bob")
    table.remove("pacs", "eve")
    rows = AuditTable(state).list(subject="pacs")
    assert [(row.who, row.action) for row in rows] == [
        ("eve", "node removed"),
        ("bob", "node changed"),
        ("ann", "node added"),
    ]
    assert rows[1].details == {"port": [104, 4242]}
