"""Rows that a node announces by pending responses and does not send."""

from __future__ import annotations

from datetime import date

from qrkit.find.session import FindSession
from qrkit.find.windowed import WindowedFind
from qrkit.node import Node
from qrkit.profile import Profile
from qrkit.query import Request
from qrkit.simulator import Quirks
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.tables import Level
from tests.workspace.opened import StartSimulator


def test_only_the_request_whose_rows_did_not_come_is_in_doubt(
    start_simulator: StartSimulator, hospital: GeneratedHospital
) -> None:
    pacs = start_simulator(hospital, quirks=Quirks(pending_without_identifier=1))
    node = Node(name="pacs", host="127.0.0.1", port=pacs.port, ae_title=pacs.ae_title)
    requests = [Request(level=Level.STUDY, keys=(("StudyDate", day),)) for day in ("20260630", "19000101")]
    with FindSession(node, calling_ae_title="QRKIT") as session:
        windowed = WindowedFind(session, node, Profile.unknown("pacs"), today=date(2026, 7, 1))
        some, none = windowed.ask(requests)
    assert some.doubts == ("1 STUDY row was announced and not sent",)
    assert (none.doubts, none.table.num_rows) == ((), 0)
    assert windowed.coverage().why == ("1 STUDY row was announced and not sent",)
