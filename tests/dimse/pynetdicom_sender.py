"""Sends files by pynetdicom from a process of its own: ``python -m tests.dimse.pynetdicom_sender PORT FILE…``.

Within the process of the Storage SCP it would share the interpreter with it, and pynetdicom's own threads then lose a
response now and then.
"""

import sys

from pydicom import dcmread
from pynetdicom import AE, _config

from tests.peers.waiting import LOOPBACK


def main(port: int, paths: list[str]) -> int:
    """Send all files, data sets as they are in them; return 0 if each got status success."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    sender = AE("MODALITY")
    for path in paths:
        dataset = dcmread(path, stop_before_pixels=True)
        sender.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = sender.associate(LOOPBACK, port)
    statuses = [association.send_c_store(path).Status for path in paths]
    association.release()
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
