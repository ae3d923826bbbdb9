"""Work that a worker does beside its retrieves."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Companion(Protocol):
    """Something that a worker runs in threads of its own as long as it runs itself."""

    @property
    def is_busy(self) -> bool:
        """Whether a worker that leaves when idle has to stay for it."""

    def start(self, worker_id: str) -> None:
        """Begin."""

    def tend(self, alive_worker_ids: Collection[str]) -> None:
        """Take over what workers that are no longer alive have left; called with each heartbeat."""

    def stop(self) -> None:
        """End soon, and return when it has."""
