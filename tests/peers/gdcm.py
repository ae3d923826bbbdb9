"""GDCM's client, gdcmscu; GDCM has no server."""

import re
import subprocess
from pathlib import Path

from tests.peers.peer import PeerAddress
from tests.peers.programs import program

AE_TITLE = "GDCM"


def gdcmscu(peer: PeerAddress, *arguments: str | Path) -> str:
    """Run one request and return its log; the options first, then a file to send.

    GDCM 3.0.21 crashes when its release is answered, whoever answers, DCMTK's storescp too. What was asked for has
    been done by then, but what is printed and the exit status say nothing; only the log tells how far it came.

    Raises
    ------
    AssertionError
        If it did not come to the answer to its release, A-RELEASE-RP.
    """
    options = [argument for argument in arguments if not isinstance(argument, Path)]
    files = [argument for argument in arguments if isinstance(argument, Path)]
    called = ["--debug", "--aetitle", AE_TITLE, "--call", peer.ae_title]
    completed = subprocess.run(
        [program("gdcmscu", package="libgdcm-tools"), *called, *options, peer.host, str(peer.port), *files],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
    )
    assert "PDU code: 6" in completed.stderr, completed.stderr[-2000:]
    return completed.stderr


def statuses(log: str) -> list[int]:
    """Give the statuses of the responses in a log; GDCM writes each of them twice or more."""
    return [int(found) for found in re.findall(r"\(0000,0900\) .*\(US\) (\d+)", log)]
