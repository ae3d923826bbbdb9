"""How a connection is secured by TLS: which certificates, and what is checked (PS3.15 B.12, BCP 195)."""

from __future__ import annotations

from dataclasses import dataclass

from qrkit.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS of a node, or of our own Storage SCP; version 1.2 or newer. Files are PEM.

    Attributes
    ----------
    enabled
        Whether connections are encrypted at all.
    ca_file
        Certificates that the other side's must be signed by, or be one of; empty: those this machine trusts.
    certificate_file, key_file
        Our own, for a node that wants to see it; the key may stand in the same file.
    verify
        Whether a certificate that nobody we trust has signed is refused.
    check_host_name
        Whether the node's certificate must be for the node's host.
    """

    enabled: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    verify: bool = True
    check_host_name: bool = True

    def __post_init__(self) -> None:
        if self.key_file and not self.certificate_file:
            raise InputError(
                "A TLS key without its certificate is of no use.", advice="Give the certificate_file, too."
            )
