"""Bytes over a connected socket: sent whole, and received into one buffer that is reused.

Two settings prevent small messages from waiting 40 ms each for Nagle's algorithm and delayed acknowledgement:
TCP_NODELAY, and TCP_QUICKACK again before each receive, where the platform has it. Every wait is split into ticks, so
that a caller can end it.
"""

from __future__ import annotations

import math
import os
import selectors
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from qrkit.errors import ConnectionLost, NodeTimeout
from qrkit.stop import Stop

TICK = 0.25
"""Seconds between two checks whether the caller ends the wait."""


def wait_for(connection: socket.socket, event: int, until: float, stop: Stop) -> None:
    """Return when a connection can be read or written (a selectors event), or has failed; `stop` ends the wait early.

    Raises TimeoutError if it is not so until a moment of the monotonic clock.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection, event)
        while not selector.select(min(TICK, max(until - time.monotonic(), 0))):
            stop.check()
            if time.monotonic() >= until:
                raise TimeoutError("nothing was received in time")


_NOTHING_YET = (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


def _block_in_ticks(connection: socket.socket) -> int:
    """Have calls on a connection wait for a tick at most; return the flag to receive by that waits for all bytes.

    Where the system itself keeps the time, a call is one system call and gives the interpreter away once. Python's
    own timeouts, which TLS and Windows need, ask before each call whether it would wait.
    """
    if isinstance(connection, ssl.SSLSocket) or os.name == "nt":
        connection.settimeout(TICK)
        return 0
    connection.settimeout(None)
    tick = struct.pack("ll", 0, int(TICK * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, tick)
    return int(socket.MSG_WAITALL)


class Transport:
    """One connection and what has been received on it but not read: the bytes from `_start` to `_end` of `_view`.

    Messages name the other side by `peer`. After `patience` seconds of silence NodeTimeout is raised; it may be set
    anew at any time. `on_wait` is called about four times a second while bytes are waited for or come; what it raises
    ends that.
    """

    def __init__(self, connection: socket.socket, *, peer: str, patience: float, buffer_size: int) -> None:
        self._socket = connection
        self._peer = peer
        self.patience = patience
        self.on_wait: Callable[[], None] | None = None
        self._view = memoryview(bytearray(buffer_size))
        self._start = 0
        self._end = 0
        self._outgoing: deque[bytes | memoryview] = deque()
        self._limit = math.inf
        self._next_tick = 0.0
        self._tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
        self._wait_all = _block_in_ticks(connection)
        if self._tcp:
            with suppress(OSError):  # macOS refuses once the peer has gone; the next read says so
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @property
    def has_more(self) -> bool:
        """Whether more was received than was read."""
        return self._end > self._start

    @property
    def peer_address(self) -> str:
        """The address of the other side, without its port; empty if it has gone, or has none."""
        try:
            name = self._socket.getpeername()
        except OSError:
            return ""
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def own_address(self) -> str:
        """Our address on this connection, as the other side sees it without a translation between; else empty."""
        try:
            name = self._socket.getsockname()
        except OSError:
            return ""
        return str(name[0]) if isinstance(name, tuple) else ""

    def send(self, *parts: bytes | memoryview) -> None:
        """Send parts in one write.

        Raises ConnectionLost if the peer is gone, and NodeTimeout if it does not take them within `patience`.
        """
        self._outgoing.append(parts[0] if len(parts) == 1 else b"".join(parts))
        if len(self._outgoing) > 1:  # called by `on_wait`, when a PDU is half sent: it goes out after that
            return
        try:
            with self._translated():
                while self._outgoing:
                    self._send_all(memoryview(self._outgoing[0]))
                    self._outgoing.popleft()
        finally:
            self._outgoing.clear()

    def _send_all(self, data: memoryview) -> None:
        # not sendall(): after a timeout it does not say how much was sent
        deadline = time.monotonic() + self.patience
        while data:
            try:
                data = data[self._socket.send(data) :]
                deadline = time.monotonic() + self.patience
            except _NOTHING_YET:
                self._waited(deadline, "accepted")

    def send_last(self, data: bytes) -> None:
        """Send a few bytes after which the connection is closed; whether they arrive no longer matters."""
        with suppress(OSError):
            self._socket.send(data)

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._socket.close()

    def _need(self, count: int, *, announced: int = 0) -> None:
        """Have at least `count` received bytes in one piece at `_start`; `announced` of them are sure to come."""
        missing = count - (self._end - self._start)
        if missing <= 0:
            return
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + count > len(self._view):
            kept = self._end - self._start
            self._view[:kept] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, kept
        with self._translated():
            while missing > 0:
                received = self._receive(announced)
                self._end += received
                missing -= received

    def _receive(self, announced: int) -> int:
        """Receive what there is; of what was announced, wait for all of it in one call, so that few are needed."""
        room = self._view[self._end :]
        flags = self._wait_all if announced else 0
        if flags:
            room = room[:announced]
        deadline = time.monotonic() + self.patience
        while True:
            try:
                if _QUICKACK is not None and self._tcp:
                    self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
                received = self._socket.recv_into(room, 0, flags)
            except _NOTHING_YET:
                self._waited(deadline, "sent")
            else:
                if not received:
                    raise ConnectionResetError("end of stream")
                if time.monotonic() >= self._next_tick:
                    self._waited(math.inf, "sent")
                return received

    def _waited(self, deadline: float, what: str) -> None:
        self._next_tick = time.monotonic() + TICK
        if self.on_wait is not None:
            self.on_wait()
        now = time.monotonic()
        if now >= min(deadline, self._limit):
            missed = f"{what} nothing for" if now >= deadline else "did not finish within"
            raise NodeTimeout(
                f"{self._peer} {missed} {self.patience:g} seconds.",
                advice="Try again; if the node is known to be slow, raise its response or inactivity timeout.",
            )

    @contextmanager
    def _within_patience(self) -> Iterator[None]:
        """Let what is done inside last for `patience` seconds in all, however much the peer sends."""
        self._limit = time.monotonic() + self.patience
        try:
            yield
        finally:
            self._limit = math.inf

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConnectionLost(
                f"{self._peer} closed the connection without releasing the association.",
                advice="Try again; if it happens again, ask the PACS team for the log of this moment.",
            ) from error
