"""Numbers of answers that look as if the node had cut them off."""

from __future__ import annotations

import pytest

from qrkit.find.windows import Caps, cap_reason, looks_capped


@pytest.mark.parametrize("count", [50, 64, 100, 128, 200, 500, 1000, 1024, 1500, 2000, 4096, 10_000, 50_000, 65_536])
def test_a_round_number_is_suspicious_and_says_why(count: int) -> None:
    assert looks_capped(count)
    assert str(count) in cap_reason(count)


@pytest.mark.parametrize("count", [0, 1, 2, 10, 32, 99, 101, 150, 999, 1100, 1900, 10_500, 65_535])
def test_any_other_number_is_not(count: int) -> None:
    assert not looks_capped(count)
    assert cap_reason(count) == ""


@pytest.mark.parametrize(("count", "is_assumed"), [(0, False), (1, False), (2, True), (7, True), (19, True)])
def test_a_small_answer_of_a_node_of_unknown_cap_is_an_assumption(count: int, *, is_assumed: bool) -> None:
    caps = Caps()
    caps.observe(count, frozenset({str(number) for number in range(count)}))
    caps.accept(count)
    assert bool(caps.assumption) is is_assumed
    proven = Caps(most=count)
    proven.accept(count)
    assert proven.assumption == ""
