"""The workspace of a cell: the named one, else `ws`, else the only one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrkit.errors import InputError
from qrkit.workspace import Workspace

USUAL = "ws"
"""Its name in the tutorials, preferred if there are several."""


def workspace_in(names: Mapping[str, Any], *, named: str = "") -> Workspace:
    """Return the workspace among the variables of a notebook.

    Parameters
    ----------
    named
        Name of the variable; empty: `USUAL`, or the only workspace.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    if named:
        if isinstance(names.get(named), Workspace):
            return names[named]  # type: ignore[no-any-return]
        raise InputError(
            f"{named} is not a workspace.", advice="Enter the variable that holds the result of qrkit.open()."
        )
    # IPython keeps results of its own, such as _ and _3.
    opened = {
        name: value for name, value in names.items() if isinstance(value, Workspace) and not name.startswith("_")
    }
    if USUAL in opened:
        return opened[USUAL]
    if len({id(workspace) for workspace in opened.values()}) == 1:
        return next(iter(opened.values()))
    if not opened:
        raise InputError("There is no open workspace.", advice="Open one first: ws = qrkit.open().")
    raise InputError(f"There are several workspaces: {', '.join(opened)}.", advice="Select one: %%qrsql --in NAME.")
