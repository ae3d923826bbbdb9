"""SOP Class Extended Negotiation (PS3.7 D.3.3.5), with the simulator as the other side."""

import pytest

from qrkit import uids
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.find import find_proposals
from qrkit.node import Node
from qrkit.simulator import Quirks, Simulator, empty_hospital


def _node(pacs: Simulator) -> Node:
    return Node(name="pacs", host=pacs.host, port=pacs.port, ae_title=pacs.ae_title)


@pytest.mark.parametrize(("relational", "answer"), [(True, b"\x01\x01"), (False, b"\x00\x01")])
def test_what_the_peer_accepts_is_known_by_sop_class(relational: bool, answer: bytes) -> None:  # noqa: FBT001
    offered = Proposal(abstract_syntax=uids.STUDY_ROOT_FIND, extended=b"\x01\x01\x01\x01")
    plain = Proposal(abstract_syntax=uids.PATIENT_ROOT_FIND)
    with (
        Simulator(empty_hospital(), quirks=Quirks(relational=relational)) as pacs,
        associate(_node(pacs), [offered, plain], calling_ae_title="QRKIT") as association,
    ):
        assert association.extended == {uids.STUDY_ROOT_FIND: answer}


def test_queries_offer_relational_queries_only_when_told() -> None:
    with Simulator(empty_hospital()) as pacs:
        node = _node(pacs)
        with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
            assert association.extended == {}
        with associate(node, find_proposals(node, relational=True), calling_ae_title="QRKIT") as association:
            assert association.extended == {uids.STUDY_ROOT_FIND: b"\x01"}
