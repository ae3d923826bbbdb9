"""Retrieve jobs that lose nothing: kills, what state rows cost, cancelling, and a soak. Each part runs alone, too."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from benchmarks import killing, soaking
from benchmarks.pacs import hospital
from benchmarks.servers import process, workspace
from qrkit.jobs import JobState
from qrkit.simulator import Quirks, Simulator
from qrkit.store.state import State
from qrkit.worker.service import Worker
from qrkit.workspace import Workspace
from tests.peers.waiting import free_port, wait_until

_LIMIT = 3.0
"""Seconds until the association of a cancelled retrieve is free."""

_CANCELLED: dict[str, Quirks] = {
    "that keeps sending": Quirks(ignore_cancel=True, delay_object=0.1),
    "that has gone silent": Quirks(ignore_cancel=True, retrieve_hang=True),
    "that heeds C-CANCEL": Quirks(delay_object=0.1),
}

STUDIES = 40


def _measure_cancels(folder: Path, *, rounds: int) -> Iterator[str]:
    """Cancel a running retrieve; the PACS shows when its association is free, the state what users see."""
    port = free_port()
    archive = hospital(rounds * len(_CANCELLED) * 2)
    served = {"QRKIT_WORKSPACE": str(folder), "QRKIT_PORT": str(port)}
    with (
        workspace(folder, port) as opened,
        Simulator(archive, destinations={"QRKIT": ("127.0.0.1", port)}) as pacs,
        process([sys.executable, "-m", "qrkit.cli", "serve"], port, **served),
    ):
        opened.nodes.add("pacs", host="127.0.0.1", port=pacs.port, ae_title=pacs.ae_title)
        number = 0
        for case, quirks in _CANCELLED.items():
            for method in ("get", "move"):
                freed, told = [], []
                for _ in range(rounds):
                    one = _cancel(opened, pacs, quirks, (archive.study(number).StudyInstanceUID, method))
                    freed.append(one[0])
                    told.append(one[1])
                    number += 1
                verdict = "met" if max(freed) <= _LIMIT else "missed"
                yield (
                    f"cancel: C-{method.upper()} from a PACS {case}, {rounds} times: association free after "
                    f"{median(freed):.2f} s, at worst {max(freed):.2f} s; job cancelled after {median(told):.2f} s, "
                    f"at worst {max(told):.2f} s ({verdict}: {_LIMIT:g} s)"
                )


def _cancel(opened: Workspace, pacs: Simulator, quirks: Quirks, asked: tuple[str, str]) -> tuple[float, float]:
    study, method = asked
    pacs.quirks = quirks
    served = len(pacs.requests)
    job = opened.retrieve_uids("pacs", study_uids=[study], method=method)
    # the listing has been answered, its association left, and that of the retrieve is there
    wait_until(lambda: _has_listed(pacs, served) and pacs.open_associations, 20, what="the retrieve")
    wait_until(lambda: quirks.retrieve_hang or job.status.received, 20, what="some objects")
    time.sleep(0.3)
    clicked = time.perf_counter()
    job.cancel()
    wait_until(lambda: not pacs.open_associations, 20, what="the association is free")
    freed = time.perf_counter() - clicked
    wait_until(lambda: job.state is JobState.CANCELLED, 20, what="the job is cancelled")
    return freed, time.perf_counter() - clicked


def _has_listed(pacs: Simulator, served: int) -> bool:
    return any(one.service == "C-FIND" for one in pacs.requests[served:])


class TimedState(State):
    """Knows how long each thread has spent in it."""

    @property
    def spent(self) -> dict[str, float]:
        """Seconds by thread, from the wish for a connection to its return."""
        found: dict[str, float] = self.__dict__.setdefault("_spent", defaultdict(float))
        return found

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection to write with."""
        with self._timed(), super().transaction() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection to read with."""
        with self._timed(), super().reading() as connection:
            yield connection

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[threading.current_thread().name] += time.perf_counter() - began


def _measure_rows(folder: Path) -> Iterator[str]:
    """Fetch small objects from a PACS of its own process, as fast as it sends: the most rows for the time."""
    for method in ("get", "move"):
        yield from _rows_of(folder / method, method)


def _rows_of(folder: Path, method: str) -> Iterator[str]:
    port, pacs_port = free_port(), free_port()
    arguments = [str(pacs_port), str(STUDIES), "objects", str(port)]
    with workspace(folder, port) as opened, process([sys.executable, "-m", "benchmarks.pacs", *arguments], pacs_port):
        opened.nodes.add("pacs", host="127.0.0.1", port=pacs_port, ae_title="SIMPACS", associations=1)
        state = TimedState.open(folder)
        worker = Worker(opened.settings, state)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            wait_until(lambda: len(opened.sql("SELECT * FROM workers")), 20, what="the worker runs")
            archive = hospital(STUDIES)
            uids = [archive.study(number).StudyInstanceUID for number in range(STUDIES)]
            state.spent.clear()
            began = time.perf_counter()
            job = opened.retrieve_uids("pacs", study_uids=uids, method=method)
            done = job.wait(timeout=600)
            seconds = time.perf_counter() - began
        finally:
            worker.stop()
            thread.join()
            state.close()
        of_retrieves = sum(spent for name, spent in state.spent.items() if name.startswith("retrieve"))
        of_others = sum(state.spent.values()) - of_retrieves
        yield (
            f"rows: {done.stored:,} objects by C-{method.upper()} in {seconds:.1f} s ({done.state.value}): "
            f"{of_retrieves / seconds:.1%} of the retrieving thread's time in the state, "
            f"in addition {of_others / seconds:.1%} in other threads (instance rows, claims, the loop)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many times the worker is killed, how many minutes the soak takes, and how often each cancel is repeated."""

    kills: int
    minutes: float
    rounds: int


PARTS: Mapping[str, Callable[[Path, Extent], Iterator[str]]] = {
    "kills": lambda folder, extent: killing.measure(folder, kills=extent.kills),
    "rows": lambda folder, _: _measure_rows(folder),
    "cancel": lambda folder, extent: _measure_cancels(folder, rounds=extent.rounds),
    "soak": lambda folder, extent: soaking.measure(folder, minutes=extent.minutes),
}


def measure(folder: Path, extent: Extent, *, parts: tuple[str, ...] = ()) -> Iterator[str]:
    """Give the lines of the parts that are asked for, all without."""
    for name in parts or tuple(PARTS):
        yield from PARTS[name](folder / name, extent)
