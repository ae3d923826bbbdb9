"""Faults at random points of real retrieves, round after round: the faults, the outcome of the jobs, the damage."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.rounds import Told, run
from tests.peers.postgres import Postgres

FAULTS = 22
"""That are to strike in each round."""

_ON_POSTGRESQL = "13579"
"""Last characters of the seeds whose rounds have their state there; a round alone has it where it had it before."""


def measure(folder: Path, *, seed: str, rounds: int) -> Iterator[str]:
    """Run rounds, in turn with SQLite and PostgreSQL; each is repeated alone by its own seed, such as ``a7``.

    Raises
    ------
    SystemExit
        With status 1, in the end, if anything was not as it should be. The folders of such rounds are kept.
    """
    done: list[Told] = []
    with tempfile.TemporaryDirectory(prefix="qrkit-postgres-") as cluster, Postgres(Path(cluster)) as server:
        for number in range(rounds):
            own, here = f"{seed}{number}" if rounds > 1 else seed, folder / str(number)
            try:
                told = run(here, own, count=FAULTS, server=server if own[-1] in _ON_POSTGRESQL else None)
            except Exception:  # noqa: BLE001 - whatever ends a round is told, and the next one follows
                told = Told(seed=own, breaches=[f"the round could not be ended: {traceback.format_exc()}"])
            done.append(told)
            yield from _lines(told)
            if told.breaches:
                yield f"kept in {shutil.move(here, tempfile.mkdtemp(prefix=f'qrkit-breach-{own}-'))}"
            else:
                shutil.rmtree(here)
    struck = sum((told.struck for told in done), Counter[str]())
    ends = sum((told.ends for told in done), Counter[str]())
    yield (
        f"{struck.total():,} faults of {len(struck)} kinds in {rounds} rounds: "
        f"{sum(told.jobs for told in done):,} jobs of {sum(told.objects for told in done):,} objects, of which "
        f"{sum(told.received for told in done):,} were counted on arrival; "
        f"{sum(len(told.breaches) for told in done)} breaches"
    )
    yield "jobs when the faults were over: " + _listed(ends) + "; after a retry all complete, unless stated above"
    yield "faults: " + _listed(struck)
    if any(told.breaches for told in done):
        raise SystemExit(1)


def _lines(told: Told) -> Iterator[str]:
    yield (
        f"seed {told.seed}, {told.seconds:.0f} s: {told.struck.total()} faults, {told.jobs} jobs "
        f"({_listed(told.ends)}), {told.objects} objects"
    )
    yield from (f"BREACH: {breach}" for breach in told.breaches)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())
