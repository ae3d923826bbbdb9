"""The received objects of a workspace as a table, and their paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd

from qrkit.store.instances import InstanceRow
from qrkit.tables import Records
from qrkit.words import counted, volume
from qrkit.workspace.arguments import checks_arguments, read_values
from qrkit.workspace.services import Services


@checks_arguments
class Files:
    """The received objects of a workspace.

    Attributes
    ----------
    folder
        The folder of the files ``<StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm``.

    Examples
    --------
    ::

        ws.files.list({"Modality": "SR"})
        ws.files.paths(SeriesInstanceUID="1.2.3")
    """

    def __init__(self, services: Services) -> None:
        self._table = services.instances
        self.folder = services.settings.files

    def __repr__(self) -> str:
        count, size = self._table.volume()
        return f"<Files: {counted(count, 'object')}, {volume(size)}, in {self.folder}>"

    def __len__(self) -> int:
        return self._table.count()

    def list(self, values: Mapping[str, object] | None = None, *, limit: int | None = None) -> pd.DataFrame:
        """Return the received objects as a table.

        Parameters
        ----------
        values
            Only objects with these values, such as ``{"Modality": "SR"}``.
        limit
            The number of rows at most; None returns all.

        Returns
        -------
        DataFrame
            One row per file: DICOM keywords, `path` (relative to `folder`), `size` in bytes, `sha256`, `source` (the
            node's name), `job_id` and `received` (UTC).

        Raises
        ------
        InputError
            If there is no such column.
        """
        rows = [asdict(row) for row in self._table.list(values or {}, limit)]
        return Records.of(rows, [item.name for item in fields(InstanceRow)]).frame()

    def paths(self, **values: object) -> tuple[Path, ...]:
        """Return the paths of the objects with some values, such as ``SeriesInstanceUID="1.2.3"``."""
        return tuple(self.folder / row.path for row in self._table.list(read_values("values", values)))
