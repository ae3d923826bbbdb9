"""Receiving: our Storage SCP compared with those of DCMTK and pynetdicom, all fed by dcmsend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.objects import write_ct, write_sr
from benchmarks.servers import Receiver, pynetdicom_storescp, qrkit_receiver, storescp
from benchmarks.timing import Measured, in_turn

SENDERS = 8


def measure(folder: Path, *, rounds: int) -> Iterator[Measured]:
    """Measure one series of CT, many small SR, and eight senders at once of each."""
    ct, sr = write_ct(folder / "ct", 300), write_sr(folder / "sr", 1_000)
    eight_ct = [write_ct(folder / f"ct{number}", 60) for number in range(SENDERS)]
    eight_sr = [write_sr(folder / f"sr{number}", 200) for number in range(SENDERS)]
    with ExitStack() as stack:
        ours = stack.enter_context(qrkit_receiver(folder / "qrkit"))
        dcmtk = stack.enter_context(storescp(folder / "storescp"))
        forking = stack.enter_context(storescp(folder / "forking", "--fork"))
        plain = stack.enter_context(pynetdicom_storescp(folder / "pynetdicom"))
        single = {"qrkit": ours, "DCMTK storescp": dcmtk, "pynetdicom": plain}
        yield _measured("receive 300 CT, 157 MB", single, [ct], {"DCMTK storescp": 1, "pynetdicom": 3}, rounds)
        yield _measured("receive 1,000 small SR", single, [sr], {"DCMTK storescp": 1, "pynetdicom": 4}, rounds)
        many = {"qrkit": ours, "DCMTK storescp --fork": forking}
        goal = {"DCMTK storescp --fork": 1.0}
        yield _measured("receive 8 × 60 CT at once, 252 MB", many, eight_ct, goal, rounds)
        yield _measured("receive 8 × 200 SR at once", many, eight_sr, goal, rounds)


def _measured(
    work: str, receivers: dict[str, Receiver], folders: Sequence[Path], goals: dict[str, float], rounds: int
) -> Measured:
    def run(receiver: Receiver) -> float:
        return receiver.receive(folders)

    candidates = {name: (lambda receiver=receiver: run(receiver)) for name, receiver in receivers.items()}
    return Measured(work=work, seconds=in_turn(candidates, rounds=rounds), goals=goals)
