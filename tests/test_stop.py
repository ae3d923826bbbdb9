"""The token that ends work early."""

import threading
import time

import pytest

from qrkit.errors import Cancelled
from qrkit.stop import NEVER, Stop


def test_it_asks_each_time_whether_the_end_is_wanted() -> None:
    event = threading.Event()
    stop = Stop(event.is_set)
    stop.check()
    assert not stop.wanted()
    event.set()
    assert stop.wanted()
    with pytest.raises(Cancelled):
        stop.check()


def test_waiting_ends_when_another_thread_wants_it() -> None:
    event = threading.Event()
    looked = threading.Event()

    def is_wanted() -> bool:
        looked.set()
        return event.is_set()

    ended: list[float] = []

    def wait() -> None:
        with pytest.raises(Cancelled):
            Stop(is_wanted).wait(3600)
        ended.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    assert looked.wait(30)
    event.set()
    thread.join(30)
    assert ended


def test_nothing_is_waited_where_there_is_nothing_to_wait_for() -> None:
    Stop(lambda: True).wait(0)
    NEVER.wait(0.01)


def test_a_token_may_have_a_second_reason() -> None:
    event = threading.Event()
    either = NEVER.or_when(event.is_set)
    assert not either.wanted()
    event.set()
    assert either.wanted()
    assert not NEVER.wanted()
