"""C-FIND with 10,000 answers from a stock Orthanc: into a kept DataFrame, beside what the wire alone takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pynetdicom import AE

from benchmarks.objects import write_sr
from benchmarks.servers import workspace
from benchmarks.timing import Measured, in_turn, seconds_of
from qrkit.dimse import command as dimse
from qrkit.dimse.association import associate
from qrkit.dimse.contexts import find_model
from qrkit.dimse.find import find_proposals
from qrkit.dimse.requests import send_request
from qrkit.node import InformationModel, Node
from qrkit.query import Request, identifier
from qrkit.tables import Level, return_keys
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress

ANSWERS = 10_000
_MODEL = InformationModel.STUDY_ROOT
_REQUEST = Request(level=Level.STUDY, return_keys=return_keys(Level.STUDY, _MODEL))


def measure(folder: Path, *, rounds: int) -> Iterator[Measured]:
    """Measure the same query by us, by pynetdicom with pydicom and pandas, and with the answers thrown away."""
    objects = write_sr(folder / "studies", ANSWERS, studies=ANSWERS, events=1)
    with Orthanc(folder / "orthanc", PeerAddress.free("ORTHANC")) as peer, workspace(folder / "workspace") as opened:
        peer.load(sorted(objects.iterdir()))
        node = opened.nodes.add("orthanc", host=peer.host, port=peer.port, ae_title=peer.ae_title)

        def ours() -> None:
            _check(len(opened.find("orthanc")))

        candidates = {
            "qrkit": lambda: seconds_of(ours),
            "raw drain": lambda: seconds_of(lambda: _drain(node)),
            "pynetdicom": lambda: seconds_of(lambda: _check(len(_by_pynetdicom(node)))),
        }
        seconds = in_turn(candidates, rounds=rounds)
        goals = {"raw drain": 1 / 1.6, "pynetdicom": 4}
        yield Measured(work=f"C-FIND, {ANSWERS:,} answers into a kept DataFrame", seconds=seconds, goals=goals)


def _drain(node: Node) -> None:
    """Ask, and throw away what comes until the final response: its command set ends the bytes."""
    with associate(node, find_proposals(node), calling_ae_title="QRKIT") as association:
        send_request(association, dimse.C_FIND_RQ, find_model(_MODEL), identifier(_REQUEST, _MODEL))
        connection, buffer, tail = association.stream._socket, memoryview(bytearray(1 << 20)), b""  # noqa: SLF001
        while _FINAL not in tail:  # the raw socket is what is measured, so nothing of ours reads it
            received = connection.recv_into(buffer)
            tail = (tail + bytes(buffer[:received][-64:]))[-96:]


_FINAL = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"
"""Status (0000,0900) of length 2 and value 0x0000, in the last bytes of the final response."""


def _by_pynetdicom(node: Node) -> pd.DataFrame:
    entity = AE(ae_title="QRKIT")
    entity.add_requested_context(find_model(_MODEL))
    association = entity.associate(node.host, node.port, ae_title=node.ae_title)
    rows = []
    for _, answer in association.send_c_find(identifier(_REQUEST, _MODEL), find_model(_MODEL)):
        if answer is not None:
            rows.append({element.keyword: str(element.value) for element in answer})
    association.release()
    return pd.DataFrame(rows)


def _check(count: int) -> None:
    if count != ANSWERS:
        raise RuntimeError(f"{count} answers instead of {ANSWERS}.")
