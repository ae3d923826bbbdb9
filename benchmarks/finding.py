"""C-FIND with ten thousand responses into a stored DataFrame, compared with the wire alone and pynetdicom."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
from pynetdicom import AE

from benchmarks.objects import write_sr
from benchmarks.replay import save
from benchmarks.servers import process, workspace
from benchmarks.timing import Measured, in_turn, seconds_of
from qrkit.dimse import messages as dimse
from qrkit.dimse import stream as pdus
from qrkit.dimse.contexts import find_model
from qrkit.dimse.find import find_proposals
from qrkit.dimse.messages import encode_identifier
from qrkit.dimse.negotiation import request_pdu
from qrkit.node import InformationModel, Node
from qrkit.query import Request, identifier
from qrkit.tables import Level, return_keys
from qrkit.uids import EXPLICIT_VR_LITTLE_ENDIAN
from qrkit.workspace import Workspace
from tests.peers.orthanc import Orthanc
from tests.peers.peer import PeerAddress
from tests.peers.pynetdicom_scu import keep_responses

ANSWERS = 10_007
"""Not 10,000: at a round number a PACS may have stopped, and then qrkit asks on in smaller windows."""
_MODEL = InformationModel.STUDY_ROOT
_REQUEST = Request(level=Level.STUDY, return_keys=return_keys(Level.STUDY, _MODEL))
_FINAL = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"
"""Status (0000,0900) of length 2 and value 0x0000, in the last bytes of the final response."""


def measure(folder: Path, *, rounds: int) -> Iterator[Measured]:
    """Measure one query of a stock Orthanc, then the same answers from a peer that costs nothing.

    What Orthanc needs to make the answers bounds any client, so it tells how near we come to that, and the peer that
    costs nothing tells how the clients compare.
    """
    objects = write_sr(folder / "studies", ANSWERS, studies=ANSWERS, events=1)
    with workspace(folder / "workspace") as opened:
        with Orthanc(folder / "orthanc", PeerAddress.free("ORTHANC")) as peer:
            peer.load(sorted(objects.iterdir()))
            node = opened.nodes.add("orthanc", host=peer.host, port=peer.port, ae_title=peer.ae_title)
            seconds = _seconds(opened, node, rounds)
            yield Measured(
                work=f"C-FIND, {ANSWERS:,} answers into a kept DataFrame, Orthanc",
                seconds=seconds,
                goals={"raw drain": 1 / 1.6, "pynetdicom": None},
                notes={"pynetdicom": f"{_share(seconds):.0%} of ours is Orthanc's own"},
            )
            acceptance, responses = _exchange(node)
        save(folder / "recorded", acceptance=acceptance, responses=responses)
        # at the port of Orthanc: the profile of the node knows how many answers it returns at once
        replay = [sys.executable, "-m", "benchmarks.replay", str(node.port), str(folder / "recorded")]
        with process(replay, node.port):
            yield Measured(
                work="the same answers, replayed",
                seconds=_seconds(opened, node, rounds),
                goals={"pynetdicom": 4, "raw drain": None},
                notes={"raw drain": "what decoding and keeping cost"},
            )


def _seconds(opened: Workspace, node: Node, rounds: int) -> dict[str, float]:
    candidates: dict[str, Callable[[], float]] = {
        "qrkit": lambda: seconds_of(lambda: _check(len(opened.find(node.name)))),
        "raw drain": lambda: seconds_of(lambda: _exchange(node)),
        "pynetdicom": lambda: seconds_of(lambda: _check(len(_by_pynetdicom(node)))),
    }
    return in_turn(candidates, rounds=rounds)


def _share(seconds: dict[str, float]) -> float:
    """Return how much of our time passes even if the answers are not looked at."""
    return min(seconds["raw drain"] / seconds["qrkit"], 1.0)


def _exchange(node: Node) -> tuple[bytes, bytes]:
    """Ask on a plain socket and read what comes, without a look at it; return A-ASSOCIATE-AC and the responses."""
    with closing(socket.create_connection((node.host, node.port), timeout=60)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request_pdu(node, find_proposals(node), "QRKIT"))
        acceptance = connection.recv(65_536)
        asked = encode_identifier(identifier(_REQUEST, _MODEL), EXPLICIT_VR_LITTLE_ENDIAN)
        command = dimse.request(dimse.C_FIND_RQ, sop_class_uid=find_model(_MODEL), message_id=1)
        connection.sendall(pdus.message(1, command, asked, maximum=16_384))
        parts = [b""]
        while _FINAL not in (parts[-2] if len(parts) > 1 else b"")[-64:] + parts[-1][-64:]:
            parts.append(connection.recv(1 << 20))
        return acceptance, b"".join(parts)


def _by_pynetdicom(node: Node) -> pd.DataFrame:
    entity = AE(ae_title="QRKIT")
    entity.add_requested_context(find_model(_MODEL), EXPLICIT_VR_LITTLE_ENDIAN)
    association = entity.associate(node.host, node.port, ae_title=node.ae_title)
    keep_responses(association)
    rows = []
    for _, answer in association.send_c_find(identifier(_REQUEST, _MODEL), find_model(_MODEL)):
        if answer is not None:
            rows.append({element.keyword: str(element.value) for element in answer})
    association.release()
    return pd.DataFrame(rows)


def _check(count: int) -> None:
    if count != ANSWERS:
        raise RuntimeError(f"{count} answers instead of {ANSWERS}.")
