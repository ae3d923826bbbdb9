"""DCMTK's image archive, dcmqrscp."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from tests.peers.peer import Archive, PeerAddress
from tests.peers.programs import dcmtk_program


class Dcmqrscp(Archive):
    """A throw-away dcmqrscp with one storage area that every AE title may read and write.

    It answers C-FIND with the few keys of its index only, starts one process per association, and holds at
    most 500 studies (its own limit; it deletes the oldest beyond it).

    Parameters
    ----------
    folder, address, known
        As of each archive.
    options
        Further options of dcmqrscp, as `("--implicit",)`.
    """

    name: ClassVar[str] = "dcmqrscp"

    def __init__(
        self,
        folder: Path,
        address: PeerAddress,
        *,
        known: Iterable[tuple[str, str, int]] = (),
        options: Sequence[str | Path] = (),
    ) -> None:
        super().__init__(folder, address, known=known)
        self.options = tuple(options)

    @property
    def storage(self) -> Path:
        """The storage area."""
        return self.folder / "storage"

    def configuration(self) -> str:
        """Give the content of its configuration file."""
        hosts = [f"node{n} = ({node.ae_title}, {node.host}, {node.port})" for n, node in enumerate(self.known)]
        return "\n".join(
            [
                f"NetworkTCPPort = {self.port}",
                "MaxPDUSize = 16384",
                "MaxAssociations = 16",
                "HostTable BEGIN",
                *hosts,
                "HostTable END",
                "VendorTable BEGIN",
                "VendorTable END",
                "AETable BEGIN",
                f"{self.ae_title} {self.storage} RW (500, 1024mb) ANY",
                "AETable END",
                "",
            ]
        )

    def prepare(self) -> None:
        """Make the storage area and write the configuration."""
        self.storage.mkdir(exist_ok=True)
        (self.folder / "dcmqrscp.cfg").write_text(self.configuration())

    def command(self) -> list[str | Path]:
        """Give the program and its arguments."""
        configured = ("--config", self.folder / "dcmqrscp.cfg")
        return [dcmtk_program("dcmqrscp"), *configured, "--disable-host-lookup", *self.options]

    def load(self, paths: Iterable[Path]) -> None:
        """Copy files into the storage area, byte for byte, and add them to its index."""
        copies = [shutil.copy(path, self.storage) for path in paths]
        subprocess.run(
            [dcmtk_program("dcmqridx"), self.storage, *copies],
            check=True,
            capture_output=True,
            timeout=60,
        )
