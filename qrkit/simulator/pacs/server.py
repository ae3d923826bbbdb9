"""The simulator: a listening socket, one thread for each connection, and a clean end."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Self

from qrkit.simulator.hospital.hospital import empty_hospital
from qrkit.simulator.pacs.archive import Archive
from qrkit.simulator.pacs.quirks import Quirks
from qrkit.simulator.pacs.server_state import ServerState
from qrkit.simulator.pacs.session import serve_connection, supported_contexts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qrkit.simulator.facts import Hospital
    from qrkit.simulator.pacs.server_state import ServedRequest

_log = logging.getLogger(__name__)

_BACKLOG = 128


class Simulator:
    """A PACS in a box: C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE on one port.

    Parameters
    ----------
    hospital
        Its content; an empty one, as of a store node, by default.
    ae_title
        Its AE title; it also accepts any other called AE title, unless a quirk forbids it.
    host, port
        Where it listens; port 0 lets the system choose, see `port`.
    quirks
        How it misbehaves; may be replaced while it runs.
    destinations
        Host and port of each AE title that C-MOVE may name; more can be added with `add_destination`.

    Examples
    --------
    >>> from qrkit.simulator import Simulator, small_hospital
    >>> with Simulator(small_hospital(studies=10)) as pacs:
    ...     pacs.port > 0
    True
    """

    def __init__(
        self,
        hospital: Hospital | None = None,
        *,
        ae_title: str = "SIMPACS",
        host: str = "127.0.0.1",
        port: int = 0,
        quirks: Quirks | None = None,
        destinations: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        self.host = host
        self._port = port
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._background: set[threading.Thread] = set()
        self._state = ServerState(
            ae_title=ae_title,
            archive=Archive(hospital or empty_hospital()),
            quirks=quirks or Quirks(),
            destinations=dict(destinations or {}),
            run_in_background=self._run_in_background,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ae_title(self) -> str:
        """Its AE title."""
        return self._state.ae_title

    @property
    def port(self) -> int:
        """The port it listens on; before the start the one asked for, after the end the last one."""
        return self._port

    @property
    def quirks(self) -> Quirks:
        """How it misbehaves; a change applies to the next request."""
        return self._state.quirks

    @quirks.setter
    def quirks(self, quirks: Quirks) -> None:
        self._state.quirks = quirks

    @property
    def requests(self) -> list[ServedRequest]:
        """The requests served so far, in the order in which they ended."""
        return self._state.requests

    @property
    def received(self) -> list[str]:
        """SOP Instance UIDs of the objects received by C-STORE, in the order of their arrival."""
        return self._state.archive.received

    @property
    def open_associations(self) -> int:
        """Number of associations open now."""
        return self._state.open_associations.count

    def path_of(self, SOPInstanceUID: str) -> Path | None:
        """Return the file of a received object, as long as the simulator runs."""
        return self._state.archive.path_of(SOPInstanceUID)

    def add_destination(self, ae_title: str, host: str, port: int) -> None:
        """Make one more AE title known as a move destination."""
        self._state.destinations[ae_title] = (host, port)

    def start(self) -> None:
        """Listen; returns once connections are accepted."""
        supported_contexts(self._state.quirks)  # made now, so that the first client does not wait for it
        listener = socket.create_server((self.host, self._port), backlog=_BACKLOG)
        self._port = int(listener.getsockname()[1])
        self._state.stopping.clear()
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="simulator-accept", daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """End all connections, wait for every thread, and remove the received files."""
        if self._listener is None:
            return
        self._state.stopping.set()
        _shut(self._listener)
        self._listener.close()  # where shutdown does not wake accept, close does
        self._listener = None
        if self._acceptor is not None:
            self._acceptor.join()
        with self._lock:
            for sock in (*self._connections.values(), *tuple(self._state.outgoing)):
                _shut(sock)
            threads = [*self._connections, *self._background]
        for thread in threads:
            thread.join()
        self._state.archive.close()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while not self._state.stopping.is_set():
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=self._serve, args=(sock,), name="simulator", daemon=True)
                with self._lock:
                    self._connections[thread] = sock
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            serve_connection(sock, self._state)
        except Exception:  # noqa: BLE001 - one client's failure must not end the simulator
            _log.exception("a connection of the simulator failed")
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)
            sock.close()

    def _run_in_background(self, task: Callable[[], None]) -> None:
        def run() -> None:
            try:
                task()
            except Exception:  # noqa: BLE001 - as above
                _log.exception("a task of the simulator failed")
            finally:
                with self._lock:
                    self._background.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="simulator-aside", daemon=True)
        with self._lock:
            self._background.add(thread)
        thread.start()


def _shut(sock: socket.socket) -> None:
    """Wake the thread that waits on a socket; that thread closes it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
