"""A job that is cancelled ends within three seconds, whatever it waits for at that moment.

Only a busy machine makes it longer: so here each must end long before its node's patience does, and half of them in
time. `python -m benchmarks jobs --part cancel` measures each.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from statistics import median

import pytest

from qrkit.errors import Cancelled
from qrkit.jobs import JobState
from qrkit.query import build_query
from qrkit.simulator import Quirks
from qrkit.stop import Stop
from qrkit.workspace import Job, Workspace
from tests.peers.waiting import LOOPBACK, wait_until
from tests.workspace.opened import Linked, StartSimulator, files_of, link, of_size, uids_of, worker_in_thread

PATIENT = {"connect": 60.0, "association": 60.0, "response": 60.0, "inactivity": 60.0}
LIMIT = 3.0
ON_A_BUSY_MACHINE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A job, and whether it waits for what it is to wait for."""

    what: str
    job: Job
    is_there: Callable[[], object]


@contextmanager
def nobody_answers(stack: ExitStack) -> Iterator[int]:
    """A port to which nobody can connect: its backlog is full, and Linux drops what asks for a connection."""
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def add(workspace: Workspace, name: str, port: int, **settings: object) -> None:
    workspace.nodes.add(name, host=LOOPBACK, port=port, ae_title="SILENT", timeouts=PATIENT, **settings)


def cancelled(job: Job) -> tuple[float, JobState]:
    """Seconds until a job ends, and its state then."""
    began = time.monotonic()
    job.cancel()
    wait_until(lambda: job.state.is_final, ON_A_BUSY_MACHINE, what="the end")
    return time.monotonic() - began, job.state


def test_a_job_that_is_cancelled_ends_in_time_whatever_it_waits_for(
    linked: Linked, start_simulator: StartSimulator
) -> None:
    workspace = linked.workspace
    study = of_size(linked.hospital, 8)[0]
    phases: list[Phase] = []

    def ask(what: str, name: str, is_there: Callable[[], object], method: str = "get") -> None:
        job = workspace.retrieve_uids(name, study_uids=[study.StudyInstanceUID], method=method)
        phases.append(Phase(what=what, job=job, is_there=lambda: job.state is JobState.RUNNING and is_there()))

    def simulate(name: str, quirks: Quirks, **settings: object) -> Callable[[str], Callable[[], bool]]:
        pacs = start_simulator(linked.hospital, quirks=quirks, ae_title=name.upper())
        link(workspace, pacs, name, **{"timeouts": PATIENT, **settings})
        return lambda service: lambda: any(one.service == service for one in pacs.requests)

    with ExitStack() as stack, worker_in_thread(workspace):
        add(workspace, "silent", stack.enter_context(nobody_answers(stack)))
        ask("the connection", "silent", lambda: True)
        mute = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        mute.setblocking(False)
        add(workspace, "mute", mute.getsockname()[1], tls={"enabled": True, "verify": False})
        ask("the TLS handshake", "mute", lambda: True)
        simulate("slow", Quirks(delay_association=60))
        ask("the answer to the association request", "slow", lambda: True)
        simulate("dumb", Quirks(find_hang=True))
        ask("the list of objects", "dumb", lambda: True)
        has_had = simulate("resting", Quirks(), pause=60)
        ask("the pause between two queries", "resting", lambda: True)
        has_had = simulate("lying", Quirks(send_less=1), method="move")
        ask("objects that come late", "lying", has_had("C-MOVE"), method="move")
        for phase in phases:
            wait_until(phase.is_there, 20, what=f"it waits for {phase.what}")
        wait_until(lambda: len(files_of(workspace)) == len(uids_of(study)) - 1, 20, what="all but the late object")
        time.sleep(0.5)  # more than the time of the state in which they begin to wait, which nothing tells
        took = {}
        for phase in phases:
            assert phase.is_there(), phase.what
            took[phase.what], ended = cancelled(phase.job)
            assert ended is JobState.CANCELLED, phase.what
    assert median(took.values()) < LIMIT, took


def test_a_job_that_waits_for_the_hours_of_its_node_or_for_room_is_cancelled_at_once(linked: Linked) -> None:
    opens = datetime.now().astimezone() + timedelta(hours=3)
    linked.workspace.nodes.edit("pacs", retrieve_hours=f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")
    study = of_size(linked.hospital, 8)[0]
    with worker_in_thread(linked.workspace):
        job = linked.workspace.retrieve_uids("pacs", study_uids=[study.StudyInstanceUID])
        wait_until(lambda: job.status.reason, 20, what="a reason")
        job.cancel()
        assert job.state is JobState.CANCELLED
        assert not job.status.reason


def is_over(moment: float) -> bool:
    return time.monotonic() > moment


@pytest.mark.parametrize("name", ["silent", "resting"])
def test_a_query_and_a_probe_that_wait_for_an_association_or_a_pause_end_within_seconds(
    linked: Linked, name: str
) -> None:
    workspace = linked.workspace
    query = build_query(today=date(2026, 7, 1), level="SERIES", date="2026-06-30")
    asked: list[Callable[[Stop], object]] = [
        lambda stop: workspace.ask(name, query, stop=stop),
        lambda stop: workspace.probe(name, stop=stop),
    ]
    with ExitStack() as stack:
        add(workspace, "silent", stack.enter_context(nobody_answers(stack)))
        link(workspace, linked.pacs, "resting", pause=60.0)
        for ask in asked:
            clicked = time.monotonic() + 1
            with pytest.raises(Cancelled):
                ask(Stop(partial(is_over, clicked)))
            assert time.monotonic() - clicked < ON_A_BUSY_MACHINE
