"""Which objects the workspace has already: listed, and their files in place."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from qrkit.errors import ObjectUnreadable
from qrkit.find.parents import canonical
from qrkit.jobs import RetrieveRequest
from qrkit.store.files import stored_file
from qrkit.store.instances import InstanceRow, InstanceTable, StoredPlace, index_row
from qrkit.store.quarantine import quarantine
from qrkit.uids import is_usable_uid, path_name

logger = logging.getLogger(__name__)


class ObjectPlace(NamedTuple):
    """Where an object is looked for; the series is empty where it is not known."""

    SOPInstanceUID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str


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

    def of_request(self, request: RetrieveRequest, *, source: str) -> dict[str, tuple[str, str]]:
        """Return the SOP Instances of a study or series that a node has sent and whose files are in place.

        Each with its own study and series: it may have been requested by others.
        """
        filters: dict[str, object] = {"StudyInstanceUID": request.StudyInstanceUID, "source": source}
        if request.SeriesInstanceUID:
            filters["SeriesInstanceUID"] = request.SeriesInstanceUID
        whole = (row for row in self._instances.list(filters) if self._is_whole(row.path, row.size))
        return {row.SOPInstanceUID: (row.StudyInstanceUID, row.SeriesInstanceUID) for row in whole}

    def of(self, places: Mapping[str, ObjectPlace], *, source: str) -> set[str]:
        """Return those of some objects, by key, whose files are here, having listed those that were not.

        A SOP Instance of another study or series is another object, unless it was requested by these UIDs before. A
        listed file may have been deleted; an unlisted one is from a worker that died before it wrote the row. One
        that a power cut or the disk has left half is put aside, so that it is fetched again.

        Parameters
        ----------
        places
            Where each object would be, by its key.
        source
            Name of the node that is asked, for the rows of unlisted files.
        """
        files: defaultdict[str, list[StoredPlace]] = defaultdict(list)
        for file in self._instances.places([place.SOPInstanceUID for place in places.values()]):
            files[file.SOPInstanceUID].append(file)
        listed = {
            key: [file for file in files[place.SOPInstanceUID] if _is_at(file, place)]
            for key, place in places.items()
        }
        held = {key for key, some in listed.items() if any(self._is_whole(file.path, file.size) for file in some)}
        found = {
            key: row
            for key, place in places.items()
            if not listed[key] and (row := self._unlisted(place, source)) is not None
        }
        self._instances.add_many(found.values())
        return held | found.keys()

    def _unlisted(self, place: ObjectPlace, source: str) -> InstanceRow | None:
        if not is_usable_uid(place.SeriesInstanceUID):
            return None
        uid, *folders = map(path_name, place)
        return self._row("/".join((*folders, f"{uid}.dcm")), source)

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


def _is_at(file: StoredPlace, place: ObjectPlace) -> bool:
    """Whether a file is of the study and series in which its SOP Instance is looked for."""
    series = place.SeriesInstanceUID
    same_series = not series or canonical(series) == canonical(file.SeriesInstanceUID)
    return same_series and canonical(place.StudyInstanceUID) == canonical(file.StudyInstanceUID)
