"""Which workers are alive, whatever the clocks of their machines say."""

import os
import socket
from dataclasses import replace

from qrkit.store.workers import WorkerRow
from qrkit.worker.health import DEAD_AFTER, OtherWorkers

FAR = WorkerRow(
    worker_id="far",
    host="elsewhere",
    pid=1,
    ae_title="FAR",
    port=104,
    started="2020-01-01T00:00:00+00:00",
    heartbeat="2020-01-01T00:00:00+00:00",  # a clock that is years late
    state="running",
)


class Watched:
    """OtherWorkers whose rows and clock a test sets."""

    def __init__(self, *rows: WorkerRow) -> None:
        self.rows = rows
        self.now = 1_000.0
        self._colleagues = OtherWorkers("me", lambda: self.rows, clock=lambda: self.now)

    def after(self, seconds: float, *, beats: bool) -> list[str]:
        """Who is alive after so many seconds, of looks five seconds apart."""
        for _ in range(round(seconds / 5)):
            self.now += 5
            if beats:
                self.rows = tuple(replace(row, heartbeat=f"{row.heartbeat}!") for row in self.rows)
            alive = self._colleagues.alive()
        return alive


def test_a_worker_is_alive_as_long_as_its_heartbeat_changes_whatever_its_clock_says() -> None:
    watched = Watched(FAR)
    assert watched.after(4 * DEAD_AFTER, beats=True) == ["far"]
    assert watched.after(DEAD_AFTER, beats=False) == ["far"]
    assert watched.after(10, beats=False) == []
    assert watched.after(5, beats=True) == ["far"]


def test_a_state_that_was_gone_for_a_while_kills_nobody() -> None:
    watched = Watched(FAR)
    assert watched.after(5, beats=False) == ["far"]
    watched.now += 10 * DEAD_AFTER
    assert watched.after(5, beats=False) == ["far"]


def test_a_worker_of_this_machine_is_dead_with_its_process_and_nobody_is_his_own_colleague() -> None:
    here = replace(FAR, worker_id="here", host=socket.gethostname(), pid=os.getpid())
    gone = replace(here, worker_id="gone", pid=2**22 + 1)
    me = replace(here, worker_id="me")
    assert Watched(here, gone, me).after(5, beats=True) == ["here"]
