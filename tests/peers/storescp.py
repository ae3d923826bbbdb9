"""DCMTK's Storage SCP, storescp: a node that only receives."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.peers.peer import Peer, PeerAddress
from tests.peers.programs import dcmtk_program


class Storescp(Peer):
    """A throw-away storescp that writes what it receives, bit for bit, into a folder.

    Parameters
    ----------
    folder
        Holds its log, and in `received` the files.
    address
        Where it listens, and its AE title.
    options
        Further options of storescp, as `("--refuse",)`, `("--fork",)` or `("--sleep-after", "1")`.
    """

    name: ClassVar[str] = "storescp"

    def __init__(self, folder: Path, address: PeerAddress, *, options: Sequence[str] = ()) -> None:
        super().__init__(folder, address)
        self.options = tuple(options)

    @property
    def storage(self) -> Path:
        """The folder of the received files."""
        return self.folder / "received"

    def prepare(self) -> None:
        """Make the folder for the files."""
        self.storage.mkdir(exist_ok=True)

    def command(self) -> list[str | Path]:
        """Give the program and its arguments."""
        return [
            dcmtk_program("storescp"),
            *("--aetitle", self.ae_title),
            *("--output-directory", self.storage),
            "--accept-all",
            "--bit-preserving",
            "--disable-host-lookup",
            *self.options,
            str(self.port),
        ]

    def received(self) -> list[Path]:
        """Give the files received up to now; one that is being received is among them."""
        return sorted(self.storage.iterdir())
