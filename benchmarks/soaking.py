"""Four jobs from three nodes, again and again: memory, threads, open files and sockets at start and end."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.pacs import hospital
from benchmarks.servers import process, workspace
from qrkit.job import JobState
from qrkit.workspace import Job, Workspace
from tests.peers.waiting import free_port

NODES = 3
JOBS = 4
STUDIES = 12
"""Of each node; each job has a part of its own."""

_OF_A_JOB = 3
_SETTLED = 5.0
_WARM = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a process and its children hold: bytes of memory, threads, open files, sockets."""

    memory: int
    threads: int
    files: int
    sockets: int

    def row(self) -> str:
        """Return it as a cell."""
        return f"{self.memory / 1e6:.0f} MB, {self.threads} threads, {self.files} files, {self.sockets} sockets"


def measure(folder: Path, *, minutes: float) -> Iterator[str]:
    """Run the jobs; what has come is deleted, so that it is fetched again, in turn by C-GET and C-MOVE."""
    port = free_port()
    with ExitStack() as stack:
        opened = stack.enter_context(workspace(folder, port))
        watched = {f"pacs{number}": stack.enter_context(_pacs(opened, number, port)) for number in range(NODES)}
        environment = {"QRKIT_WORKSPACE": str(folder), "QRKIT_PORT": str(port)}
        command = [sys.executable, "-m", "qrkit.cli", "serve"]
        watched["worker"] = stack.enter_context(process(command, port, **environment))
        time.sleep(_SETTLED)
        start = _used(watched)
        turns = Turns(opened)
        warm = turns.run(min(_WARM, minutes * 30), watched)
        highest = turns.run(minutes * 60 - min(_WARM, minutes * 30), watched)
        turns.end()
        time.sleep(_SETTLED)
        end = _used(watched)
        yield (
            f"soak: {minutes:g} min, {JOBS} jobs at a time, {NODES} nodes: {turns.ended:,} jobs, {turns.objects:,} "
            f"objects, {turns.not_complete} jobs not complete"
        )
        for name in watched:
            yield (
                f"soak, {name}: start {start[name].row()}; most in the first minute {warm[name].row()}; most later "
                f"{highest[name].row()}; end {end[name].row()}"
            )


class Turns:
    """The jobs, each followed by another of the same studies."""

    def __init__(self, opened: Workspace) -> None:
        self._opened = opened
        self._archive = hospital(STUDIES)
        self._running: dict[int, Job] = {}
        self._turn = 0
        self.ended = self.objects = self.not_complete = 0

    def run(self, seconds: float, watched: Mapping[str, psutil.Process]) -> dict[str, Used]:
        """Keep the jobs going for so long; return the most that each process held."""
        until = time.monotonic() + seconds
        seen = [_used(watched)]
        look = time.monotonic()
        while time.monotonic() < until:
            for slot in range(JOBS):
                self._next(slot)
            if time.monotonic() - look > 5:
                seen.append(_used(watched))
                look = time.monotonic()
            time.sleep(0.2)
        return {name: _most([one[name] for one in seen]) for name in watched}

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


def _used(watched: Mapping[str, psutil.Process]) -> dict[str, Used]:
    return {name: _of(root) for name, root in watched.items()}


def _of(root: psutil.Process) -> Used:
    processes = [root, *root.children(recursive=True)]
    parts = []
    for one in processes:
        try:
            parts.append(
                Used(
                    memory=one.memory_info().rss,
                    threads=one.num_threads(),
                    files=len(one.open_files()),
                    sockets=len(one.net_connections()),
                )
            )
        except psutil.NoSuchProcess:  # a receiving process that has just left
            continue
    return Used(
        memory=sum(one.memory for one in parts),
        threads=sum(one.threads for one in parts),
        files=sum(one.files for one in parts),
        sockets=sum(one.sockets for one in parts),
    )


def _most(seen: Sequence[Used]) -> Used:
    return Used(
        memory=max(one.memory for one in seen),
        threads=max(one.threads for one in seen),
        files=max(one.files for one in seen),
        sockets=max(one.sockets for one in seen),
    )
