"""The dashboard as a service of a JupyterHub: its users log in there, and come here by the Hub's OAuth.

All of it is in the environment that the Hub gives to its services, so nothing of JupyterHub is imported.
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
    """A JupyterHub that we are a service of.

    Attributes
    ----------
    api_url, token
        Of the Hub's REST API, and our secret for it.
    client_id
        Our name in its OAuth.
    base_url
        Of the Hub, as browsers see it: with its host where users and services have different ones.
    prefix
        Our own, such as ``/services/qrkit/``.
    callback
        Where the Hub sends users back to.
    scopes
        Of which a user must have one to come in.
    address
        Where the Hub wants us to listen; empty and 0 where it does not say.
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
        """Return the Hub that has started us as its service, or None; the secret is taken out of the environment.

        It stays out of the kernels, which get ours.

        Raises
        ------
        InputError
            If a part is missing.
        """
        prefix, token = environment.get("JUPYTERHUB_SERVICE_PREFIX", ""), environment.get(_TOKEN, "")
        if not (prefix and token) or environment.get("JUPYTERHUB_USER"):  # a user's own server is no service
            return None
        missing = [name for name in _NEEDED if not environment.get(name)]
        if missing:
            raise InputError(
                f"A service of JupyterHub needs {', '.join(missing)}.", advice="The Hub sets them for its services."
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
        """Where people go who leave us."""
        return f"{self.base_url}hub/home"

    def login_url(self, state: str) -> str:
        """Return where the Hub asks its user whether they may come in, and sends them back with the same `state`."""
        asked = {"client_id": self.client_id, "redirect_uri": self.callback, "response_type": "code", "state": state}
        return f"{self.base_url}hub/api/oauth2/authorize?{urlencode(asked)}"

    async def user_of(self, code: str) -> str:
        """Return the name of the user for whom the Hub has sent a code.

        Raises
        ------
        NotAllowed
            If the code is of no use, the user may not come in, or the Hub cannot be asked.
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
            raise NotAllowed("This user of the Hub may not come in here.")
        return name

    async def _ask(
        self, path: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        method = "GET" if body is None else "POST"
        try:
            answer = await AsyncHTTPClient().fetch(self.api_url + path, method=method, body=body, headers=headers)
            told = json.loads(answer.body)
        except (HTTPClientError, OSError, ValueError) as error:
            raise NotAllowed(
                f"The Hub did not let you in: {error}.", advice="Log in there, then try again."
            ) from error
        return told if isinstance(told, dict) else {}


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0
