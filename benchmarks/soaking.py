"""Four jobs from three nodes, again and again: memory, threads, open files and sockets at start and end."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from benchmarks.pacs import hospital
from benchmarks.servers import process, workspace
from qrkit.jobs import JobState
from qrkit.worker.receiver_pool import IDLE_EXIT
from qrkit.workspace import Job, Workspace
from tests.peers.waiting import free_port

NODES = 3
JOBS = 4
STUDIES = 12
"""Studies of each node; each job has its own part."""

_OF_A_JOB = 3
_SETTLED = 5.0
_REST = IDLE_EXIT + 30.0
"""Seconds without a job after which the receiving processes have ended by themselves."""

_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Resources that processes hold: open files, TCP sockets, and all descriptors, with pipes."""

    memory: int = 0
    """Bytes of RAM, those of files included that it shares with other processes."""
    own: int = 0
    """Bytes of them that no other process shares, which is what would grow (RssAnon; only on Linux)."""
    threads: int = 0
    files: int = 0
    sockets: int = 0
    descriptors: int = 0

    def cell(self) -> str:
        """Return it as a cell of a table."""
        return (
            f"{self.memory / 1e6:.0f} MB ({self.own / 1e6:.0f} own), {self.threads} threads, {self.files} files, "
            f"{self.sockets} sockets, {self.descriptors} descriptors"
        )


_NAMES = tuple(field.name for field in fields(Used))


def measure(folder: Path, *, minutes: float) -> Iterator[str]:
    """Run the jobs; received objects are deleted and retrieved again, in turn by C-GET and C-MOVE."""
    port = free_port()
    with ExitStack() as stack:
        opened = stack.enter_context(workspace(folder, port))
        nodes = [stack.enter_context(_pacs(opened, number, port)) for number in range(NODES)]
        environment = {"QRKIT_WORKSPACE": str(folder), "QRKIT_PORT": str(port)}
        command = [sys.executable, "-m", "qrkit.cli", "serve"]
        worker = stack.enter_context(process(command, port, **environment))
        time.sleep(_SETTLED)
        yield f"soak: {minutes:g} min, {JOBS} jobs at a time from {NODES} nodes; the most of each minute"
        yield f"| | worker | receiving processes | PACS, {NODES} together |"
        yield "|---|---|---|---|"
        yield _row("at the start", _used(worker, nodes))
        turns = Turns(opened)
        for minute in range(1, round(minutes) + 1):
            yield _row(f"minute {minute}", turns.run(_MINUTE, worker, nodes))
        turns.end()
        time.sleep(_REST)
        yield _row(f"{_REST:.0f} s after the end", _used(worker, nodes))
        yield f"soak: {turns.ended:,} jobs, {turns.objects:,} objects, {turns.not_complete} jobs not complete"


class Turns:
    """The jobs, each followed by another of the same studies."""

    def __init__(self, opened: Workspace) -> None:
        self._opened = opened
        self._archive = hospital(STUDIES)
        self._running: dict[int, Job] = {}
        self._turn = 0
        self.ended = self.objects = self.not_complete = 0

    def run(self, seconds: float, worker: psutil.Process, nodes: Sequence[psutil.Process]) -> list[Used]:
        """Keep the jobs going for so long; return the most that was held meanwhile."""
        until = time.monotonic() + seconds
        seen = [_used(worker, nodes)]
        look = time.monotonic()
        while time.monotonic() < until:
            for slot in range(JOBS):
                self._next(slot)
            if time.monotonic() - look > _SETTLED:
                seen.append(_used(worker, nodes))
                look = time.monotonic()
            time.sleep(0.2)
        return [_most(column) for column in zip(*seen, strict=True)]

    def end(self) -> None:
        """Wait for what is under way."""
        for slot, job in list(self._running.items()):
            job.wait(timeout=300)
            self._count(slot)

    def _next(self, slot: int) -> None:
        job = self._running.get(slot)
        if job is not None and not job.state.is_final:
            return
        if job is not None:
            self._count(slot)
        method = ("get", "move")[self._turn % 2]
        self._turn += 1
        self._running[slot] = self._opened.retrieve_uids(
            f"pacs{slot % NODES}", study_uids=self._studies(slot), method=method
        )

    def _studies(self, slot: int) -> list[str]:
        first = slot * _OF_A_JOB
        return [self._archive.study(number).StudyInstanceUID for number in range(first, first + _OF_A_JOB)]

    def _count(self, slot: int) -> None:
        done = self._running.pop(slot).status
        self.ended += 1
        self.objects += done.received
        self.not_complete += done.state is not JobState.COMPLETE
        for study in self._studies(slot):
            shutil.rmtree(self._opened.files.folder / study, ignore_errors=True)


def _pacs(opened: Workspace, number: int, destination: int) -> AbstractContextManager[psutil.Process]:
    port = free_port()
    opened.nodes.add(f"pacs{number}", host="127.0.0.1", port=port, ae_title=f"SIMPACS{number}")
    arguments = [str(port), str(STUDIES), "slow objects", str(destination)]
    return process([sys.executable, "-m", "benchmarks.pacs", *arguments], port)


def _used(worker: psutil.Process, nodes: Sequence[psutil.Process]) -> list[Used]:
    """Return what the worker holds, its receiving processes together, and the nodes together."""
    return [_sum([worker]), _sum(worker.children(recursive=True)), _sum(nodes)]


def _sum(processes: Sequence[psutil.Process]) -> Used:
    seen: list[Used] = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):  # a receiving process that has just left
            seen.append(_of(one))
    return Used(**{name: sum(getattr(one, name) for one in seen) for name in _NAMES})


def _of(one: psutil.Process) -> Used:
    return Used(
        memory=one.memory_info().rss,
        own=_own_memory(one.pid),
        threads=one.num_threads(),
        files=len(one.open_files()),
        sockets=len(one.net_connections()),
        descriptors=one.num_fds() if hasattr(one, "num_fds") else 0,
    )


def _own_memory(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def _most(seen: Sequence[Used]) -> Used:
    return Used(**{name: max(getattr(one, name) for one in seen) for name in _NAMES})


def _row(when: str, used: Sequence[Used]) -> str:
    return "| " + " | ".join([when, *(one.cell() for one in used)]) + " |"
