"""Which objects the workspace has already: listed, and their files in place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from qrkit.errors import ObjectUnreadable
from qrkit.find.parents import canonical
from qrkit.jobs import RetrieveRequest
from qrkit.store.files import stored_file
from qrkit.store.instances import InstanceRow, InstanceTable, StoredPlace, index_row
from qrkit.store.quarantine import quarantine
from qrkit.uids import is_usable_uid, path_name

logger = logging.getLogger(__name__)


class StoredInstances:
    """The objects that a workspace has.

    Parameters
    ----------
    files
        Folder of the files.
    """

    def __init__(self, instances: InstanceTable, files: Path) -> None:
        self._instances = instances
        self._files = files

    def of_request(self, request: RetrieveRequest, *, source: str) -> set[str]:
        """Return the SOP Instances of a study or series that a node has sent and whose files are in place."""
        filters: dict[str, object] = {"StudyInstanceUID": request.StudyInstanceUID, "source": source}
        if request.SeriesInstanceUID:
            filters["SeriesInstanceUID"] = request.SeriesInstanceUID
        return {row.SOPInstanceUID for row in self._instances.list(filters) if self._is_whole(row.path, row.size)}

    def of(self, places: Mapping[str, tuple[str, str]], *, source: str) -> set[str]:
        """Return those of some SOP Instances whose files are here, having listed those that were not.

        A SOP Instance of another study or series is another object, unless it was requested by these UIDs before. A
        listed file may have been deleted; an unlisted one is from a worker that died before it wrote the row. One
        that a power cut or the disk has left half is put aside, so that it is fetched again.

        Parameters
        ----------
        places
            The study and the series in which each SOP Instance UID would be; without a series: unknown.
        source
            Name of the node that is asked, for the rows of unlisted files.
        """
        listed = [place for place in self._instances.places(list(places)) if _is_at(place, places)]
        held = {place.SOPInstanceUID for place in listed if self._is_whole(place.path, place.size)}
        known = {place.SOPInstanceUID for place in listed}
        unlisted = [
            f"{path_name(study)}/{path_name(series)}/{path_name(uid)}.dcm"
            for uid, (study, series) in places.items()
            if is_usable_uid(series) and uid not in known
        ]
        rows = [row for relative in unlisted if (row := self._row(relative, source)) is not None]
        self._instances.add_many(rows)
        return held | {row.SOPInstanceUID for row in rows}

    def _is_whole(self, relative: str, size: int) -> bool:
        try:
            is_whole = (self._files / relative).stat().st_size == size
        except OSError:
            return False
        if not is_whole:
            self._put_aside(relative)
        return is_whole

    def _put_aside(self, relative: str) -> None:
        with suppress(OSError):  # it cannot be renamed, so what comes gets a name beside it
            logger.warning("A damaged file is quarantined: %s", quarantine(self._files / relative))

    def _row(self, relative: str, source: str) -> InstanceRow | None:
        try:
            return index_row(stored_file(self._files, relative), source=source)
        except FileNotFoundError:
            return None
        except ObjectUnreadable:
            self._put_aside(relative)
            return None
        except OSError:
            logger.exception("A file in the folder of objects cannot be read")
            return None


def _is_at(place: StoredPlace, wanted: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a file is of the study and series in which its SOP Instance is looked for."""
    study, series = wanted[place.SOPInstanceUID]
    same_series = not series or canonical(series) == canonical(place.SeriesInstanceUID)
    return same_series and canonical(study) == canonical(place.StudyInstanceUID)
