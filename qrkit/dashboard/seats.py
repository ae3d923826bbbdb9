"""Which kernel is whose, and how many visitors there may be. No I/O."""

from __future__ import annotations

from collections.abc import Collection


class Seats:
    """The kernels that visitors have.

    Parameters
    ----------
    most
        Visitors' kernels at once.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._owners: dict[str, str] = {}

    @property
    def taken(self) -> int:
        """How many kernels visitors have now."""
        return len(self._owners)

    @property
    def are_taken(self) -> bool:
        """Whether nobody else can be let in."""
        return self.taken >= self.most

    def take(self, kernel_id: str, name: str) -> None:
        """Note whose a kernel is; it stays theirs."""
        self._owners.setdefault(kernel_id, name)

    def owner(self, kernel_id: str) -> str | None:
        """Return whose a kernel is; None if it is nobody's yet, or not any more."""
        return self._owners.get(kernel_id)

    def of(self, name: str) -> tuple[str, ...]:
        """Return somebody's kernels."""
        return tuple(kernel_id for kernel_id, owner in self._owners.items() if owner == name)

    def keep(self, running: Collection[str]) -> None:
        """Forget the kernels that do not run any more."""
        self._owners = {kernel_id: owner for kernel_id, owner in self._owners.items() if kernel_id in running}

    def without(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the kernels of those who are not among `names`."""
        return tuple(kernel_id for kernel_id, owner in self._owners.items() if owner not in names)
