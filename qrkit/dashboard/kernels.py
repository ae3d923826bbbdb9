"""Kernels of visitors, whose words go to a log in the workspace instead of the server's terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
