"""Tells kernels that were ready before their visitor came what they serve now: whoever asks too early waits."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from http import HTTPStatus

import tornado.locks
import tornado.web

HOLD = 20.0
"""Seconds after which a kernel whose visitor has not come yet is told so, and asks again."""


class Visits:
    """Which request each kernel serves."""

    def __init__(self) -> None:
        self._requests: dict[str, Mapping[str, str]] = {}
        self._told = tornado.locks.Condition()

    def tell(self, kernel_id: str, request: Mapping[str, str]) -> None:
        """Note what a kernel serves, as environment variables: it is told now, and whenever it asks again."""
        self._requests[kernel_id] = request
        self._told.notify_all()

    async def of(self, kernel_id: str, within: float) -> Mapping[str, str] | None:
        """Return what a kernel serves; None if that is not known within some seconds."""
        deadline = time.time() + within  # tornado's timeouts are moments of this clock
        while kernel_id not in self._requests:
            if not await self._told.wait(timeout=deadline):
                return None
        return self._requests[kernel_id]

    def keep(self, running: Collection[str]) -> None:
        """Forget the kernels that do not run any more."""
        self._requests = {kernel_id: told for kernel_id, told in self._requests.items() if kernel_id in running}


class VisitHandler(tornado.web.RequestHandler):
    """Answers kernels, on a port that only this machine can reach; a kernel's id is known to itself alone."""

    def initialize(self, visits: Visits, hold: float = HOLD) -> None:
        """Take what is known, as tornado gives it."""
        self._visits = visits
        self._hold = hold

    async def get(self, kernel_id: str) -> None:
        """Answer with what the kernel serves, or 204 if nobody has come yet."""
        told = await self._visits.of(kernel_id, self._hold)
        if told is None:
            self.set_status(HTTPStatus.NO_CONTENT)
        else:
            await self.finish(dict(told))
