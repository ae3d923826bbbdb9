"""What a plan costs: objects, bytes and minutes, by what objects of these kinds and this node took before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qrkit.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What earlier retrieves tell.

    Attributes
    ----------
    bytes_of
        Mean size of the objects of a Modality.
    seconds_per_request, bytes_per_second
        Of the node, over its finished jobs; None where there were none.
    """

    bytes_of: Mapping[str, float] = field(default_factory=dict)
    seconds_per_request: float | None = None
    bytes_per_second: float | None = None

    def size(self, modality: str | None, objects: int | None) -> int | None:
        """Return the estimated bytes of some objects; None where nothing of their kind is here yet."""
        mean = self.bytes_of.get(modality or "")
        return None if mean is None or objects is None else round(mean * objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a plan costs.

    Attributes
    ----------
    requests
        C-GET or C-MOVE requests.
    objects
        Those of which the number is known.
    uncounted
        Series of which nobody knows how many objects they have.
    bytes
        Of the series that can be estimated.
    unsized
        Series that cannot.
    seconds
        None where the node has no history.
    """

    requests: int = 0
    objects: int = 0
    uncounted: int = 0
    bytes: int = 0
    unsized: int = 0
    seconds: float | None = None

    def __str__(self) -> str:
        parts = [f"{self.objects} objects" + (f" and {self.uncounted} series of unknown size" * bool(self.uncounted))]
        if self.bytes:
            parts.append(f"about {self.bytes / 1e6:.1f} MB" + (" or more" * bool(self.unsized)))
        if self.seconds is not None:
            parts.append(f"about {max(1, round(self.seconds / 60))} min")
        return f"{', '.join(parts)} in {self.requests} requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a retrieve may cost without being asked about; 0: any amount."""

    objects: int = 0
    bytes: int = 0

    def check(self, cost: Cost) -> None:
        """Refuse what costs more.

        Raises
        ------
        InputError
            With the numbers.

        >>> Budget(objects=100).check(Cost(objects=250, requests=2))
        Traceback (most recent call last):
        qrkit.errors.InputError: The plan is for 250 objects in 2 requests, more than the 100 objects allowed. \
Allow more, or say that it is meant.
        """
        limits = []
        if self.objects and cost.objects > self.objects:
            limits.append(f"the {self.objects} objects")
        if self.bytes and cost.bytes > self.bytes:
            limits.append(f"the {self.bytes / 1e6:.1f} MB")
        if limits:
            raise InputError(
                f"The plan is for {cost}, more than {' and '.join(limits)} allowed.",
                advice="Allow more, or say that it is meant.",
            )
