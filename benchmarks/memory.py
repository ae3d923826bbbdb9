"""One 2 GB multi-frame object received: how much the worker's memory grows."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameGrayscaleWordSecondaryCaptureImageStorage, generate_uid

from benchmarks.servers import SENDER, qrkit_receiver
from qrkit.dimse import messages as dimse
from qrkit.dimse.association import Association, associate
from qrkit.dimse.contexts import Proposal
from qrkit.dimse.messages import encode_command, encode_identifier
from qrkit.node import Node

SIZE = 2_000_000_000
LIMIT = 64_000_000

_SOP_CLASS = str(MultiFrameGrayscaleWordSecondaryCaptureImageStorage)
_FRAGMENT = 131_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Cost of receiving one object: bytes of resident memory, and seconds."""

    bytes: int
    seconds: float


def measure(folder: Path) -> Grown:
    """Send one object from memory that is no larger than a fragment, and watch the worker."""
    with qrkit_receiver(folder) as receiver:
        before = peak = receiver.process.memory_info().rss
        node = Node(name="qrkit", host="127.0.0.1", port=receiver.port, ae_title="QRKIT")
        proposal = Proposal(abstract_syntax=_SOP_CLASS, transfer_syntaxes=(str(ExplicitVRLittleEndian),))
        started = time.perf_counter()
        with associate(node, [proposal], calling_ae_title=SENDER) as association:
            for number, part in enumerate(_parts(association)):
                association.stream.send(part)
                if number % 500 == 0:
                    peak = max(peak, receiver.process.memory_info().rss)
            association.stream.read_command()
        seconds = time.perf_counter() - started
        peak = max(peak, receiver.process.memory_info().rss, highest(receiver.process))
        received = [path for path in receiver.folder.rglob("*.dcm") if path.stat().st_size > SIZE]
        if len(received) != 1:
            raise RuntimeError("The object was not kept.")
    return Grown(bytes=peak - before, seconds=seconds)


def _parts(association: Association) -> Iterator[bytes]:
    context = association.context_for(_SOP_CLASS)
    head = _head()
    request: dict[int, int | str] = {
        dimse.AFFECTED_SOP_CLASS_UID: _SOP_CLASS,
        dimse.COMMAND_FIELD: dimse.C_STORE_RQ,
        dimse.MESSAGE_ID: 1,
        dimse.PRIORITY: 0,
        dimse.COMMAND_DATA_SET_TYPE: 1,
        dimse.AFFECTED_SOP_INSTANCE_UID: str(head.SOPInstanceUID),
    }
    yield association.stream.message(context.context_id, encode_command(request))
    pixel_data = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, SIZE)
    yield _fragment(context.context_id, encode_identifier(head, str(ExplicitVRLittleEndian)) + pixel_data, last=False)
    pixels = bytes(_FRAGMENT)
    for sent in range(0, SIZE, _FRAGMENT):
        left = min(_FRAGMENT, SIZE - sent)
        yield _fragment(context.context_id, pixels[:left], last=sent + _FRAGMENT >= SIZE)


def _head() -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = _SOP_CLASS, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality, made.PatientID, made.InstanceNumber = "OT", "BENCH", 1
    made.NumberOfFrames, made.Rows, made.Columns = 1_000, 1_000, 1_000
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    return made


def _fragment(context_id: int, data: bytes, *, last: bool) -> bytes:
    return struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, context_id, 2 if last else 0) + data


def forget_highest() -> None:
    """Have the highest resident memory of this process count from now on, where the platform can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def highest(process: psutil.Process) -> int:
    """Return the highest resident memory so far, where the platform reports it."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
