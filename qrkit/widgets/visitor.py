"""The user of a dashboard's kernel, which may have been started in advance and wait for its visitor."""

from __future__ import annotations

import json
import os
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from qrkit.errors import NotAllowed

_ANSWER = 60.0
"""Seconds to wait for one response: three times as long as the server holds a request."""

_PAUSE = 0.5
"""Seconds before another request after an error."""


def is_served() -> bool:
    """Whether the dashboard server started this kernel."""
    return bool(os.environ.get("QRKIT_REQUESTS"))


def become_the_visitors() -> None:
    """Take over the user and role of the visitor; a kernel started in advance waits for its visitor.

    Raises
    ------
    NotAllowed
        If the server does not name the visitor.
    """
    if os.environ.get("VOILA_PREHEAT") == "True":
        os.environ.update(_visit_from(f"{os.environ['QRKIT_REQUESTS']}/{os.environ['VOILA_KERNEL_ID']}"))
    name, role = os.environ.get("HTTP_X_QRKIT_USER", ""), os.environ.get("HTTP_X_QRKIT_ROLE", "")
    if not name or not role:
        raise NotAllowed("The server did not name the user of this page.", advice="Reload the page.")
    os.environ["QRKIT_USER"], os.environ["QRKIT_ROLE"] = name, role


def _visit_from(address: str) -> dict[str, str]:
    """Request the visitor until the server responds; a busy server may be late.

    The kernel ends with its server, so that this loop ends too.
    """
    where = urlsplit(address)
    while True:
        connection = HTTPConnection(where.netloc, timeout=_ANSWER)  # ignores the proxy settings of the environment
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
