"""qrkit: query a PACS, retrieve what you need, keep every result as a table.

``qrkit.open()`` gives a `Workspace`, which has everything else. Nothing is loaded before it is needed, so that
``import qrkit`` is quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from qrkit.errors import QrkitError
from qrkit.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from qrkit.workspace import Workspace
    from qrkit.workspace.repair import Repair

__all__ = ["QrkitError", "Workspace", "__version__", "open", "repair"]


def open(folder: str | Path | None = None, **settings: str | int) -> Workspace:  # noqa: A001 - qrkit.open, as in gzip.open
    """Open a workspace, and create it if it is new.

    Parameters
    ----------
    folder
        The workspace's folder; without it `QRKIT_WORKSPACE`, else ``~/.local/share/qrkit/workspace`` on Linux, as on
        the command line.
    **settings
        Settings that override `qrkit.toml` and the environment, such as ``ae_title="PHYSICS"``.

    Returns
    -------
    Workspace
        Also a context manager, which closes it.

    Raises
    ------
    InputError
        If a setting is unknown or not valid.
    StateUnavailable
        If the state cannot be opened.

    Examples
    --------
    ::

        with qrkit.open("archive", ae_title="PHYSICS") as ws:
            print(ws.echo("pacs"))
    """
    from qrkit.workspace import Workspace as Opened

    workspace = Opened.open(folder, **settings)
    if "IPython" in sys.modules:
        from qrkit.notebook import register_answers
        from qrkit.widgets import register_in_notebook

        register_in_notebook(workspace)
        register_answers()
    return workspace


def repair(folder: str | Path | None = None, *, thorough: bool = False) -> Repair:
    """Repair a workspace with damaged files or a lost state; nothing is deleted.

    Damaged files are renamed, and their readable contents saved. Objects and results in the folder that the state
    does not list are listed again.

    Parameters
    ----------
    folder
        The workspace's folder, as `open` takes it.
    thorough
        Compare each object with the SHA-256 of its receipt, not only its size.

    Returns
    -------
    Repair
        One sentence for each thing repaired, and for each thing lost.

    Raises
    ------
    WorkerError
        If a worker runs this workspace.
    StoreError
        If a file cannot be read now, or not be written.
    """
    from qrkit.workspace.repair import repair as repair_workspace

    return repair_workspace(folder, thorough=thorough)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add to IPython what ``%load_ext qrkit`` promises: SQL cells, more from Tab, coverage below tables."""
    from qrkit.notebook import load

    load(shell)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any attribute of the package
    if name == "Workspace":
        from qrkit.workspace import Workspace as Opened

        return Opened
    raise AttributeError(f"qrkit has no {name}")
