"""The workspace that a cell means: the one it names, else the only one there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrkit.errors import InputError
from qrkit.workspace import Workspace

USUAL = "ws"
"""What the lessons call it; it wins where there are several."""


def workspace_in(names: Mapping[str, Any], *, named: str = "") -> Workspace:
    """Return the workspace among the variables of a notebook.

    Parameters
    ----------
    named
        The variable that is meant; empty: `USUAL`, or the only one that holds a workspace.

    Raises
    ------
    InputError
        If there is none, or it is not clear which.
    """
    if named:
        if isinstance(names.get(named), Workspace):
            return names[named]  # type: ignore[no-any-return]
        raise InputError(f"{named} is no workspace.", advice="Give the variable that qrkit.open() was assigned to.")
    # IPython keeps results of its own, such as _ and _3.
    open_ones = {
        name: value for name, value in names.items() if isinstance(value, Workspace) and not name.startswith("_")
    }
    if USUAL in open_ones:
        return open_ones[USUAL]
    if len({id(one) for one in open_ones.values()}) == 1:
        return next(iter(open_ones.values()))
    if not open_ones:
        raise InputError("There is no workspace here yet.", advice="Open one first: ws = qrkit.open().")
    raise InputError(f"There are several workspaces: {', '.join(open_ones)}.", advice="Say which: %%qrsql --in NAME.")
