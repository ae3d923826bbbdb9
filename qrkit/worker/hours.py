"""The hours in which nodes may be fetched from, and what is said of the jobs that wait for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from qrkit.node import Node
from qrkit.store.job_rests import JobRests


class Hours:
    """Knows which nodes may not be fetched from now.

    Parameters
    ----------
    now
        Gives the time of the state.
    """

    def __init__(self, rests: JobRests, now: Callable[[], datetime]) -> None:
        self._rests = rests
        self._now = now
        self._closed: frozenset[str] = frozenset()

    def are_over(self, node: str) -> bool:
        """Whether a node may not be fetched from, as of the last look."""
        return node in self._closed

    def look(self, nodes: Sequence[Node]) -> None:
        """Note which nodes may not be fetched from now, and say so of the jobs that wait for them."""
        now = self._now()
        closed = {node.name: node for node in nodes if not node.is_open(now)}
        for node in closed.values():
            opening = node.next_opening(now)
            self._rests.explain(
                node.name, f"{node.name} is fetched from at {node.retrieve_hours} only: from {opening:%a %H:%M} on."
            )
        for name in self._closed - set(closed):
            self._rests.explain(name, "")
        self._closed = frozenset(closed)
