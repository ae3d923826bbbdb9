"""A receiver that keeps objects in memory, and what the sample files hold to compare with."""

import struct
import threading
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import UID

from qrkit import uids
from qrkit.dimse.messages import encode_identifier
from qrkit.node import Node
from qrkit.receipt import Arrival, Incoming, Refused
from tests.peers.peer import PeerAddress


class MemoryReceiver:
    """Keeps what arrives; `refuse` may say what is refused, and at which step.

    Parameters
    ----------
    refuse
        Asked at each step, `begin`, `write` and `commit`, whether this object is refused there.
    """

    def __init__(self, refuse: Callable[[str, Arrival], bool] = lambda _step, _arrival: False) -> None:
        self.refuse = refuse
        self.kept: list[tuple[Arrival, bytes]] = []
        self.discarded: list[Arrival] = []
        self.lock = threading.Lock()

    def ready(self) -> None:
        pass

    def begin(self, arrival: Arrival) -> Incoming:
        """Start to take an object."""
        self.check("begin", arrival)
        return MemoryIncoming(self, arrival)

    def check(self, step: str, arrival: Arrival) -> None:
        """Refuse the object if it is to be refused at this step."""
        if self.refuse(step, arrival):
            raise Refused(0xA700, f"refused in {step}")

    def objects(self) -> dict[str, bytes]:
        """Give the data sets by SOP Instance UID."""
        with self.lock:
            return {arrival.sop_instance_uid: data for arrival, data in self.kept}


class MemoryIncoming:
    """An object that is being written to memory."""

    def __init__(self, receiver: MemoryReceiver, arrival: Arrival) -> None:
        self._receiver = receiver
        self._arrival = arrival
        self._data = bytearray()

    def write(self, fragment: memoryview) -> None:
        """Take the next fragment."""
        self._receiver.check("write", self._arrival)
        self._data += fragment

    def commit(self) -> None:
        """Keep the object."""
        self._receiver.check("commit", self._arrival)
        with self._receiver.lock:
            self._receiver.kept.append((self._arrival, bytes(self._data)))

    def discard(self) -> None:
        """Note that the object did not arrive whole."""
        self._receiver.discarded.append(self._arrival)


def data_set_bytes(path: Path) -> bytes:
    """Give what follows the File Meta Information of a Part 10 file, byte for byte (PS3.10 7.1)."""
    content = path.read_bytes()
    group_length = struct.unpack_from("<I", content, 140)[0]
    return content[144 + group_length :]


def node_at(address: PeerAddress) -> Node:
    """Give a peer of the tests as a node."""
    return Node(name=address.ae_title.lower(), host=address.host, port=address.port, ae_title=address.ae_title)


def read_data_set(data: bytes, transfer_syntax: str) -> Dataset:
    """Decode a data set by pydicom."""
    syntax = UID(transfer_syntax)
    return read_dataset(BytesIO(data), syntax.is_implicit_VR, syntax.is_little_endian)


def assert_equal_elements(memory: MemoryReceiver, paths: Sequence[Path]) -> None:
    """Assert that these objects were kept and no others, equal element by element.

    What encodes an object anew sends other sequence lengths, and in Implicit VR it loses the VR of private elements.
    """
    by_uid = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in paths}
    assert memory.objects().keys() == by_uid.keys()
    for arrival, data in memory.kept:
        path, syntax = by_uid[arrival.sop_instance_uid], arrival.transfer_syntax_uid
        if data == data_set_bytes(path):
            continue
        sent: Dataset = dcmread(path)
        if syntax == uids.IMPLICIT_VR_LITTLE_ENDIAN:
            sent = read_data_set(encode_identifier(sent, syntax), syntax)
        assert read_data_set(data, syntax) == sent
