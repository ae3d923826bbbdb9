"""How a dashboard is served, as a value, and what is not safe about it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from qrkit.dashboard.hub import Hub
from qrkit.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a dashboard is served.

    Attributes
    ----------
    host, port
        Where it listens; port 0 is any that is free.
    certificate, key
        Files in PEM format, for TLS.
    proxy_header, proxy_secret
        The header in which a trusted proxy names the user, and the secret that it sends as X-Qrkit-Secret; empty:
        visitors log in by name and password.
    proxy_role
        What users of the proxy or of the Hub are who have no account of their own.
    hub
        The JupyterHub that we are a service of, whose users log in there; None: there is none.
    seats
        Most visitors at once.
    preheated
        Kernels that wait for visitors, ready.
    session_hours
        After which somebody has to log in again.
    idle_minutes
        After which a page that nobody uses is closed.
    open_browser
        Whether whoever starts the server gets a browser window.
    """

    host: str = "127.0.0.1"
    port: int = 8866
    certificate: str = ""
    key: str = ""
    proxy_header: str = ""
    proxy_secret: str = ""
    proxy_role: str = "viewer"
    seats: int = 20
    preheated: int = 1
    session_hours: float = 10.0
    idle_minutes: float = 60.0
    open_browser: bool = True
    hub: Hub | None = None

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise InputError("TLS needs both the certificate and its key.")
        if bool(self.proxy_header) != bool(self.proxy_secret):
            raise InputError(
                "A proxy that names the user must also send a secret.",
                advice="Set QRKIT_PROXY_SECRET for both, and have the proxy send it as X-Qrkit-Secret.",
            )
        if self.seats < 1 or self.preheated < 0 or self.session_hours <= 0 or self.idle_minutes <= 0:
            raise InputError("Seats, hours and minutes are more than 0, and preheated kernels are not less.")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it.

        >>> ServeOptions().is_loopback, ServeOptions(host="0.0.0.0").is_loopback
        (True, False)
        """
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_behind_a_proxy(self) -> bool:
        """Whether what we get was passed on by a proxy: the Hub's, or one that names the user."""
        return bool(self.proxy_header) or self.hub is not None

    @property
    def is_secure(self) -> bool:
        """Whether visitors come by TLS to this server itself, so that cookies need never go another way.

        >>> ServeOptions().is_secure, ServeOptions(certificate="c.pem", key="k.pem").is_secure
        (False, True)
        """
        return bool(self.certificate)

    @property
    def warning(self) -> str:
        """What is not safe about it; empty if nothing is."""
        if self.is_loopback or self.certificate or self.is_behind_a_proxy:
            return ""
        return (
            f"Passwords and patients' data go over the network from {self.host} in clear text. Give --certificate "
            "and --key, or serve on 127.0.0.1 behind a proxy with TLS."
        )
