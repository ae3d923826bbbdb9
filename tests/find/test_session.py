"""Pacing with a clock that only moves when it is told to."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrkit.find.session import MOST_BACK_OFF, FindSession, Pacing, back_off
from qrkit.find.windows import Failure
from qrkit.node import Node
from qrkit.query import Request
from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.hospital.hospital import GeneratedHospital
from qrkit.tables import Level
from tests.workspace.opened import StartSimulator


class Clock:
    """A clock and its sleep."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def pacs(start_simulator: StartSimulator, hospital: GeneratedHospital) -> Simulator:
    """A PACS that breaks off after two answers."""
    return start_simulator(hospital, quirks=Quirks(find_abort_after=2))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def paced(clock: Clock, pause: float = 0.0) -> Pacing:
    return Pacing(pause=pause, clock=clock, sleep=clock.sleep)


def ask(pacing: Pacing, clock: Clock, seconds: float, answers: int = 0) -> None:
    begun = pacing.begin()
    clock.now += seconds
    pacing.end(begun, answers)


def test_a_pause_is_kept_after_each_answer_but_not_before_the_first_request(clock: Clock) -> None:
    pacing = paced(clock, pause=2.0)
    for _ in range(3):
        ask(pacing, clock, 1.0, answers=7)
    assert clock.now == 100 + 3 * 1 + 2 * 2
    assert pacing.load.to_json() == {"requests": 3, "answers": 21, "seconds": 3.0, "waited": 4.0, "busiest": 1}


def test_a_pause_is_kept_between_requests_on_different_associations(clock: Clock) -> None:
    pacing = paced(clock, pause=2.0)
    begun = [pacing.begin() for _ in range(3)]
    assert begun == [100, 102, 104]
    for one in begun:
        pacing.end(one, 0)
    assert pacing.load.busiest == 3


def test_without_a_pause_nothing_waits(clock: Clock) -> None:
    pacing = paced(clock)
    for _ in range(20):
        ask(pacing, clock, 0.3)
    assert pacing.load.waited == 0


def test_a_node_that_becomes_slow_is_asked_slower_until_it_recovers(clock: Clock) -> None:
    pacing = paced(clock)
    for _ in range(5):
        ask(pacing, clock, 0.1)
    for _ in range(10):
        ask(pacing, clock, 1.0)
    assert pacing.load.waited == pytest.approx(5 * 0.5)
    for _ in range(10):
        ask(pacing, clock, 0.1)
    waited = pacing.load.waited
    ask(pacing, clock, 0.1)
    assert pacing.load.waited == waited


def test_long_answers_are_no_sign_of_a_slow_node(clock: Clock) -> None:
    pacing = paced(clock)
    for _ in range(5):
        ask(pacing, clock, 0.3)
    for _ in range(10):
        ask(pacing, clock, 3.0, answers=1000)
    assert pacing.load.waited == 0


TIMES = st.lists(st.floats(0, 1e6), max_size=6)


@given(TIMES, TIMES)
def test_backing_off_is_bounded(usual: list[float], latest: list[float]) -> None:
    assert 0 <= back_off(usual, latest) <= min(MOST_BACK_OFF, max(latest, default=0) / 2)


def test_a_node_that_loses_several_associations_in_a_row_is_not_asked_any_more(pacs: Simulator) -> None:
    node = Node(name="pacs", host="127.0.0.1", port=pacs.port, ae_title=pacs.ae_title, associations=1)
    every = Request(level=Level.STUDY, keys=(), return_keys=("StudyInstanceUID",))
    nothing = Request(level=Level.STUDY, keys=(("StudyInstanceUID", "1.2.3"),))
    with FindSession(node, calling_ae_title="QRKIT", most_lost=3) as session:
        answers = session.try_ask([every, every, nothing, *[every] * 20])
        assert [isinstance(answer, Failure) for answer in answers] == [True, True, False, *[True] * 20]
        assert session.requests == 6
        session.forget_lost()
        assert isinstance(session.try_ask([nothing])[0], pa.Table)
