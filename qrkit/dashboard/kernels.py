"""The kernels of the visitors: their log, their owners, and the requests they serve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import tornado.locks
import tornado.web
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Unicode

LOG_FILE = "dashboard.log"

HOLD = 20.0
"""Seconds that a kernel's request for its visitor is held; then the kernel sends another one."""


class LoggedKernels(AsyncMappingKernelManager):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Starts kernels that write to a log in the workspace, which has the full text of each error."""

    log_file = Unicode(config=True, help="The log file of the kernels.")

    async def start_kernel(self, **options: Any) -> str:  # noqa: ANN401 - as Voilà calls it
        """Start a kernel, and return its id."""
        with Path(self.log_file).open("ab") as log:  # noqa: ASYNC230 - opening a local file takes no time
            kernel_id: str = await super().start_kernel(stdout=log, stderr=log, **options)
        return kernel_id

    async def replace_ended(self) -> None:
        """Replace the kernels that ended while they waited for a visitor."""
        for name, pool in getattr(self, "_pools", {}).items():  # Voilà's, where kernels wait
            for waiting in tuple(pool):
                if waiting.done() and not await self._waits(waiting) and waiting in pool:
                    pool.remove(waiting)
            self.fill_if_needed(delay=0, notebook_name=name)

    async def _waits(self, started: asyncio.Task[dict[str, Any]]) -> bool:
        """Whether a started kernel is alive and its page is not finished."""
        if started.cancelled() or started.exception() is not None:
            return False
        kernel_id = started.result()["kernel_id"]
        lives = kernel_id in self and await ensure_async(self.is_alive(kernel_id))
        return bool(lives) and not started.result()["task"].done()


class KernelOwners:
    """The owners of the running kernels, of which there are at most `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._owners: dict[str, str] = {}

    @property
    def count(self) -> int:
        """The number of kernels with an owner."""
        return len(self._owners)

    @property
    def is_full(self) -> bool:
        """Whether no further visitor can get a kernel."""
        return self.count >= self.most

    def assign(self, kernel_id: str, name: str) -> None:
        """Record the owner of a kernel; the first one stays."""
        self._owners.setdefault(kernel_id, name)

    def owner(self, kernel_id: str) -> str | None:
        """Return the owner of a kernel; None if it has none, or has ended."""
        return self._owners.get(kernel_id)

    def of(self, name: str) -> tuple[str, ...]:
        """Return the kernels of a user."""
        return tuple(kernel_id for kernel_id, owner in self._owners.items() if owner == name)

    def keep(self, running: Collection[str]) -> None:
        """Forget the kernels that have ended."""
        self._owners = {kernel_id: owner for kernel_id, owner in self._owners.items() if kernel_id in running}

    def without(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the kernels of all users except these."""
        return tuple(kernel_id for kernel_id, owner in self._owners.items() if owner not in names)


class KernelRequests:
    """The requests that the kernels serve; a kernel started in advance learns of its visitor here."""

    def __init__(self) -> None:
        self._requests: dict[str, Mapping[str, str]] = {}
        self._changed = tornado.locks.Condition()

    def assign(self, kernel_id: str, request: Mapping[str, str]) -> None:
        """Record the request that a kernel serves, as environment variables."""
        self._requests[kernel_id] = request
        self._changed.notify_all()

    async def of(self, kernel_id: str, within: float) -> Mapping[str, str] | None:
        """Return the request that a kernel serves; None if it is unknown for `within` seconds."""
        deadline = time.time() + within  # tornado's deadlines use this clock
        while kernel_id not in self._requests:
            if not await self._changed.wait(timeout=deadline):
                return None
        return self._requests[kernel_id]

    def keep(self, running: Collection[str]) -> None:
        """Forget the kernels that have ended."""
        self._requests = {kernel_id: request for kernel_id, request in self._requests.items() if kernel_id in running}


class KernelRequestHandler(tornado.web.RequestHandler):
    """Answers the kernels on a port that only this machine can reach; only a kernel knows its own id."""

    def initialize(self, requests: KernelRequests, hold: float = HOLD) -> None:
        """Take the requests, as tornado passes them."""
        self._kernel_requests = requests
        self._hold = hold

    async def get(self, kernel_id: str) -> None:
        """Send the request that the kernel serves, or 204 if there is none yet."""
        request = await self._kernel_requests.of(kernel_id, self._hold)
        if request is None:
            self.set_status(HTTPStatus.NO_CONTENT)
        else:
            await self.finish(dict(request))
