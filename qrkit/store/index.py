"""From a stored object to its row: what would keep a sender waiting is done here, on another thread."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from qrkit.errors import ObjectUnreadable
from qrkit.receipt import Arrival
from qrkit.store.files import Stored
from qrkit.store.header import HeaderIncomplete, ends_early, read_header
from qrkit.store.instances import InstanceRow
from qrkit.store.part10 import read_file_head
from qrkit.store.placing import sha256_of


def index_row(
    stored: Stored, *, source: str = "", job_id: str | None = None, item_id: int | None = None, received: str = ""
) -> InstanceRow:
    """Return the row of a stored object, with the SHA-256 of its file.

    Parameters
    ----------
    source
        Name of the node that it came from.
    job_id, item_id
        What it was fetched for, where it was.
    received
        UTC, ISO 8601; empty: when the row is added.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    said: dict[str, Any] = {
        keyword: None if value == "" else value for keyword, value in asdict(stored.header).items()
    }
    said["SOPClassUID"] = said["SOPClassUID"] or stored.arrival.sop_class_uid
    return InstanceRow(
        **said,
        TransferSyntaxUID=stored.arrival.transfer_syntax_uid,
        path=stored.relative,
        size=stored.path.stat().st_size,
        sha256=sha256_of(stored.path),
        source=source,
        job_id=job_id,
        item_id=item_id,
        received=received,
    )


def stored_file(folder: Path, relative: str) -> Stored:
    """Return what `FileStore` would say of a file that is in its place, for one that was never listed.

    Raises
    ------
    ObjectUnreadable
        If it is no DICOM file, or was cut.
    OSError
        If it cannot be read.
    """
    path = folder / relative
    with path.open("rb") as file:
        head = read_file_head(file)
        file.seek(head.data_set_start)
        data_set = file.read()
        try:
            header = read_header(data_set, head.transfer_syntax_uid, whole=True)
        except HeaderIncomplete as error:
            raise ObjectUnreadable(f"{relative} is not whole.") from error
        if ends_early(data_set, head.transfer_syntax_uid):
            raise ObjectUnreadable(f"{relative} is not whole.")
    arrival = Arrival(
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        transfer_syntax_uid=head.transfer_syntax_uid,
        sender=head.sender,
    )
    return Stored(path=path, relative=relative, size=path.stat().st_size, header=header, arrival=arrival)


def filed_object(folder: Path, receipt: Path) -> Stored | None:
    """Return the object of a receipt; None where it is not in its place.

    Raises
    ------
    ObjectUnreadable
        If it is no DICOM file.
    OSError
        If it cannot be read.
    """
    said = stored_file(folder, receipt.relative_to(folder).as_posix())
    place, uid = folder / said.header.StudyInstanceUID / said.header.SeriesInstanceUID, said.header.SOPInstanceUID
    path = next((one for one in place.glob(f"{uid}*.dcm") if one.samefile(receipt)), None)
    if path is None:
        return None
    return replace(said, path=path, relative=path.relative_to(folder).as_posix(), receipt=receipt)
