"""What all DICOM peers have in common: an address, and for archives a way to load objects."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from tests.peers.processes import ServerProcess
from tests.peers.waiting import LOOPBACK, accepts_connections, free_port

#: DCMTK sends a command and its data set as two small writes; without this it waits 40 ms after each.
NO_DELAY = {"TCP_NODELAY": "1"}


class PeerAddress(NamedTuple):
    """The AE title, host and port of a DICOM node."""

    ae_title: str
    host: str
    port: int

    @classmethod
    def free(cls, ae_title: str) -> Self:
        """Give an address on loopback on which nothing listens yet."""
        return cls(ae_title, LOOPBACK, free_port())


class Peer(ServerProcess):
    """A DICOM server on loopback.

    Parameters
    ----------
    folder
        Holds its configuration, its data and its log.
    address
        Where it listens, and its AE title; `PeerAddress.free(ae_title)` gives one.
    """

    def __init__(self, folder: Path, address: PeerAddress) -> None:
        super().__init__(folder)
        self.address = address

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        return self.address.ae_title

    @property
    def host(self) -> str:
        """The loopback address."""
        return self.address.host

    @property
    def port(self) -> int:
        """Its DICOM port."""
        return self.address.port

    def is_ready(self) -> bool:
        """Whether it listens on its DICOM port."""
        return self.listens_on(self.port)

    def answers(self) -> bool:
        """Whether anything accepts connections at its address, whoever it is."""
        return accepts_connections(self.port)

    def environment(self) -> Mapping[str, str] | None:
        """Give the environment of the tests, and no delayed small writes in DCMTK."""
        return {**os.environ, **NO_DELAY}


class Archive(Peer):
    """A DICOM server that keeps objects and answers C-FIND, C-GET and C-MOVE.

    Parameters
    ----------
    folder
        Holds its configuration, its data and its log.
    address
        Where it listens, and its AE title.
    known
        The nodes to which it may send by C-MOVE: AE title, host, port.
    """

    def __init__(self, folder: Path, address: PeerAddress, *, known: Iterable[tuple[str, str, int]] = ()) -> None:
        super().__init__(folder, address)
        self.known = tuple(PeerAddress(*node) for node in known)

    @abstractmethod
    def load(self, paths: Iterable[Path]) -> None:
        """Put DICOM files into the archive; raise when it refuses one."""
