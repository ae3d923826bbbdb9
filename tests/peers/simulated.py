"""The simulator in a process of its own, which can be killed and started again on the same port."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.peers.processes import ServerProcess
from tests.peers.waiting import free_port

_SERVE = """
import json, sys, threading
from qrkit.simulator import Quirks, Simulator, small_hospital
told = json.loads(sys.argv[1])
hospital = small_hospital(seed=1, studies=120, days=12)
destinations = {title: ("127.0.0.1", port) for title, port in told["destinations"].items()}
quirks = Quirks(delay_object=told["delay_object"])
with Simulator(hospital, port=told["port"], quirks=quirks, destinations=destinations):
    threading.Event().wait()
"""


class SimulatedPacs(ServerProcess):
    """The PACS of the fixture `hospital`, as a process.

    Parameters
    ----------
    destinations
        The port on loopback of each AE title that C-MOVE may name.
    delay_object
        Seconds before each object that it sends.
    """

    name: ClassVar[str] = "simulated"
    ae_title: ClassVar[str] = "SIMPACS"

    def __init__(self, folder: Path, destinations: dict[str, int], *, delay_object: float = 0.0) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.destinations = destinations
        self.delay_object = delay_object

    def prepare(self) -> None:
        """Nothing is needed."""

    def command(self) -> Sequence[str | Path]:
        """Give the program and its arguments."""
        told = {"port": self.port, "destinations": self.destinations, "delay_object": self.delay_object}
        return [sys.executable, "-c", _SERVE, json.dumps(told)]

    def is_ready(self) -> bool:
        """Whether it listens."""
        return self.listens_on(self.port)
