"""A receiving process (``python -m qrkit.worker.receiver_process``): the worker starts it when several peers send.

It is handed connected sockets, and runs the whole association on each: negotiation, bytes into part files, headers.
What is admitted and where it goes the worker decides. It ends when the worker closes its end, or has died.

For each association the process sends the worker lines of JSON, `ObjectMessage`: while its bytes arrive, and once it
is whole in its part file. The worker replies to the latter with the status and comment for the peer.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from qrkit import errors
from qrkit.dimse.scp import STOP_LIMIT, Listener, StorageService
from qrkit.node import Tls
from qrkit.receipt import Arrival, ByteSigns, Refused
from qrkit.store.files import FileStore, IncomingFile, WrittenObject
from qrkit.store.header import ObjectHeader

READY = b"ready\n"

_NOTE_EVERY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMessage:
    """An object is arriving; once it is written, it is whole in its part file and waits to be put in its place.

    `unstored`: why it could not be written.
    """

    arrival: Arrival
    written: WrittenObject | None = None
    unstored: str = ""

    def to_line(self) -> bytes:
        """Return it as a line."""
        return json.dumps(asdict(self), default=str).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> ObjectMessage:
        """Return the message of a line."""
        fields = json.loads(line)
        arrival, written = Arrival(**fields["arrival"]), fields["written"]
        if written is None:
            return cls(arrival=arrival, unstored=fields["unstored"])
        header = ObjectHeader(**written["header"])
        whole = WrittenObject(part=Path(written["part"]), size=written["size"], header=header)
        return cls(arrival=arrival, written=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The settings of a receiver process: its listener, and where it writes."""

    listener: Listener
    files: Path
    free_space_floor: int

    def to_text(self) -> str:
        """Return it as text for the command line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> Assignment:
        """Return the assignment that `to_text` has written."""
        fields = json.loads(text)
        tls = Tls(**fields["listener"].pop("tls"))
        return cls(
            listener=Listener(**fields["listener"], tls=tls),
            files=Path(fields["files"]),
            free_space_floor=fields["free_space_floor"],
        )


class _ForwardingReceiver:
    """The receiver of one association: writes here, and leaves the rest to the worker, over a socket."""

    def __init__(self, files: FileStore, end: socket.socket) -> None:
        self._files = files
        self._end = end
        self._lines = end.makefile("rb")
        self._noted = 0.0

    def begin(self, arrival: Arrival) -> _ForwardedObject:
        if time.monotonic() - self._noted > _NOTE_EVERY:
            self.note(arrival)
        with self.noting(arrival):
            return _ForwardedObject(self._files.begin(arrival), self, arrival)

    @contextmanager
    def noting(self, arrival: Arrival) -> Iterator[None]:
        """Report to the worker why an object could not be written here."""
        try:
            yield
        except Refused as refusal:
            self.note(arrival, refusal.comment)
            raise

    def note(self, arrival: Arrival, unstored: str = "") -> None:
        """Report to the worker that an object is arriving, or why it could not be written here."""
        self._noted = time.monotonic()
        with suppress(OSError):  # the end of the object reports that the worker is gone
            self._end.sendall(ObjectMessage(arrival=arrival, unstored=unstored).to_line())

    def ready(self) -> None:
        self._files.ready()

    def place(self, message: ObjectMessage) -> None:
        """Hand a whole object to the worker; raise `Refused`, or `WorkerError` if the worker is gone."""
        try:
            self._end.sendall(message.to_line())
            line = self._lines.readline()
        except OSError as error:
            raise errors.WorkerError("The worker is gone.") from error
        if not line:
            raise errors.WorkerError("The worker is gone.")
        status, comment = json.loads(line)
        if status:
            raise Refused(int(status), str(comment))

    def close(self) -> None:
        """Close the socket: no more messages follow."""
        self._lines.close()
        self._end.close()


class _ForwardedObject:
    """An object that is written here and put in its place by the worker."""

    def __init__(self, file: IncomingFile, receiver: _ForwardingReceiver, arrival: Arrival) -> None:
        self._file = file
        self._receiver = receiver
        self._arrival = arrival
        self._signs = ByteSigns(lambda: receiver.note(arrival), every=_NOTE_EVERY)
        self.discard = file.discard

    def write(self, fragment: memoryview) -> None:
        self._file.write(fragment)
        self._signs.count(len(fragment))

    def commit(self) -> None:
        with self._receiver.noting(self._arrival):
            written = self._file.finish()
        try:
            self._receiver.place(ObjectMessage(arrival=self._arrival, written=written))
        except errors.WorkerError:
            with suppress(OSError):  # it is swept when we have ended
                written.part.unlink(missing_ok=True)
            raise


class _LinesToWorker(logging.Handler):
    """Sends log records to the worker, which writes one log file."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__(logging.INFO)
        self._control = control

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record as one line."""
        line = json.dumps([record.levelno, self.format(record)])
        with suppress(OSError):
            self._control.sendall(line.encode() + b"\n")


class ReceiverProcess:
    """A process that serves the connections that the worker hands over on the socket `control`."""

    def __init__(self, assignment: Assignment, control: socket.socket) -> None:
        self._control = control
        self._files = FileStore(assignment.files, free_space_floor=assignment.free_space_floor)
        self._service = StorageService(assignment.listener)
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Serve until the worker closes its end, or has died."""
        with suppress(BrokenPipeError, ConnectionResetError):  # the worker was killed
            self._control.sendall(READY)
            self._serve_all()
        self._service.stop()
        deadline = time.monotonic() + STOP_LIMIT
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self._files.close()

    def _serve_all(self) -> None:
        """Serve each connection that is handed over on a thread of its own."""
        while True:
            received, descriptors, _, _ = socket.recv_fds(self._control, 1, 2)
            if not received:
                return
            peer, end = (socket.socket(fileno=one) for one in descriptors)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(threading.Thread(target=self._serve, args=(peer, end), daemon=True))
            self._threads[-1].start()

    def _serve(self, peer: socket.socket, end: socket.socket) -> None:
        with closing(_ForwardingReceiver(self._files, end)) as receiver:
            self._service.serve(peer, lambda _: receiver)


def main(control: int, assignment: str) -> None:
    """Run a receiving process on an inherited socket."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the worker stops its receiver processes
        signal.signal(number, signal.SIG_IGN)
    line = socket.socket(fileno=control)
    logger = logging.getLogger("qrkit")
    logger.addHandler(_LinesToWorker(line))
    logger.setLevel(logging.INFO)
    ReceiverProcess(Assignment.from_text(assignment), line).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
