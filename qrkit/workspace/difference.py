"""What changed between two answers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from qrkit.errors import InputError
from qrkit.tables import Level, unique_key


def difference(before: pd.DataFrame, after: pd.DataFrame, *, levels: Sequence[str]) -> pd.DataFrame:
    """Return one row per Unique Key that was added, removed or changed, in the order of the key.

    Raises
    ------
    InputError
        If the answers are of different levels.
    """
    if len(set(levels)) > 1:
        raise InputError(f"Answers of different levels cannot be compared: {' and '.join(levels)}.")
    key = unique_key(Level.parse(levels[0]))
    old, new = (_by_key(frame, key) for frame in (before, after))
    rows: list[tuple[str, str, str]] = []
    for uid in sorted(set(old) | set(new)):
        if uid not in old:
            rows.append((uid, "added", ""))
        elif uid not in new:
            rows.append((uid, "removed", ""))
        else:
            columns = [name for name in old[uid] if name in new[uid] and old[uid][name] != new[uid][name]]
            if columns:
                rows.append((uid, "changed", ", ".join(columns)))
    return pd.DataFrame(rows, columns=[key, "change", "columns"])


def _by_key(frame: pd.DataFrame, key: str) -> dict[str, dict[str, object]]:
    comparable = frame.astype("object").where(frame.notna(), None)
    rows = ({str(name): value for name, value in row.items()} for row in comparable.to_dict("records"))
    return {str(row[key]): row for row in rows if row[key] is not None}
