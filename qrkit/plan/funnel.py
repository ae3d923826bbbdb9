"""How many studies are left after each step, counted at the end from the rows, so that it always adds up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

FOUND = "found"
TO_FETCH = "to fetch"

_WORDS = {
    FOUND: "found by the question",
    "description include": "whose description has what was asked for",
    "description exclude": "whose description has nothing of what was excluded",
    "station include": "from the stations asked for",
    "station exclude": "from no station that was excluded",
    "modality": "of a kind that can carry this dose",
    "SR only": "with nothing but structured reports",
    "unanswered": "of which the node has told the series",
    "held": "that are not here already",
    TO_FETCH: "to fetch now",
}


def step_in_words(step: str) -> str:
    """Return what is said of the studies that are left after a step.

    >>> step_in_words("held"), step_in_words("CT rules")
    ('that are not here already', 'with an object that tells the dose of CT')
    """
    group, _, is_rules = step.rpartition(" ")
    told = f"with an object that tells the dose of {group}" if is_rules == "rules" else step
    return _WORDS.get(step, told)


@dataclass(frozen=True, slots=True)
class Step:
    """How many studies are left after one step.

    Attributes
    ----------
    dropped
        How many were left before it and are not after it.
    """

    step: str
    studies: int
    dropped: int = 0


def count_steps(studies: pa.Table, steps: Sequence[str], *, quiet: str = "") -> tuple[Step, ...]:
    """Return what is left after each step: found first, to fetch last.

    A study with two work items is left as long as one of them is.

    Parameters
    ----------
    studies
        One row per work item, with StudyInstanceUID, keep and rule; the rule of what is dropped is a step.
    steps
        In their order.
    quiet
        A step that is told only if it drops something.

    Raises
    ------
    ValueError
        If something was dropped by no step.

    >>> rows = {"StudyInstanceUID": ["1", "1", "2"], "keep": [False, True, False], "rule": ["a", "RDSR", "b"]}
    >>> [(one.step, one.studies) for one in count_steps(pa.table(rows), ("a", "b"))]
    [('found', 2), ('a', 2), ('b', 1), ('to fetch', 1)]
    """
    place = {step: number for number, step in enumerate(steps)}
    last: dict[str, int] = {}
    columns = (studies[name].to_pylist() for name in ("StudyInstanceUID", "keep", "rule"))
    for uid, keep, rule in zip(*columns, strict=True):
        if not keep and rule not in place:
            raise ValueError(f"a study was dropped by {rule!r}, which is no step of {', '.join(steps)}")
        last[uid] = max(last.get(uid, -1), len(steps) if keep else place[rule])
    dropped = [0] * (len(steps) + 1)
    for number in last.values():
        dropped[number] += 1
    left = len(last)
    counted = [Step(FOUND, left)]
    for number, step in enumerate(steps):
        left -= dropped[number]
        if dropped[number] or step != quiet:
            counted.append(Step(step, left, dropped[number]))
    return (*counted, Step(TO_FETCH, left))
