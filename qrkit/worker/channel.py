"""What a receiving process and the worker say to each other of one association: a line of JSON each.

The receiving process says `Began` now and then, so that the worker knows that something comes, and `Written` for
each object that is whole in its part file; the worker answers a `Written` with the status for the peer.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qrkit.receipt import Arrival
from qrkit.store.files import Written
from qrkit.store.header import Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """An object is arriving."""

    arrival: Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An object is whole, and waits in its part file to be admitted and put in its place."""

    arrival: Arrival
    written: Written


def encode(message: Began | Finished) -> bytes:
    """Return a message as a line."""
    told: dict[str, object] = {"arrival": asdict(message.arrival)}
    if isinstance(message, Finished):
        written = message.written
        told |= {"part": str(written.part), "size": written.size, "header": asdict(written.header)}
    return json.dumps(told).encode() + b"\n"


def decode(line: bytes) -> Began | Finished:
    """Return the message of a line."""
    told = json.loads(line)
    arrival = Arrival(**told["arrival"])
    if "part" not in told:
        return Began(arrival=arrival)
    written = Written(part=Path(told["part"]), size=told["size"], header=Header(**told["header"]))
    return Finished(arrival=arrival, written=written)


def encode_verdict(status: int, comment: str) -> bytes:
    """Return the answer to a `Finished` as a line; status 0 for an object in its place."""
    return json.dumps([status, comment]).encode() + b"\n"


def decode_verdict(line: bytes) -> tuple[int, str]:
    """Return status and comment of a line."""
    status, comment = json.loads(line)
    return int(status), str(comment)
