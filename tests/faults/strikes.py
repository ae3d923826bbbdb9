"""The faults: how each begins, and what ends it."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import psutil

from qrkit.errors import QrkitError
from tests.faults.stage import Stage, WorkerProcess

End = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault.

    Attributes
    ----------
    begin
        Has it strike, and returns what ends it; None where it could not strike now.
    longest
        Seconds that it lasts at most.
    """

    kind: str
    begin: Callable[[Stage, Random], End | None]
    longest: float = 2.0


def _misbehaving(kind: str, longest: float = 2.0, **quirks: Any) -> Fault:  # noqa: ANN401 - as Quirks has them
    """Return a fault of one of the PACS, told by its quirks; a callable one is drawn."""

    def begin(stage: Stage, luck: Random) -> End | None:
        pacs = luck.choice(stage.pacs)
        drawn = {name: value(luck) if callable(value) else value for name, value in quirks.items()}

        def end() -> None:
            with contextlib.suppress(RuntimeError, OSError):  # it was killed meanwhile, and has forgotten
                pacs.behave()

        try:
            pacs.behave(**drawn)
        except (RuntimeError, OSError):
            return None
        return end

    return Fault(kind=kind, begin=begin, longest=longest)


def _few(luck: Random) -> int:
    return luck.randint(0, 4)


def _pacs_is_killed(stage: Stage, luck: Random) -> End | None:
    pacs = luck.choice(stage.pacs)
    try:
        pacs.associations()
    except (RuntimeError, OSError):
        return None
    pacs.kill()
    return pacs.start


def _running(stage: Stage, luck: Random) -> WorkerProcess | None:
    running = [worker for worker in stage.workers if worker.is_running]
    return luck.choice(running) if running else None


def _worker_is_killed(stage: Stage, luck: Random) -> End | None:
    worker = _running(stage, luck)
    if worker is None:
        return None
    worker.kill()
    return worker.start


def _worker_is_asked_to_end(stage: Stage, luck: Random) -> End | None:
    worker = _running(stage, luck)
    if worker is None:
        return None
    worker.leave()
    return worker.start


def _worker_sleeps(stage: Stage, luck: Random) -> End | None:
    worker = _running(stage, luck)
    if worker is None:
        return None
    worker.sleep()
    return worker.wake


def _another_worker_joins(stage: Stage, luck: Random) -> End | None:
    idle = [worker for worker in stage.workers if not worker.is_running]
    if not idle:
        return None
    idle[0].start()
    return idle[0].kill if luck.random() < 0.5 else idle[0].leave


def _receiving_process_is_killed(stage: Stage, luck: Random) -> End | None:
    children = [child for worker in stage.workers for child in worker.receiving()]
    if not children:
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        luck.choice(children).kill()
    return _nothing


def _disk_is_full(stage: Stage, luck: Random) -> End | None:
    del luck
    if stage.disk is None:
        return None
    ballast = stage.disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab") as file:
        while True:
            file.write(bytes(1 << 20))
            file.flush()
    # on a disk that is read-only meanwhile, there is none
    return ballast.unlink if ballast.exists() else None


def _disk_is_read_only(stage: Stage, luck: Random) -> End | None:
    del luck
    disk = stage.disk
    if disk is None or (disk / "ballast").exists():
        return None
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    for _ in range(20):  # it is refused while somebody writes there, who came just now
        done = subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=False, capture_output=True)
        if not done.returncode:
            return lambda: subprocess.run(["umount", "--lazy", disk], check=True)
    subprocess.run(["umount", "--lazy", disk], check=True)
    return None


def _by_people(act: Callable[[Stage, str], End]) -> Callable[[Stage, Random], End | None]:
    """Return what somebody does to a job that has not ended, from this process."""

    def begin(stage: Stage, luck: Random) -> End | None:
        if stage.database_is_away:
            return None
        try:
            going_on = [job.job_id for job in stage.jobs.list() if not job.state.is_final]
            return act(stage, luck.choice(sorted(going_on))) if going_on else None
        except QrkitError:  # the database is away; they see that and come again
            return None

    return begin


def _pause(stage: Stage, job_id: str) -> End:
    stage.jobs.pause(job_id)

    def end() -> None:
        if not stage.database_is_away:
            with contextlib.suppress(QrkitError):
                stage.jobs.resume(job_id)

    return end


def _cancel(stage: Stage, job_id: str) -> End:
    stage.cancelled.add(job_id)
    stage.jobs.request_cancel(job_id)
    return _nothing


def _retry(stage: Stage, luck: Random) -> End | None:
    if stage.database_is_away:
        return None
    try:
        ended = sorted(job.job_id for job in stage.jobs.list() if job.state.is_final)
        if not ended or not stage.jobs.retry(job_id := luck.choice(ended)):
            return None
    except QrkitError:
        return None
    stage.cancelled.discard(job_id)
    return _nothing


def _ask(stage: Stage, luck: Random) -> End | None:
    if stage.database_is_away:
        return None
    with contextlib.suppress(QrkitError):
        stage.ask(luck)
    return _nothing


_END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
AND pid <> pg_backend_pid()"


def _connections_are_ended(stage: Stage, luck: Random) -> End | None:
    del luck
    if stage.server is None or stage.database_is_away:
        return None
    with contextlib.suppress(QrkitError), stage.workspace._state.transaction() as connection:
        connection.exec_driver_sql(_END_OTHERS)
    return _nothing


def _database_stops(stage: Stage, luck: Random) -> End | None:
    del luck
    server = stage.server
    if server is None or stage.database_is_away:
        return None
    stage.database_is_away = True
    server.stop_at_once()

    def end() -> None:
        server.start()
        stage.database_is_away = False

    return end


def _database_hangs(stage: Stage, luck: Random) -> End | None:
    del luck
    server = stage.server
    if server is None or stage.database_is_away:
        return None
    stage.database_is_away = True
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()

    def end() -> None:
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        stage.database_is_away = False

    return end


def _database_is_locked(stage: Stage, luck: Random) -> End | None:
    """Hold the write lock of SQLite for a while, as another process might."""
    if stage.server is not None:
        return None
    with contextlib.suppress(QrkitError), stage.workspace._state.transaction():
        time.sleep(luck.uniform(0.5, 3.0))  # how long the fault lasts
    return _nothing


def _nothing() -> None:
    """It is over already."""


_PACS = (
    _misbehaving("abort between objects", drop_after=_few),
    _misbehaving("connection broken within an object", break_after=_few),
    _misbehaving("hang", 5.0, retrieve_hang=True),
    _misbehaving("C-FIND hangs", 5.0, find_hang=True),
    _misbehaving("lying counters", send_less=_few),
    _misbehaving("no counters", no_counters=True, no_pending=True),
    _misbehaving("objects twice", send_twice=True),
    _misbehaving("wrong objects", send_more=10),
    _misbehaving("objects without end", runaway=True),
    _misbehaving("late objects", finish_early=True, delay_first_object=0.5),
    _misbehaving("late objects, without counters", finish_early=True, no_counters=True),
    _misbehaving("0xB000", fail_objects=_few),
    _misbehaving("0xA801", retrieve_status=0xA801),
    _misbehaving("0xA900", retrieve_status=0xA900),
    _misbehaving("0xA702", retrieve_status=0xA702, retrieve_status_after=_few),
    _misbehaving("0xFE00", retrieve_status=0xFE00, retrieve_status_after=_few),
    _misbehaving("0xC001 to C-FIND", find_status=0xC001),
    _misbehaving("A-ABORT of C-FIND", find_abort_after=_few),
    _misbehaving("congestion", reject="congestion"),
    _misbehaving("calling AE title not known", reject="calling-aet"),
    _misbehaving("no presentation context", refuse_contexts=True),
    _misbehaving("one association at a time", max_associations=1),
    _misbehaving("C-CANCEL ignored", ignore_cancel=True),
    _misbehaving("other bytes", edition=lambda luck: luck.randint(1, 3)),
    Fault(kind="kill -9 of the PACS", begin=_pacs_is_killed),
)
_OURS = (
    Fault(kind="kill -9 of a worker", begin=_worker_is_killed, longest=1.0),
    Fault(kind="SIGTERM to a worker", begin=_worker_is_asked_to_end, longest=1.0),
    Fault(kind="SIGSTOP of a worker", begin=_worker_sleeps, longest=9.0),
    Fault(kind="another worker joins", begin=_another_worker_joins, longest=9.0),
    Fault(kind="kill -9 of a receiving process", begin=_receiving_process_is_killed),
)
_SYSTEM = (
    Fault(kind="full disk", begin=_disk_is_full, longest=3.0),
    Fault(kind="read-only disk", begin=_disk_is_read_only, longest=3.0),
    Fault(kind="database connections ended", begin=_connections_are_ended),
    Fault(kind="database stops", begin=_database_stops, longest=3.0),
    Fault(kind="database hangs", begin=_database_hangs, longest=3.0),
    Fault(kind="state locked by another process", begin=_database_is_locked, longest=3.0),
)
_PEOPLE = (
    Fault(kind="paused", begin=_by_people(_pause)),
    Fault(kind="cancelled", begin=_by_people(_cancel)),
    Fault(kind="retried", begin=_retry),
    Fault(kind="another job", begin=_ask),
)


def faults(luck: Random, count: int) -> Iterator[Fault]:
    """Draw faults: of the PACS half of the time, of the others each group as often as the next."""
    for _ in range(count):
        yield luck.choice(luck.choice((_PACS, _PACS, _PACS, _OURS, _OURS, _SYSTEM, _PEOPLE)))
