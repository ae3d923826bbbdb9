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
    """Open a workspace, and make it if it is new.

    Parameters
    ----------
    folder
        The workspace's folder; without it `QRKIT_WORKSPACE`, else a folder of the user's own.
    **settings
        Settings that win over `qrkit.toml` and the environment, such as ``ae_title="PHYSICS"``.

    Raises
    ------
    InputError
        If a setting is not valid.
    StateUnavailable
        If the state cannot be opened.
    """
    from qrkit.workspace import Workspace as Opened

    workspace = Opened.open(folder, **settings)
    if "IPython" in sys.modules:
        from qrkit.notebook.frames import register_answers
        from qrkit.widgets.display import register_in_notebook

        register_in_notebook(workspace)
        register_answers()
    return workspace


def repair(folder: str | Path | None = None, *, thorough: bool = False) -> Repair:
    """Mend a workspace whose files are damaged, or whose state is gone; nothing is deleted.

    What is damaged is put aside under a name that says so, and what can be read of it is saved. Objects and answers
    that are in the folder and not in the state are listed.

    Parameters
    ----------
    folder
        As of `open`.
    thorough
        Whether each object is read and compared with the SHA-256 that it came with, not only its size.

    Raises
    ------
    WorkerError
        If a worker runs this workspace.
    StoreError
        If something cannot be read now, or not be written.
    """
    from qrkit.workspace.repair import repair as mend

    return mend(folder, thorough=thorough)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add to IPython what ``%load_ext qrkit`` promises: SQL cells, more from Tab, coverage below tables."""
    from qrkit.notebook import load

    load(shell)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name == "Workspace":
        from qrkit.workspace import Workspace as Opened

        return Opened
    raise AttributeError(f"qrkit has no {name}")
