"""The receiver processes of a worker: one interpreter is too slow if several peers send at once.

The worker accepts all connections. The first association is served by a thread of its own; further ones are handed,
socket and all, to a few processes that are started when they are needed and end when they are not. These write
bytes into part files; admission, the place in the folder and the rows stay here, in one place. Where sockets cannot
be handed over (Windows), threads do it all.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self

from qrkit.receipt import Arrival, Refused
from qrkit.store.files import WrittenObject
from qrkit.worker.receiver_process import READY, Assignment, ObjectMessage

logger = logging.getLogger(__name__)

IDLE_EXIT = 120.0
"""Seconds without an association after which a receiving process ends."""

_STOP_LIMIT = 12.0
_LOOK = 1.0


class ObjectCommitter(Protocol):
    """Stores the objects that another process has received, for one calling AE title."""

    def touch(self, arrival: Arrival) -> None:
        """Note that an object is arriving."""

    def note_unstored(self, arrival: Arrival, why: str) -> None:
        """Note why an object could not be written."""

    def adopt(self, arrival: Arrival, written: WrittenObject) -> None:
        """Put an object in its place; if it raises `Refused`, the file is removed."""


class ReceiverPool:
    """The receiving processes of a worker; a `qrkit.dimse.scp.ReceiverProcesses`."""

    def __init__(
        self,
        assignment: Assignment,  # settings of each process
        committing_for: Callable[[str], ObjectCommitter],  # by the calling AE title of the objects
        sweep: Callable[[], object],  # called when a process has ended, to remove its incomplete files
        *,
        most: int = os.cpu_count() or 1,  # processes at once
    ) -> None:
        self._assignment = assignment
        self._committing_for = committing_for
        self._sweep = sweep
        self._most = most if hasattr(socket, "send_fds") and os.name == "posix" else 0
        self._processes: list[_PooledProcess] = []
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def load(self) -> int:
        """Associations that the receiving processes serve now."""
        with self._lock:
            return sum(process.load for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """Process IDs of the running processes."""
        with self._lock:
            return [process.pid for process in self._processes]

    def take(self, connection: socket.socket, *, busy: int) -> bool:
        """Take over a connection, unless the caller itself serves fewer (`busy`) than each process, or none."""
        with self._lock:
            if self._stopping or not busy + sum(process.load for process in self._processes):
                return False
            self._start_others(busy)
            able = [process for process in self._processes if process.is_ready]
            process = min(able, key=lambda one: one.load, default=None)
            if process is None or process.load > busy:
                return False
            process.load += 1
        if self._handed(process, connection):
            return True
        self._left(process)
        return False

    def stop(self) -> None:
        """End the processes, aborting what they receive."""
        with self._lock:
            self._stopping = True
            processes = list(self._processes)
        for process in processes:
            process.dismiss()
        deadline = time.monotonic() + _STOP_LIMIT
        for process in processes:
            process.wait(max(deadline - time.monotonic(), 0.1))
        with self._lock:
            threads = list(self._threads)
        for thread in threads:  # their processes have ended, so they do too
            thread.join()

    def _start_others(self, busy: int) -> None:
        """Start one process for each open association; they are ready for later ones."""
        wanted = min(self._most, busy + sum(process.load for process in self._processes))
        try:
            while len(self._processes) < wanted:
                self._processes.append(_PooledProcess(self._assignment, self._ended))
        except OSError as error:
            logger.warning("A receiving process could not be started: %s", error)

    def _handed(self, process: _PooledProcess, connection: socket.socket) -> bool:
        ours, theirs = socket.socketpair()
        try:
            process.hand_over(connection, theirs)
        except OSError:  # it has just died; its watcher cleans up
            ours.close()
            return False
        finally:
            theirs.close()
        connection.close()
        thread = threading.Thread(target=self._commit_all, args=(process, ours), name="committing", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()
        return True

    def _commit_all(self, process: _PooledProcess, channel: socket.socket) -> None:
        """Answer all messages of a process about one association."""
        committing: ObjectCommitter | None = None
        try:
            with channel, channel.makefile("rb") as lines:
                for line in lines:
                    message = ObjectMessage.from_line(line)
                    if committing is None:
                        committing = self._committing_for(message.arrival.sender)
                    if message.unstored:
                        committing.note_unstored(message.arrival, message.unstored)
                    elif message.written is None:
                        committing.touch(message.arrival)
                    else:
                        channel.sendall(_commit_status(committing, message.arrival, message.written))
        except OSError:
            logger.info("A receiving process has gone while an association was under way")
        except Exception:  # the others continue; this peer sees its association end
            logger.exception("An association in a receiving process ended by an error of ours")
        finally:
            self._left(process)

    def _left(self, process: _PooledProcess) -> None:
        with self._lock:
            process.load -= 1
            process.used = time.monotonic()
            self._threads.discard(threading.current_thread())

    def _ended(self, process: _PooledProcess) -> None:
        with self._lock:
            if process in self._processes:
                self._processes.remove(process)
        self._sweep()


def _commit_status(committing: ObjectCommitter, arrival: Arrival, written: WrittenObject) -> bytes:
    """Return the status and comment for the peer as a line; status 0 for an object in its place."""
    status, comment = 0, ""
    try:
        committing.adopt(arrival, written)
    except Refused as refusal:
        status, comment = refusal.status, refusal.comment
    return json.dumps([status, comment]).encode() + b"\n"


class _PooledProcess:
    """One receiving process, and the thread that listens to it."""

    def __init__(self, assignment: Assignment, ended: Callable[[_PooledProcess], None]) -> None:
        self._ended = ended
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-m", "qrkit.worker.receiver_process", str(theirs.fileno()), assignment.to_text()]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, with arguments of ours
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
            )
        except BaseException:
            self._control.close()
            raise
        finally:
            theirs.close()
        self.load = 0  # associations that it serves
        self.used = time.monotonic()  # when the last one ended
        self.is_ready = False  # whether it can be handed connections
        self._watcher = threading.Thread(target=self._watch, name="receiving-process", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._process.pid

    def hand_over(self, connection: socket.socket, channel: socket.socket) -> None:
        """Hand over a connection, and the channel for messages about it."""
        socket.send_fds(self._control, [b"."], [connection.fileno(), channel.fileno()])

    def dismiss(self) -> None:
        """Make it end: it accepts no more connections, and aborts its own."""
        self.is_ready = False
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def wait(self, patience: float) -> None:
        """Wait for its end; kill it after `patience` seconds."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._watcher.join()

    def _watch(self) -> None:
        rest = b""
        self._control.settimeout(_LOOK)
        while True:
            try:
                received = self._control.recv(65_536)
            except TimeoutError:
                if self.is_ready and not self.load and time.monotonic() - self.used > IDLE_EXIT:
                    self.dismiss()
                continue
            except OSError:
                break
            if not received:
                break
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                self._told(line)
        self.is_ready = False
        code = self._process.wait()
        if code:
            logger.warning("A receiving process has died (%d); what it was receiving has to be sent again", code)
        self._control.close()
        self._ended(self)

    def _told(self, line: bytes) -> None:
        if line == READY.strip():
            self.is_ready = True
            return
        level, text = json.loads(line)
        logger.log(level, "%s", text)
