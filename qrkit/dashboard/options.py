"""The options of the dashboard server, with a warning if they are not safe."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from qrkit.dashboard.hub import Hub
from qrkit.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The options of the dashboard server.

    Attributes
    ----------
    host, port
        Address and port; 0 is any free port.
    certificate, key
        Files in PEM format, for TLS.
    proxy_header, proxy_secret
        The header in which a trusted proxy names the user, and the secret that it sends as X-Qrkit-Secret; empty:
        visitors log in by name and password.
    proxy_role
        Role of users of the proxy or the Hub without an account.
    hub
        The JupyterHub that this server is a service of; None: there is none.
    seats
        Largest number of visitors at once.
    preheated
        Kernels started in advance.
    session_hours
        Hours after which users must log in again.
    idle_minutes
        Minutes after which an unused page is closed.
    open_browser
        Whether to open a browser window at the start.
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
            raise InputError("TLS requires both the certificate and its key.")
        if bool(self.proxy_header) != bool(self.proxy_secret):
            raise InputError(
                "A proxy that names the user must also send a secret.",
                advice="Set QRKIT_PROXY_SECRET, and configure the proxy to send it as X-Qrkit-Secret.",
            )
        if self.seats < 1 or self.preheated < 0 or self.session_hours <= 0 or self.idle_minutes <= 0:
            raise InputError(
                "The numbers of seats, hours and minutes must be above 0, and that of preheated kernels not below 0."
            )

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
        """Whether requests arrive through a proxy: that of the Hub, or one that names the user."""
        return bool(self.proxy_header) or self.hub is not None

    @property
    def is_secure(self) -> bool:
        """Whether visitors connect to this server by TLS, so that cookies are sent over TLS only.

        >>> ServeOptions().is_secure, ServeOptions(certificate="c.pem", key="k.pem").is_secure
        (False, True)
        """
        return bool(self.certificate)

    @property
    def warning(self) -> str:
        """A warning about unsafe options; empty if there are none."""
        if self.is_loopback or self.certificate or self.is_behind_a_proxy:
            return ""
        return (
            f"Passwords and patient data leave {self.host} unencrypted. Set --certificate and --key, or listen on "
            "127.0.0.1 behind a proxy with TLS."
        )
