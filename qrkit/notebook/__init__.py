"""Extensions of IPython: the coverage below the table of a result, SQL cells, and completion by Tab.

`qrkit.open` registers the first in a notebook; ``%load_ext qrkit`` adds the others, in a notebook or a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: InteractiveShell) -> None:
    """Add all of it to IPython."""
    from qrkit.notebook.completion import Completion
    from qrkit.notebook.frames import register_frames
    from qrkit.notebook.magic import SqlMagics

    shell.register_magics(SqlMagics)
    Completion.register(shell)
    register_frames(shell)
