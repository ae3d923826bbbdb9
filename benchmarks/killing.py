"""10,000 objects fetched by a worker that is killed again and again: whole, valid, and how many came twice."""

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
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread

from benchmarks.pacs import CTHospital, hospital
from benchmarks.servers import workspace
from qrkit.job import JobState, NewJob, RetrieveRequest
from qrkit.node import Method
from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Instance, Series, Study
from qrkit.store.jobs import JobTable
from qrkit.store.state import State
from qrkit.workspace import Workspace
from tests.peers.waiting import free_port, wait_until

STUDIES = 137
"""Of 73 objects each: 10,001."""

_QUIET = 30.0
_BOOT = 2.5
_LAST = 0.97
"""Share of the objects within which the kills fall, so that the last ones still find something to fetch."""
_LIMIT = 900.0


class CountingHospital(CTHospital):
    """Knows how often each of its objects was sent, whether or not it arrived."""

    def __init__(self, archive: CTHospital) -> None:
        super().__init__(seed=archive.seed, studies=archive.size, calendar=archive.calendar)
        self.sent: Counter[str] = Counter()
        self._counting = threading.Lock()

    def encoded(self, study: Study, series: Series, instance: Instance, transfer_syntax: str) -> bytes:
        """Return the object's data set."""
        with self._counting:
            self.sent[instance.SOPInstanceUID] += 1
        return super().encoded(study, series, instance, transfer_syntax)


def measure(folder: Path, *, kills: int) -> Iterator[str]:
    """Fetch, kill at random points, look at every file."""
    archive = CountingHospital(hospital(STUDIES))
    port = free_port()
    with (
        workspace(folder, port) as opened,
        Simulator(archive, quirks=Quirks(delay_object=0.004), destinations={"QRKIT": ("127.0.0.1", port)}) as pacs,
    ):
        opened.nodes.add("pacs", host="127.0.0.1", port=pacs.port, ae_title=pacs.ae_title, associations=4)
        studies = [archive.study(number) for number in range(STUDIES)]
        expected = {one.SOPInstanceUID for study in studies for series in study.series for one in series.instances}
        started = time.perf_counter()
        job_ids = _queue(opened, studies)
        killed = _kill_again_and_again(opened, job_ids, kills, total=len(expected))
        with _serving(opened):
            jobs = [opened.jobs[job_id] for job_id in job_ids]
            wait_until(lambda: all(job.state.is_final for job in jobs), _LIMIT, what="the jobs end")
            states = {job.state for job in jobs}
            wait_until(lambda: len(opened.files.list()) >= len(expected), 30, what="all rows")
        seconds = time.perf_counter() - started
        again = sum(count - 1 for count in archive.sent.values())
        objects = sum(1 for count in archive.sent.values() if count > 1)
        yield (
            f"kills: {killed} × kill -9 while {len(expected):,} objects came in {seconds:,.0f} s by both methods: "
            f"jobs {'complete' if states == {JobState.COMPLETE} else states}; {_verdict(opened, expected)}; "
            f"{objects} objects sent twice or more, {again} transfers too many ({again / len(expected):.2%}), "
            f"{again / max(killed, 1):.2f} for each kill"
        )


def _queue(opened: Workspace, studies: list[Study]) -> list[str]:
    """Queue half by C-GET and half by C-MOVE; no worker is started, as `Workspace.retrieve` does."""
    requests = tuple(RetrieveRequest(level="STUDY", StudyInstanceUID=study.StudyInstanceUID) for study in studies)
    halves = {Method.GET: requests[: len(requests) // 2], Method.MOVE: requests[len(requests) // 2 :]}
    with State.open(opened.settings.workspace) as state:
        table = JobTable(state)
        return [table.create(NewJob(node="pacs", requests=some, method=method)) for method, some in halves.items()]


def _kill_again_and_again(opened: Workspace, job_ids: list[str], kills: int, *, total: int) -> int:
    """Kill at random points: three of four by new objects, so that they spread over all of them; one by time."""
    luck = random.Random(1)  # noqa: S311 - it guards no secret
    for number in range(kills):
        here = _stored(opened, job_ids)
        share = (total * _LAST - here) / (kills - number)
        with _serving(opened) as worker:
            if number % 4 == 3:
                time.sleep(luck.uniform(0, _BOOT))
            else:
                with contextlib.suppress(TimeoutError):
                    _wait_for(opened, job_ids, here + luck.uniform(0, 2 * share))
                time.sleep(luck.uniform(0, 0.3))
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
    return kills


def _wait_for(opened: Workspace, job_ids: list[str], point: float) -> None:
    wait_until(lambda: _stored(opened, job_ids) >= point, _QUIET)


def _stored(opened: Workspace, job_ids: list[str]) -> int:
    listed = opened.jobs.list()
    return int(listed.loc[listed["job_id"].isin(job_ids), "stored"].sum())


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


def _verdict(opened: Workspace, expected: set[str]) -> str:
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
