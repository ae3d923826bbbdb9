"""Switches of the simulated PACS against retrieves, in search of objects missing in silence.

Each case is a job of a study, a series and images. The files on disk are compared with the hospital, object by
object: what is missing must be told by the state of its item, or by what the item names as not proven.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from benchmarks.hunting import TIMEOUTS, Hunt, errors_are_faults
from benchmarks.servers import workspace
from benchmarks.switches import RETRIEVE, described, names_of, quirks_of
from qrkit.errors import QrkitError
from qrkit.jobs import ItemOutcome, JobState, RetrieveRequest
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.simulator.facts import Series, Study
from qrkit.tables import Level
from qrkit.workspace import Workspace
from qrkit.workspace.jobs import Job

LIMIT = 120.0
"""Seconds after which a job counts as one that hangs."""

_AT_ONCE = 24
_STUDIES, _DAYS, _MATRIX = 40, 2, 8
_QUERIED = 0.2
"""Share of the nodes of which a query has learnt something before."""
_LARGE = 6
"""Objects of a series that is used."""
_PATIENCE = TIMEOUTS | {"response": 3.0, "inactivity": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One retrieve: the switches, the method, and whether the node is queried first."""

    number: int
    quirks: Quirks
    method: str
    is_queried: bool
    model: str
    requests: tuple[tuple[RetrieveRequest, frozenset[str]], ...]  # each with its objects

    def __str__(self) -> str:
        queried = "queried" if self.is_queried else "not queried"
        return f"case {self.number}: {described(self.quirks)}; C-{self.method.upper()}, {queried}, {self.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A case with its job."""

    case: Case
    job: Job
    started: float


def _uids(series: Sequence[Series]) -> frozenset[str]:
    return frozenset(one.SOPInstanceUID for some in series for one in some.instances)


def _requests(studies: Sequence[Study]) -> Iterator[tuple[RetrieveRequest, frozenset[str]]]:
    for level, study in zip((Level.STUDY, Level.SERIES, Level.IMAGE), studies, strict=True):
        series = max(study.series, key=lambda one: len(one.instances))
        uids = _uids(study.series if level is Level.STUDY else [series])
        request = RetrieveRequest(
            level=level,
            StudyInstanceUID=study.StudyInstanceUID,
            SeriesInstanceUID="" if level is Level.STUDY else series.SeriesInstanceUID,
            sop_instance_uids=tuple(sorted(uids)) if level is Level.IMAGE else (),
            patient_id=study.patient.PatientID,
        )
        yield request, uids


def case_of(seed: str, number: int, studies: Sequence[Study], *, systematic: bool = True) -> Case:
    """Return the case of a number, always the same: each switch alone has both methods, a pair has one."""
    chance = random.Random(f"{seed} {number} retrieve")  # noqa: S311 - no secret, but the same each time
    names = names_of(RETRIEVE, number + (0 if systematic else 1_000_000), seed, times=2)
    return Case(
        number=number,
        quirks=quirks_of(names, chance, counts=True),
        method="get" if (number // len(RETRIEVE) + number) % 2 else "move",
        is_queried=chance.random() < _QUERIED,
        model=chance.choice(["study-root", "study-root", "patient-root"]),
        requests=tuple(_requests(studies)),
    )


def measure(folder: Path, hunt: Hunt) -> Iterator[str]:
    """Judge retrieves: a line for each fault, then the number of each outcome."""
    until = time.monotonic() + hunt.seconds
    counts: Counter[str] = Counter()
    number = hunt.first
    with workspace(folder / "w", retries=0) as opened, errors_are_faults() as logged, _worker(opened):
        while time.monotonic() < until and number < hunt.first + hunt.most:
            some = range(number, min(number + _AT_ONCE, hunt.first + hunt.most))
            for case, word, fault in _judged(opened, hunt, some):
                counts[word] += 1
                if fault:
                    yield f"{word} ({fault}): {case}"
            while logged:
                yield f"LOGGED ({logged.pop(0)}): one of the cases {some}"
            number += len(some)
    told = "; ".join(f"{word} {count}" for word, count in counts.most_common())
    yield f"{number - hunt.first} jobs of seed {hunt.seed}, {counts.total()} outcomes: {told}"


@contextmanager
def _worker(opened: Workspace) -> Iterator[None]:
    """Run the worker in this process."""
    worker = opened.worker()
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(60)


def _judged(opened: Workspace, hunt: Hunt, numbers: Sequence[int]) -> Iterator[tuple[Case, str, str]]:
    """Start the jobs of some cases together; give the outcome of each item, and for a fault what it is."""
    running: list[Running] = []
    with ExitStack() as stack:
        for number in numbers:
            hospital = small_hospital(seed=1000 + number, studies=_STUDIES, days=_DAYS, matrix=_MATRIX)
            studies = [hospital.study(place) for place in range(hospital.size)]
            large = [one for one in studies if max(len(some.instances) for some in one.series) >= _LARGE]
            case = case_of(hunt.seed, number, large[:3], systematic=hunt.systematic)
            pacs = stack.enter_context(Simulator(hospital, quirks=case.quirks, ae_title=f"PACS{number}"))
            try:
                running.append(Running(case=case, job=_started(opened, pacs, case), started=time.monotonic()))
            except QrkitError as error:
                yield case, f"error {type(error).__name__}", repr(error)
        for one in running:
            yield from ((one.case, *judged) for judged in _outcomes(opened, one))


def _started(opened: Workspace, pacs: Simulator, case: Case) -> Job:
    name = f"pacs{case.number}"
    opened.nodes.add(
        name,
        host=pacs.host,
        port=pacs.port,
        ae_title=pacs.ae_title,
        information_model=case.model,
        timeouts=_PATIENCE,
    )
    pacs.add_destination(opened.settings.ae_title, pacs.host, opened.settings.port)
    if case.is_queried:
        with suppress(QrkitError):  # nothing is learnt then
            opened.find(name, date=("2026-06-01", "2026-06-30"))
    return opened.retrieve([request for request, _ in case.requests], node=name, method=case.method)


def _outcomes(opened: Workspace, running: Running) -> Iterator[tuple[str, str]]:
    try:
        ended = running.job.wait(timeout=max(1.0, running.started + LIMIT - time.monotonic()))
    except QrkitError as error:
        running.job.cancel()
        yield "HANG", repr(error)
        return
    on_disk = {path.stem: path for path in opened.settings.files.rglob("*.dcm")}
    for item, (request, uids) in zip(ended.items, running.case.requests, strict=True):
        word, fault = judge_item(item.outcome, len(uids), len(uids & on_disk.keys()))
        yield word, f"{request.level}: {fault}" if fault else ""
        for uid in uids & on_disk.keys():
            if not _is_whole(on_disk[uid], uid):
                yield "BROKEN", f"{request.level}: {on_disk[uid]}"


def judge_item(outcome: ItemOutcome, there: int, here: int) -> tuple[str, str]:
    """Return how the report of an item compares with the objects, in a word, and for a fault its description."""
    told = f"{here} of {there}; {outcome}"
    if outcome.state is JobState.COMPLETE:
        if outcome.proven:
            return ("complete", "") if here == there else ("MISSING", told)
        if not outcome.why:
            return "UNPROVEN without a reason", told
        return "all, unproven" if here == there else "missing, unproven", ""
    if not outcome.error:
        return "NO ERROR", told
    if here == there:
        return f"too cautious, {outcome.state.value}", ""
    return f"missing, {outcome.state.value}", ""


def _is_whole(path: Path, uid: str) -> bool:
    """Whether a file holds the object of that UID, with all of its pixels."""
    try:
        data = dcmread(path)
    except Exception:  # noqa: BLE001 - whatever it is, the file is broken
        return False
    if data.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in data:
        return bool(uid == data.SOPInstanceUID)
    size = data.Rows * data.Columns * data.BitsAllocated // 8 * int(data.get("NumberOfFrames", 1))
    return bool(uid == data.SOPInstanceUID and len(data.PixelData) >= size * data.SamplesPerPixel)
