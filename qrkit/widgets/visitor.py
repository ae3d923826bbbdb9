"""Whose a dashboard is: in a kernel that was ready before anybody came, and in one that was started for a visitor."""

from __future__ import annotations

import json
import os
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from qrkit.errors import NotAllowed

_ANSWER = 60.0
"""Seconds that one answer of the server may take: three times as long as it lets a kernel wait."""

_PAUSE = 0.5
"""Seconds before the server is asked again after an error."""


def is_served() -> bool:
    """Whether the server of the dashboard has started this kernel."""
    return bool(os.environ.get("QRKIT_REQUESTS"))


def become_the_visitors() -> None:
    """Be the kernel of whoever has opened the page: wait for them, however long it takes, if it was ready before.

    Raises
    ------
    NotAllowed
        If the server does not say who it is.
    """
    if os.environ.get("VOILA_PREHEAT") == "True":
        os.environ.update(_told_by(f"{os.environ['QRKIT_REQUESTS']}/{os.environ['VOILA_KERNEL_ID']}"))
    name, role = os.environ.get("HTTP_X_QRKIT_USER", ""), os.environ.get("HTTP_X_QRKIT_ROLE", "")
    if not name or not role:
        raise NotAllowed("The server did not say who has opened this page.", advice="Load the page again.")
    os.environ["QRKIT_USER"], os.environ["QRKIT_ROLE"] = name, role


def _told_by(address: str) -> dict[str, str]:
    """Ask until there is an answer: a busy server is late, and a page that has given up would be nobody's.

    A server that has ended takes its kernels along.
    """
    where = urlsplit(address)
    while True:
        connection = HTTPConnection(where.netloc, timeout=_ANSWER)  # whatever proxy the environment names
        try:
            connection.request("GET", where.path)
            answer = connection.getresponse()
            if answer.status == HTTPStatus.OK:
                return {str(name): str(value) for name, value in json.load(answer).items()}
            if answer.status != HTTPStatus.NO_CONTENT:
                raise HTTPException(answer.status)
        except (OSError, HTTPException, ValueError):
            time.sleep(_PAUSE)
        finally:
            connection.close()
