"""The state that all associations of one simulator share: archive, quirks, and the record of served requests."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from qrkit.simulator.pacs.wire import C_CANCEL_RQ, AssociationEndedError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from qrkit.simulator.pacs.archive import Archive
    from qrkit.simulator.pacs.association import PacsAssociation
    from qrkit.simulator.pacs.quirks import Quirks
    from qrkit.simulator.pacs.wire import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """One request as it was served, for tests and load reports; it holds no matching values."""

    service: str
    """C-ECHO, C-FIND, C-GET, C-MOVE or C-STORE."""
    level: str
    """Query/Retrieve level; empty for C-ECHO and C-STORE."""
    keywords: tuple[str, ...]
    """The keys that had a value."""
    answers: int
    """Matches returned, or objects sent."""
    status: int
    """The final status; -1 where the association ended first."""
    calling_ae_title: str
    began: float
    """Seconds since the epoch."""
    seconds: float
    """How long it took to serve."""


@dataclass(slots=True, kw_only=True)
class ServerState:
    """The shared state of a running simulator."""

    ae_title: str
    archive: Archive
    quirks: Quirks
    destinations: dict[str, tuple[str, int]]
    requests: list[ServedRequest] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    run_in_background: Callable[[Callable[[], None]], None]
    """Runs a function in a thread that the simulator waits for when it stops."""
    open_associations: int = 0
    outgoing: set[socket.socket] = field(default_factory=set)
    """Connections to move destinations that are open at this moment."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _happened: dict[str, int] = field(default_factory=dict)

    def admit_association(self) -> bool:
        """Count one more open association; False if there are already as many as the quirks allow."""
        with self._lock:
            if 0 < self.quirks.max_associations <= self.open_associations:
                return False
            self.open_associations += 1
            return True

    def association_ended(self) -> None:
        """Count one open association less."""
        with self._lock:
            self.open_associations -= 1

    def happens_again(self, what: str, times: int) -> bool:
        """Count an event that happens only `times` times (-1: always); False once it no longer happens."""
        if times < 0:
            return True
        with self._lock:
            done = self._happened.get(what, 0)
            self._happened[what] = done + 1
            return done < times

    def is_turn(self, what: str, every: int) -> bool:
        """Count an event; whether its number is a multiple of `every` (0: never)."""
        with self._lock:
            self._happened[what] = self._happened.get(what, 0) + 1
            return bool(every) and self._happened[what] % every == 0

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the simulator runs."""
        if seconds > 0:
            self.stopping.wait(seconds)
            self.check_running()

    def check_running(self) -> None:
        """End the association if the simulator stops."""
        if self.stopping.is_set():
            raise AssociationEndedError("the simulator stops")

    def hang(self, association: PacsAssociation) -> None:
        """Never answer: stay until the peer ends the association or the simulator stops."""
        association.flush()
        while True:
            self.pause(0.01)
            if association.has_input():
                association.receive()


class RequestCancelledError(Exception):
    """The peer cancelled the request that is being served."""


class Cancellation:
    """Detects a C-CANCEL-RQ for a request that is being served (PS3.7 9.3.2.3)."""

    def __init__(self, association: PacsAssociation, message_id: int, *, ignored: bool) -> None:
        self._association = association
        self._message_id = message_id
        self._ignored = ignored
        self._cancelled = False

    def note(self, message: Message) -> None:
        """Note a message that was received while the request is served."""
        is_ours = message.number("MessageIDBeingRespondedTo") == self._message_id
        if message.number("CommandField") == C_CANCEL_RQ and is_ours and not self._ignored:
            self._cancelled = True

    def requested(self) -> bool:
        """Whether the request is cancelled by now; reads what the peer has sent, without waiting."""
        while not self._cancelled and self._association.has_input():
            self.note(self._association.receive())
        return self._cancelled

    def heed(self) -> None:
        """Raise RequestCancelledError if the request is cancelled by now."""
        if self.requested():
            raise RequestCancelledError


class Recorder:
    """Puts one request on record: before its final response, or when it ends without one."""

    def __init__(self, state: ServerState, association: PacsAssociation, service: str) -> None:
        self.level = ""
        self.keywords: tuple[str, ...] = ()
        self.answers = 0
        self.status = -1
        self._done = False
        self._state = state
        self._association = association
        self._service = service
        self._began = time.time()
        self._clock = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.put()

    def put(self) -> None:
        """Put it on record once, before the final response is sent."""
        if self._done:
            return
        self._done = True
        self._state.requests.append(
            ServedRequest(
                service=self._service,
                level=self.level,
                keywords=self.keywords,
                answers=self.answers,
                status=self.status,
                calling_ae_title=self._association.calling_ae_title,
                began=self._began,
                seconds=time.perf_counter() - self._clock,
            )
        )
