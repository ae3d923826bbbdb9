"""Files that are damaged: told from those that cannot be read for now, and put aside, never deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def quarantine(path: Path, *, beside: tuple[str, ...] = ()) -> Path:
    """Rename a damaged file so that its name says so, and return where it is now.

    Parameters
    ----------
    beside
        Endings of files that belong to it and go with it, such as ``-wal``.
    """
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    path.rename(aside)
    for ending in beside:
        companion = path.with_name(path.name + ending)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + ending))
    return aside


def is_damage(error: Exception) -> bool:
    """Whether Arrow says that a file is no whole one; what the system says of a disk or a share has a number."""
    return isinstance(error, pa.ArrowException) or (isinstance(error, OSError) and error.errno is None)


def is_whole_parquet(path: Path) -> bool:
    """Whether all of a Parquet file can be read.

    Raises
    ------
    OSError
        If the disk or share does not give it now; that it is not there is False.
    """
    try:
        with pq.ParquetFile(path) as parquet:
            for number in range(parquet.num_row_groups):
                parquet.read_row_group(number)
    except FileNotFoundError:
        return False
    except (OSError, pa.ArrowException) as error:
        if not is_damage(error):
            raise
        return False
    return True
