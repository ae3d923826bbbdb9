import asyncio
import threading

from qrkit.widgets.panel import Poller
from tests.widgets.waiting import until


def test_it_looks_until_nothing_more_will_happen() -> None:
    answers = iter([True, True, False])
    looks: list[bool] = []

    def look() -> bool:
        looks.append(next(answers))
        return looks[-1]

    async def watch() -> None:
        poller = Poller(look, interval=0.001)
        poller.wake()
        await until(lambda: len(looks) == 3 and not poller.is_running)

    asyncio.run(watch())
    assert looks == [True, True, False]


def test_it_looks_in_the_thread_of_its_loop_although_another_wakes_it() -> None:
    threads: list[threading.Thread] = []

    def look() -> bool:
        threads.append(threading.current_thread())
        return False

    async def watch() -> None:
        poller = Poller(look)
        await asyncio.to_thread(poller.wake)
        await until(lambda: bool(threads))

    asyncio.run(watch())
    assert threads == [threading.main_thread()]


def test_woken_twice_it_looks_once_at_a_time() -> None:
    looks: list[bool] = []

    def look() -> bool:
        looks.append(True)
        return len(looks) < 4

    async def watch() -> None:
        poller = Poller(look, interval=0.001)
        poller.wake()
        poller.wake()
        await until(lambda: len(looks) == 4 and not poller.is_running)

    asyncio.run(watch())
    assert len(looks) == 4


def test_woken_after_the_end_it_looks_again() -> None:
    looks: list[bool] = []

    def look() -> bool:
        looks.append(False)
        return False

    async def watch() -> None:
        poller = Poller(look)
        poller.wake()
        await until(lambda: len(looks) == 1 and not poller.is_running)
        poller.wake()
        await until(lambda: len(looks) == 2)

    asyncio.run(watch())


def test_stopped_it_looks_no_more() -> None:
    async def watch() -> None:
        poller = Poller(lambda: True, interval=0.001)
        poller.wake()
        await until(lambda: poller.is_running)
        poller.stop()
        await until(lambda: not poller.is_running)

    asyncio.run(watch())


def test_without_a_loop_it_does_nothing() -> None:
    poller = Poller(lambda: True)
    poller.wake()
    assert not poller.is_running
