"""The interface between the wire and the store for an arriving object.

The two never import one another: the wire receives a `Receiver`, which can `begin` an arrival, writes fragments to
the `Incoming` it returns, and answers the peer with the result of `commit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_LEAST_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One C-STORE request, as its command set announces it (PS3.7 9.3.1.1)."""

    sop_class_uid: str  # Affected SOP Class UID
    sop_instance_uid: str  # Affected SOP Instance UID
    transfer_syntax_uid: str  # of the presentation context: what the data set is encoded in
    sender: str = ""  # AE title of the sender: the node itself for C-GET, the calling AE title for the Storage SCP
    move_originator: str = ""  # Move Originator AE Title; empty where the sender gives none
    move_message_id: int = 0  # Move Originator Message ID; 0 where the sender gives none


class Refused(Exception):
    """An arriving object is refused; `status` is sent to the peer (PS3.4 B.2.3)."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(f"0x{status:04X} {comment}")
        self.status = status
        self.comment = comment


class Incoming(Protocol):
    """An object that is being written."""

    def write(self, fragment: memoryview) -> None:
        """Take the next fragment of the data set; the memory is reused after the call."""

    def commit(self) -> object:
        """Put the whole object in its place; only then is success sent to the peer.

        Raise `Refused` with the status for the peer.
        """

    def discard(self) -> None:
        """Drop an object that did not arrive completely."""


class Receiver(Protocol):
    """Receives arriving objects."""

    def begin(self, arrival: Arrival) -> Incoming:
        """Start to take an object; raise `Refused` with the status for the peer; its data set is read and dropped."""

    def ready(self) -> None:
        """Prepare for the next object, while the peer prepares it as well."""


class ByteSigns:
    """Calls `sign` while the bytes of an object arrive, at most once in `every` seconds.

    Each takes a kilobyte: a peer that drips single bytes is as good as silent.
    """

    def __init__(self, sign: Callable[[], None], *, every: float) -> None:
        self._sign = sign
        self._every = every
        self._bytes = 0
        self._next = 0.0

    def count(self, size: int) -> None:
        """Count received bytes."""
        self._bytes += size
        if self._bytes < _LEAST_BYTES:
            return
        now = time.monotonic()
        if now >= self._next:
            self._bytes, self._next = 0, now + self._every
            self._sign()
