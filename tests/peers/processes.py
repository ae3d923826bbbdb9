"""A server process that lives from `with` to `with`: started, waited for, logged, ended by its own pid."""

import contextlib
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from tests.peers.waiting import wait_until

_running: list["ServerProcess"] = []


def running() -> tuple["ServerProcess", ...]:
    """Give the servers that are running now, oldest first."""
    return tuple(_running)


class ServerProcess(ABC):
    """A server in a process of its own, with a folder of its own.

    Parameters
    ----------
    folder
        Holds its configuration, its data and `<name>.log`; made when missing. It is not emptied before.
    """

    name: ClassVar[str]
    start_limit: ClassVar[float] = 20.0
    #: How it is asked to end, if at all. It is killed when it doesn't within two seconds.
    end_signal: ClassVar[signal.Signals | None] = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Write what the server needs before it starts."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Give the program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves; asked while it starts."""

    def environment(self) -> Mapping[str, str] | None:
        """Give its environment; None is that of the tests."""
        return None

    def user(self) -> str | None:
        """Give the user it runs as; None is the user of the tests."""
        return None

    @property
    def log(self) -> Path:
        """What the server wrote to its standard output and error."""
        return self.folder / f"{self.name}.log"

    def last_logged(self, lines: int = 40) -> str:
        """Give the end of its log."""
        if not self.log.exists():
            return "(nothing logged)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def pid(self) -> int:
        """The process id of the server, which must have been started."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running; use it inside its `with` block")
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self.start()
        return self

    def start(self) -> None:
        """Start the process, also again after it has ended; `with` does it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment(),
                user=self.user(),
            )
        _running.append(self)
        try:
            self._wait_for_start()
        except BaseException as error:
            error.add_note(f"log of {self.name}:\n{self.last_logged()}")
            self.close()
            raise

    def _wait_for_start(self) -> None:
        wait_until(lambda: not self.is_alive() or self.is_ready(), self.start_limit, what=f"{self.name} serves")
        if not self.is_alive():
            raise RuntimeError(f"{self.name} ended while starting")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process and those it started; nothing happens when it has ended already."""
        if self._process is None:
            return
        process, self._process = self._process, None
        family = _descendants(process.pid)
        if self.end_signal is None:
            process.kill()
        else:
            process.send_signal(self.end_signal)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        wait_until(lambda: not any(map(runs, family)), 5.0, what=f"what {self.name} started has ended")
        _running.remove(self)

    def listens_on(self, port: int) -> bool:
        """Whether the process, or one it started, listens on the port.

        Read from the operating system, because a connection made only to try the port stands in the
        peer's log as a broken association.
        """
        try:
            family = [psutil.Process(self.pid), *_descendants(self.pid)]
            return any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
                for member in family
                for connection in member.net_connections("tcp")
            )
        except psutil.NoSuchProcess:
            return False


def runs(process: psutil.Process) -> bool:
    """Whether a process still does anything: one that only waits for its parent to notice its end does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _descendants(pid: int) -> list[psutil.Process]:
    """The processes that this one started, and those they started."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []
