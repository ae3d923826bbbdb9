"""Rows that wait for a state that is away."""

import logging

import pytest

from qrkit.errors import StateUnavailable
from qrkit.retrieve.index_queue import IndexQueue
from tests.peers.waiting import wait_until


@pytest.mark.slow
def test_a_state_that_is_back_is_noticed_soon_and_its_absence_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tries: list[int] = []
    away = True

    def process(batch: object) -> None:
        tries.append(1)
        if away:
            raise StateUnavailable("It is away.")
        done.append(batch)

    done: list[object] = []
    index_queue: IndexQueue[str] = IndexQueue(process)
    index_queue.start()
    index_queue.put("an object")
    wait_until(lambda: len(tries) == 2, what="another try")
    away = False
    wait_until(lambda: done, 3.0, what="it is processed")
    index_queue.stop()
    assert done == [["an object"]]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
