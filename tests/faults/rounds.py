"""Rounds of faults: each from a seed, on a fresh workspace, until the faults are over and the truth is looked at."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from qrkit.errors import QrkitError
from qrkit.jobs import PausedBy
from tests.faults import truth
from tests.faults.stage import Stage, set_up
from tests.faults.strikes import faults
from tests.peers.postgres import Postgres
from tests.peers.waiting import wait_until

LIMIT = 300.0
"""Seconds within which all jobs must end once the faults are over."""

_ASKED_AT_FIRST = 4


@dataclass(slots=True, kw_only=True)
class Told:
    """What came of a round.

    Attributes
    ----------
    struck
        How often each kind of fault struck.
    ends
        How many jobs had which state when the faults were over, before they were retried.
    breaches
        Sentences about what should not be.
    """

    seed: str
    struck: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    objects: int = 0
    received: int = 0
    seconds: float = 0.0
    breaches: list[str] = field(default_factory=list)


def run(folder: Path, seed: str, *, count: int, server: Postgres | None = None) -> Told:
    """Have so many faults strike while jobs run; look at the truth twice: as it was left, and after a retry.

    Parameters
    ----------
    seed
        Decides what strikes, when, and for how long; the machine decides the rest.
    """
    luck = Random(seed)
    told = Told(seed=seed)
    started = time.monotonic()
    with set_up(folder, server=server, state_on_disk=luck.random() < 0.25) as stage:
        for _ in range(_ASKED_AT_FIRST):
            stage.ask(luck)
        wait_until(lambda: truth.held(stage.workspace), LIMIT, what="the first object")
        _strike(stage, luck, told, count)
        _calm(stage)
        told.breaches += truth.of_outcomes(stage)
        states = [stage.jobs.get_summary(job_id).state for job_id in stage.wanted]
        told.ends.update(state.value for state in states)
        for job_id in stage.wanted:
            stage.jobs.retry(job_id)
        _wait_for_all(stage)
        stage.workers[0].leave()
        told.breaches += [
            *truth.of_outcomes(stage),
            *truth.of_completeness(stage),
            *truth.of_files(stage),
            *truth.of_what_is_left(stage),
        ]
        jobs = [stage.jobs.get_summary(job_id) for job_id in stage.wanted]
        told.jobs, told.received = len(jobs), sum(job.received for job in jobs)
        told.objects = len(truth.held(stage.workspace))
    told.seconds = time.monotonic() - started
    return told


def _strike(stage: Stage, luck: Random, told: Told, count: int) -> None:
    """Have faults strike at random moments; several may last at once."""
    lasting: list[tuple[float, Callable[[], object]]] = []
    try:
        for fault in faults(luck, count):
            _pass(luck.uniform(0.0, 1.0), lasting)
            _keep_busy(stage, luck)
            lasts = luck.uniform(0.2, fault.longest)
            end = fault.begin(stage, luck)
            if end is not None:
                told.struck[fault.kind] += 1
                lasting.append((time.monotonic() + lasts, end))
    finally:
        _end_all(lasting)


def _end_all(lasting: Sequence[tuple[float, Callable[[], object]]]) -> None:
    """Have those end that still last, the first one first, even where another cannot be ended."""
    with contextlib.ExitStack() as ends:
        for _, end in sorted(lasting, key=lambda one: one[0], reverse=True):
            ends.callback(end)


def _keep_busy(stage: Stage, luck: Random) -> None:
    """Have something to strike at."""
    if stage.database_is_away:
        return
    with contextlib.suppress(QrkitError):
        if all(job.state.is_final for job in stage.jobs.list()):
            stage.ask(luck)


def _pass(seconds: float, lasting: list[tuple[float, Callable[[], object]]]) -> None:
    """Let time pass, ending what has lasted long enough."""
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until or any(at <= now for at, _ in lasting):
        for one in [one for one in lasting if one[0] <= now]:
            lasting.remove(one)
            one[1]()
        time.sleep(min(max(until - time.monotonic(), 0.0), 0.05))  # faults strike by the clock


def _calm(stage: Stage) -> None:
    """Have everything well again, with one worker, and wait for the jobs."""
    for pacs in stage.pacs:
        pacs.behave()
    for worker in stage.workers[1:]:
        worker.leave()
    stage.workers[0].start()
    for job_id in stage.wanted:
        if stage.jobs.get_summary(job_id).paused_by is PausedBy.USER:
            stage.jobs.resume(job_id)
    _wait_for_all(stage)


def _wait_for_all(stage: Stage) -> None:
    def ended() -> bool:
        stage.workers[0].start()  # one that has ended by itself is noted, and followed
        try:
            return all(stage.jobs.get_summary(job_id).state.is_final for job_id in stage.wanted)
        except QrkitError:
            return False

    with contextlib.suppress(TimeoutError):  # the truth tells which have not
        wait_until(ended, LIMIT)
