"""Kernels of visitors, whose words go to a log in the workspace instead of the server's terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Unicode

LOG_FILE = "dashboard.log"


class LoggedKernels(AsyncMappingKernelManager):  # type: ignore[misc] # jupyter_server's classes are untyped here
    """Starts kernels that write to a log: errors that the page tells in one sentence are there in full."""

    log_file = Unicode(config=True, help="Where the kernels write to.")

    async def start_kernel(self, **options: Any) -> str:  # noqa: ANN401 - as Voilà calls it
        """Start a kernel, and return its id."""
        with Path(self.log_file).open("ab") as log:  # noqa: ASYNC230 - opening a local file takes no time
            kernel_id: str = await super().start_kernel(stdout=log, stderr=log, **options)
        return kernel_id

    async def replace_ended(self) -> None:
        """Start others for the kernels that ended while they waited for a visitor, so that nobody is given one."""
        for name, pool in getattr(self, "_pools", {}).items():  # Voilà's, where kernels wait
            for waiting in tuple(pool):
                if waiting.done() and not await self._waits(waiting) and waiting in pool:
                    pool.remove(waiting)
            self.fill_if_needed(delay=0, notebook_name=name)

    async def _waits(self, started: asyncio.Task[dict[str, Any]]) -> bool:
        """Whether a kernel that was started lives, and has not run its page to the end."""
        if started.cancelled() or started.exception() is not None:
            return False
        kernel_id = started.result()["kernel_id"]
        lives = kernel_id in self and await ensure_async(self.is_alive(kernel_id))
        return bool(lives) and not started.result()["task"].done()
