"""Tables of the state: columns and records that need no pandas until a DataFrame is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Records:
    """A table of plain values.

    Attributes
    ----------
    columns
        Their names, in order.
    rows
        One mapping per row; a column that it lacks is empty.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Self:
        """Return the table of some rows.

        >>> table = Records.of([{"node": "pacs", "port": 104}], ["node", "port"])
        >>> len(table), table.select(["port"]).rows
        (1, ({'port': 104},))
        """
        return cls(columns=tuple(columns), rows=tuple(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, columns: Sequence[str]) -> Records:
        """Return the table with some of its columns, in this order."""
        return Records.of(({name: row.get(name) for name in columns} for row in self.rows), columns)

    def frame(self) -> pd.DataFrame:
        """Return the table as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=list(self.columns))
