"""Our Storage SCP: receives the objects that C-MOVE or a modality sends, over many associations (PS3.4 annex B)."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from qrkit import errors
from qrkit.dimse.storage_service import STOP_LIMIT, Listener, StorageService
from qrkit.receipt import Receiver

__all__ = ["Listener", "ReceiverProcesses", "StorageScp", "listen"]

logger = logging.getLogger(__name__)

_STUCK = 6


class ReceiverProcesses(Protocol):
    """Serves connections in other processes."""

    @property
    def load(self) -> int:
        """Associations that it serves now."""

    def take(self, connection: socket.socket, *, busy: int) -> bool:
        """Serve a connection, while we serve `busy` others; False to leave it to us."""


class StorageScp:
    """A Storage SCP for many associations at once, a thread each.

    Parameters
    ----------
    listener
        AE title, address and port.
    receiver_for
        Gives the receiver for the objects of one association, from the calling AE title.
    aside
        May take some of the connections.
    """

    def __init__(
        self, listener: Listener, receiver_for: Callable[[str], Receiver], *, aside: ReceiverProcesses | None = None
    ) -> None:
        self._listener = listener
        self._receiver_for = receiver_for
        self._aside = aside
        self._server: socket.socket | None = None
        self._service: StorageService | None = None
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._turns = self._seen = 0
        self._times_seen = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        return int(self._server.getsockname()[1]) if self._server is not None else 0

    def is_stuck(self) -> bool:
        """Whether it has not looked for connections since this was asked several times, seconds apart.

        A thread that cannot begin, for want of memory, keeps the one that starts it waiting without end.
        """
        self._times_seen = self._times_seen + 1 if self._turns == self._seen else 0
        self._seen = self._turns
        return self._times_seen >= _STUCK

    def start(self) -> None:
        """Listen.

        Raises
        ------
        PortInUse
            If another program has the port, or we may not take it.
        InputError
            If its TLS certificate cannot be used.
        """
        self._service = service = StorageService(self._listener)
        self._server = server = listen(self._listener.host, self._listener.port)
        server.settimeout(0.5)
        self._start_thread(lambda: self._accept_connections(server, service))

    def stop(self) -> None:
        """Stop listening, abort what is under way, and wait for its threads."""
        self._stopping.set()
        if self._service is not None:
            self._service.stop()
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError):  # wakes accept(); not every platform allows it on a listening socket
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        deadline = time.monotonic() + STOP_LIMIT
        while (thread := self._some_thread()) is not None and time.monotonic() < deadline:
            thread.join(0.5)

    def _some_thread(self) -> threading.Thread | None:
        with self._lock:
            return next(filter(threading.Thread.is_alive, self._threads), None)

    def _start_thread(self, target: Callable[[], None]) -> None:
        def run() -> None:
            try:
                target()
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="storage-scp", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept_connections(self, server: socket.socket, service: StorageService) -> None:
        while not self._stopping.is_set():
            self._turns += 1
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            except OSError as error:  # stopped; or out of file descriptors, which passes
                if not self._stopping.wait(0.5):
                    logger.warning("A connection could not be accepted: %s", error)
                continue
            self._take(connection, service)

    def _take(self, connection: socket.socket, service: StorageService) -> None:
        own = len(self._threads) - 1  # without the one that accepts
        busy = own + (self._aside.load if self._aside else 0) >= self._listener.most_associations
        if busy or self._aside is None or not self._aside.take(connection, busy=own):
            self._start_thread(lambda: service.serve(connection, self._receiver_for, busy=busy))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    PortInUse
        If it cannot be had; the message says why.
    """
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        why = "another program has it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise errors.PortInUse(
            f"The Storage SCP cannot listen on {host}:{port}: {why}.",
            advice="Set another port by QRKIT_PORT and inform the PACS team; ports below 1024 need privileges.",
        ) from error
