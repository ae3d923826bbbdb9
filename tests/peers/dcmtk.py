"""DCMTK's clients: one thin function for each, with TCP_NODELAY and the full path.

Each gives the completed process with its output as text; `check=True` makes an exit status other than zero a
`CalledProcessError`. The calling AE title is DCMTK's own unless the options say `("-aet", "QRKIT")`.
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, dcmread

from tests.peers.peer import NO_DELAY, PeerAddress
from tests.peers.programs import dcmtk_program

Completed = subprocess.CompletedProcess[str]


def run_dcmtk(name: str, arguments: Sequence[str | Path], *, check: bool = False, limit: float = 60.0) -> Completed:
    """Run a DCMTK program to its end.

    Raises
    ------
    subprocess.CalledProcessError
        With `check`, it ended with another status than 0; its output is in a note.
    subprocess.TimeoutExpired
        It did not end within the limit, in seconds.
    """
    completed = subprocess.run(
        [str(dcmtk_program(name)), *map(str, arguments)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        timeout=limit,
        env={**os.environ, **NO_DELAY},
    )
    if check and completed.returncode:
        error = subprocess.CalledProcessError(completed.returncode, completed.args, completed.stdout)
        error.add_note(completed.stdout)
        raise error
    return completed


def echoscu(peer: PeerAddress, *options: str) -> Completed:
    """Ask for C-ECHO."""
    return run_dcmtk("echoscu", [*_call(peer), *options, *_where(peer)])


def storescu(
    peer: PeerAddress, paths: Sequence[Path], *, options: Sequence[str] = (), check: bool = False
) -> Completed:
    """Send files by C-STORE, with a proposal for every storage SOP class that storescu knows."""
    return run_dcmtk("storescu", [*_call(peer), *options, *_where(peer), *paths], check=check)


def dcmsend(
    peer: PeerAddress, paths: Sequence[Path], *, options: Sequence[str] = (), check: bool = False
) -> Completed:
    """Send files by C-STORE as they are, with proposals for exactly their SOP classes."""
    return run_dcmtk("dcmsend", [*_call(peer), "--decompress-never", *options, *_where(peer), *paths], check=check)


def findscu(peer: PeerAddress, level: str, keys: Sequence[str] = (), *, options: Sequence[str] = ()) -> list[Dataset]:
    """Give the Identifiers that the peer answers to a C-FIND.

    Parameters
    ----------
    peer
        Whom to ask.
    level
        `PATIENT`, `STUDY`, `SERIES` or `IMAGE`.
    keys
        As findscu takes them: `PatientID=Q*` to match, `StudyDate` to be told.
    options
        Further options; the Study Root model is asked unless they hold `-P`.
    """
    model = () if "-P" in options else ("-S",)
    with tempfile.TemporaryDirectory() as folder:
        extract = ("--extract", "--output-directory", folder)
        run_dcmtk(
            "findscu",
            [*_call(peer), *model, *options, *extract, *_query(level, keys), *_where(peer)],
            check=True,
        )
        return [dcmread(path) for path in sorted(Path(folder).glob("rsp*.dcm"))]


def getscu(
    peer: PeerAddress, level: str, keys: Sequence[str], folder: Path, *, options: Sequence[str] = ()
) -> Completed:
    """Fetch by C-GET into an existing folder, bit for bit, in the Study Root model."""
    into = ("--bit-preserving", "--output-directory", folder)
    return run_dcmtk("getscu", [*_call(peer), "-S", *into, *options, *_query(level, keys), *_where(peer)])


def movescu(
    peer: PeerAddress, level: str, keys: Sequence[str], destination: str, *, options: Sequence[str] = ()
) -> Completed:
    """Have the peer send by C-MOVE to the AE title of the destination, in the Study Root model."""
    to = ("--move", destination)
    return run_dcmtk("movescu", [*_call(peer), "-S", *to, *options, *_query(level, keys), *_where(peer)])


def _call(peer: PeerAddress) -> tuple[str, ...]:
    """The called AE title."""
    return ("--call", peer.ae_title)


def _where(peer: PeerAddress) -> tuple[str, ...]:
    """Host and port, as the arguments."""
    return (peer.host, str(peer.port))


def _query(level: str, keys: Sequence[str]) -> list[str]:
    """The keys of an Identifier."""
    return [part for key in (f"QueryRetrieveLevel={level}", *keys) for part in ("--key", key)]
