"""The Storage SCPs that are compared: ours as ``qrkit serve``, DCMTK's storescp, pynetdicom's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

import qrkit
from qrkit.workspace import Workspace
from tests.peers.peer import NO_DELAY
from tests.peers.programs import dcmtk_program
from tests.peers.waiting import accepts_connections, free_port, wait_until

SENDER = "BENCH"


@contextmanager
def process(command: Sequence[str | Path], port: int, **environment: str) -> Iterator[psutil.Process]:
    """Run a server until it listens, and end it afterwards."""
    running = subprocess.Popen(
        command,
        env={**os.environ, **NO_DELAY, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts_connections(port), 90, what=f"{command[0]} on port {port}")
        yield psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait(20)


class Receiver:
    """A Storage SCP with the folder that it fills."""

    def __init__(self, port: int, folder: Path, running: psutil.Process) -> None:
        self.port = port
        self.folder = folder
        self.process = running

    def receive(self, folders: Sequence[Path]) -> float:
        """Return the seconds that as many dcmsend as folders need at once, and empty the folder again."""
        import time

        command = [str(dcmtk_program("dcmsend")), "-aet", SENDER, "-aec", "QRKIT", "+sd", "127.0.0.1", str(self.port)]
        started = time.perf_counter()
        senders = [subprocess.Popen([*command, str(folder)], env={**os.environ, **NO_DELAY}) for folder in folders]
        codes = [sender.wait(600) for sender in senders]
        seconds = time.perf_counter() - started
        if any(codes):
            raise RuntimeError(f"dcmsend to port {self.port} ended with {codes}.")
        self._check_and_empty(sum(1 for folder in folders for _ in folder.iterdir()))
        return seconds

    def _check_and_empty(self, expected: int) -> None:
        beside = self.folder / ".incoming"
        received = sum(1 for path in self.folder.rglob("*") if path.is_file() and beside not in path.parents)
        if received != expected:
            raise RuntimeError(f"Port {self.port} kept {received} of {expected} objects.")
        for path in self.folder.iterdir():
            if path.is_dir() and path != beside:
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()


@contextmanager
def qrkit_receiver(folder: Path) -> Iterator[Receiver]:
    """Run ``qrkit serve``, which files, digests and lists each object."""
    port = free_port()
    with workspace(folder, port) as opened:
        environment = {"QRKIT_WORKSPACE": str(folder), "QRKIT_PORT": str(port), "QRKIT_UNSOLICITED": "keep"}
        with process([sys.executable, "-m", "qrkit.cli", "serve"], port, **environment) as running:
            yield Receiver(port, opened.files.folder, running)


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Receiver]:
    """Run DCMTK's storescp."""
    folder.mkdir(parents=True)
    port = free_port()
    with process([dcmtk_program("storescp"), *options, "-od", folder, str(port)], port) as running:
        yield Receiver(port, folder, running)


@contextmanager
def pynetdicom_storescp(folder: Path) -> Iterator[Receiver]:
    """Run pynetdicom's storescp."""
    folder.mkdir(parents=True)
    port = free_port()
    with process([sys.executable, "-m", "pynetdicom", "storescp", "-od", folder, str(port)], port) as running:
        yield Receiver(port, folder, running)


@contextmanager
def workspace(folder: Path, port: int = 0, **settings: int) -> Iterator[Workspace]:
    """Open a workspace that knows the sender."""
    given = {"worker_idle_exit": 2} | settings
    with qrkit.open(folder, port=port or free_port(), host="127.0.0.1", **given) as opened:
        opened.nodes.add("sender", host="127.0.0.1", ae_title=SENDER)
        opened.files.folder.mkdir(exist_ok=True)
        yield opened
