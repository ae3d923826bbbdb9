"""A certificate authority for one test session, and certificates that it signs; made here, never kept."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.programs import program
from tests.peers.waiting import LOOPBACK

_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")
# Python from 3.13 on verifies certificates strictly (RFC 5280), and wants these of an authority.
_AUTHORITY = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; its own is `certificate`.

    Parameters
    ----------
    folder
        Where the files are written.
    name
        Its common name.
    """

    def __init__(self, folder: Path, name: str = "QRKIT-TEST-CA") -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        made = ("-keyout", self._key, "-out", self.certificate)
        _openssl("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-days", "2", *_AUTHORITY, *made)

    def sign(self, name: str, *, host: str = f"IP:{LOOPBACK}", days: int = 2) -> Certificate:
        """Give a new certificate for a host, `IP:…` or `DNS:…`; one with negative days has expired."""
        request, extensions = self._folder / f"{name}.req", self._folder / f"{name}.ext"
        made = Certificate(certificate=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")
        extensions.write_text(f"subjectAltName={host}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        authority = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *authority, "-days", str(days), "-out", made.certificate)
        return made


def _openssl(*arguments: str | Path) -> None:
    command = [program("openssl", package="openssl"), *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
