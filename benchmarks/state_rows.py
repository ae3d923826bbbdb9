"""Share of the time of a retrieve that rows of the state take: progress, claims, outcomes, instances."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from benchmarks.pacs import hospital
from benchmarks.servers import process, workspace
from qrkit.store.state import State
from qrkit.worker.service import Worker
from tests.peers.waiting import free_port, wait_until

STUDIES = 40


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


def measure(folder: Path) -> Iterator[str]:
    """Fetch small objects from a PACS of its own process, as fast as it sends: the most rows for the time."""
    for method in ("get", "move"):
        yield from _measure(folder / method, method)


def _measure(folder: Path, method: str) -> Iterator[str]:
    port, pacs_port = free_port(), free_port()
    arguments = [str(pacs_port), str(STUDIES), "objects", str(port)]
    with workspace(folder, port) as opened, process(_pacs(*arguments), pacs_port):
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


def _pacs(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.pacs", *arguments]
