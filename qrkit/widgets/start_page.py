"""`StartPage`: the state of the nodes, the running jobs, and the storage in use."""

from __future__ import annotations

import shutil

import ipywidgets

from qrkit.widgets.job_progress import running_jobs
from qrkit.widgets.node_tiles import NodeTiles
from qrkit.words import counted, volume
from qrkit.workspace import Workspace


class StartPage(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets publishes no types
    """The first page."""

    def __init__(self, *, workspace: Workspace) -> None:
        self.tiles = NodeTiles(workspace=workspace)
        heads = [ipywidgets.HTML(f"<h2>{text}</h2>") for text in ("Nodes", "Running jobs", "Storage")]
        jobs = running_jobs(workspace) or [ipywidgets.HTML("No running jobs.")]
        super().__init__([heads[0], self.tiles, heads[1], *jobs, heads[2], ipywidgets.HTML(storage_use(workspace))])

    def close(self) -> None:
        """Stop checking the nodes."""
        self.tiles.close()
        super().close()


def storage_use(workspace: Workspace) -> str:
    """Return the number of stored objects and the free disk space, as a sentence."""
    used = workspace.sql("SELECT count(*) AS files, coalesce(sum(size), 0)::DOUBLE AS bytes FROM instances").iloc[0]
    free = shutil.disk_usage(workspace.settings.workspace).free
    return f"{counted(int(used['files']), 'object')}, {volume(used['bytes'])}; {free / 1e9:.0f} GB free."
