"""Files that are written whole or not at all, and damaged files, which are quarantined and never deleted.

A damaged file is distinguished from one that a disk or share does not return at the moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qrkit.errors import DiskFull, StoreError
from qrkit.store.part10 import NO_SPACE

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Translate the errors of writing a file.

    Raises DiskFull or StoreError with `what` as the subject of the message.
    """
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        kind = DiskFull if isinstance(error, OSError) and error.errno in NO_SPACE else StoreError
        raise kind(
            f"{what} cannot be written: {error}.", advice="Check the free space and permissions of the workspace."
        ) from error


def write_parquet(table: pa.Table, path: Path, what: str) -> None:
    """Write a table to a Parquet file, which is there only once it is whole; raises as `writing`."""
    import pyarrow.parquet as pq

    part = path.with_name(f"{path.name}.part")
    with writing(what):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, part, compression="zstd")
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def quarantine(path: Path, *, with_endings: tuple[str, ...] = ()) -> Path:
    """Rename a damaged file to ``….damaged-<time>`` and return its new path.

    Files of the same name with one of the endings, such as ``-wal``, are renamed with it.
    """
    quarantined = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    path.rename(quarantined)
    for ending in with_endings:
        companion = path.with_name(path.name + ending)
        if companion.exists():
            companion.rename(quarantined.with_name(quarantined.name + ending))
    return quarantined


def is_damage(error: Exception) -> bool:
    """Whether Arrow reports that a file is damaged; errors of the disk or share have an error number."""
    import pyarrow as pa

    return isinstance(error, pa.ArrowException) or (isinstance(error, OSError) and error.errno is None)


def is_whole_parquet(path: Path) -> bool:
    """Whether all of a Parquet file can be read.

    Raises OSError if the disk or share cannot read it now; a missing file is False.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

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
