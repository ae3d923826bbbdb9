"""10,000 objects retrieved by a worker that is killed again and again: whole, valid, and the number sent twice.

The kills are spread over the objects, not over time: the PACS, which is in this process, kills the worker in the
midst of sending a certain object, while its other associations send theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from benchmarks.pacs import CTHospital, hospital
from benchmarks.servers import workspace
from qrkit.jobs import JobState, NewJob, RetrieveRequest
from qrkit.node import Method
from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Instance, Series, Study
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.tables import Level
from qrkit.workspace import Job, Workspace
from tests.peers.waiting import free_port, wait_until

STUDIES = 137
"""Of 73 objects each: 10,001."""

_QUIET = 30.0
"""Seconds without the object in which a worker is to be killed, after which it is killed all the same."""

_BOOT = 2.5
_LATER = 0.05
"""Seconds at most after the object has been prepared: while it is sent, filed, answered, or listed."""

_LIMIT = 900.0
_TENTHS = 10


class Killing(CTHospital):
    """Knows how often each of its objects was sent, whether or not it arrived; kills who fetches a certain one."""

    def __init__(self, archive: CTHospital) -> None:
        super().__init__(seed=archive.seed, studies=archive.size, calendar=archive.calendar)
        studies = [self.study(number) for number in range(self.size)]
        self.objects = frozenset(
            one.SOPInstanceUID for study in studies for series in study.series for one in series.instances
        )
        self.sent: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._aim: tuple[int, int, float] | None = None

    def aim(self, pid: int, *, at: int, later: float) -> None:
        """Kill a process after this many different objects have been sent, or a little later."""
        with self._lock:
            self._aim = pid, at, later

    def forget(self) -> None:
        """Stop killing."""
        with self._lock:
            self._aim = None

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object's data set."""
        with self._lock:
            self.sent[instance.SOPInstanceUID] += 1
            is_due = self._aim is not None and len(self.sent) >= self._aim[1]
        if is_due:
            threading.Thread(target=self._kill, daemon=True).start()
        return super().encoded(study, series, instance, transfer_syntax)

    def _kill(self) -> None:
        with self._lock:
            aim, self._aim = self._aim, None
            if aim is not None:
                pid, _, later = aim
                time.sleep(later)  # nothing else is prepared meanwhile, so that the kill falls where it is meant
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One of the kills: how many different objects the PACS had begun to send by then, and whether it sent any."""

    sent: int
    idle: bool


def measure(folder: Path, *, kills: int) -> Iterator[str]:
    """Fetch, kill in the midst of objects all over the run, look at every file."""
    archive = Killing(hospital(STUDIES))
    port = free_port()
    with (
        workspace(folder, port) as opened,
        Simulator(archive, quirks=Quirks(delay_object=0.004), destinations={"QRKIT": ("127.0.0.1", port)}) as pacs,
    ):
        opened.nodes.add("pacs", host="127.0.0.1", port=pacs.port, ae_title=pacs.ae_title, associations=4)
        expected = archive.objects
        started = time.perf_counter()
        jobs = [opened.jobs[job_id] for job_id in _queue(opened, archive)]
        killed = list(_kill_again_and_again(opened, archive, jobs, kills))
        with _serving(opened):
            yield f"kills: {len(killed)} × kill -9 of the worker, {_spread(killed, len(expected))}"
            _wait_for(jobs)
        seconds = time.perf_counter() - started
        yield f"kills: {len(expected):,} objects by both methods in {seconds:,.0f} s: {_ends(jobs)}"
        yield f"kills: {_verdict(opened, expected)}"
        if any(job.state is not JobState.COMPLETE for job in jobs):
            for job in jobs:
                job.retry()
            _wait_for(jobs)
            yield f"kills: after a retry {_ends(jobs)}; {_verdict(opened, expected)}"
    again = sum(count - 1 for count in archive.sent.values())
    objects = sum(1 for count in archive.sent.values() if count > 1)
    yield (
        f"kills: {objects} objects sent twice or more, {again} transfers too many ({again / len(expected):.2%}), "
        f"{again / max(len(killed), 1):.2f} for each kill"
    )


def _queue(opened: Workspace, archive: Killing) -> list[str]:
    """Queue half by C-GET and half by C-MOVE; no worker is started, as `Workspace.retrieve` does."""
    uids = [archive.study(number).StudyInstanceUID for number in range(STUDIES)]
    requests = tuple(RetrieveRequest(level=Level.STUDY, StudyInstanceUID=uid) for uid in uids)
    halves = {Method.GET: requests[: len(requests) // 2], Method.MOVE: requests[len(requests) // 2 :]}
    with State.open(opened.settings.workspace) as state:
        table = JobTable(state)
        return [table.create(NewJob(node="pacs", requests=some, method=method)) for method, some in halves.items()]


def _kill_again_and_again(opened: Workspace, archive: Killing, jobs: Sequence[Job], kills: int) -> Iterator[Kill]:
    """Kill in the midst of an object, each time a part of them further; one of four some time after its start."""
    luck, total = random.Random(1), len(archive.objects)  # noqa: S311 - it guards no secret
    for number in range(kills):
        if all(job.state.is_final for job in jobs):
            return
        before = archive.sent.total()
        with _serving(opened) as worker:
            archive.aim(worker.pid, at=round((number + 1) * total / (kills + 1)), later=luck.uniform(0, _LATER))
            patience = luck.uniform(0, _BOOT) if number % 4 == 3 else _QUIET
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(patience)
            archive.forget()
            worker.kill()
            worker.wait()
        yield Kill(sent=len(archive.sent), idle=archive.sent.total() == before)


def _spread(killed: Sequence[Kill], total: int) -> str:
    """Return the number of kills in each tenth of the objects."""
    counts = Counter(min(kill.sent * _TENTHS // total, _TENTHS - 1) for kill in killed)
    listed = " ".join(str(counts[tenth]) for tenth in range(_TENTHS))
    idle = sum(kill.idle for kill in killed)
    return f"in each tenth of the objects {listed}; {idle} of them before anything was sent to it"


def _wait_for(jobs: Sequence[Job]) -> None:
    with contextlib.suppress(TimeoutError):  # what has not ended is told
        wait_until(lambda: all(job.state.is_final for job in jobs), _LIMIT)


def _ends(jobs: Sequence[Job]) -> str:
    """Return how jobs and their items ended, and the errors of incomplete ones."""
    told = [job.status for job in jobs]
    items = [item for job in told for item in job.items]
    states = Counter(item.outcome.state.value for item in items)
    errors = Counter(item.outcome.error for item in items if item.outcome.error)
    return (
        f"jobs {' and '.join(job.state.value for job in told)}, items {dict(states)}, "
        f"taken {sum(item.attempts for item in items) / len(items):.1f} times each and at most "
        f"{max(item.attempts for item in items)} times{f', {dict(errors)}' if errors else ''}"
    )


@contextlib.contextmanager
def _serving(opened: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    settings = opened.settings
    environment = os.environ | {
        "QRKIT_WORKSPACE": str(settings.workspace),
        "QRKIT_PORT": str(settings.port),
        "QRKIT_HOST": settings.host,
    }
    command = [sys.executable, "-m", "qrkit.cli", "serve"]
    with (settings.workspace / "serve.log").open("ab") as log:
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield worker
        finally:
            if worker.poll() is None:
                worker.terminate()
            worker.wait(30)


def _verdict(opened: Workspace, expected: frozenset[str]) -> str:
    """Read every file back, and compare its digest with the one that was listed."""
    listed = opened.files.list()
    files = opened.files.folder
    wrong = 0
    for uid, relative, digest in zip(listed["SOPInstanceUID"], listed["path"], listed["sha256"], strict=True):
        path = files / str(relative)
        try:
            whole = hashlib.sha256(path.read_bytes()).hexdigest() == digest
            wrong += not whole or dcmread(path).SOPInstanceUID != uid
        except Exception:  # noqa: BLE001 - whatever is wrong with a file is counted
            wrong += 1
    here = {path.stem for path in files.rglob("*.dcm")}
    parts = sum(1 for _ in files.rglob("*.part"))
    return (
        f"{len(here & expected):,} of {len(expected):,} here, {len(here - expected)} others, {len(listed):,} rows, "
        f"{wrong} files invalid by pydicom or SHA-256, {parts} half-written files left"
    )
