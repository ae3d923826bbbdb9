"""Faults at random points of real retrieves; `python -m benchmarks faults` has many more of them."""

from pathlib import Path
from uuid import uuid4

from tests.faults.rounds import run
from tests.peers.programs import in_ci


def test_whatever_strikes_at_whichever_moment_nothing_is_lost_or_doubled_and_the_state_is_true(
    tmp_path: Path,
) -> None:
    seed = "s9" if in_ci() else uuid4().hex[:6]
    told = run(tmp_path / "round", seed, count=5)
    assert not told.breaches, f"seed {told.seed}, {dict(told.struck)}"
    assert told.struck
