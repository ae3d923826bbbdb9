"""The options of the dashboard server, and the JupyterHub that it may serve, whose users log in there by OAuth.

The Hub passes all settings to its services in the environment, so that nothing of JupyterHub is imported.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from qrkit.errors import InputError, NotAllowed

_TOKEN = "JUPYTERHUB_API_TOKEN"  # noqa: S105 - the name of a variable
_NEEDED = ("JUPYTERHUB_API_URL", "JUPYTERHUB_CLIENT_ID", "JUPYTERHUB_BASE_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """The JupyterHub that this server is a service of."""

    api_url: str  # address of its REST API
    token: str  # our secret for that
    client_id: str  # our id in its OAuth
    base_url: str  # its address for browsers, with its host if users and services have different ones
    prefix: str  # our path, such as /services/qrkit/
    callback: str  # address to which the Hub returns users
    scopes: tuple[str, ...]  # a user must have one of them
    address: tuple[str, int]  # host and port to listen on; empty and 0 if the Hub sets none

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Hub | None:
        """Return the Hub that started us as its service, or None.

        The secret is removed from the environment, so that no kernel gets it. `InputError` if a part is missing.
        """
        prefix, token = environment.get("JUPYTERHUB_SERVICE_PREFIX", ""), environment.get(_TOKEN, "")
        if not (prefix and token) or environment.get("JUPYTERHUB_USER"):  # a user's own server is not a service
            return None
        missing = [name for name in _NEEDED if not environment.get(name)]
        if missing:
            raise InputError(
                f"A JupyterHub service requires {', '.join(missing)}.", advice="Start it as a service of the Hub."
            )
        del environment[_TOKEN]
        address = urlsplit(environment.get("JUPYTERHUB_SERVICE_URL", ""))
        return cls(
            api_url=environment["JUPYTERHUB_API_URL"].rstrip("/"),
            token=token,
            client_id=environment["JUPYTERHUB_CLIENT_ID"],
            base_url=environment.get("JUPYTERHUB_HOST", "") + environment["JUPYTERHUB_BASE_URL"],
            prefix=f"{prefix.rstrip('/')}/",
            callback=environment.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or f"{prefix.rstrip('/')}/oauth_callback",
            scopes=tuple(json.loads(environment.get("JUPYTERHUB_OAUTH_ACCESS_SCOPES") or "[]")),
            address=(address.hostname or "", address.port or 0),
        )

    @property
    def home(self) -> str:
        """Address to show after a logout."""
        return f"{self.base_url}hub/home"

    def login_url(self, state: str) -> str:
        """Return the address where the Hub authorizes its user, who returns with the same `state`."""
        asked = {"client_id": self.client_id, "redirect_uri": self.callback, "response_type": "code", "state": state}
        return f"{self.base_url}hub/api/oauth2/authorize?{urlencode(asked)}"

    async def user_of(self, code: str) -> str:
        """Return the name of the user of a code from the Hub; `NotAllowed` if it does not confirm one with access."""
        asked = {
            "client_id": self.client_id,
            "client_secret": self.token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback,
        }
        given = await self._ask("/oauth2/token", body=urlencode(asked))
        user = await self._ask("/user", headers={"Authorization": f"token {given.get('access_token', '')}"})
        name = str(user.get("name") or "")
        if not name or (self.scopes and not set(self.scopes) & set(user.get("scopes") or ())):
            raise NotAllowed("This user of the Hub has no access to this service.")
        return name

    async def _ask(
        self, path: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        method = "GET" if body is None else "POST"
        try:
            answer = await AsyncHTTPClient().fetch(self.api_url + path, method=method, body=body, headers=headers)
            values = json.loads(answer.body)
        except (HTTPClientError, OSError, ValueError) as error:
            raise NotAllowed(
                f"The Hub refused the login: {error}.", advice="Log in to the Hub, then try again."
            ) from error
        return values if isinstance(values, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The options of the dashboard server."""

    host: str = "127.0.0.1"
    port: int = 8866  # 0 is any free port
    certificate: str = ""  # file in PEM format, for TLS
    key: str = ""  # file in PEM format, for TLS
    proxy_header: str = ""  # names the user of a trusted proxy; empty: visitors log in by name and password
    proxy_secret: str = ""  # what the proxy sends as X-Qrkit-Secret
    proxy_role: str = "viewer"  # role of users of the proxy or the Hub without an account
    seats: int = 20  # largest number of visitors at once
    preheated: int = 1  # kernels started in advance
    session_hours: float = 10.0  # hours after which users must log in again
    idle_minutes: float = 60.0  # minutes after which an unused page is closed
    open_browser: bool = True  # whether to open a browser window at the start
    hub: Hub | None = None  # the JupyterHub that this server is a service of

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
