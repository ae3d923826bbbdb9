"""What a retrieve will cost, from small histories."""

from __future__ import annotations

import pytest

from qrkit.jobs.estimate import Estimate, NodeHistory, Selection, SizeSample, estimate

CT, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.67"
HISTORY = NodeHistory(
    node="pacs",
    samples=(
        SizeSample(node="pacs", modality="CT", sop_class=CT, objects=100, bytes=50_000_000),
        SizeSample(node="pacs", modality="SR", sop_class=SR, objects=10, bytes=100_000),
        SizeSample(node="other", modality="CT", sop_class=CT, objects=1_000, bytes=1_000_000),
        SizeSample(node="other", modality="MR", sop_class="1.2.3", objects=4, bytes=800_000),
    ),
    bytes_per_second=5_000_000.0,
)


@pytest.mark.parametrize(
    ("selection", "expected", "based_on"),
    [
        (Selection(objects=2, modalities=("CT",)), 1_000_000, 100),
        (Selection(objects=2, modalities=("CT", "SR")), 1_000_000, 100),
        (Selection(objects=2, modalities=("SR",)), 20_000, 10),
        (Selection(objects=1, modalities=("CT",), sop_classes=(SR,)), 10_000, 10),
        (Selection(objects=3, modalities=("MR",)), 600_000, 4),
        (Selection(objects=1, sop_classes=(CT, SR)), 455_455, 110),
        (Selection(objects=0, modalities=("XA",)), 0, 0),
    ],
)
def test_sizes_are_those_this_node_sent_then_those_of_others(
    selection: Selection, expected: int, based_on: int
) -> None:
    found = estimate([selection], HISTORY)
    assert (found.objects, found.bytes, found.based_on) == (selection.objects, expected, based_on)
    assert found.seconds == expected / 5_000_000


def test_what_nobody_knows_is_none() -> None:
    assert estimate([Selection(objects=5, modalities=("XA",))], HISTORY) == Estimate(
        objects=5, bytes=None, seconds=None
    )
    assert estimate([Selection(objects=None)], HISTORY) == Estimate(
        objects=None, bytes=None, seconds=None, uncounted=1
    )
    assert estimate([], HISTORY) == Estimate(objects=None, bytes=None, seconds=None)


def test_the_counted_are_summed_and_the_uncounted_are_counted() -> None:
    some = [
        Selection(objects=2, modalities=("CT",)),
        Selection(objects=4, modalities=("CT", "PR")),
        Selection(objects=None),
    ]
    found = estimate(some, HISTORY)
    assert (found.objects, found.bytes, found.uncounted, found.based_on) == (6, 3_000_000, 1, 100)


def test_a_notebook_shows_what_is_known_and_says_what_is_not() -> None:
    shown = Estimate(objects=300, bytes=150_000_000, seconds=30.0, uncounted=2, based_on=100)._repr_html_()
    for told in (">300<", "Rows without a count", "about 150.0 MB", "about 30 s", "100 objects retrieved before"):
        assert told in shown
    unknown = Estimate(objects=None, bytes=None, seconds=None, uncounted=2)._repr_html_()
    assert "the node does not count them" in unknown
    assert "no similar objects were retrieved yet" in unknown
