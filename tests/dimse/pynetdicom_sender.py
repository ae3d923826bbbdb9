"""Sends files by pynetdicom from a process of its own: ``python -m tests.dimse.pynetdicom_sender PORT FILE…``.

PORT may be followed by the files of TLS: ``PORT,CA,CERTIFICATE,KEY``.
"""

import ssl
import sys

from pydicom import dcmread
from pynetdicom import AE, _config

from tests.peers.pynetdicom_scu import keep_responses
from tests.peers.waiting import LOOPBACK


def main(port: int, tls_files: list[str], paths: list[str]) -> int:
    """Send all files, data sets as they are in them; return 0 if each got status success."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    sender = AE("MODALITY")
    for path in paths:
        dataset = dcmread(path, stop_before_pixels=True)
        sender.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = sender.associate(LOOPBACK, port, tls_args=_tls(*tls_files))
    if not association.is_established:
        return 1
    keep_responses(association)
    statuses = [association.send_c_store(path).get("Status") for path in paths if association.is_established]
    association.release()
    return int(len(statuses) < len(paths) or any(status != 0 for status in statuses))


def _tls(*files: str) -> tuple[ssl.SSLContext, str] | None:
    if not files:
        return None
    authority, certificate, key = files
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    return context, LOOPBACK


if __name__ == "__main__":
    port, *tls_files = sys.argv[1].split(",")
    sys.exit(main(int(port), tls_files, sys.argv[2:]))
