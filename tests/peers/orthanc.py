"""Orthanc, as Debian packages it."""

import http.client
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.peers.peer import NO_DELAY, Archive, PeerAddress
from tests.peers.programs import program
from tests.peers.waiting import LOOPBACK, free_port


class Orthanc(Archive):
    """A throw-away Orthanc with its stock configuration, apart from what is listed here.

    Other than stock are the ports, the AE title, the storage folder, no plugins, the known nodes in
    `DicomModalities`, and `DicomAlwaysAllowFind`, `DicomAlwaysAllowGet` and `DicomAlwaysAllowMove`, which are
    true here: stock Orthanc answers C-FIND, C-GET and C-MOVE only to known nodes. HTTP answers on loopback
    only. It is killed in the end, since it takes 3.5 s to stop and nothing of it is kept.

    Parameters
    ----------
    folder
        Holds its configuration, its data and its log.
    address
        Where it listens, and its AE title.
    known
        The nodes it knows and may send to by C-MOVE: AE title, host, port.
    check_called_ae
        `DicomCheckCalledAet`: refuse associations that call it by another AE title.
    settings
        Further entries of its configuration; they win over all others.
    """

    name: ClassVar[str] = "orthanc"
    end_signal = None

    def __init__(
        self,
        folder: Path,
        address: PeerAddress,
        *,
        known: Iterable[tuple[str, str, int]] = (),
        check_called_ae: bool = False,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(folder, address, known=known)
        self.check_called_ae = check_called_ae
        self.settings = dict(settings or {})
        self.http_port = 0

    def configuration(self) -> dict[str, object]:
        """Give the content of its configuration file."""
        return {
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
            "DicomCheckCalledAet": self.check_called_ae,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {f"node{n}": list(node) for n, node in enumerate(self.known)},
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            **self.settings,
        }

    def prepare(self) -> None:
        """Choose the HTTP port and write the configuration."""
        self.http_port = free_port()
        (self.folder / "orthanc.json").write_text(json.dumps(self.configuration(), indent=1))

    def command(self) -> list[str | Path]:
        """Give the program and its arguments."""
        orthanc = program("Orthanc", places=("/usr/sbin", "/usr/local/sbin"), package="orthanc")
        return [orthanc, self.folder / "orthanc.json"]

    def environment(self) -> Mapping[str, str]:
        """Give the environment of the tests without TCP_NODELAY, which its DCMTK would obey: stock is without."""
        return {name: value for name, value in os.environ.items() if name not in NO_DELAY}

    def is_ready(self) -> bool:
        """Whether it listens for DICOM and for HTTP."""
        return self.listens_on(self.port) and self.listens_on(self.http_port)

    def load(self, paths: Iterable[Path]) -> None:
        """Post files to its REST interface, which keeps them byte for byte."""
        for path in paths:
            self.request("POST", "/instances", path.read_bytes())

    def add_known(self, node: tuple[str, str, int]) -> None:
        """Make another node known while it runs."""
        self.request("PUT", f"/modalities/{node[0]}", json.dumps(list(node)).encode())

    def count(self, resource: str = "instances") -> int:
        """Give how many `patients`, `studies`, `series` or `instances` it holds."""
        return len(self.request("GET", f"/{resource}"))

    def request(self, method: str, path: str, body: bytes = b"") -> Any:  # noqa: ANN401 - JSON of any shape
        """Give the JSON that its REST interface answers.

        Raises
        ------
        RuntimeError
            The answer is not a success; the message has the status and the answer.
        """
        connection = http.client.HTTPConnection(LOOPBACK, self.http_port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"Orthanc answered {method} {path} with {response.status}: {content!r}")
        return json.loads(content) if content else None
