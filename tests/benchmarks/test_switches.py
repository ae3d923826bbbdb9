"""The hunts know every switch of the simulator, and set them in an order that a seed repeats."""

from benchmarks.switches import AFTER_OTHERS, FIND, NOT_HUNTED, RETRIEVE, names_of
from qrkit.simulator import Quirks


def test_every_switch_is_hunted_or_left_out_for_a_reason() -> None:
    assert {*RETRIEVE, *AFTER_OTHERS, *NOT_HUNTED} == set(Quirks.descriptions())


def test_each_switch_comes_alone_and_with_each_other_before_any_come_at_random() -> None:
    switches = {name: FIND[name] for name in sorted(FIND)[:6]}
    chosen = [names_of(switches, number, "seed") for number in range(6 + 15 + 3)]
    assert chosen[:6] == [(name,) for name in sorted(switches)]
    assert len({frozenset(pair) for pair in chosen[6:21]}) == 15
    assert all(len(some) > 2 for some in chosen[21:])
    assert chosen == [names_of(switches, number, "seed") for number in range(24)]
