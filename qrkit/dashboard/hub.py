"""The dashboard as a service of a JupyterHub, whose users log in there by OAuth.

The Hub passes all settings to its services in the environment, so that nothing of JupyterHub is imported.
"""

from __future__ import annotations

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
    """The JupyterHub that this server is a service of.

    Attributes
    ----------
    api_url, token
        Address of the Hub's REST API, and our secret for it.
    client_id
        Our id in its OAuth.
    base_url
        Address of the Hub for browsers, with its host if users and services have different ones.
    prefix
        Our path, such as ``/services/qrkit/``.
    callback
        Address to which the Hub returns users.
    scopes
        A user must have one of them.
    address
        Host and port to listen on; empty and 0 if the Hub sets none.
    """

    api_url: str
    token: str
    client_id: str
    base_url: str
    prefix: str
    callback: str
    scopes: tuple[str, ...]
    address: tuple[str, int]

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Hub | None:
        """Return the Hub that started us as its service, or None.

        The secret is removed from the environment, so that no kernel gets it.

        Raises
        ------
        InputError
            If a part is missing.
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
        return cls(
            api_url=environment["JUPYTERHUB_API_URL"].rstrip("/"),
            token=token,
            client_id=environment["JUPYTERHUB_CLIENT_ID"],
            base_url=environment.get("JUPYTERHUB_HOST", "") + environment["JUPYTERHUB_BASE_URL"],
            prefix=f"{prefix.rstrip('/')}/",
            callback=environment.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or f"{prefix.rstrip('/')}/oauth_callback",
            scopes=tuple(json.loads(environment.get("JUPYTERHUB_OAUTH_ACCESS_SCOPES") or "[]")),
            address=_address(environment.get("JUPYTERHUB_SERVICE_URL", "")),
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
        """Return the name of the user of a code from the Hub.

        Raises
        ------
        NotAllowed
            If the code is not valid, the user has no access, or the Hub does not respond.
        """
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


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0
