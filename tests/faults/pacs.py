"""A PACS in a process of its own that is told, a line of JSON at a time, how to misbehave from now on."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Instance, Series, Study
from qrkit.simulator.hospital.hospital import DEFAULT_UNTIL, Calendar, GeneratedHospital
from tests.peers.waiting import LOOPBACK, free_port, wait_until

ROOT = Path(__file__).parents[2]
USUAL = Quirks(delay_object=0.05)
"""How it behaves while nothing strikes it: slow enough to be struck."""


class Rewritten(GeneratedHospital):
    """A hospital whose objects may come with other bytes under the same UIDs."""

    edition = 0

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the data set; an edition other than the first ends with Data Set Trailing Padding that tells it."""
        data_set = super().encoded(study, series, instance, transfer_syntax)
        if not self.edition:
            return data_set
        padding = f"edition {self.edition:04}".encode()
        explicit = transfer_syntax != "1.2.840.10008.1.2"
        head = b"\xfc\xff\xfc\xff" + (b"OB\0\0" if explicit else b"")
        return data_set + head + len(padding).to_bytes(4, "little") + padding


def hospital() -> Rewritten:
    """The same for whoever asks."""
    return Rewritten(seed=1, studies=120, calendar=Calendar.spread(120, DEFAULT_UNTIL, 12))


class FaultyPacs:
    """One such PACS; it can be killed and started again on its port.

    Parameters
    ----------
    destinations
        The port on loopback of each AE title that C-MOVE may name.
    """

    def __init__(self, name: str, destinations: dict[str, int]) -> None:
        self.name = name
        self.ae_title = name.upper()
        self.port = free_port()
        self._destinations = destinations
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, or start it again; returns when it listens."""
        told = {"port": self.port, "ae_title": self.ae_title, "destinations": self._destinations}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.pacs", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self._answer()

    def kill(self) -> None:
        """Have it end without a word to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def behave(self, *, edition: int = 0, **quirks: Any) -> None:  # noqa: ANN401 - as Quirks has them
        """Have it misbehave so from now on; without any, it behaves."""
        self._ask({"quirks": quirks, "edition": edition})

    def associations(self) -> int:
        """How many are open."""
        return int(self._ask({}))

    def _ask(self, told: dict[str, object]) -> str:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError(f"{self.name} does not run")
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError(f"{self.name} does not run")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended")
        return line

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(number)
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # what it was told last it has not read
                        pipe.close()


def main() -> None:
    """Serve until standard input ends; answer each line with the number of open associations."""
    told = json.loads(sys.argv[1])
    archive = hospital()
    destinations = {title: (LOOPBACK, port) for title, port in told["destinations"].items()}
    pacs = Simulator(archive, ae_title=told["ae_title"], port=told["port"], quirks=USUAL, destinations=destinations)
    wait_until(lambda: _listens(pacs), 20, what="the port is free again")
    _say(0)
    for line in sys.stdin:
        wish = json.loads(line)
        if wish:
            pacs.quirks = dataclasses.replace(USUAL, **wish["quirks"])
            archive.edition = wish["edition"]
        _say(pacs.open_associations)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _listens(pacs: Simulator) -> bool:
    try:
        pacs.start()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
