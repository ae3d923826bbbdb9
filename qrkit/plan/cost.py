"""What a plan costs: objects, bytes and minutes, and the budget that it may not pass unasked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from qrkit.errors import InputError
from qrkit.estimate import Estimate, NodeHistory, Selection, estimate, mean_size
from qrkit.words import counted


def with_bytes(series: pa.Table, history: NodeHistory) -> pa.Table:
    """Return the series of a plan with the estimated `bytes` of what is to be fetched; null where nobody knows."""
    means: dict[str | None, float | None] = {}
    sizes: list[int | None] = []
    for keep, modality, objects in _columns(series, "keep", "Modality", "objects"):
        if modality not in means:
            means[modality] = mean_size(Selection(objects=1, modalities=(modality or "",)), history)[0]
        mean = means[modality]
        sizes.append(None if not keep or mean is None or objects is None else round(mean * objects))
    return series.set_column(series.column_names.index("bytes"), "bytes", pa.array(sizes, pa.int64()))


def cost_of(series: pa.Table, history: NodeHistory) -> Estimate:
    """Return what the series of a plan that are to be fetched will cost together."""
    rows = _columns(series, "keep", "Modality", "objects")
    kept = [Selection(objects=objects, modalities=(modality or "",)) for keep, modality, objects in rows if keep]
    if not kept:
        return Estimate(objects=0, bytes=0, seconds=None)
    return estimate(kept, history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a retrieve may cost without being asked about; 0: any amount."""

    objects: int = 0
    bytes: int = 0

    def check(self, cost: Estimate) -> None:
        """Refuse what costs more.

        Raises
        ------
        InputError
            With the numbers.

        >>> Budget(objects=100).check(Estimate(objects=250, bytes=None, seconds=None))
        Traceback (most recent call last):
        qrkit.errors.InputError: The plan is for 250 objects, which passes the budget of 100 objects. \
Say that it is meant: --yes, or plan.meant().
        """
        passed = []
        if self.objects and (cost.objects or 0) > self.objects:
            passed.append(counted(self.objects, "object"))
        if self.bytes and (cost.bytes or 0) > self.bytes:
            passed.append(f"{self.bytes / 1e6:.1f} MB")
        if passed:
            raise InputError(
                f"The plan is for {cost.in_words(of='series', several='series')}, which passes the budget of "
                f"{' and '.join(passed)}.",
                advice="Say that it is meant: --yes, or plan.meant().",
            )


def _columns(table: pa.Table, *names: str) -> Iterator[tuple[bool, str | None, int | None]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)
