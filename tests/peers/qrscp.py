"""pynetdicom's sample archive, `python -m pynetdicom qrscp`."""

import sys
from collections.abc import Iterable
from configparser import ConfigParser
from pathlib import Path
from typing import ClassVar

from tests.peers.dcmtk import dcmsend
from tests.peers.peer import Archive


class Qrscp(Archive):
    """A throw-away qrscp of pynetdicom with its stock timeouts and PDU length, on loopback only."""

    name: ClassVar[str] = "qrscp"

    def configuration(self) -> ConfigParser:
        """Give the content of its configuration file."""
        configuration = ConfigParser()
        configuration["DEFAULT"] = {
            "ae_title": self.ae_title,
            "port": str(self.port),
            "max_pdu": "16382",
            "acse_timeout": "30",
            "dimse_timeout": "30",
            "network_timeout": "30",
            "bind_address": self.host,
            "instance_location": str(self.folder / "instances"),
            "database_location": str(self.folder / "instances.sqlite"),
            "log_identifier": "False",
        }
        for node in self.known:
            configuration[node.ae_title] = {"address": node.host, "port": str(node.port)}
        return configuration

    def prepare(self) -> None:
        """Write the configuration."""
        with (self.folder / "qrscp.ini").open("w") as file:
            self.configuration().write(file)

    def command(self) -> list[str | Path]:
        """Give the program and its arguments."""
        return [sys.executable, "-m", "pynetdicom", "qrscp", "--config", self.folder / "qrscp.ini"]

    def load(self, paths: Iterable[Path]) -> None:
        """Send files by C-STORE; qrscp has no other way in."""
        dcmsend(self.address, list(paths), check=True)
